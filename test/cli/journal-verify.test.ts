import { suite } from "uvu"
import * as assert from "uvu/assert"
import { createJournalLines } from "../../src/service/journal-file.ts"
import type { JournalEntry } from "../../src/verification/journal/verify.ts"
import { chainBuilder, ISSUER, recordContent, sampleChain, TENANT, WRITER } from "../support/journal.ts"
import { NOON } from "../support/ports/samples.ts"
import { testSigner } from "../support/signer.ts"
import { assay, fileOf, jsonOf } from "./run.ts"

const test = suite("assay journal verify")

const { signer, chain, entries } = sampleChain()
const textOf = (parts: readonly JournalEntry[]): string => {
  const lines = createJournalLines()
  return [
    lines.header({ tenant: TENANT, issuer: ISSUER, exportedAt: NOON }),
    ...parts.map(lines.entry),
    lines.end(),
  ].join("")
}
const JWKS = fileOf(signer.jwks, "json")
const HEAD = fileOf(`${chain.last()}\n`, "head")
const verify = (parts: readonly JournalEntry[] | string, ...options: readonly string[]) =>
  assay([
    ...["journal", "verify", fileOf(typeof parts === "string" ? parts : textOf(parts), "jsonl")],
    ...["--jwks", JWKS],
    ...options,
  ])

test("accepts a journal that leads to its head", async () => {
  const ran = await verify(entries, "--head", HEAD)
  assert.is(ran.status, 0)
  assert.equal(jsonOf(ran), {
    accepted: true,
    code: null,
    tenant: TENANT,
    issuer: ISSUER,
    exportedAt: NOON.toISOString(),
    keys: "given",
    records: 12,
    uncovered: 0,
    checkpoints: 3,
    heads: 1,
    chains: [
      {
        writer: WRITER,
        first: 1,
        last: 12,
        hash: Buffer.from(chain.head().hash).toString("hex"),
        covered: 12,
      },
    ],
  })
})

test("shows a table to people, and what was not looked at", async () => {
  const file = fileOf(textOf(entries.slice(0, 7)), "jsonl")
  const { out, status } = await assay(["journal", "verify", file, "--jwks", JWKS], { isTerminal: true })
  assert.is(status, 0)
  assert.match(out, /^accepted\n/)
  assert.match(out, /no --head was given/)
  assert.match(out, /2 records at the end are not covered/)
  assert.match(out, new RegExp(`${WRITER} +1 +6 +4 `))
})

test("reads a journal from standard input", async () => {
  const stdin = Buffer.from(textOf(entries))
  const { status } = await assay(["journal", "verify", "-", "--jwks", JWKS], { stdin })
  assert.is(status, 0)
})

const altered = textOf(
  entries.map((entry) =>
    entry.kind === "record" && entry.sequence === 6
      ? { ...entry, content: recordContent({ outcome: "contraindicated" }) }
      : entry,
  ),
)
const refused: [name: string, parts: readonly JournalEntry[] | string, options: string[], code: string][] = [
  ["a record that was changed", altered, [], "JOURNAL_CHAIN"],
  ["a record that was removed", entries.toSpliced(2, 1), [], "JOURNAL_CHAIN"],
  ["a tail that was cut off", entries.slice(0, 5), ["--head", HEAD], "JOURNAL_HEAD"],
  ["a checkpoint of another issuer", entries, ["--issuer", "https://other.example"], "JOURNAL_CHECKPOINT"],
  [
    "a checkpoint by a key that is not known",
    chainBuilder(testSigner()).add().checkpoint().entries,
    [],
    "JOURNAL_CHECKPOINT",
  ],
]
for (const [name, parts, options, code] of refused)
  test(`refuses ${name}, with status 1`, async () => {
    const ran = await verify(parts, ...options)
    assert.is(ran.status, 1)
    const {
      accepted,
      code: found,
      finding,
    } = jsonOf<{
      accepted: boolean
      code: string
      finding: { location: string }
    }>(ran)
    assert.equal([accepted, found], [false, code])
    assert.match(finding.location, WRITER)
  })

test("names the first bad record to people", async () => {
  const file = fileOf(altered, "jsonl")
  const { out, status } = await assay(["journal", "verify", file, "--jwks", JWKS], { isTerminal: true })
  assert.is(status, 1)
  assert.match(out, /refused: JOURNAL_CHAIN/)
  assert.match(out, new RegExp(`record 6 of ${WRITER}`))
})

test("takes key sets of several times, and heads of several files", async () => {
  const [old, next] = [testSigner(), testSigner()]
  const first = chainBuilder(next).add().checkpoint({}, old)
  const second = chainBuilder(next, { writer: "c3d4.0" }).add().checkpoint()
  const file = fileOf(textOf([...first.entries, ...second.entries]), "jsonl")
  const [oldKeys, nextKeys] = [old, next].map((by) => ["--jwks", fileOf(by.jwks, "json")])
  const heads = [first, second].flatMap((builder) => ["--head", fileOf(builder.last(), "head")])
  const status = async (...options: readonly (readonly string[] | undefined)[]): Promise<number> =>
    (await assay(["journal", "verify", file, ...options.flatMap((option) => option ?? [])])).status
  assert.is(await status(oldKeys, nextKeys, heads), 0)
  assert.is(await status(nextKeys), 1)
  assert.is(await status(nextKeys, heads), 1)
})

const malformed: [name: string, argv: () => readonly string[], code: string][] = [
  ["no key set", () => ["journal", "verify", fileOf(textOf(entries))], "INPUT"],
  [
    "a key set that is none",
    () => ["journal", "verify", fileOf(textOf(entries)), "--jwks", fileOf({ keys: 1 })],
    "INPUT",
  ],
  ["no such file", () => ["journal", "verify", "/nowhere", "--jwks", JWKS], "INPUT"],
  [
    "a file that was cut off in a line",
    () => ["journal", "verify", fileOf(textOf(entries).slice(0, -1)), "--jwks", JWKS],
    "INPUT",
  ],
  [
    "a file that was cut off between lines",
    () => [
      "journal",
      "verify",
      fileOf(textOf(entries).split("\n").slice(0, 5).join("\n").concat("\n")),
      "--jwks",
      JWKS,
    ],
    "JOURNAL_FILE",
  ],
  [
    "a file of something else",
    () => ["journal", "verify", fileOf("hello\n"), "--jwks", JWKS],
    "JOURNAL_FILE",
  ],
  ["an empty file", () => ["journal", "verify", fileOf(""), "--jwks", JWKS], "JOURNAL_FILE"],
  ["a line without end", () => ["journal", "verify", fileOf("a".repeat(3 << 20)), "--jwks", JWKS], "LENGTH"],
  [
    "a head file without a head",
    () => ["journal", "verify", fileOf(textOf(entries)), "--jwks", JWKS, "--head", fileOf("\n")],
    "INPUT",
  ],
]
for (const [name, argv, code] of malformed)
  test(`refuses ${name}, with status 2`, async () => {
    const ran = await assay(argv())
    assert.is(ran.status, 2)
    assert.is(jsonOf<{ error: { code: string } }>(ran).error.code, code)
  })

test.run()
