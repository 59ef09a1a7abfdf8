import fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex, utf8 } from "../../src/bytes.ts"
import { AssayError } from "../../src/errors.ts"
import {
  createJournalLineReader,
  createJournalLines,
  type JournalLine,
} from "../../src/service/journal-file.ts"
import type { JournalEntry } from "../../src/verification/journal/verify.ts"
import { throwsCode } from "../support/assert.ts"
import { chainBuilder, ISSUER, TENANT } from "../support/journal.ts"
import { digestOf, NOON } from "../support/ports/samples.ts"
import { testSigner } from "../support/signer.ts"

const test = suite("journal file")

const HEADER = { tenant: TENANT, issuer: ISSUER, exportedAt: NOON }
const { entries } = chainBuilder(testSigner())
  .add()
  .add({ codes: [], policyDigest: undefined, revisions: undefined, tokenId: undefined, device: "ä\n\u2028" })
  .add({ revisions: { trust: 4, policy: undefined, device: undefined } })
  .checkpoint()

const linesOf = (parts: readonly JournalEntry[]): string[] => {
  const lines = createJournalLines()
  return [lines.header(HEADER), ...parts.map(lines.entry), lines.end()]
}
const read = (lines: readonly string[]): JournalLine[] => {
  const reader = createJournalLineReader()
  const all = lines.map((line) => reader.read(utf8(line.replace(/\n$/, ""))))
  reader.end()
  return all
}
const lines = linesOf(entries)
test("reads what was written, and every line ends", () => {
  const [header, ...rest] = read(lines)
  assert.equal(header, { kind: "header", header: HEADER })
  assert.equal(rest.at(-1), { kind: "end" })
  const found = rest.flatMap((line) => (line.kind === "entry" ? [line.entry] : []))
  assert.equal(linesOf(found), lines)
  for (const [i, entry] of entries.entries())
    if (entry.kind === "record") assert.equal(found[i], { ...entry, hash: new Uint8Array(entry.hash) })
    else assert.equal(found[i], entry)
  for (const line of lines) assert.match(line, /^[^\n]*\n$/)
})

test("says in its last line how much there is, and the digest of all lines before", () => {
  const body = lines.slice(0, -1).join("")
  assert.equal(JSON.parse(lines.at(-1) ?? ""), {
    kind: "end",
    records: 3,
    checkpoints: 1,
    digest: toHex(digestOf(body)),
  })
})

/** The lines with one of them changed, and everything else as it was. */
const changed = (at: number, change: (line: string) => string): string[] =>
  lines.map((line, i) => (i === at ? change(line) : line))
