/** N-04 against the whole service: challenges by and for somebody else, and none at all. */
import { suite } from "uvu"
import { concat } from "../../src/bytes.ts"
import { challengeExtraData, type Transcript } from "../../src/evidence/transcript.ts"
import type { VerifyInput } from "../../src/service/service.ts"
import { attackTable, type Refusal, unspent } from "../support/attack.ts"
import { flipped } from "../support/core.ts"
import { evidenceOver } from "../support/service.ts"
import { type Attempt, P256, P384, RSAPSS, RSASSA, type Victim } from "../support/victim.ts"

const test = suite("attacks on challenges")

const stale = (code: Refusal["code"], more: Partial<Refusal> = {}): Refusal => ({
  code,
  ends: "stale",
  challenge: "unspent",
  ...more,
})
const EXPIRED = stale("NONCE_EXPIRED", { afterwards: "NONCE_EXPIRED" })

const over =
  (change: (expected: Uint8Array, attempt: Attempt) => Uint8Array) =>
  (attempt: Attempt): VerifyInput => ({
    ...attempt.honest,
    evidence: evidenceOver(attempt.device, change(attempt.extraData, attempt)),
  })
const honest = ({ honest: answer }: Attempt): VerifyInput => answer
const by =
  (other: Victim) =>
  ({ honest: answer, extraData }: Attempt): VerifyInput => {
    other.device.advance(1000)
    return { ...answer, evidence: evidenceOver(other.device, extraData) }
  }
const presenting =
  (change: (sealed: Uint8Array, attempt: Attempt) => Uint8Array) =>
  (attempt: Attempt): VerifyInput => ({
    ...attempt.honest,
    freshness: { kind: "challenge", challenge: change(attempt.honest.freshness.challenge, attempt) },
  })
const FOREIGN = stale("NONCE_CONTEXT")
const UNKNOWN = stale("NONCE_UNKNOWN")
const BOUND = unspent("NONCE_MISMATCH")
/** The device answers for something else than what was sealed. */
const answeringFor = (changed: Partial<Transcript>) =>
  over((_, { transcript }) => challengeExtraData({ ...transcript, ...changed }))
const key = { method: "jkt", digest: new Uint8Array(32).fill(7) } as const

attackTable(test, "N-04", FOREIGN, [
  ["a challenge of another caller", RSASSA, honest, FOREIGN, { as: { tenant: "default", id: "thief" } }],
  [
    "a challenge of a caller with a longer name",
    P256,
    honest,
    FOREIGN,
    { as: { tenant: "default", id: "gateway2" } },
  ],
  ["a challenge of a caller without a name", P384, honest, FOREIGN, { as: { tenant: "default", id: "" } }],
  ["a challenge of another tenant", RSAPSS, honest, FOREIGN, { as: { tenant: "other", id: "gateway" } }],
  ["a challenge for another device", P384, by(P256), FOREIGN, { session: { device: "p384" } }],
  [
    "a challenge for another device, by a device of the same policy's name",
    RSASSA,
    by(RSAPSS),
    FOREIGN,
    { session: { device: "rsassa", policy: "rsassa" } },
  ],
  ["a challenge for another policy", P384, by(P256), FOREIGN, { session: { policy: "p384" } }],
  [
    "a challenge that has expired",
    RSAPSS,
    (attempt) => {
      attempt.world.advance(60_000)
      return attempt.honest
    },
    EXPIRED,
  ],
  [
    "a challenge that expired long ago",
    P256,
    (attempt) => {
      attempt.world.advance(600_000)
      return attempt.honest
    },
    EXPIRED,
  ],
  ["a challenge with a bit of its IV changed", RSASSA, presenting((sealed) => flipped(sealed, 0)), UNKNOWN],
  ["a challenge with a bit of its tag changed", P256, presenting((sealed) => flipped(sealed, 12)), UNKNOWN],
  [
    "a challenge with a bit of its contents changed",
    P384,
    presenting((sealed) => flipped(sealed, 28)),
    UNKNOWN,
  ],
  [
    "a challenge with its last bit changed",
    RSAPSS,
    presenting((sealed) => flipped(sealed, sealed.length - 1)),
    UNKNOWN,
  ],
  ["a challenge cut short by a byte", RSASSA, presenting((sealed) => sealed.subarray(0, -1)), UNKNOWN],
  [
    "a challenge with a byte behind it",
    P256,
    presenting((sealed) => concat(sealed, Uint8Array.of(0))),
    UNKNOWN,
  ],
  ["no challenge", P384, presenting(() => new Uint8Array()), UNKNOWN],
  [
    "the challenge's random bytes in its place",
    RSAPSS,
    presenting((_, { transcript }) => transcript.random),
    UNKNOWN,
  ],
  ["an answer in the name of another tenant", RSASSA, answeringFor({ tenant: "other" }), BOUND],
  [
    "an answer in the name of another device",
    P256,
    answeringFor({ device: "p384" }),
    BOUND,
    { session: { device: "p256" } },
  ],
  ["an answer for another audience", P384, answeringFor({ audience: "attacker" }), BOUND],
  [
    "an answer that confirms a key which was not asked for",
    RSAPSS,
    answeringFor({ confirmation: key }),
    BOUND,
  ],
  [
    "an answer without the key that was asked for",
    RSASSA,
    answeringFor({ confirmation: undefined }),
    BOUND,
    { session: { confirmation: key } },
  ],
  [
    "an answer for the other method with the same key",
    P256,
    answeringFor({ confirmation: { ...key, method: "x5t#S256" } }),
    BOUND,
    { session: { confirmation: key } },
  ],
  [
    "an answer under another policy",
    P384,
    answeringFor({ policy: "" }),
    BOUND,
    { session: { policy: "p384" } },
  ],
])

test.run()
