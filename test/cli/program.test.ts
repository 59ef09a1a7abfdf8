/** What all commands have in common: wrong use, help, output forms, exit statuses. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { AddCommand } from "../../src/cli/command.ts"
import { errorLine, painter, statusOf, toJson } from "../../src/cli/output.ts"
import { AssayError } from "../../src/errors.ts"
import { quoteFixture } from "../support/fixtures.ts"
import { assay, fileOf, jsonOf, type RunOptions } from "./run.ts"

const test = suite("assay")

const { akPublic } = quoteFixture("p256-sha256")
const key = fileOf(akPublic)

const wrong: readonly (readonly string[])[] = [
  [],
  ["nothing"],
  ["inspect"],
  ["inspect", "nothing", key],
  ["inspect", "public"],
  ["inspect", "public", key, "another"],
  ["inspect", "public", "--unknown", key],
  ["inspect", "public", "-o", "xml", key],
  ["inspect", "public", "-o"],
  ["replay", "eventlog", "/no/such/file"],
  ["check", "quote"],
  ["check", "quote", "--attest", key],
  ["check", "token", key, "--jwks", key],
  ["check", "quote", "--attest", key, "--signature", key, "--key", key, "--nonce", "xyz"],
  ["check", "quote", "--attest", key, "--signature", key, "--key", key, "--nonce", "00".repeat(65)],
  ["check", "quote", "--attest", key, "--signature", key, "--key", key, "--signature-scheme", "md5"],
  ["appraise", "--evidence", key],
  ["appraise", "--evidence", key, "--policy", key, "--at", "yesterday"],
  ["device", "register"],
  ["device", "register", "--ak", key, "--hierarchy", "null"],
  ["device", "register", "--ak", key, "--hierarchy", "owner", "--qualified-name", key],
  ["policy", "set"],
  ["policy", "assign", "/no/such/policy.yaml"],
  ["trust"],
  ["trust", "import"],
  ["trust", "import", "/no/such/file", "--purpose", "ek"],
  ["trust", "import", key, "--purpose", "tls"],
  ["trust", "import", key, "--crl", "--purpose", "ek"],
  ["trust", "import-eks", key],
  ["trust", "list", "--eks", "--intermediates"],
  ["trust", "show"],
]
for (const argv of wrong)
  test(`ends with 2 for: assay ${argv.join(" ").replaceAll(key, "FILE")}`, async () => {
    const { status, out, err } = await assay(argv)
    assert.is(status, 2)
    assert.match(err, /(^|\n)assay: [A-Z_]+: .+\n$/)
    assert.type((JSON.parse(out) as { error: { code: string } }).error.code, "string")
    const onTerminal = await assay(argv, { isTerminal: true })
    assert.equal([onTerminal.status, onTerminal.out], [2, ""])
  })

test("names a file that is not there", async () => {
  const { err } = await assay(["inspect", "quote", "/no/such/file"])
  assert.is(err, "assay: INPUT: /no/such/file cannot be read: there is no such file\n")
})

test("names a folder that is no file", async () => {
  const { status, err } = await assay(["inspect", "quote", "/"])
  assert.is(status, 2)
  assert.match(err, /it is a folder/)
})

test("reads no more of a file than any could have", async () => {
  const { status, out } = await assay(["inspect", "quote", "-"], { stdin: new Uint8Array((4 << 20) + 1) })
  assert.is(status, 2)
  assert.is((JSON.parse(out) as { error: { code: string } }).error.code, "LENGTH")
})

for (const argv of [
  ["--help"],
  ["help"],
  ["help", "check"],
  ["check", "--help"],
  ["check", "quote", "--help"],
  ["check", "token", "-h"],
  ["inspect", "--help"],
  ["replay", "eventlog", "--help"],
  ["appraise", "--help"],
  ["device", "register", "--help"],
  ["policy", "--help"],
])
  test(`helps with 0 for: assay ${argv.join(" ")}`, async () => {
    const { status, out, err } = await assay(argv)
    assert.equal([status, err], [0, ""])
    assert.match(out, /^Usage: assay/)
  })

test("says its version", async () => {
  assert.equal(await assay(["--version"]), { status: 0, out: "0.0.0\n", err: "" })
})

test("answers with JSON in a pipe, with a table on a terminal, and with either where it is asked to", async () => {
  const isJson = async (argv: readonly string[], options: RunOptions): Promise<boolean> =>
    (await assay(argv, options)).out.startsWith("{")
  const inspect = ["inspect", "public", key]
  assert.is(await isJson(inspect, {}), true)
  assert.is(await isJson(inspect, { isTerminal: true }), false)
  assert.is(await isJson(["-o", "json", ...inspect], { isTerminal: true }), true)
  assert.is(await isJson([...inspect, "--output", "table"], {}), false)
})

const ESCAPE = "\u001b"

test("writes colors only where there are to be any", async () => {
  const argv = ["check", "quote", "--attest", key, "--signature", key, "--key", key, "-o", "table"]
  assert.is((await assay(argv)).out.includes(ESCAPE), false)
  assert.ok((await assay(argv, { colors: true })).out.includes(`${ESCAPE}[31m`))
  assert.is(painter(false).bad("no"), "no")
})

test("reads standard input for -", async () => {
  assert.equal(
    await assay(["inspect", "public", "-"], { stdin: akPublic }),
    await assay(["inspect", "public", key]),
  )
})

test("lets nothing through to a terminal that could steer it", async () => {
  const hostile = JSON.stringify({ alg: "\u001b[2J\u202eevil\u0007" })
  const part = Buffer.from(hostile).toString("base64url")
  for (const output of ["json", "table"]) {
    const { status, out } = await assay(["inspect", "token", "-", "-o", output], {
      stdin: new TextEncoder().encode(`${part}.${part}.x`),
    })
    assert.is(status, 0)
    assert.match(out, /^[\x20-\x7e\n]*$/)
    assert.match(out, /evil/)
  }
  const { err } = await assay(["\u001b[2Jx"])
  assert.match(err, /^[\x20-\x7e\n]*$/)
  assert.is(toJson("\u{1f600}\u007f"), '"\\ud83d\\ude00\\u007f"')
})

const FAILING: AddCommand = (program, { reporting }) => {
  program.command("fail <code>").action(
    reporting((code: string) => {
      if (code === "RangeError") throw new RangeError("unexpected")
      throw new AssayError(code === "NO_ANSWER" ? "NO_ANSWER" : "SIGNATURE", "no", { location: "here" })
    }),
  )
}

test("ends with 1 for what is refuted, away or our own fault, and with a line for each", async () => {
  const parts = { commands: [{ name: "fail", load: () => FAILING }] }
  for (const [code, line] of [
    ["SIGNATURE", "assay: SIGNATURE: no (here)\n"],
    ["NO_ANSWER", "assay: NO_ANSWER: no (here)\n"],
    ["RangeError", "assay: INTERNAL: internal error: unexpected\n"],
  ] as const) {
    const ran = await assay(["fail", code], { parts })
    assert.equal([ran.status, ran.err], [1, line])
    assert.is(jsonOf<{ error: { code: string } }>(ran).error.code, line.split(": ")[1])
  }
})

test("takes commands that others hand in, with a status of their own", async () => {
  const own: AddCommand = (program, { exitWith, io }) => {
    program.command("own").action(() => {
      io.out("done\n")
      exitWith(1)
    })
  }
  assert.equal(await assay(["own"], { parts: { commands: [{ name: "own", load: () => own }] } }), {
    status: 1,
    out: "done\n",
    err: "",
  })
})

const loads: readonly (readonly [argv: readonly string[], loaded: readonly string[]])[] = [
  [["one"], ["one"]],
  [["one", "two"], ["one"]],
  [["-o", "two", "one"], ["one"]],
  [["--output", "json", "two"], ["two"]],
  [["--output=json", "two"], ["two"]],
  [["--version"], []],
  [["-V"], []],
  [["--help"], ["one", "two"]],
  [
    ["help", "one"],
    ["one", "two"],
  ],
  [["three"], ["one", "two"]],
  [
    ["-o", "one"],
    ["one", "two"],
  ],
  [[], ["one", "two"]],
]
for (const [argv, expected] of loads)
  test(`loads for "assay ${argv.join(" ")}" the commands ${JSON.stringify(expected)}`, async () => {
    const loaded: string[] = []
    const commands = ["one", "two"].map((name) => ({
      name,
      load: (): AddCommand => {
        loaded.push(name)
        return (program) => void program.command(name).action(() => {})
      },
    }))
    await assay(argv, { parts: { commands } })
    assert.equal(loaded, expected)
  })

test("writes a failure as one line with everything that is known of it", () => {
  const details = { location: "TPMS_ATTEST.magic", expected: "ff544347", actual: "00\n00" }
  assert.is(
    errorLine(new AssayError("QUOTE_MAGIC", "not made by a TPM", details)),
    "assay: QUOTE_MAGIC: not made by a TPM (TPMS_ATTEST.magic; expected ff544347; found 00\\u{a}00)",
  )
  assert.equal(
    [
      statusOf(new AssayError("FRAMING", "")),
      statusOf(new AssayError("LOG_SIZE", "")),
      statusOf(new AssayError("SIG_ALG", "")),
    ],
    [2, 2, 1],
  )
})

test.run()
