import fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex, utf8 } from "../../../src/bytes.ts"
import { AssayError, type Code } from "../../../src/errors.ts"
import { checkDepth, DER_DEPTH_MAX, DerGate, type Deviation } from "../../../src/evidence/x509/der.ts"
import { throwsCode } from "../../support/assert.ts"
import { leastCpuMs } from "../../support/chain.ts"
import { nestedIn, seq, tlv } from "../../support/x509.ts"

const test = suite("DerGate")

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"))
const check = (bytes: Uint8Array, ...tolerated: readonly Deviation[]): ReadonlySet<Deviation> =>
  DerGate.check(bytes, "test", new Set(tolerated))

const refused: readonly [name: string, der: string, code: Code][] = [
  // Lengths.
  ["X-11 an indefinite length", "3080 0500 0000", "DER"],
  ["X-11 an indefinite length of a string", "2480 0401aa 0000", "DER"],
  ["X-11 a length under 128 in two octets", "308102 0500", "DER"],
  ["X-11 a length of 127 in two octets", `04817f ${"00".repeat(127)}`, "DER"],
  ["X-11 a length with a zero before it", `04820080 ${"00".repeat(128)}`, "DER"],
  ["X-11 a length of five octets", "30850000000002 0500", "DER"],
  ["X-11 a length of 127 octets", "30ff", "DER"],
  ["X-11 a length that ends too early", "3082", "DER"],
  ["X-11 a length over the input", "3003 0500", "DER"],
  ["X-11 a length over the input, of octets", "0403 00", "DER"],
  ["X-11 a length of 4 GiB", "3084ffffffff 0500", "DER"],
  ["X-11 an element over the end of its sequence", "3004 0203 0000", "DER"],
  ["X-11 an element whose length is its sequence's", "3002 0201", "DER"],
  ["X-11 a tag without a length", "3003 0500 05", "DER"],
  ["X-11 a tag without a length at the end of the sequence, with bytes behind", "3001 0500", "DER"],
  ["X-11 nothing", "", "DER"],
  ["X-11 half of a tag and length", "30", "DER"],
  // Tags.
  ["X-11 a tag over 30", "3003 1f1f00", "DER"],
  ["X-11 a tag over 30 of a context", "3003 bf1f00", "DER"],
  ["X-11 a tag over 30 that reads as one under it", "3003 9f0100", "DER"],
  ["X-11 the end of contents that were none", "3002 0000", "DER"],
  ["X-11 a primitive sequence", "1000", "DER"],
  ["X-11 a primitive set", "3002 1100", "DER"],
  ["X-11 a constructed octet string", "3005 2403 0401aa", "DER"],
  ["X-11 a constructed bit string", "2304 030200aa", "DER"],
  ["X-11 a constructed UTF8String", "2c03 0c0161", "DER"],
  ["X-11 a constructed integer", "2203 020101", "DER"],
  ["X-11 a constructed boolean, empty", "2100", "DER"],
  ["X-11 a tag of an application", "4100", "DER"],
  ["X-11 a constructed tag of an application", "6102 0500", "DER"],
  ["X-11 a REAL", "0901 00", "DER"],
  ["X-11 a NumericString", "1201 31", "DER"],
  ["X-11 a GeneralString", "1b01 31", "DER"],
  ["X-11 a relative identifier", "0d01 01", "DER"],
  // Values.
  ["X-11 a BOOLEAN of 01", "0101 01", "DER"],
  ["X-11 a BOOLEAN of FE", "0101 fe", "DER"],
  ["X-11 a BOOLEAN without content", "0100", "DER"],
  ["X-11 a BOOLEAN of two octets", "0102 ffff", "DER"],
  ["X-11 an INTEGER without content", "0200", "DER"],
  ["X-11 an INTEGER with a zero before it", "0202 0001", "DER"],
  ["X-11 an INTEGER of 0 in two octets", "0202 0000", "DER"],
  ["X-11 an INTEGER of -1 in two octets", "0202 ffff", "DER"],
  ["X-11 an INTEGER with ones before it", "0203 ff8000", "DER"],
  ["X-11 an ENUMERATED with a zero before it", "0a02 0001", "DER"],
  ["X-11 an ENUMERATED without content", "0a00", "DER"],
  ["X-11 a BIT STRING without content", "0300", "DER"],
  ["X-11 a BIT STRING without content, before others", "3004 0300 0500", "DER"],
  ["X-11 a BIT STRING with unused bits that are set", "0302 0181", "DER"],
  ["X-11 a BIT STRING with all unused bits set", "0302 07ff", "DER"],
  ["X-11 a BIT STRING with eight unused bits", "0302 0800", "DER"],
  ["X-11 an empty BIT STRING with unused bits", "0301 01", "DER"],
  ["X-11 a NULL with content", "0501 00", "DER"],
  ["X-11 a UTF8String that is none", "0c01 ff", "DER"],
  ["X-11 a UTF8String with a letter that is too long", "0c02 c080", "DER"],
  ["X-11 a UTF8String with half of a pair", "0c03 eda080", "DER"],
  ["X-11 a UTF8String cut in a letter", "0c02 61c3", "DER"],
  ["X-11 a PrintableString with a byte over 7F", "1302 61e4", "DER"],
  ["X-11 an IA5String with a byte over 7F", "1601 80", "DER"],
  ["X-11 a VisibleString with a byte over 7F", "1a01 ff", "DER"],
  ["X-11 a BMPString of half a letter", "1e03 006100", "DER"],
  ["X-11 a UniversalString of half a letter", "1c02 0061", "DER"],
  ["X-11 a UTCTime without seconds", `170b ${toHex(utf8("2601010000Z"))}`, "DER"],
  ["X-11 a UTCTime with an offset", `1711 ${toHex(utf8("260101000000+0000"))}`, "DER"],
  ["X-11 a UTCTime of no day", `170d ${toHex(utf8("260230000000Z"))}`, "DER"],
  ["X-11 a GeneralizedTime with a fraction", `1811 ${toHex(utf8("20260101000000.0Z"))}`, "DER"],
  ["X-11 a GeneralizedTime without a zone", `180e ${toHex(utf8("20260101000000"))}`, "DER"],
  // Sets.
  ["X-11 a SET out of order", "3106 020102 020101", "DER"],
  ["X-11 a SET whose longer element comes first", "3106 020101 0500 00", "DER"],
  ["X-11 a SET out of order, below", "300a 3108 020101 020100 0500", "DER"],
  ["X-11 a SET out of order at its end", "3109 020101 020103 020102", "DER"],
  // Object identifiers.
  ["X-15 an arc of 2^32", "0607 2a 9080808000 03", "OID"],
  ["X-15 an arc of 2^32 at the beginning", "0605 9080808000", "OID"],
  ["X-15 an arc of 2^64", "060b 2a 8280808080808080800003", "OID"],
  ["X-15 an arc with a zero before it", "0603 2a 8003", "OID"],
  ["X-15 a first arc with a zero before it", "0602 802a", "OID"],
  ["X-15 an arc with many zeros before it", "0606 2a 80808003 01", "OID"],
  ["X-15 an arc that is cut", "0602 2a83", "OID"],
  ["X-15 an arc that is cut, and nothing else", "0601 83", "OID"],
  ["X-15 no arc", "0600", "OID"],
  // 2.23.133.8.3 with 2^32 added to its last arc, then to its second and third.
  ["X-15 an arc that is AK's purpose modulo 2^32", "0608 67 8105 08 9080808003", "OID"],
  ["X-15 an arc that is AK's purpose modulo 2^32, in the middle", "0608 67 9080808105 0803", "OID"],
  ["X-15 a first arc that is AK's purpose modulo 2^32", "0609 9080808067 8105 0803", "OID"],
  // What follows.
  ["X-14 a byte behind the end", "0500 00", "TRAILING"],
  ["X-14 a second value behind the end", "3000 3000", "TRAILING"],
  ["X-14 padding behind the end", `3002 0500 ${"ff".repeat(100)}`, "TRAILING"],
]
for (const [name, der, code] of refused) {
  test(`refuses ${name}`, () => void throwsCode(() => check(hex(der)), code))
  if (code !== "TRAILING" && hex(der).length >= 2)
    test(`refuses ${name}, below others`, () => {
      const inner = hex(der)
      throwsCode(() => check(seq(Uint8Array.of(5, 0), tlv(0xa3, seq(inner)))), [code, "DER"])
    })
}