const RECORD = 1
const CHECKPOINT = 4
const END = 5
const refused: [name: string, lines: readonly string[], location: string][] = [
  ["without its first line", lines.slice(1), "line 1"],
  ["without its last line", lines.slice(0, -1), "line 6"],
  ["with nothing in it", [], "line 1"],
  ["with a line after the last", [...lines, lines[RECORD] ?? ""], "line 7"],
  ["with two first lines", [lines[0] ?? "", ...lines], "line 2"],
  ["with an empty line", lines.toSpliced(2, 0, "\n"), "line 3"],
  ["with a line missing", lines.toSpliced(2, 1), "line 5"],
  ["with white space", changed(RECORD, (line) => line.replace(",", ", ")), "line 2"],
  ["with a carriage return", changed(RECORD, (line) => line.replace("\n", "\r\n")), "line 2"],
  ["with a byte order mark", changed(0, (line) => `\ufeff${line}`), "line 1"],
  ["of another version", changed(0, (line) => line.replace('"version":1', '"version":2')), "line 1"],
  ["of another kind", changed(0, (line) => line.replace('"journal"', '"backup"')), "line 1"],
  ["with another issuer in it", changed(0, (line) => line.replace(ISSUER, "https://x.example")), "line 6"],
  ["with a member more", changed(RECORD, (line) => line.replace('"act"', '"more":1,"act"')), "line 2"],
  ["with a member less", changed(RECORD, (line) => line.replace('"caller":"gateway",', "")), "line 2"],
  ["with a member twice", changed(RECORD, (line) => line.replace('"act"', '"act":"x","act"')), "line 2"],
  [
    "with members in another order",
    changed(RECORD, (line) =>
      line.replace('"caller":"gateway","act":"verify"', '"act":"verify","caller":"gateway"'),
    ),
    "line 2",
  ],
  ["with a number for text", changed(RECORD, (line) => line.replace('"gateway"', "7")), "line 2"],
  [
    "with text for a number",
    changed(RECORD, (line) => line.replace('"sequence":1', '"sequence":"1"')),
    "line 2",
  ],
  ["with half a number", changed(RECORD, (line) => line.replace('"sequence":1', '"sequence":1.5')), "line 2"],
  ["with a negative number", changed(RECORD, (line) => line.replace('"trust":5', '"trust":-5')), "line 2"],
  [
    "with capitals in a digest",
    changed(RECORD, (line) => line.replace(/"hash":"[^"]*"/, `"hash":"${"AB".repeat(32)}"`)),
    "line 2",
  ],
  [
    "with another spelling of an instant",
    changed(RECORD, (line) => line.replace("12:00:00.000Z", "12:00:00Z")),
    "line 2",
  ],
  ["with no instant", changed(RECORD, (line) => line.replace(/"at":"[^"]*"/, '"at":"noon"')), "line 2"],
  [
    "with codes that are no list",
    changed(RECORD, (line) => line.replace(/"codes":\[[^\]]*\]/, '"codes":"x"')),
    "line 2",
  ],
  [
    "with codes that are no text",
    changed(RECORD, (line) => line.replace(/"codes":\[[^\]]*\]/, '"codes":[1]')),
    "line 2",
  ],
  [
    "with an absent member as null",
    changed(RECORD, (line) => line.replace('"tokenId":"token-1"', '"tokenId":null')),
    "line 2",
  ],
  [
    "with revisions that are no object",
    changed(RECORD, (line) => line.replace(/"revisions":\{.*\},"tokenId"/, '"revisions":[],"tokenId"')),
    "line 2",
  ],
  [
    "with something else than a record",
    changed(RECORD, (line) => line.replace('"record"', '"note"')),
    "line 2",
  ],
  ["with no line at all in place of one", changed(RECORD, () => "[]\n"), "line 2"],
  [
    "with a checkpoint that is no text",
    changed(CHECKPOINT, () => '{"kind":"checkpoint","checkpoint":1}\n'),
    "line 5",
  ],
  [
    "with another number of records at its end",
    changed(END, (line) => line.replace('"records":3', '"records":2')),
    "line 6",
  ],
  [
    "with another digest at its end",
    changed(END, (line) => line.replace(/"digest":"../, '"digest":"zz')),
    "line 6",
  ],
]
for (const [name, all, location] of refused)
  test(`refuses a file ${name}, and says where`, () =>
    void assert.is(throwsCode(() => read(all), "JOURNAL_FILE").location, location))

test("refuses a file cut off anywhere", () => {
  for (let size = 0; size < lines.length; size += 1)
    throwsCode(() => read(lines.slice(0, size)), "JOURNAL_FILE")
})

test("refuses a file with any byte changed, or gives entries that say something else", () => {
  const whole = lines.join("")
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.constantFrom(...'0aZ"{},: \n'), (at, character) => {
      fc.pre(whole[at] !== character)
      const other = `${whole.slice(0, at)}${character}${whole.slice(at + 1)}`
      try {
        read(other.split("\n").slice(0, -1))
      } catch (error) {
        if (!(error instanceof AssayError)) throw error
        return
      }
      assert.unreachable(`accepted ${character} at ${at}`)
    }),
    { numRuns: 1000 },
  )
})

test.run()
