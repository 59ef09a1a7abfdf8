import { tmpdir } from "node:os"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { missingPrograms, requirePrograms, run } from "../../src/device/programs.ts"
import { rejectsCode, throwsCode } from "../support/assert.ts"
import { isThere, needs } from "../support/vectors.ts"

/** Runs `act` where no program can be found. */
const withoutPath = <T>(act: () => T): T => {
  const path = process.env["PATH"]
  process.env["PATH"] = "/nowhere"
  try {
    return act()
  } finally {
    process.env["PATH"] = path
  }
}

const test = suite("programs")
test("names the Debian package of each program that is absent", () => {
  const missing = new Map(withoutPath(() => missingPrograms("swtpm")).map((m) => [m.program, m.package]))
  assert.is(missing.get("swtpm"), "swtpm")
  assert.is(missing.get("swtpm_setup"), "swtpm-tools")
  assert.is(missing.get("swtpm_ioctl"), "swtpm-tools")
  assert.is(missing.get("tpm2_quote"), "tpm2-tools")
  assert.is(missing.get("tpm2_pcrextend"), "tpm2-tools")
})

test("asks of an agent only for what it runs", () => {
  const packages = withoutPath(() => missingPrograms("agent")).map((missing) => missing.package)
  assert.equal([...new Set(packages)], ["tpm2-tools"])
})

test("refuses to begin without the programs, and says what to install", () => {
  const agent = throwsCode(() => withoutPath(() => requirePrograms("agent")), "TPM")
  assert.match(agent.message, "apt-get install tpm2-tools")
  const swtpm = throwsCode(() => withoutPath(() => requirePrograms("swtpm")), "TPM")
  for (const name of ["swtpm", "swtpm-tools", "tpm2-tools"]) assert.match(swtpm.message, name)
})

needs("swtpm", test)("misses nothing where all is installed", () => {
  assert.ok(isThere("swtpm"))
  assert.equal(missingPrograms("swtpm"), [])
})

const at = { folder: tmpdir(), timeoutMs: 10_000 }
test("gives what a program prints, and passes parameters as they are", async () => {
  const text = "$(id) `id` ; 'quoted' \"twice\""
  const echo = ["-e", "console.log(process.argv[1])", text]
  assert.is(await run(process.execPath, echo, at), `${text}\n`)
})

test("hands the TCTI on", async () => {
  const show = ["-e", "console.log(process.env.TPM2TOOLS_TCTI)"]
  assert.is(await run(process.execPath, show, { ...at, tcti: "swtpm:x" }), "swtpm:x\n")
})

const failures: [name: string, program: string, parameters: readonly string[], timeoutMs: number][] = [
  ["is not installed", "tpm2_absent", [], 10_000],
  ["fails", process.execPath, ["-e", "process.exit(3)"], 10_000],
  ["does not end", process.execPath, ["-e", "setInterval(() => {}, 1000)"], 200],
]
for (const [name, program, parameters, timeoutMs] of failures)
  test(`refuses with a code a program that ${name}`, async () => {
    await rejectsCode(() => run(program, parameters, { ...at, timeoutMs }), "TPM")
  })
test.run()
