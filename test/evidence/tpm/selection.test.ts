import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, fromHex } from "../../../src/bytes.ts"
import type { Code } from "../../../src/errors.ts"
import { Reader } from "../../../src/evidence/reader.ts"
import { type PcrSelection, pcrsOf, readPcrSelection } from "../../../src/evidence/tpm/selection.ts"
import { u32 } from "../../fixtures/evidence/build.ts"
import { refusesEveryPrefix, survivesAnything } from "../../fixtures/evidence/hostile.ts"
import { throwsCode } from "../../support/assert.ts"

const test = suite("readPcrSelection")

const parse = (bytes: Uint8Array): readonly PcrSelection[] => {
  const r = new Reader(bytes, "TPML_PCR_SELECTION")
  const selection = readPcrSelection(r)
  r.end()
  return selection
}
/** A count and the banks, each in hexadecimal. */
const list = (...banks: string[]): Uint8Array =>
  concat(u32(banks.length), ...banks.map((bank) => fromHex(bank) ?? new Uint8Array()))

const accepted: [name: string, bytes: Uint8Array, selection: readonly PcrSelection[]][] = [
  ["no bank", list(), []],
  ["one bank", list("000b03ff0000"), [{ hash: "sha256", pcrs: [0, 1, 2, 3, 4, 5, 6, 7] }]],
  ["the first and the last PCR", list("000b03010080"), [{ hash: "sha256", pcrs: [0, 23] }]],
  ["a bit in the middle byte", list("000d03000200"), [{ hash: "sha512", pcrs: [9] }]],
  ["a bank without any PCR", list("000403000000"), [{ hash: "sha1", pcrs: [] }]],
  [
    "banks in the order they were signed in",
    list("000c03810000", "000b03010000", "000403000400"),
    [
      { hash: "sha384", pcrs: [0, 7] },
      { hash: "sha256", pcrs: [0] },
      { hash: "sha1", pcrs: [10] },
    ],
  ],
]
for (const [name, bytes, selection] of accepted)
  test(`accepts ${name}`, () => assert.equal(parse(bytes), selection))

const refused: [name: string, bytes: Uint8Array, code: Code][] = [
  ["Q-07 a bank that occurs twice", list("000b03010000", "000b03020000"), "PCR_SELECTION_MALFORMED"],
  ["Q-07 a PCR that occurs twice", list("000b03010000", "000b03010000"), "PCR_SELECTION_MALFORMED"],
  [
    "Q-07 a bank twice with another between",
    list("000b03010000", "000c03010000", "000b03020000"),
    "PCR_SELECTION_MALFORMED",
  ],
  ["Q-07 a bitmap of no byte", list("000b00"), "PCR_SELECTION_MALFORMED"],
  ["Q-07 a bitmap of two bytes", list("000b02ff00"), "PCR_SELECTION_MALFORMED"],
  ["Q-07 a bitmap of four bytes", list("000b04ff000000"), "PCR_SELECTION_MALFORMED"],
  ["Q-07 PCR 24", list("000b0400000001"), "PCR_SELECTION_MALFORMED"],
  ["Q-07 a bitmap of 255 bytes", list("000bffff0000"), "PCR_SELECTION_MALFORMED"],
  ["Q-07 a bank of SM3", list("001203ff0000"), "PCR_SELECTION_MALFORMED"],
  ["Q-07 a bank of no hash", list("001003ff0000"), "PCR_SELECTION_MALFORMED"],
  ["Q-11 fewer banks than announced", concat(u32(2), list("000b03010000").subarray(4)), "FRAMING"],
  ["Q-11 more banks than announced", concat(u32(0), list("000b03010000").subarray(4)), "FRAMING"],
  ["Q-12 17 banks", concat(u32(17), new Uint8Array(200)), "LENGTH"],
  ["Q-12 2^31 banks", concat(u32(0x80000000), new Uint8Array(200)), "LENGTH"],
  ["Q-12 0xffffffff banks", concat(u32(0xffffffff), new Uint8Array(200)), "LENGTH"],
  ["Q-12 0x10000 banks", concat(u32(0x10000), new Uint8Array(200)), "LENGTH"],
  [
    "Q-12 one bank in the other byte order",
    concat(u32(0x01000000), list("000b03010000").subarray(4)),
    "LENGTH",
  ],
]
for (const [name, bytes, code] of refused)
  test(`refuses ${name}`, () => void throwsCode(() => parse(bytes), code))

test("refuses Q-11 every proper prefix", () =>
  refusesEveryPrefix(parse, list("000c03810000", "000b03010000")))

test("says which bank is at fault", () => {
  const { location } = throwsCode(() => parse(list("000b03010000", "000c02ff00")), "PCR_SELECTION_MALFORMED")
  assert.is(location, "TPML_PCR_SELECTION.pcrSelect[1].sizeofSelect at byte 13")
})

test("throws nothing but refusals, whatever the bytes", () =>
  survivesAnything(parse, [list("000b03ff0000"), list("000c03810000", "000b03010000", "000403000400")]))

test("gives each PCR of a full bitmap once, in ascending order", () =>
  assert.equal(
    pcrsOf(Uint8Array.of(0xff, 0xff, 0xff)),
    Array.from({ length: 24 }, (_, pcr) => pcr),
  ))

test.run()
