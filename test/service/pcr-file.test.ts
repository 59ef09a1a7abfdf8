import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat } from "../../src/bytes.ts"
import { parseAttest } from "../../src/evidence/tpm/attest.ts"
import type { PcrSelection } from "../../src/evidence/tpm/selection.ts"
import { parsePcrJson, parsePcrs } from "../../src/service/pcr-file.ts"
import { selectValues } from "../../src/verification/quote.ts"
import { throwsCode } from "../support/assert.ts"
import { QUOTE_FIXTURES, quoteFixture } from "../support/fixtures.ts"

const test = suite("parsePcrs")

const selectionOf = (attest: Uint8Array): readonly PcrSelection[] => {
  const { attested } = parseAttest(attest)
  return attested.kind === "quote" ? attested.pcrSelect : []
}
const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))

for (const name of QUOTE_FIXTURES)
  test(`reads the values of ${name} alike in all three forms`, () => {
    const { attest, pcrFile, pcrs, expected } = quoteFixture(name)
    const selection = selectionOf(attest)
    const values = concat(...[...pcrs.values()].flatMap((bank) => [...bank.values()]))
    for (const bytes of [pcrFile, json(expected.pcrs), values])
      assert.equal(selectValues(selection, parsePcrs(bytes, selection)), pcrs)
  })

const hex = "00".repeat(32)

test("reads banks and PCRs in whatever order, and digits of either case", () => {
  const banks = parsePcrJson({ sha256: { 10: "AB".repeat(32), 2: hex } })
  assert.equal([...(banks.get("sha256")?.keys() ?? [])], [2, 10])
  assert.is(banks.get("sha256")?.get(10)?.[0], 0xab)
})

test("leaves out a bank without a value", () => {
  assert.equal([...parsePcrJson({ sha1: {}, sha256: { 0: hex } }).keys()], ["sha256"])
})

const bad: readonly [name: string, value: unknown][] = [
  ["a list", []],
  ["a bank that is a list", { sha256: [hex] }],
  ["a bank of another name", { sha512_256: { 0: hex } }],
  ["a bank by its number", { 11: { 0: hex } }],
  ["PCR 24", { sha256: { 24: hex } }],
  ["a PCR with a zero before it", { sha256: { "07": hex } }],
  ["a PCR that is no number", { sha256: { x: hex } }],
  ["a PCR of another world", JSON.parse(`{"sha256":{"__proto__":"${hex}"}}`)],
  ["a value that is no text", { sha256: { 0: 0 } }],
  ["half a byte", { sha256: { 0: "abc" } }],
  ["a prefix", { sha256: { 0: `0x${hex}` } }],
  ["a value over any digest", { sha256: { 0: "00".repeat(65) } }],
]
for (const [name, value] of bad)
  test(`refuses ${name}`, () => {
    throwsCode(() => parsePcrs(json(value), undefined), "INPUT")
  })

test("names the value at fault", () => {
  assert.is(throwsCode(() => parsePcrJson({ sha256: { 0: hex, 7: "x" } }), "INPUT").location, "pcrs.sha256.7")
})

test("refuses values in one piece of another length than the quote's, and without a quote", () => {
  const { attest, pcrs } = quoteFixture("p256-sha256")
  const values = concat(...[...pcrs.values()].flatMap((bank) => [...bank.values()]))
  const selection = selectionOf(attest)
  for (const bytes of [values.subarray(1), concat(values, Uint8Array.of(0)), new Uint8Array()])
    throwsCode(() => parsePcrs(bytes, selection), ["FRAMING", "LENGTH", "PCR_SELECTION_MALFORMED"])
  throwsCode(() => parsePcrs(values, undefined), ["FRAMING", "LENGTH", "PCR_SELECTION_MALFORMED"])
  throwsCode(() => parsePcrs(new Uint8Array(), []), "FRAMING")
})

test.run()
