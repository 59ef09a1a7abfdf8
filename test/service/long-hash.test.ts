import { hash } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { lengthPrefixed } from "../../src/bytes.ts"
import { hashInSlices, prefixedPieces } from "../../src/service/long-hash.ts"

const MIB = 1024 * 1024
const test = suite("hashInSlices")

const bytes = (size: number): Uint8Array => new Uint8Array(size).map((_, i) => i * 7 + (i >> 8))
const lists: [name: string, lists: readonly (readonly Uint8Array[])[]][] = [
  ["of nothing", []],
  ["of lists without anything", [[], []]],
  ["of parts without anything", [[new Uint8Array()], [new Uint8Array(), new Uint8Array()]]],
  ["of short parts", [[bytes(3), bytes(32)], [bytes(1)]]],
  ["of a part of several slices", [[bytes(3), bytes(5 * MIB + 1)], [bytes(9)]]],
]
for (const [name, parts] of lists)
  test(`gives the digest ${name} that there is of their encoding`, async () => {
    const whole = lengthPrefixed(...parts.map((list) => lengthPrefixed(...list)))
    const digest = await hashInSlices(prefixedPieces(parts), async () => {})
    assert.equal(digest, hash("sha256", whole, "buffer"))
  })
test("breathes after each two megabytes, of one piece or of many", async () => {
  for (const pieces of [[bytes(10 * MIB)], Array.from({ length: 20 }, () => bytes(MIB / 2))]) {
    let breaths = 0
    await hashInSlices(pieces, async () => {
      breaths += 1
    })
    assert.is(breaths, 5)
  }
})

test.run()
