import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, concatBriefly, sameBytes } from "../src/bytes.ts"

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

test("puts parts one after another, in memory of its own and in shared memory alike", () => {
  const parts = [bytesOf(3), bytesOf(0), bytesOf(70), bytesOf(1)]
  const whole = Uint8Array.from(parts.flatMap((part) => [...part]))
  assert.ok(sameBytes(concat(...parts), whole))
  assert.ok(sameBytes(concatBriefly(parts), whole))
  assert.is(concat(...parts).buffer.byteLength, 74)
})

test.run()
