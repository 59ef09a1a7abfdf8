import { suite } from "uvu"
import * as assert from "uvu/assert"
import { utf8 } from "../../../src/bytes.ts"
import { parseCertificate } from "../../../src/evidence/x509/certificate.ts"
import { DerReader } from "../../../src/evidence/x509/der-reader.ts"
import { type Name, nameText, readName, valuesOf } from "../../../src/evidence/x509/name.ts"
import { throwsCode } from "../../support/assert.ts"
import { caseOf, verifyCase } from "../../support/chain.ts"
import { cn, integer, makeChain, name, oid, ROOT_NAME, seq, set, tlv } from "../../support/x509.ts"

const test = suite("readName")

const read = (encoded: Uint8Array): Name => readName(new DerReader(encoded, "test"), "name")
/** A common name of some string type. */
const typed = (tag: number, content: Uint8Array, type = "2.5.4.3"): Uint8Array =>
  seq(set(seq(oid(type), tlv(tag, content))))
const utf16 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "utf16le").swap16())
const utf32 = (text: string): Uint8Array =>
  Uint8Array.from(
    [...text].flatMap((c) => [0, 0, (c.codePointAt(0) ?? 0) >> 8, (c.codePointAt(0) ?? 0) & 255]),
  )
const attribute = (type: string, text: string): Uint8Array => seq(oid(type), tlv(0x0c, utf8(text)))

const equal: readonly [name: string, a: Uint8Array, b: Uint8Array][] = [
  ["in letters of either case", cn("Test Root"), cn("TEST root")],
  ["with spaces more", cn("Test Root"), cn("  Test \t\n  Root ")],
  ["as PrintableString and UTF8String", cn("Test"), typed(0x13, utf8("Test"))],
  ["as IA5String and UTF8String", cn("Test"), typed(0x16, utf8("test"))],
  ["as VisibleString and UTF8String", cn("Test"), typed(0x1a, utf8("Test"))],
  ["as TeletexString and UTF8String", cn("Tést"), typed(0x14, Uint8Array.of(0x54, 0xe9, 0x73, 0x74))],
  ["as BMPString and UTF8String", cn("Tést"), typed(0x1e, utf16("Tést"))],
  ["as UniversalString and UTF8String", cn("Tést"), typed(0x1c, utf32("Tést"))],
  [
    "with the attributes of a relative name in another order",
    seq(set(attribute("2.5.4.3", "a"), attribute("2.5.4.10", "b"))),
    seq(set(attribute("2.5.4.10", "b"), attribute("2.5.4.3", "a"))),
  ],
  ["empty", seq(), seq()],
]
for (const [what, a, b] of equal)
  test(`takes names for equal: ${what}`, () => assert.is(read(a).key, read(b).key))

const different: readonly [name: string, a: Uint8Array, b: Uint8Array][] = [
  ["another letter", cn("Test Root"), cn("Test Roots")],
  ["a space that is not there", cn("Test Root"), cn("TestRoot")],
  ["another alphabet's letter", cn("Test"), cn("T\u0435st")],
  ["a full-width letter", cn("Test"), cn("\uff34est")],
  ["a letter with an accent, in capitals", cn("Tést"), cn("TÉST")],
  ["a space of another kind", cn("Test Root"), cn("Test\u00a0Root")],
  ["a letter of no width", cn("Test"), cn("Te\u200bst")],
  ["another attribute", cn("Test"), name({ "2.5.4.10": "Test" })],
  ["one attribute more", cn("Test"), name({ "2.5.4.3": "Test", "2.5.4.10": "x" })],
  ["another order", name({ "2.5.4.3": "a", "2.5.4.10": "b" }), name({ "2.5.4.10": "b", "2.5.4.3": "a" })],
  [
    "two attributes in one relative name",
    name({ "2.5.4.3": "a", "2.5.4.10": "b" }),
    seq(set(attribute("2.5.4.3", "a"), attribute("2.5.4.10", "b"))),
  ],
  ["one text for two", name({ "2.5.4.3": "a", "2.5.4.10": "b" }), cn("a\n2.5.4.10=1:b")],
  [
    "one text for two in a relative name, without a length",
    seq(set(attribute("2.5.4.3", "a"), attribute("2.5.4.3", "b"))),
    cn("a+2.5.4.3=b"),
  ],
  [
    "one text for two in a relative name",
    seq(set(attribute("2.5.4.3", "a"), attribute("2.5.4.3", "b"))),
    cn("a+2.5.4.3=1:b"),
  ],
  ["a number and the text that looks like it", typed(0x02, Uint8Array.of(0xab)), cn("2#ab")],
  ["a number and its digits", typed(0x02, Uint8Array.of(0xab)), cn("ab")],
  ["a number and a string of the same octet", typed(0x02, Uint8Array.of(0x61)), cn("a")],
  ["numbers of two types", typed(0x02, Uint8Array.of(1)), typed(0x0a, Uint8Array.of(1))],
  ["empty and an empty value", seq(), cn("")],
  ["empty and a space", seq(), cn(" ")],
  ["two halves of pairs", typed(0x1e, Uint8Array.of(0xd8, 0)), typed(0x1e, Uint8Array.of(0xd8, 1))],
  [
    "two letters over all planes",
    typed(0x1c, Uint8Array.of(0, 0x11, 0, 0)),
    typed(0x1c, Uint8Array.of(0, 0x11, 0, 1)),
  ],
  [
    "half of a pair and the mark for it",
    typed(0x1c, Uint8Array.of(0, 0, 0xd8, 0)),
    typed(0x0c, utf8("\ufffd")),
  ],
  [
    "a letter over all planes and the mark for it",
    typed(0x1c, Uint8Array.of(0, 0x11, 0, 0)),
    typed(0x0c, utf8("\ufffd")),
  ],
]
for (const [what, a, b] of different)
  test(`refuses X-06 to take names for equal: ${what}`, () => assert.is.not(read(a).key, read(b).key))

