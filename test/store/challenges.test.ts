import { createDecipheriv } from "node:crypto"
import fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex, utf8 } from "../../src/bytes.ts"
import { AssayError } from "../../src/errors.ts"
import type { Challenge, Random } from "../../src/service/ports.ts"
import { createChallenges } from "../../src/store/challenges.ts"
import { throwsCode } from "../support/assert.ts"
import { challengesConformance } from "../support/ports/challenges.ts"
import { seededRandom } from "../support/ports/random.ts"
import { NOON, newChallenge } from "../support/ports/samples.ts"

const test = suite("createChallenges")

let instances = 0
challengesConformance(test, "memory", (spentMax) =>
  createChallenges(seededRandom(`challenges ${instances++}`), spentMax === undefined ? {} : { spentMax }),
)

const bytes = (size: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: size, maxLength: size }).map((array) => new Uint8Array(array))
const name = fc.string({ unit: "grapheme", maxLength: 60 })
const instant = fc.date({ min: NOON, max: new Date("2100-01-01T00:00:00Z"), noInvalidDate: true })
const contents: fc.Arbitrary<Challenge> = fc.record(
  {
    random: bytes(32),
    tenant: name,
    caller: name,
    purpose: fc.constant("attest" as const),
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

test("opens exactly what it sealed, whatever it is", () => {
  const challenges = createChallenges(seededRandom("property"))
  fc.assert(
    fc.property(contents, (challenge) => {
      assert.equal(challenges.open(challenges.seal(challenge), NOON), challenge)
    }),
    { numRuns: 300 },
  )
})

test("refuses N-04 every single-bit flip of a challenge", () => {
  const challenges = createChallenges(seededRandom("flips"))
  const sealed = challenges.seal(newChallenge("one"))
  for (let bit = 0; bit < 8 * sealed.length; bit++) {
    const flipped = sealed.slice()
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    throwsCode(() => challenges.open(flipped, NOON), "NONCE_UNKNOWN")
  }
  challenges.open(sealed, NOON)
})

test("seals with AES-256-GCM: IV, tag, ciphertext, under a label", () => {
  const challenges = createChallenges(seededRandom("format"))
  const key = seededRandom("format").bytes(32)
  const sealed = challenges.seal(newChallenge("one", { audience: "https://a.example" }))
  const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, 12))
  decipher.setAAD(utf8("assay/v1/sealed-challenge"))
  decipher.setAuthTag(sealed.subarray(12, 28))
  const plain = Buffer.concat([decipher.update(sealed.subarray(28)), decipher.final()])
  assert.ok(plain.includes("https://a.example"))
})

test("shows nothing of what it sealed", () => {
  const challenge = newChallenge("one")
  const sealed = Buffer.from(createChallenges(seededRandom("secret")).seal(challenge))
  for (const part of [challenge.random, "default", "gateway", "backend.example", "attest"])
    assert.not(sealed.includes(part))
})

test("never uses an IV twice, not even if the source repeats itself", () => {
  const constant: Random = { bytes: (size) => new Uint8Array(size).fill(7) }
  const challenges = createChallenges(constant)
  const ivs = Array.from({ length: 1000 }, () => toHex(challenges.seal(newChallenge("one")).subarray(0, 12)))
  assert.is(new Set(ivs).size, 1000)
})

const weak: [what: string, random: Uint8Array][] = [
  ["no", new Uint8Array()],
  ["4", newChallenge("one").random.subarray(0, 4)],
  ["16", newChallenge("one").random.subarray(0, 16)],
  ["31", newChallenge("one").random.subarray(0, 31)],
  ["64", new Uint8Array(64).fill(1)],
]
for (const [what, random] of weak)
  test(`refuses N-02 to seal a challenge with ${what} random bytes`, () => {
    const challenges = createChallenges(seededRandom("weak"))
    throwsCode(() => challenges.seal(newChallenge("one", { random })), "RNG")
  })

test("refuses N-02 to start or to seal when the source fails", () => {
  const failing: Random = {
    bytes: () => {
      throw new AssayError("RNG", "the source is silent")
    },
  }
  throwsCode(() => createChallenges(failing), "RNG")
  let calls = 0
  const failsLater: Random = {
    bytes: (size) => (calls++ === 0 ? seededRandom("once").bytes(size) : failing.bytes(size)),
  }
  const challenges = createChallenges(failsLater)
  throwsCode(() => challenges.seal(newChallenge("one")), "RNG")
})

test("refuses to seal more than a request can carry", () => {
  const challenges = createChallenges(seededRandom("large"))
  assert.throws(
    () => challenges.seal(newChallenge("one", { caller: "c".repeat(2048) })),
    (error: unknown) => error instanceof TypeError,
  )
  const sealed = challenges.seal(newChallenge("one", { caller: "c".repeat(1700) }))
  assert.ok(sealed.length <= 2048)
  challenges.open(sealed, NOON)
})

for (const spentMax of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])
  test(`refuses a bound of ${spentMax}`, () => {
    assert.throws(
      () => createChallenges(seededRandom("bound"), { spentMax }),
      (error: unknown) => error instanceof TypeError,
    )
  })

test.run()
