import { randomBytes } from "node:crypto"
import * as fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { isFilledWith, toHex } from "../../src/bytes.ts"
import { createRandom, type RandomSource } from "../../src/keys/random.ts"
import { throwsCode } from "../support/assert.ts"

const test = suite("createRandom")

/** Sound for `good` draws, then as `bad` says. */
const failingAfter = (good: number, bad: RandomSource): RandomSource => {
  let draws = 0
  return (size) => (draws++ < good ? randomBytes(size) : bad(size))
}

const first = randomBytes(64)
const broken: [name: string, source: RandomSource][] = [
  ["all zero", (size) => new Uint8Array(size)],
  ["one value throughout", (size) => new Uint8Array(size).fill(0xa5)],
  ["the same output each time", (size) => first.subarray(0, size)],
  ["one byte over and over in a changing order", (size) => new Uint8Array(size).fill(randomBytes(1)[0] ?? 0)],
  ["a block that repeats within the output", (size) => Buffer.alloc(size, randomBytes(16))],
  ["too short an output", (size) => randomBytes(size - 1)],
  ["four bytes however many were asked for", () => randomBytes(4)],
  ["no output", () => new Uint8Array()],
  ["too long an output", (size) => randomBytes(size + 1)],
  [
    "an exception",
    () => {
      throw new Error("no entropy")
    },
  ],
]

for (const [name, source] of broken) {
  test(`refuses N-02 a source with ${name} from the start`, () => {
    const random = createRandom(source)
    assert.type(random.unready(), "string")
    throwsCode(() => random.bytes(32), "RNG")
  })
  test(`refuses N-02 a source that comes to give ${name}`, () => {
    const random = createRandom(failingAfter(14, source))
    for (let i = 0; i < 10; i++) random.bytes(32)
    assert.is(random.unready(), undefined)
    throwsCode(() => {
      // The first repetition may itself be the first output of its kind.
      random.bytes(32)
      random.bytes(32)
    }, "RNG")
  })
}

for (const [name, source] of broken)
  test(`refuses N-02 a source with ${name} for short outputs too`, () => {
    const random = createRandom(failingAfter(4, source))
    throwsCode(() => {
      for (let i = 0; i < 2 * 4096; i++) random.bytes(1)
    }, "RNG")
  })

test("refuses N-02 a stock of short outputs with one repeated block anywhere in it", () => {
  for (const at of [16, 2048, 4080]) {
    const random = createRandom(
      failingAfter(4, (size) => {
        const drawn = randomBytes(size)
        drawn.copyWithin(at, at - 16, at)
        return drawn
      }),
    )
    throwsCode(() => random.bytes(16), "RNG")
  }
})

test("refuses N-02 short outputs that are left over when the source has failed", () => {
  const random = createRandom(failingAfter(5, (size) => new Uint8Array(size)))
  random.bytes(16)
  throwsCode(() => random.bytes(32), "RNG")
  throwsCode(() => random.bytes(16), "RNG")
})

test("gives every byte of short outputs once", () => {
  const drawn: Uint8Array[] = []
  const random = createRandom((size) => {
    const bytes = randomBytes(size)
    if (size === 4096) drawn.push(bytes)
    return bytes
  })
  const sizes = Array.from({ length: 2000 }, (_, i) => 1 + (i % 16))
  const outputs = sizes.map((size) => toHex(random.bytes(size)))
  let block = 0
  let offset = 0
  for (const output of outputs) {
    const size = output.length / 2
    if (offset + size > 4096) {
      block++
      offset = 0
    }
    assert.is(output, toHex(drawn[block]?.subarray(offset, offset + size) ?? new Uint8Array()))
    offset += size
  }
  assert.is(drawn.length, block + 1)
})

test("gives short outputs that no caller can change for another", () => {
  const random = createRandom()
  const first = random.bytes(8)
  const second = random.bytes(8)
  const before = toHex(second)
  new Uint8Array(first.buffer).fill(0)
  assert.is(toHex(second), before)
})

for (const period of [2, 10, 100, 4096])
  test(`refuses N-02 a source that starts over after ${period} outputs`, () => {
    const outputs = Array.from({ length: period }, () => randomBytes(64))
    let draws = 0
    const random = createRandom((size) => (outputs[draws++ % period] ?? first).subarray(0, size))
    throwsCode(() => {
      for (let i = 0; i <= period; i++) random.bytes(32)
    }, "RNG")
  })

test("refuses N-02 a repeated beginning in outputs of different sizes", () => {
  let draws = 0
  const random = createRandom((size) => (draws++ < 4 ? randomBytes(size) : first.subarray(0, size)))
  random.bytes(32)
  throwsCode(() => random.bytes(48), "RNG")
})

test("refuses N-02 everything after one failure, even if the source recovers", () => {
  let fail = false
  const random = createRandom((size) => (fail ? new Uint8Array(size) : randomBytes(size)))
  random.bytes(32)
  fail = true
  throwsCode(() => random.bytes(32), "RNG")
  fail = false
  throwsCode(() => random.bytes(32), "RNG")
  assert.type(random.unready(), "string")
})

test("accepts the system's source, for every size and thousands of times", () => {
  const random = createRandom()
  for (let i = 0; i < 10_000; i++) assert.is(random.bytes(16).length, 16)
  assert.is(random.unready(), undefined)
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 300 }), (size) => random.bytes(size).length === size),
    { numRuns: 200 },
  )
})

test("accepts short outputs that happen to be equal", () => {
  const random = createRandom()
  for (let i = 0; i < 1000; i++) assert.is(random.bytes(1).length, 1)
})

test("gives a copy that the source cannot change afterwards", () => {
  const pool = new Uint8Array(64)
  const random = createRandom((size) => {
    pool.set(randomBytes(64))
    return pool.subarray(0, size)
  })
  const bytes = random.bytes(32)
  const before = toHex(bytes)
  pool.fill(0)
  assert.is(toHex(bytes), before)
  assert.not(isFilledWith(bytes, 0))
})

test("refuses sizes that are none", () => {
  const random = createRandom()
  for (const size of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])
    assert.throws(
      () => random.bytes(size),
      (error: unknown) => error instanceof TypeError,
    )
  assert.is(random.unready(), undefined)
})

test.run()
