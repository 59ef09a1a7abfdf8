import { execFileSync } from "node:child_process"
import { createSecretKey } from "node:crypto"
import fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex } from "../../src/bytes.ts"
import { createMemoryEngine } from "../../src/store/engine/memory.ts"
import { createEpochs } from "../../src/store/epochs.ts"
import { rejectsCode } from "../support/assert.ts"
import { seededRandom } from "../support/ports/random.ts"
import { afterNoon, NOON } from "../support/ports/samples.ts"

const test = suite("createEpochs")
const keyOf = (seed: string) => createMemoryEngine(seededRandom(seed)).epochKey
const epochs = createEpochs(keyOf("epochs"))
const FIVE_MINUTES = 300_000
/** Noon is the start of this one. */
const number = NOON.getTime() / FIVE_MINUTES

test("says where an epoch begins and ends", async () => {
  for (const ms of [0, 1, FIVE_MINUTES - 1]) {
    const epoch = await epochs.current("default", afterNoon(ms))
    assert.is(epoch.number, number)
    assert.equal([epoch.startsAt, epoch.endsAt], [NOON, afterNoon(FIVE_MINUTES)])
    assert.is(epoch.value.length, 32)
  }
  assert.is((await epochs.current("default", afterNoon(FIVE_MINUTES))).number, number + 1)
  assert.is((await epochs.current("default", afterNoon(-1))).number, number - 1)
})

test("accepts the current epoch and the one before, with the value they were published with", async () => {
  const published = await epochs.current("default", NOON)
  assert.equal(await epochs.accepted("default", number, afterNoon(1)), published)
  assert.equal(await epochs.accepted("default", number, afterNoon(2 * FIVE_MINUTES - 1)), published)
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
  test(`refuses N-04 ${what}`, async () => {
    await rejectsCode(() => epochs.accepted("default", wanted, afterNoon(ms)), "EPOCH")
  })

test("gives every tenant, number and owner of the key another value", async () => {
  const made = await Promise.all([
    epochs.current("default", NOON),
    epochs.current("other", NOON),
    epochs.current("", NOON),
    epochs.current("default", afterNoon(FIVE_MINUTES)),
    createEpochs(keyOf("another")).current("default", NOON),
  ])
  assert.is(new Set(made.map(({ value }) => toHex(value))).size, made.length)
})

test("gives the same epoch another value by another key, C-01, and by the first one the value it had", async () => {
  const keys = [createSecretKey(Buffer.alloc(32, 1)), createSecretKey(Buffer.alloc(32, 2))] as const
  let [key] = keys
  const epochs = createEpochs(async () => key)
  const valueNow = async () => toHex((await epochs.accepted("default", number, NOON)).value)
  const first = await valueNow()
  key = keys[1]
  assert.is.not(await valueNow(), first)
  key = keys[0]
  assert.is(await valueNow(), first)
  assert.is.not(toHex((await epochs.accepted("other", number, NOON)).value), first)
})

test("makes the value that openssl makes: HMAC-SHA-256 over tenant and number", async () => {
  const key = new Uint8Array(32).fill(0x0b)
  const owner = createEpochs(async () => createSecretKey(key))
  const { value, number: of } = await owner.current("default", NOON)
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

test("accepts whatever was current less than a length ago, at any length", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1000, max: FIVE_MINUTES }),
      fc.integer({ min: 0, max: 10 * FIVE_MINUTES }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      async (lengthMs, ms, share) => {
        const some = createEpochs(keyOf("any"), { lengthMs })
        const published = await some.current("default", afterNoon(ms))
        const later = afterNoon(ms + Math.floor(share * lengthMs))
        assert.equal(await some.accepted("default", published.number, later), published)
        await rejectsCode(
          () => some.accepted("default", published.number, afterNoon(ms + 2 * lengthMs)),
          "EPOCH",
        )
      },
    ),
  )
})

for (const lengthMs of [0, 999, 1500.5, FIVE_MINUTES + 1, -1, Number.NaN, Number.POSITIVE_INFINITY])
  test(`refuses a length of ${lengthMs} ms`, () => {
    assert.throws(
      () => createEpochs(keyOf("length"), { lengthMs }),
      (error: unknown) => error instanceof TypeError,
    )
  })

test("asks for the key of an epoch's start, whenever in the epoch it is", async () => {
  const asked: Date[] = []
  const key = createSecretKey(new Uint8Array(32))
  const owner = createEpochs(async (startsAt) => {
    asked.push(startsAt)
    return key
  })
  await owner.current("default", afterNoon(FIVE_MINUTES - 1))
  await owner.accepted("default", number, afterNoon(2 * FIVE_MINUTES - 1))
  assert.equal(asked, [NOON, NOON])
})

test.run()