const malformed: readonly [name: string, encoded: Uint8Array][] = [
  ["a relative name without an attribute", seq(set())],
  ["a relative name that is a sequence", seq(seq(seq(oid("2.5.4.3"), tlv(0x0c, utf8("x")))))],
  ["an attribute without a value", seq(set(seq(oid("2.5.4.3"))))],
  ["an attribute without a type", seq(set(seq(tlv(0x0c, utf8("x")))))],
  [
    "X-14 an attribute with two values",
    seq(set(seq(oid("2.5.4.3"), tlv(0x0c, utf8("x")), tlv(0x0c, utf8("y"))))),
  ],
  ["an attribute that is none", seq(set(integer(1)))],
  ["a name that is none", integer(1)],
]
for (const [what, encoded] of malformed)
  test(`refuses ${what}`, () => void throwsCode(() => read(encoded), "CERTIFICATE"))

test("writes names as people read them", () => {
  assert.is(
    nameText(
      read(name({ "2.5.4.6": "DE", "2.5.4.10": "Infineon Technologies AG", "2.5.4.3": "CA", "1.2.3": "x" })),
    ),
    "C=DE, O=Infineon Technologies AG, CN=CA, 1.2.3=x",
  )
  assert.is(nameText(read(typed(0x02, Uint8Array.of(0xab)))), "CN=#ab")
  assert.is(nameText(read(seq())), "(empty name)")
})

test("writes what is no letter by its digits", () => {
  assert.is(nameText(read(typed(0x1e, Uint8Array.of(0xd8, 0)))), "CN=#d800")
  assert.is(nameText(read(typed(0x1c, Uint8Array.of(0, 0x11, 0, 0)))), "CN=#00110000")
})

test("gives the values of an attribute, as they are written", () => {
  const both = read(
    seq(set(attribute("2.5.4.11", " A ")), set(attribute("2.5.4.3", "x")), set(attribute("2.5.4.11", "b"))),
  )
  assert.equal(valuesOf(both, "2.5.4.11"), [" A ", "b"])
  assert.equal(valuesOf(both, "2.5.4.10"), [])
})

const chained: readonly [name: string, issuer: Uint8Array][] = [
  ["in other letters", cn("test ROOT")],
  ["with other spaces", cn("  Test   Root")],
  ["as a PrintableString", typed(0x13, utf8("Test Root"))],
  ["as a BMPString", typed(0x1e, utf16("Test Root"))],
]
for (const [what, issuer] of chained)
  test(`finds an issuer whose name is written ${what}`, () => {
    const chain = makeChain("ak", { intermediate: { issuer } })
    assert.is.not(String(issuer), String(ROOT_NAME))
    verifyCase(caseOf(chain))
  })

test("refuses X-06 an issuer whose name looks like the anchor's, with a zero byte behind it", () => {
  for (const issuer of [cn("Test Root\0"), cn("Test\0Root"), cn("\0")])
    throwsCode(
      () => parseCertificate(makeChain("ak", { intermediate: { issuer } }).intermediate),
      "CERTIFICATE",
    )
})

const lookAlikes: readonly [name: string, issuer: Uint8Array][] = [
  ["with a letter of another alphabet", cn("Test R\u043eot")],
  ["under another attribute", name({ "2.5.4.10": "Test Root" })],
  ["with a relative name more", name({ "2.5.4.3": "Test Root", "2.5.4.11": "" })],
  ["with a dot behind it", cn("Test Root.")],
]
for (const [what, issuer] of lookAlikes)
  test(`refuses X-06 an issuer whose name looks like the anchor's, ${what}`, () => {
    const chain = makeChain("ak", { intermediate: { issuer } })
    throwsCode(() => verifyCase(caseOf(chain)), "UNTRUSTED_ROOT")
  })

test.run()
