import { suite } from "uvu"
import * as assert from "uvu/assert"
import { utf8 } from "../../../src/bytes.ts"
import type { Code } from "../../../src/errors.ts"
import type { Deviation } from "../../../src/evidence/x509/der.ts"
import { DerReader } from "../../../src/evidence/x509/der-reader.ts"
import { throwsCode } from "../../support/assert.ts"
import { bitString, boolean, integer, NULL, octets, oid, seq, set, tlv } from "../../support/x509.ts"

const test = suite("DerReader")

/** A reader of the elements. */
const over = (...elements: readonly Uint8Array[]): DerReader =>
  new DerReader(seq(...elements), "test").sequence("elements")

test("reads elements one after another, up to the end", () => {
  const r = over(
    integer(5),
    boolean(true),
    octets(Uint8Array.of(1, 2)),
    oid("1.2.3"),
    seq(integer(1)),
    set(NULL),
  )
  assert.is(r.tag, 0x02)
  assert.equal(r.integer("a"), Uint8Array.of(5))
  assert.is(r.boolean("b"), true)
  assert.equal(r.content(0x04, "c"), Uint8Array.of(1, 2))
  assert.is(r.oid("d"), "1.2.3")
  const inner = r.sequence("e")
  assert.is(inner.smallInteger("f", 1), 1)
  inner.end()
  assert.equal(r.set("g").element("h"), NULL)
  assert.is(r.tag, 0)
  r.end()
})

test("reads what is there, whatever its tag, and lists up to the end", () => {
  assert.equal(over(tlv(0x80, Uint8Array.of(7))).element("x"), tlv(0x80, Uint8Array.of(7)))
  assert.equal(
    over(integer(1), integer(2)).all((r) => r.smallInteger("x", 9)),
    [1, 2],
  )
  assert.is(
    over(integer(1)).optional(0x01, (r) => r.boolean("x")),
    undefined,
  )
  assert.is(
    over(boolean(true)).optional(0x01, (r) => r.boolean("x")),
    true,
  )
  assert.is(
    over().optional(0x01, (r) => r.boolean("x")),
    undefined,
  )
})

