import { execFileSync } from "node:child_process"
import fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex } from "../../src/bytes.ts"
import { AssayError } from "../../src/errors.ts"
import type { Random } from "../../src/service/ports.ts"
import { createEpochs } from "../../src/store/epochs.ts"
import { throwsCode } from "../support/assert.ts"
import { seededRandom } from "../support/ports/random.ts"
import { afterNoon, NOON } from "../support/ports/samples.ts"

const test = suite("createEpochs")
const epochs = createEpochs(seededRandom("epochs"))
const FIVE_MINUTES = 300_000
/** Noon is the start of this one. */
const number = NOON.getTime() / FIVE_MINUTES

test("says where an epoch begins and ends", () => {
  for (const ms of [0, 1, FIVE_MINUTES - 1]) {
    const epoch = epochs.current("default", afterNoon(ms))
    assert.is(epoch.number, number)
    assert.equal([epoch.startsAt, epoch.endsAt], [NOON, afterNoon(FIVE_MINUTES)])
    assert.is(epoch.value.length, 32)
  }
  assert.is(epochs.current("default", afterNoon(FIVE_MINUTES)).number, number + 1)
  assert.is(epochs.current("default", afterNoon(-1)).number, number - 1)
})

test("accepts the current epoch and the one before, with the value they were published with", () => {
  const published = epochs.current("default", NOON)
  assert.equal(epochs.accepted("default", number, afterNoon(1)), published)
  assert.equal(epochs.accepted("default", number, afterNoon(2 * FIVE_MINUTES - 1)), published)
})

const refused: [what: string, number: number, ms: number][] = [
  ["the epoch before the last", number, 2 * FIVE_MINUTES],
  ["the epoch after", number + 1, FIVE_MINUTES - 1],
  ["an epoch of long ago", 0, 0],
  ["a negative epoch", -1, 0],
  ["a broken number", number + 0.5, FIVE_MINUTES],
  ["no number", Number.NaN, 0],
  ["more than a number holds", Number.MAX_SAFE_INTEGER, 0],
]
for (const [what, wanted, ms] of refused)
  test(`refuses N-04 ${what}`, () => {
    throwsCode(() => epochs.accepted("default", wanted, afterNoon(ms)), "EPOCH")
  })

test("gives every tenant, number and instance another value", () => {
  const values = [
    epochs.current("default", NOON),
    epochs.current("other", NOON),
    epochs.current("", NOON),
    epochs.current("default", afterNoon(FIVE_MINUTES)),
    createEpochs(seededRandom("another")).current("default", NOON),
  ].map(({ value }) => toHex(value))
  assert.is(new Set(values).size, values.length)
})

test("makes the value that openssl makes: HMAC-SHA-256 over tenant and number", () => {
  const key = new Uint8Array(32).fill(0x0b)
  const { value, number: of } = createEpochs({ bytes: () => key }).current("default", NOON)
  const input = Buffer.concat([
    Buffer.from("00000007", "hex"),
    Buffer.from("default"),
    Buffer.from("00000008", "hex"),
    Buffer.from(of.toString(16).padStart(16, "0"), "hex"),
  ])
  const hmac = ["-sha256", "-mac", "HMAC", "-macopt", `hexkey:${toHex(key)}`, "-r"]
  const printed = execFileSync("openssl", ["dgst", ...hmac], { input, encoding: "utf8" })
  assert.is(printed.split(" ")[0], toHex(value))
})

test("accepts whatever was current less than a length ago, at any length", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1000, max: FIVE_MINUTES }),
      fc.integer({ min: 0, max: 10 * FIVE_MINUTES }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (lengthMs, ms, share) => {
        const some = createEpochs(seededRandom("any"), { lengthMs })
        const published = some.current("default", afterNoon(ms))
        const later = afterNoon(ms + Math.floor(share * lengthMs))
        assert.equal(some.accepted("default", published.number, later), published)
        throwsCode(() => some.accepted("default", published.number, afterNoon(ms + 2 * lengthMs)), "EPOCH")
      },
    ),
  )
})

for (const lengthMs of [0, 999, 1500.5, FIVE_MINUTES + 1, -1, Number.NaN, Number.POSITIVE_INFINITY])
  test(`refuses a length of ${lengthMs} ms`, () => {
    assert.throws(
      () => createEpochs(seededRandom("length"), { lengthMs }),
      (error: unknown) => error instanceof TypeError,
    )
  })

test("refuses N-02 to start when the source fails", () => {
  const failing: Random = {
    bytes: () => {
      throw new AssayError("RNG", "the source is silent")
    },
  }
  throwsCode(() => createEpochs(failing), "RNG")
})

test.run()
