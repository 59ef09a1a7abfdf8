import fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { lengthPrefixed, utf8 } from "../../src/bytes.ts"
import type { Challenge, SingleUse } from "../../src/service/ports.ts"
import { openChallenge, sealChallenge } from "../../src/service/sealed-challenge.ts"
import { createMemoryEngine } from "../../src/store/engine/memory.ts"
import { rejectsCode } from "../support/assert.ts"
import { seededRandom } from "../support/ports/random.ts"
import { NOON, newChallenge } from "../support/ports/samples.ts"
import { newValue } from "../support/ports/single-use.ts"

const test = suite("sealChallenge")

const singleUse = (): SingleUse => createMemoryEngine(seededRandom("sealed")).singleUse

const bytes = (size: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: size, maxLength: size }).map((array) => new Uint8Array(array))
const name = fc.string({ unit: "grapheme", maxLength: 60 })
const instant = fc.date({ min: NOON, max: new Date("2100-01-01T00:00:00Z"), noInvalidDate: true })
const contents: fc.Arbitrary<Challenge> = fc.record(
  {
    random: bytes(32),
    tenant: name,
    caller: name,
    device: name,
    audience: name,
    confirmation: fc.option(
      fc.record(
        { method: fc.constantFrom("x5t#S256" as const, "jkt" as const), digest: bytes(32) },
        { noNullPrototype: true },
      ),
      { nil: undefined },
    ),
    policy: name,
    policyRevision: fc.maxSafeNat(),
    issuedAt: instant,
    expiresAt: instant.map((at) => new Date(at.getTime() + 1)),
  },
  { noNullPrototype: true },
)

test("opens exactly what it sealed, whatever it is", async () => {
  const owner = singleUse()
  await fc.assert(
    fc.asyncProperty(contents, async (challenge) => {
      const { challenge: opened } = await openChallenge(owner, await sealChallenge(owner, challenge), NOON)
      assert.equal(opened, challenge)
    }),
    { numRuns: 300 },
  )
})

test("refuses N-04 every single-bit flip of a challenge", async () => {
  const owner = singleUse()
  const sealed = await sealChallenge(owner, newChallenge("one"))
  for (let bit = 0; bit < 8 * sealed.length; bit++) {
    const flipped = sealed.slice()
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    await rejectsCode(() => openChallenge(owner, flipped, NOON), "NONCE_UNKNOWN")
  }
  await openChallenge(owner, sealed, NOON)
})

const weak: [what: string, random: Uint8Array][] = [
  ["no", new Uint8Array()],
  ["4", newChallenge("one").random.subarray(0, 4)],
  ["16", newChallenge("one").random.subarray(0, 16)],
  ["31", newChallenge("one").random.subarray(0, 31)],
  ["64", new Uint8Array(64).fill(1)],
]
for (const [what, random] of weak)
  test(`refuses N-02 to seal a challenge with ${what} random bytes`, () =>
    rejectsCode(() => sealChallenge(singleUse(), newChallenge("one", { random })), "RNG").then(() => {}))

test("refuses N-04 an enrollment in place of a challenge", async () => {
  const owner = singleUse()
  const sealed = await owner.seal(newValue(NOON, { purpose: "enroll" }))
  await rejectsCode(() => openChallenge(owner, sealed, NOON), "NONCE_UNKNOWN")
})

test("refuses a challenge for a key of a kind that only a later version knows", async () => {
  const owner = singleUse()
  const parts = ["gateway", "", "orders", "x5t#S512", "digest", "", "0", "0"].map(utf8)
  const sealed = await owner.seal(newValue(NOON, { content: lengthPrefixed(...parts) }))
  await rejectsCode(() => openChallenge(owner, sealed, NOON), "NONCE_UNKNOWN")
})

test.run()
