import { suite } from "uvu"
import * as assert from "uvu/assert"
import { briefCopy, concat, concatBriefly, latin1, sameBytes, toBase64Url, toHex } from "../src/bytes.ts"

const test = suite("bytes")

const bytesOf = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i * 7)

for (const length of [0, 1, 8, 63, 64, 65, 66, 500])
  test(`tells ${length} bytes from those that differ in one place, and from fewer and more`, () => {
    const bytes = bytesOf(length)
    assert.ok(sameBytes(bytes, bytesOf(length)))
    assert.ok(sameBytes(bytes, Buffer.concat([Buffer.of(1), bytes]).subarray(1)))
    for (let at = 0; at < length; at++) {
      const other = bytesOf(length)
      other[at] = (other[at] ?? 0) ^ 0x80
      assert.not.ok(sameBytes(bytes, other), String(at))
      assert.not.ok(sameBytes(other, bytes), String(at))
    }
    assert.not.ok(sameBytes(bytes, bytesOf(length + 1)))
    assert.not.ok(sameBytes(bytesOf(length + 1), bytes))
  })

test("writes bytes of every length as text, wherever they stand, and nothing of those that were written before", () => {
  for (const length of [200, 129, 128, 127, 65, 64, 33, 16, 1, 0]) {
    const buffer = Buffer.from(bytesOf(length))
    for (const bytes of [bytesOf(length), buffer, Buffer.concat([Buffer.of(1), buffer]).subarray(1)]) {
      assert.is(toHex(bytes), buffer.toString("hex"))
      assert.is(toBase64Url(bytes), buffer.toString("base64url"))
      assert.is(latin1(bytes), buffer.toString("latin1"))
    }
  }
})

test("copies bytes, so that the copy stays when they change", () => {
  const bytes = bytesOf(32)
  const copy = briefCopy(bytes)
  bytes.fill(0)
  assert.ok(sameBytes(copy, bytesOf(32)))
})

test("puts parts one after another, in memory of its own and in shared memory alike", () => {
  const parts = [bytesOf(3), bytesOf(0), bytesOf(70), bytesOf(1)]
  const whole = Uint8Array.from(parts.flatMap((part) => [...part]))
  assert.ok(sameBytes(concat(...parts), whole))
  assert.ok(sameBytes(concatBriefly(parts), whole))
  assert.is(concat(...parts).buffer.byteLength, 74)
})

test.run()
