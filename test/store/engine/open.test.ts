import { execFileSync } from "node:child_process"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { type EngineSettings, openEngine } from "../../../src/store/engine/open.ts"
import { rejectsCode } from "../../support/assert.ts"
import { seededRandom } from "../../support/ports/random.ts"

const test = suite("openEngine")

const parts = {
  random: seededRandom("open"),
  clock: { now: () => new Date() },
  clockBoundMs: 5000,
  checkClock: () => {},
  passphrase: () => "correct horse battery staple",
  spentMax: 1000,
}
const redis = (url: string, plaintext = false): EngineSettings => ({ kind: "redis", url, plaintext })
const postgres = (url: string, plaintext = false): EngineSettings => ({
  kind: "postgres",
  url,
  plaintext,
  schema: "assay_engine",
})

const unprotected: [what: string, settings: EngineSettings][] = [
  ["Redis on another machine", redis("redis://192.0.2.1:6379")],
  ["Redis under a name", redis("redis://localhost.example")],
  ["PostgreSQL on another machine", postgres("postgres://assay@192.0.2.1/assay")],
  ["PostgreSQL on another machine by parameter", postgres("postgres://assay@127.0.0.1/assay?host=192.0.2.1")],
  ["PostgreSQL with TLS that anybody can offer", postgres("postgres://assay@192.0.2.1/assay?sslmode=prefer")],
  ["PostgreSQL nowhere in particular", postgres("postgres:///assay")],
  [
    "PostgreSQL of which the driver reads the last word",
    postgres("postgres://assay@192.0.2.1/assay?sslmode=verify-full&sslmode=disable"),
  ],
  ["PostgreSQL at the last of two hosts", postgres("postgres:///assay?host=%2Fnowhere&host=192.0.2.1")],
  ["PostgreSQL in what only its driver reads", postgres("postgres://assay@/assay?host=192.0.2.1")],
]
for (const [what, settings] of unprotected)
  test(`refuses ${what} without TLS that proves who it is`, async () => {
    const error = await rejectsCode(() => openEngine(settings, parts), "INPUT")
    assert.is(error.location, "engine.url")
  })

const bearable: [what: string, settings: EngineSettings][] = [
  ["Redis on this machine", redis("redis://127.0.0.1:1")],
  ["Redis at a socket", redis("unix:/nowhere/redis.sock")],
  ["Redis over TLS", redis("rediss://192.0.2.1:1")],
  ["PostgreSQL at a socket", postgres("postgres:///assay?host=%2Fnowhere")],
  ["PostgreSQL at a socket in the host's place", postgres("postgres://assay@%2Fnowhere/assay")],
  [
    "PostgreSQL over TLS that proves who it is",
    postgres("postgres://assay@127.0.0.1:1/assay?sslmode=verify-full"),
  ],
  ["what an operator says to be protected otherwise", redis("redis://127.1.2.3.invalid:1", true)],
]
for (const [what, settings] of bearable)
  test(`waits for ${what}`, async () => {
    const engine = await openEngine(settings, parts)
    assert.ok(engine.unready() !== undefined)
    await engine.close()
  })

test("asks nobody for a passphrase for what no other process shares", async () => {
  const passphrase = (): string => {
    throw new TypeError("nobody has one")
  }
  const engine = await openEngine({ kind: "memory" }, { ...parts, passphrase })
  assert.is(engine.unready(), undefined)
})

/** Which of the libraries for shared stores are loaded once a module is. */
const loadedBy = (module: string): string[] => {
  const script = `await import(${JSON.stringify(new URL(module, import.meta.url).href)})
    const { createRequire } = await import("node:module")
    const files = Object.keys(createRequire("/").cache)
    console.log(JSON.stringify(["pg", "ioredis"].filter((name) => files.some((file) => file.includes("/node_modules/" + name + "/")))))`
  return JSON.parse(
    execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" }),
  )
}
const loads: [module: string, expected: string[]][] = [
  ["../../../src/store/engine/open.ts", []],
  ["../../../src/main.ts", []],
  ["../../../src/store/engine/redis.ts", ["ioredis"]],
  ["../../../src/store/engine/postgres.ts", ["pg"]],
]
for (const [module, expected] of loads)
  test(`loading ${module.slice("../../../".length)} loads of the libraries ${JSON.stringify(expected)}`, () => {
    assert.equal(loadedBy(module), expected)
  })

test.run()
