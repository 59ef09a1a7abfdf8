import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, toHex } from "../../../src/bytes.ts"
import type { Code } from "../../../src/errors.ts"
import { type PcrValues, parsePcrFile } from "../../../src/evidence/tpm/pcrs.ts"
import { patched, spliced, u16le, u32le, withTrailing } from "../../fixtures/evidence/build.ts"
import { refusesEveryPrefix, survivesAnything } from "../../fixtures/evidence/hostile.ts"
import { throwsCode } from "../../support/assert.ts"
import { QUOTE_FIXTURES, quoteFixture } from "../../support/fixtures.ts"
import { needs, vector } from "../../support/vectors.ts"

const test = suite("parsePcrFile")
const withVectors = needs("vectors", test)

/** One bank with eight PCRs: 668 bytes. */
const one = quoteFixture("p256-sha256").pcrFile
/** sha256 and sha384 with three PCRs each. */
const two = quoteFixture("p256-two-banks").pcrFile
const AT = { count: 0, hash: 4, size: 6, bitmap: 7, secondBank: 12, lists: 132, digests: 136, firstSize: 140 }
const LIST_BYTES = 532

const hexOf = (values: PcrValues) =>
  Object.fromEntries(
    [...values].map(([hash, bank]) => [
      hash,
      Object.fromEntries([...bank].map(([pcr, value]) => [pcr, toHex(value)])),
    ]),
  )

for (const name of QUOTE_FIXTURES)
  test(`accepts the PCR file of ${name} and reads what tpm2_pcrread read`, () => {
    const { pcrFile, expected } = quoteFixture(name)
    assert.equal(hexOf(parsePcrFile(pcrFile)), expected.pcrs)
  })

test("keeps the banks and their PCRs in the order of the selection", () => {
  const values = parsePcrFile(two)
  assert.equal(
    [...values].map(([hash, bank]) => [hash, [...bank.keys()]]),
    [
      ["sha256", [0, 7, 16]],
      ["sha384", [0, 7, 16]],
    ],
  )
})

test("accepts a bank without PCRs, and a file without banks", () => {
  const none = concat(new Uint8Array(132), u32le(0))
  assert.is(parsePcrFile(none).size, 0)
  const empty = patched(none, 0, u32le(1), u16le(0x000d), Uint8Array.of(3))
  assert.equal(hexOf(parsePcrFile(empty)), { sha512: {} })
})

const refused: [name: string, bytes: Uint8Array, code: Code][] = [
  ["Q-07 a bank twice", patched(two, AT.secondBank, u16le(0x000b)), "PCR_SELECTION_MALFORMED"],
  ["Q-07 a bank of SM3", patched(one, AT.hash, u16le(0x0012)), "PCR_SELECTION_MALFORMED"],
  ["Q-07 PCR 24", patched(one, AT.size, Uint8Array.of(4, 0xff, 0, 0, 1)), "PCR_SELECTION_MALFORMED"],
  ["Q-07 PCR 31", patched(one, AT.size, Uint8Array.of(4, 0x7f, 0, 0, 0x80)), "PCR_SELECTION_MALFORMED"],
  [
    "Q-07 a bank in the other byte order",
    patched(one, AT.hash, Uint8Array.of(0, 0x0b)),
    "PCR_SELECTION_MALFORMED",
  ],
  ["Q-11 one byte too many", withTrailing(one), "FRAMING"],
  ["Q-11 one list too many", concat(one, new Uint8Array(LIST_BYTES)), "FRAMING"],
  ["Q-11 one PCR more than values", patched(one, AT.bitmap, Uint8Array.of(0xff, 1)), "FRAMING"],
  ["Q-11 one PCR less than values", patched(one, AT.bitmap, Uint8Array.of(0x7f)), "FRAMING"],
  ["Q-11 a value one byte too short", patched(one, AT.firstSize, u16le(31)), "FRAMING"],
  ["Q-11 a value one byte too long", patched(one, AT.firstSize, u16le(33)), "FRAMING"],
  ["Q-11 values of another bank's size", patched(one, AT.hash, u16le(0x000c)), "FRAMING"],
  ["Q-11 raw values without a selection", spliced(one, 0, AT.firstSize + 2), "LENGTH"],
  ["Q-12 17 banks", patched(one, AT.count, u32le(17)), "LENGTH"],
  ["Q-12 2^31 banks", patched(one, AT.count, u32le(0x80000000)), "LENGTH"],
  ["Q-12 0xffffffff lists", patched(one, AT.lists, u32le(0xffffffff)), "LENGTH"],
  ["Q-12 2^31 lists", patched(one, AT.lists, u32le(0x80000000)), "LENGTH"],
  ["Q-12 48 lists of which one is there", patched(one, AT.lists, u32le(48)), "FRAMING"],
  ["Q-12 nine values in a list", patched(one, AT.digests, u32le(9)), "LENGTH"],
  ["Q-12 0xffffffff values in a list", patched(one, AT.digests, u32le(0xffffffff)), "LENGTH"],
  ["Q-12 a value of 0xffff bytes", patched(one, AT.firstSize, u16le(0xffff)), "LENGTH"],
  ["Q-12 a value of 65 bytes", patched(one, AT.firstSize, u16le(65)), "LENGTH"],
  ["Q-12 a bitmap of 255 bytes", patched(one, AT.size, Uint8Array.of(255)), "LENGTH"],
]
for (const [name, bytes, code] of refused)
  test(`refuses ${name}`, () => void throwsCode(() => parsePcrFile(bytes), code))

test("refuses Q-11 every proper prefix", () => {
  refusesEveryPrefix(parsePcrFile, one)
  refusesEveryPrefix(parsePcrFile, two)
})

test("throws nothing but refusals, whatever the bytes", () => survivesAnything(parsePcrFile, [one, two]))

withVectors("accepts the PCR file of another maker", () => {
  const values = parsePcrFile(vector("quotes/keylime-set/quotepcr.out"))
  assert.equal([...(values.get("sha256")?.keys() ?? [])], [15, 16, 22])
  assert.is(toHex(values.get("sha256")?.get(22) ?? new Uint8Array()), "ff".repeat(32))
})

test.run()
