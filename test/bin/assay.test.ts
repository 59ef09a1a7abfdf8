/** `bin/assay.js` beside a build and a pinned Node of the test's own. */
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { cpSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { suite } from "uvu"
import * as assert from "uvu/assert"

const test = suite("bin/assay.js")

const roots: string[] = []
test.after(() => {
  for (const root of roots) rmSync(root, { recursive: true, force: true })
})

/** A checkout with these files. */
const checkout = (files: Readonly<Record<string, string>>): string => {
  const root = mkdtempSync(join(tmpdir(), "assay-bin-"))
  roots.push(root)
  cpSync("bin", join(root, "bin"), { recursive: true })
  writeFileSync(join(root, "package.json"), '{"type":"module"}')
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, path, ".."), { recursive: true })
    writeFileSync(join(root, path), text, { mode: 0o755 })
  }
  return root
}

const PINNED = `node_modules/node-linux-${process.arch}/bin/node`
const BUILT = {
  "dist/main.js": 'export const main = async (argv) => (console.log("main", ...argv), 1)',
}
const OLD = { "old.mjs": 'Object.defineProperty(process.versions, "node", { value: "18.19.0" })' }

const run = (root: string, options: { old?: boolean } = {}) => {
  const preload = options.old ? ["--import", join(root, "old.mjs")] : []
  const parameters = [...preload, join(root, "bin/assay.js"), "check", "quote", "-o", "a b"]
  const { status, stdout, stderr } = spawnSync(process.execPath, parameters, {
    encoding: "utf8",
    cwd: tmpdir(),
    env: { ...process.env, NODE_COMPILE_CACHE: undefined },
  })
  return { status, stdout, stderr }
}

test("may be executed", () => {
  assert.is(statSync("bin/assay.js").mode & 0o777, 0o755)
})

test("says what to do before the first build, and ends with 2", () => {
  const { status, stdout, stderr } = run(checkout({}))
  assert.equal([status, stdout], [2, ""])
  assert.match(stderr, /make build/)
})

test("starts the build with its arguments, and ends as it does", () => {
  assert.equal(run(checkout(BUILT)), { status: 1, stdout: "main check quote -o a b\n", stderr: "" })
})

test("keeps what was compiled in the installation, for threads and children too", () => {
  const main =
    "import module from 'node:module'\n" +
    "export const main = async () => (console.log(module.getCompileCacheDir(), process.env.NODE_COMPILE_CACHE), 0)"
  const root = checkout({ "dist/main.js": main })
  const [used = "", told] = run(root).stdout.trim().split(" ")
  const folder = join(root, ".cache/compile")
  assert.is(told, folder)
  assert.is(dirname(used), folder)
  assert.ok(statSync(used).isDirectory())
})

test("goes on where nothing can be kept", () => {
  assert.equal(run(checkout({ ...BUILT, ".cache": "no folder" })), {
    status: 1,
    stdout: "main check quote -o a b\n",
    stderr: "",
  })
})

test("begins a server anew in the same process, told how to use memory, and no other command", async () => {
  const main =
    "const { MALLOC_ARENA_MAX, GLIBC_TUNABLES } = process.env\n" +
    "export const main = async (argv) => (console.log(JSON.stringify(" +
    "[process.pid, process.execArgv, [MALLOC_ARENA_MAX, GLIBC_TUNABLES].join(), argv])), 3)"
  const root = checkout({ "dist/main.js": main })
  const ran = async (argv: readonly string[], env: Readonly<Record<string, string>> = {}) => {
    const child = spawn(process.execPath, ["--no-warnings", join(root, "bin/assay.js"), ...argv], {
      env: { ...process.env, MALLOC_ARENA_MAX: undefined, GLIBC_TUNABLES: undefined, ...env },
    })
    const texts = await child.stdout.setEncoding("utf8").toArray()
    const status = child.exitCode ?? (await once(child, "exit"))[0]
    const [pid, ...said]: unknown[] = JSON.parse(texts.join(""))
    assert.equal([status, pid], [3, child.pid])
    return said
  }
  const flags = ["--max-semi-space-size=16", "--no-allocation-site-pretenuring"]
  const kept = "glibc.malloc.tcache_count=300"
  const command = ["-o", "table", "serve", "--config", "a b"]
  assert.equal(await ran(command), [[...flags, "--no-warnings"], `4,${kept}`, command])
  assert.equal(await ran(["serve"], { MALLOC_ARENA_MAX: "2" }), [
    [...flags, "--no-warnings"],
    `2,${kept}`,
    ["serve"],
  ])
  assert.equal(await ran(["check"]), [["--no-warnings"], ",", ["check"]])
})

test("hands over to the pinned Node where the running one is too old", () => {
  const root = checkout({ ...BUILT, ...OLD, [PINNED]: '#!/bin/sh\nshift\necho pinned "$@"\nexit 7\n' })
  assert.equal(run(root, { old: true }), { status: 7, stdout: "pinned check quote -o a b\n", stderr: "" })
})

test("ends as a shell would say it when the pinned Node is killed", () => {
  const root = checkout({ ...BUILT, ...OLD, [PINNED]: "#!/bin/sh\nkill -TERM $$\n" })
  assert.is(run(root, { old: true }).status, 128 + 15)
})

test("says what is missing where there is no Node that is new enough", () => {
  const { status, stdout, stderr } = run(checkout({ ...BUILT, ...OLD }), { old: true })
  assert.equal([status, stdout], [2, ""])
  assert.match(stderr, /needs Node 24 or later/)
})

test("says so when the pinned Node cannot be started", () => {
  const root = checkout({ ...BUILT, ...OLD, [PINNED]: "#!/no/such/shell\n" })
  const { status, stderr } = run(root, { old: true })
  assert.is(status, 2)
  assert.match(stderr, /cannot be started/)
})

test("passes a signal on, and waits for the end", async () => {
  const script = '#!/bin/sh\ntrap "echo stopped; exit 3" TERM\necho ready\nwhile :; do sleep 0.05; done\n'
  const root = checkout({ ...BUILT, ...OLD, [PINNED]: script })
  const child = spawn(process.execPath, ["--import", join(root, "old.mjs"), join(root, "bin/assay.js")])
  const lines: string[] = []
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    lines.push(text)
    if (text.includes("ready")) child.kill("SIGTERM")
  })
  const status = await new Promise((resolve) => child.on("close", resolve))
  assert.equal([status, lines.join("")], [3, "ready\nstopped\n"])
})

test.run()
