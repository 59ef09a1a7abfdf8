import fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex, utf8 } from "../../../src/bytes.ts"
import { CHAIN_START, nextHead } from "../../../src/verification/journal/chain.ts"
import { type RecordContent, readRecord, recordBytes } from "../../../src/verification/journal/record.ts"
import { recordContent } from "../../support/journal.ts"
import { digestOf } from "../../support/ports/samples.ts"

const test = suite("recordBytes")

/** The encoding as its docstring says it, written down apart from the code. */
const part = (...bytes: readonly Uint8Array[]): Buffer => {
  const parts = bytes.flatMap((one) => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(one.length)
    return [length, one]
  })
  return Buffer.concat(parts)
}
const number = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(value)
  return bytes
}
const NOTHING = new Uint8Array()

test("is what the documentation says, every member there", () => {
  const expected = part(
    utf8("assay/v1/journal-record"),
    number(1_772_366_400_000n),
    utf8("gateway"),
    utf8("verify"),
    utf8("device-1"),
    utf8("affirming"),
    part(utf8("EK_MISSING"), utf8("AK_BINDING_UNPROVEN")),
    digestOf("evidence"),
    part(digestOf("policy")),
    part(part(part(number(3n)), part(part(utf8("base"), number(7n))), part(number(5n)))),
    part(utf8("token-1")),
  )
  assert.is(toHex(recordBytes(recordContent())), expected.toString("hex"))
})

test("is what the documentation says, nothing there that may be absent", () => {
  const record = recordContent({
    at: new Date(-1),
    codes: [],
    policyDigest: undefined,
    revisions: undefined,
    tokenId: undefined,
  })
  const expected = part(
    utf8("assay/v1/journal-record"),
    number(-1n),
    utf8("gateway"),
    utf8("verify"),
    utf8("device-1"),
    utf8("affirming"),
    NOTHING,
    digestOf("evidence"),
    NOTHING,
    NOTHING,
    NOTHING,
  )
  assert.is(toHex(recordBytes(record)), expected.toString("hex"))
})

// Computed by another program (Python's hashlib) from the documentation.
test("has a head that stays what it was", () => {
  const head = nextHead({ tenant: "default", writer: "a1b2.0" }, CHAIN_START, recordContent())
  assert.is(head.sequence, 1)
  assert.is(toHex(head.hash), "7398f34d23049b4c9e55549148e7945ca56c395409a82da04aaef3ed873c2a3d")
})

test("has room for a record that is larger than one buffer", () => {
  const long = recordContent({
    codes: Array.from({ length: 300 }, (_, i) => `CODE_${i}`),
    caller: "ä".repeat(700),
  })
  const other = recordContent({ ...long, at: new Date(0) })
  const bytes = recordBytes(long)
  assert.ok(bytes.length > 4096)
  assert.equal(Buffer.from(bytes.subarray(0, 26)), part(utf8("assay/v1/journal-record")).subarray(0, 26))
  assert.is.not(toHex(bytes), toHex(recordBytes(other)))
})

const unspeakable: [name: string, change: Partial<RecordContent>][] = [
  ["an instant that is none", { at: new Date(Number.NaN) }],
  ["a lone surrogate in a name", { device: "a\ud800" }],
  ["a lone surrogate in a code", { codes: ["\udfff"] }],
  ["a lone surrogate in a token id", { tokenId: "\ud800" }],
  ["a negative revision", { revisions: { device: -1, policy: undefined, trust: undefined } }],
  ["a revision that is no whole number", { revisions: { device: 1.5, policy: undefined, trust: undefined } }],
  ["a generation too large", { revisions: { device: undefined, policy: undefined, trust: 2 ** 53 } }],
]
for (const [name, change] of unspeakable)
  test(`refuses ${name}`, () => assert.throws(() => recordBytes(recordContent(change))))

const short = fc.string({ maxLength: 4, unit: "grapheme" })
const digest = fc.uint8Array({ maxLength: 4 })
const revision = fc.nat(3)
const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined })
const content: fc.Arbitrary<RecordContent> = fc.record({
  at: fc.integer({ min: 0, max: 3 }).map((ms) => new Date(ms)),
  caller: short,
  act: short,
  device: short,
  outcome: short,
  codes: fc.array(short, { maxLength: 3 }),
  evidenceDigest: digest,
  policyDigest: maybe(digest),
  revisions: maybe(
    fc.record({
      device: maybe(revision),
      policy: maybe(fc.record({ name: short, revision })),
      trust: maybe(revision),
    }),
  ),
  tokenId: maybe(short),
})
const spelled = ({ evidenceDigest, policyDigest, ...rest }: RecordContent): string =>
  JSON.stringify(
    { ...rest, evidence: toHex(evidenceDigest), policy: policyDigest && toHex(policyDigest) },
    (_, value: unknown) => (value === undefined ? "nothing" : value),
  )

test("gives two records the same bytes only if they say the same", () => {
  fc.assert(
    fc.property(content, content, (a, b) => {
      assert.is(toHex(recordBytes(a)) === toHex(recordBytes(b)), spelled(a) === spelled(b))
    }),
    { numRuns: 2000 },
  )
})

test("is read back as the record that it is made of", () => {
  fc.assert(
    fc.property(content, (record) => {
      assert.is(spelled(readRecord(recordBytes(record))), spelled(record))
    }),
    { numRuns: 2000 },
  )
})

test("is read of nothing that is longer, shorter or something else", () => {
  const bytes = recordBytes(recordContent())
  for (let size = 0; size < bytes.length; size += 1)
    assert.throws(() => readRecord(bytes.slice(0, size)), undefined, `${size}`)
  assert.throws(() => readRecord(Buffer.concat([bytes, part(NOTHING)])))
  const label = part(utf8("assay/v1/journal-record"))
  assert.equal(readRecord(Buffer.concat([label, bytes.subarray(label.length)])).tokenId, "token-1")
  const other = part(utf8("assay/v1/journal-head--"))
  assert.throws(() => readRecord(Buffer.concat([other, bytes.subarray(label.length)])))
  // Two token ids, where one may be absent.
  const last = part(part(utf8("token-1"))).length
  const two = Buffer.concat([bytes.subarray(0, -last), part(part(utf8("a")), part(utf8("b")))])
  assert.throws(() => readRecord(two))
  // A part that says that it is longer than it is.
  const longer = Buffer.from(bytes)
  longer.writeUInt32BE(last - 4 + 1, bytes.length - last)
  assert.throws(() => readRecord(longer))
})

test.run()
