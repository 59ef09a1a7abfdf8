import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { collected } from "../../src/main/log.ts"

const test = suite("log")
const ROOT = join(import.meta.dirname, "../..")

/** What a process writes that logs two lines and then does `last`. */
const written = (last: string): readonly string[] => {
  const program = `
    const { createLog } = await import("./src/main/log.ts")
    const log = createLog("info")
    log.info({ token: "secret", other: { nonce: "secret" } }, "first")
    log.child({ worker: 1 }).info("second")
    ${last}`
  const { stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
    cwd: ROOT,
    encoding: "utf8",
  })
  return stdout.trimEnd().split("\n")
}

for (const [name, last] of [
  ["ends", ""],
  ["exits", "process.exit(0)"],
  ["fails", "throw new Error('unexpected')"],
  ["stays", "await new Promise((done) => setTimeout(done, 300)); process.kill(process.pid, 'SIGKILL')"],
] as const)
  test(`writes what was logged by a process that ${name}, and hides what could be presented`, () => {
    const lines = written(last)
    assert.equal(
      lines.map((line) => JSON.parse(line).msg),
      ["first", "second"],
    )
    assert.not.match(lines.join(), "secret")
  })
test("hands on lines together, each once and in their order", () => {
  const handed: string[] = []
  const { write, flush } = collected((text) => handed.push(text))
  const lines = Array.from({ length: 4000 }, (_, i) => `${String(i).padStart(99, "0")}\n`)
  for (const line of lines) write(line)
  assert.is(handed.length, 12)
  flush()
  flush()
  assert.is(handed.length, 13)
  assert.is(handed.join(""), lines.join(""))
})
test("hands on a line at once that is longer than what may wait", () => {
  const handed: string[] = []
  const { write } = collected((text) => handed.push(text))
  write("short\n")
  write("x".repeat(40_000))
  assert.equal(
    handed.map(({ length }) => length),
    [40_006],
  )
})
test.run()