const accepted: readonly [name: string, der: string][] = [
  ["an empty sequence and an empty set", "3004 3000 3100"],
  ["a length of 127 in one octet", `047f ${"00".repeat(127)}`],
  ["a length of 128 in two octets", `048180 ${"00".repeat(128)}`],
  ["a length of 256 in three octets", `04820100 ${"00".repeat(256)}`],
  ["both BOOLEANs", "3006 010100 0101ff"],
  ["the shortest INTEGERs", "3014 020100 020101 0201ff 020180 02020080 0202ff7f"],
  ["an ENUMERATED", "0a0101"],
  ["BIT STRINGs", "300f 030100 030200aa 03020180 03020780"],
  ["any bits in an OCTET STRING and under a context's tag", "3008 0402ff80 8002ff80"],
  ["elements below a context's tag", "3006 a004 a002 0500"],
  ["a UTF8String with letters of every size", "0c0a 61c3a4e282acf09f9880"],
  ["a string of each type", "3010 13016116016114017f1a01611e020061"],
  ["a UniversalString", "1c04 00000061"],
  ["a SET in order", "3109 020101 020102 020102"],
  ["a SET of one, and elements of a sequence in any order", "300a 3103020102 020101 0500"],
  ["the largest arcs", "0607 2a 8fffffff7f 03"],
  ["a zero arc", "0603 2a0001"],
  ["the largest first arc", "0605 8fffffff7f"],
]
for (const [name, der] of accepted) test(`accepts ${name}`, () => assert.equal([...check(hex(der))], []))