const refused: readonly [name: string, read: () => unknown, code: Code][] = [
  ["another element", () => over(NULL).sequence("x"), "CERTIFICATE"],
  ["no element", () => over().oid("x"), "CERTIFICATE"],
  [
    "an element behind the end of its sequence",
    () => new DerReader(seq(seq(), NULL), "test").sequence("a").sequence("b").content(5, "c"),
    "CERTIFICATE",
  ],
  ["no whole element", () => over().element("x"), "CERTIFICATE"],
  ["X-14 an element that is left over", () => over(NULL).end(), "CERTIFICATE"],
  [
    "a length over what is there, though no gate was passed",
    () => new DerReader(Uint8Array.of(0x30, 5, 0), "test").sequence("x"),
    "DER",
  ],
  [
    "a long length over what is there",
    () => new DerReader(Uint8Array.of(0x30, 0x82, 1, 0, 5), "test").sequence("x"),
    "DER",
  ],
  [
    "X-11 a BOOLEAN of 01 under another tag",
    () => over(tlv(0x81, Uint8Array.of(1))).boolean("x", 0x81),
    "DER",
  ],
  [
    "X-11 a BOOLEAN of two octets under another tag",
    () => over(tlv(0x81, Uint8Array.of(255, 255))).boolean("x", 0x81),
    "DER",
  ],
  ["X-11 a BOOLEAN without content under another tag", () => over(tlv(0x81)).boolean("x", 0x81), "DER"],
  [
    "X-11 an INTEGER with a zero before it under another tag",
    () => over(tlv(0x82, Uint8Array.of(0, 1))).integer("x", 0x82),
    "DER",
  ],
  [
    "X-11 an INTEGER without content under another tag",
    () => over(tlv(0x82)).smallInteger("x", 9, 0x82),
    "DER",
  ],
  [
    "X-13 a small number that is negative",
    () => over(tlv(2, Uint8Array.of(0xff))).smallInteger("x", 300),
    "CERTIFICATE",
  ],
  ["X-13 a small number over its limit", () => over(integer(10)).smallInteger("x", 9), "CERTIFICATE"],
  [
    "X-13 a small number of seven octets",
    () => over(integer(2n ** 48n)).smallInteger("x", 2 ** 40),
    "CERTIFICATE",
  ],
  ["X-13 a small number of 200 octets", () => over(integer(2n ** 1592n)).smallInteger("x", 9), "CERTIFICATE"],
  [
    "octets of which one is not whole",
    () => over(bitString(Uint8Array.of(0x80), 1)).bits("x"),
    "CERTIFICATE",
  ],
  ["X-11 named bits without content", () => over(tlv(3)).namedBits("x"), "DER"],
  [
    "X-11 named bits of more than two octets",
    () => over(bitString(Uint8Array.of(0, 0, 1))).namedBits("x"),
    "DER",
  ],
  [
    "X-11 named bits with eight unused",
    () => over(tlv(0x81, Uint8Array.of(8, 0))).namedBits("x", 0x81),
    "DER",
  ],
  [
    "X-11 named bits with unused bits set",
    () => over(tlv(0x81, Uint8Array.of(4, 0x1f))).namedBits("x", 0x81),
    "DER",
  ],
  [
    "X-11 named bits with unused bits set, where zeros behind them are noted",
    () => over(tlv(3, Uint8Array.of(4, 0x1f))).namedBits("x", 3, new Set()),
    "DER",
  ],
  [
    "X-11 no named bits with unused ones",
    () => over(tlv(0x81, Uint8Array.of(1))).namedBits("x", 0x81),
    "DER",
  ],
  [
    "X-11 named bits with a zero behind them",
    () => over(bitString(Uint8Array.of(0x80), 6)).namedBits("x"),
    "DER",
  ],
  [
    "X-11 named bits with an octet of zeros behind them",
    () => over(bitString(Uint8Array.of(0x80, 0))).namedBits("x"),
    "DER",
  ],
  ["X-11 named bits that are all zeros", () => over(bitString(Uint8Array.of(0))).namedBits("x"), "DER"],
  ["a number as a time", () => over(integer(1)).time("x"), "CERTIFICATE"],
  ["a time that is none", () => over(tlv(0x17, utf8("260230000000Z"))).time("x"), "CERTIFICATE"],
  ["a string as a time in full", () => over(tlv(0x16, utf8("20260228000000Z"))).time("x"), "CERTIFICATE"],
  ["a string as a time", () => over(tlv(0x16, utf8("260228000000Z"))).time("x"), "CERTIFICATE"],
]
for (const [name, read, code] of refused) test(`refuses ${name}`, () => void throwsCode(read, code))

test("reads small numbers up to their limit", () => {
  assert.is(over(integer(0)).smallInteger("x", 0), 0)
  assert.is(over(integer(0xffff_ffff)).smallInteger("x", 0xffff_ffff), 0xffff_ffff)
  assert.is(over(integer(2 ** 40)).smallInteger("x", 2 ** 40), 2 ** 40)
})

test("reads named bits, the first in the lowest place", () => {
  assert.is(over(bitString(new Uint8Array())).namedBits("x"), 0)
  assert.is(over(bitString(Uint8Array.of(0x80), 7)).namedBits("x"), 1)
  assert.is(over(bitString(Uint8Array.of(0x06), 1)).namedBits("x"), 0b110_0000)
  assert.is(over(bitString(Uint8Array.of(0, 0x80), 7)).namedBits("x"), 1 << 8)
  assert.is(over(tlv(0x81, Uint8Array.of(0, 0xff, 1))).namedBits("x", 0x81), 0x80ff)
})

test("reads named bits with zeros behind them where that is to be noted", () => {
  const deviations = new Set<Deviation>()
  assert.is(over(bitString(Uint8Array.of(0x20), 0)).namedBits("x", 3, deviations), 4)
  assert.equal([...deviations], ["named-bits"])
  assert.is(over(bitString(Uint8Array.of(0x20), 5)).namedBits("x", 3, new Set()), 4)
})

test("names the field and the place in its errors", () => {
  const r = over(NULL, NULL)
  r.content(5, "first")
  const error = throwsCode(() => r.sequence("second").sequence("third"), "CERTIFICATE")
  assert.is(error.location, "test.elements.second at byte 4")
  assert.is(error.expected, "tag 30")
  assert.is(error.actual, "tag 05")
  assert.is(throwsCode(() => over().oid("x"), "CERTIFICATE").actual, "nothing")
})

test.run()
