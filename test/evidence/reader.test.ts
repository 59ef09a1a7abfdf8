import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, fromHex, lengthPrefixed, utf8 } from "../../src/bytes.ts"
import type { Code } from "../../src/errors.ts"
import { Reader } from "../../src/evidence/reader.ts"
import { throwsCode } from "../support/assert.ts"

const test = suite("Reader")
const counting = Uint8Array.from({ length: 32 }, (_, i) => i)

test("reads integers in big-endian order unless told otherwise", () => {
  const r = new Reader(counting, "X")
  assert.equal(
    [r.u8("a"), r.u16("b"), r.u32("c"), r.u64("d")],
    [0x00, 0x0102, 0x03040506, 0x0708090a0b0c0d0en],
  )
  assert.equal([r.offset, r.remaining], [15, 17])
})

test("reads integers in little-endian order", () => {
  const r = new Reader(counting, "X", "little-endian")
  assert.equal(
    [r.u8("a"), r.u16("b"), r.u32("c"), r.u64("d")],
    [0x00, 0x0201, 0x06050403, 0x0e0d0c0b0a090807n],
  )
})

test("reads the largest integers without a sign", () => {
  const r = new Reader(new Uint8Array(15).fill(0xff), "X")
  assert.equal(
    [r.u8("a"), r.u16("b"), r.u32("c"), r.u64("d")],
    [0xff, 0xffff, 0xffffffff, 0xffffffffffffffffn],
  )
})

test("reads within a view that begins in the middle of its memory", () => {
  const r = new Reader(counting.subarray(4, 8), "X")
  assert.is(r.u16("a"), 0x0405)
  assert.equal(r.rest(), Uint8Array.of(6, 7))
  throwsCode(() => r.u8("b"), "FRAMING")
})

test("gives views on the input, which are plain even if the input is a Buffer", () => {
  const input = Buffer.from("0002abcd", "hex")
  const value = new Reader(input, "X").sized("a", 2)
  assert.not(Buffer.isBuffer(value))
  assert.is(value.buffer, input.buffer)
  assert.not(value.slice().buffer === input.buffer)
})

test("reads sized fields up to their maximum, with both sizes of size", () => {
  const r = new Reader(fromHex("0002aabb00000002ccdd0000") ?? counting, "X")
  assert.equal(r.sized("a", 2), Uint8Array.of(0xaa, 0xbb))
  assert.equal(r.sized32("b", 2), Uint8Array.of(0xcc, 0xdd))
  assert.equal(r.sized("c", 0), new Uint8Array())
  r.end()
})

test("reads text with a size before it, from wherever its bytes begin in memory", () => {
  const text = ["", "a", "\u00e4\u20ac\u{1f512}", "\ufeff"]
  const encoded = lengthPrefixed(...text.map(utf8), Uint8Array.of(7))
  const shifted = concat(new Uint8Array(3), encoded).subarray(3)
  for (const bytes of [encoded, shifted, Buffer.from(encoded)]) {
    const r = new Reader(bytes, "X")
    assert.equal(
      text.map(() => r.ownText32("text", 9)),
      text,
    )
    assert.equal(r.sized32("rest", 1), Uint8Array.of(7))
    r.end()
  }
})

test("reads 0 and 1 as NO and YES", () => {
  const r = new Reader(Uint8Array.of(0, 1), "X")
  assert.equal([r.flag("a"), r.flag("b")], [false, true])
})

const refused: [name: string, hex: string, read: (r: Reader) => unknown, code: Code][] = [
  ["Q-11 an empty input", "", (r) => r.u8("f"), "FRAMING"],
  ["Q-11 an input that ends within an integer", "010203", (r) => r.u32("f"), "FRAMING"],
  ["Q-11 an input that ends within a u64", "01020304050607", (r) => r.u64("f"), "FRAMING"],
  ["Q-11 an input that ends within a sized field", "0003aabb", (r) => r.sized("f", 8), "FRAMING"],
  ["Q-11 a byte left over", "0000", (r) => r.end(), "FRAMING"],
  ["Q-11 a flag of 2", "02", (r) => r.flag("f"), "FRAMING"],
  ["Q-11 a flag of 255", "ff", (r) => r.flag("f"), "FRAMING"],
  ["Q-12 a size of 0xffff", "ffffaabb", (r) => r.sized("f", 64), "LENGTH"],
  ["Q-12 a size of one more than the maximum", "000241414141", (r) => r.sized("f", 1), "LENGTH"],
  ["Q-12 a size of 0xffffffff", "ffffffffaabb", (r) => r.sized32("f", 64), "LENGTH"],
  [
    "Q-12 a size of 2^31, negative to whoever reads it signed",
    "80000000aabb",
    (r) => r.sized32("f", 64),
    "LENGTH",
  ],
  ["Q-12 a text of one more byte than the maximum", "000000024141", (r) => r.ownText32("f", 1), "LENGTH"],
  ["Q-11 an input that ends within a text", "0000000241", (r) => r.ownText32("f", 2), "FRAMING"],
  ["Q-12 a count of 2^31", "80000000", (r) => r.count("f", 16), "LENGTH"],
  ["Q-12 a count of 0xffffffff", "ffffffff", (r) => r.count("f", 16), "LENGTH"],
  ["Q-12 a size within the maximum, but over the input", "0040aabb", (r) => r.sized("f", 64), "FRAMING"],
]
for (const [name, hex, read, code] of refused)
  test(`refuses ${name}`, () => {
    throwsCode(() => read(new Reader(fromHex(hex) ?? counting, "X")), code)
  })

test("refuses Q-12 sizes of gigabytes without making room for them", () => {
  const lie = Uint8Array.of(0xff, 0xff, 0xff, 0xfe, 1, 2, 3)
  const before = process.memoryUsage().arrayBuffers
  for (let i = 0; i < 100; i++) throwsCode(() => new Reader(lie, "X").sized32("f", 0xffffffff), "FRAMING")
  assert.ok(process.memoryUsage().arrayBuffers - before < 1 << 20)
})

test("says in an error where it was, and what it expected", () => {
  const r = new Reader(counting, "TPMS_X")
  r.take("head", 30)
  const error = throwsCode(() => r.u32("tail"), "FRAMING")
  assert.is(error.location, "TPMS_X.tail at byte 30")
  assert.match(error.message, /^TPMS_X\.tail at byte 30: /)
  assert.equal([error.expected, error.actual], ["4 bytes", "2 bytes"])
})

test("puts the index of a list's item into the name of its field", () => {
  const r = new Reader(new Uint8Array(2), "X")
  r.index = 7
  assert.is(throwsCode(() => r.u32("items[].size"), "FRAMING").location, "X.items[7].size at byte 0")
})

test("leaves its place unchanged by a refused read", () => {
  const r = new Reader(counting.subarray(0, 2), "X")
  throwsCode(() => r.u32("a"), "FRAMING")
  assert.is(r.u16("b"), 0x0001)
})

test.run()