test("tolerates a SET out of order where it is told to, and says so", () => {
  assert.equal([...check(hex("3106 020102 020101"), "set-order")], ["set-order"])
  assert.equal([...check(hex("3106 020101 020102"), "set-order")], [])
  throwsCode(() => check(hex("3106 020102 020101"), "named-bits"), "DER")
})

/** So many sequences, one in another. */
const nested = (depth: number, tag = 0x30): Uint8Array => nestedIn(Uint8Array.of(5, 0), depth, tag)

test(`accepts ${DER_DEPTH_MAX} levels and refuses X-16 one more`, () => {
  for (const tag of [0x30, 0x31, 0xa0, 0xa3]) {
    check(nested(DER_DEPTH_MAX, tag))
    throwsCode(() => check(nested(DER_DEPTH_MAX + 1, tag)), "DEPTH")
  }
})

const deep: readonly [name: string, bytes: Uint8Array][] = [
  ["10,000 nested sequences", nested(10_000)],
  ["10,000 nested sets", nested(10_000, 0x31)],
  ["10,000 nested tags of a context", nested(10_000, 0xa0)],
  [
    "10,000 nested sequences behind 10,000 others",
    seq(...Array<Uint8Array>(10_000).fill(Uint8Array.of(0x30, 0)), nested(10_000)),
  ],
]
for (const [name, bytes] of deep) {
  test(`refuses X-16 ${name} within 20 ms`, () => {
    const ms = leastCpuMs(() => void throwsCode(() => check(bytes), "DEPTH"))
    assert.ok(ms < 20, `${ms} ms`)
  })
  test(`refuses X-16 ${name} in a value that nobody reads`, () =>
    void throwsCode(() => checkDepth(bytes), "DEPTH"))
}

test("lets a value that nobody reads be anything else", () => {
  for (const [, der, code] of refused) if (code !== "DER") checkDepth(hex(der))
  checkDepth(hex("ffff"))
})

test("goes as far as it is told in one step, and comes to the same end", () => {
  const bytes = seq(...Array<Uint8Array>(50).fill(seq(hex("020101"), hex("0500"))))
  const gate = new DerGate(bytes, "test")
  let steps = 1
  while (!gate.step(10)) steps++
  assert.is(steps, Math.ceil(151 / 10))
  const late = new DerGate(seq(...Array<Uint8Array>(50).fill(hex("0500")), hex("010101")), "test")
  assert.is(late.step(51), false)
  throwsCode(() => late.step(1), "DER")
})

test("says where, and what was expected", () => {
  const error = throwsCode(() => check(hex("3006 020101 010101")), "DER")
  assert.is(error.location, "test at byte 5")
  assert.ok(error.message.includes("BOOLEAN"))
})

test("takes any bytes, or refuses them with a code", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      try {
        check(bytes)
      } catch (error) {
        if (!(error instanceof AssayError)) throw error
        return ["DER", "OID", "DEPTH", "TRAILING"].includes(error.code)
      }
      return true
    }),
    { seed: 11, numRuns: 2000 },
  )
})

test.run()
