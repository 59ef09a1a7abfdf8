import { suite } from "uvu"
import * as assert from "uvu/assert"
import { type Frame, Framing } from "../../src/server/framing.ts"
import { throwsCode } from "../support/assert.ts"
import { framed } from "./raw.ts"

const test = suite("Framing")

const bytes = Buffer.concat([
  framed(Buffer.alloc(3)),
  framed(Buffer.alloc(0)),
  framed(Buffer.alloc(300), { flag: 1 }),
])
for (const step of [1, 2, 3, 5, 7, 64, 1000])
  test(`finds the same messages in pieces of ${step} bytes`, () => {
    const found: Frame[] = []
    const framing = new Framing((frame) => found.push(frame))
    for (let at = 0; at < bytes.length; at += step) {
      framing.push(bytes.subarray(at, at + step))
      const isWhole = [8, 13, bytes.length].includes(Math.min(at + step, bytes.length))
      assert.is(framing.partial, !isWhole, `after ${at + step}`)
    }
    assert.equal(found, [
      { compressed: false, size: 3 },
      { compressed: false, size: 0 },
      { compressed: true, size: 300 },
    ])
  })
test("says how large a message is before any of it has come", () => {
  const found: number[] = []
  new Framing(({ size }) => found.push(size)).push(framed(Buffer.alloc(0), { size: 2 ** 32 - 1 }))
  assert.equal(found, [2 ** 32 - 1])
})
for (const flag of [2, 3, 128, 129, 255])
  test(`refuses G-02 a message that begins with flag ${flag}`, () => {
    throwsCode(() => new Framing(() => {}).push(framed(Buffer.alloc(1), { flag })), "PROTO")
  })
test.run()
