/** N-01 and N-03 against the whole service: answers that were given before, and answers to something else. */
import { hash as digest } from "node:crypto"
import { suite } from "uvu"
import { concat, toHex, utf8 } from "../../src/bytes.ts"
import { encodeSignature } from "../../src/device/encode.ts"
import { epochExtraData, nonceExtraData } from "../../src/evidence/transcript.ts"
import type { VerifyInput } from "../../src/service/service.ts"
import { attackTable, type Refusal, unspent } from "../support/attack.ts"
import { flipped } from "../support/core.ts"
import { answered, createTestService, evidenceOver, GATEWAY } from "../support/service.ts"
import {
  type Attempt,
  attackedDevice,
  P256,
  P384,
  RSAPSS,
  RSASSA,
  showingBanks,
  type Victim,
  victimOf,
} from "../support/victim.ts"

const test = suite("attacks on freshness")

const stale = (code: Refusal["code"], more: Partial<Refusal> = {}): Refusal => ({
  code,
  ends: "stale",
  challenge: "unspent",
  ...more,
})
const SPENT = stale("NONCE_SPENT", { challenge: "spent" })
/** Evidence of one mode in another: there is no challenge that could be spent. */
const MISMATCH: Refusal = { code: "NONCE_MISMATCH", ends: "refuted", challenge: "none" }

// N-01: an answer that was given before.

/** First what `first` makes of the honest answer, accepted or not; then what `second` makes of it. */
const after =
  (
    second: (attempt: Attempt) => VerifyInput = ({ honest }) => honest,
    first: (attempt: Attempt) => VerifyInput = ({ honest }) => honest,
  ) =>
  async (attempt: Attempt): Promise<VerifyInput> => {
    await attempt.world.service.verify(first(attempt), GATEWAY)
    return second(attempt)
  }
const again = ({ honest, device, extraData }: Attempt): VerifyInput => {
  device.advance(1)
  return { ...honest, evidence: evidenceOver(device, extraData) }
}
const resigned = ({ honest, device }: Attempt): VerifyInput => ({
  ...honest,
  evidence: { ...honest.evidence, signature: device.sign(honest.evidence.attest) },
})
const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
/** The other signature of the two that any ECDSA signature is. */
const twin = ({ honest }: Attempt): VerifyInput => {
  const { signature } = honest.evidence
  const s = (P256_ORDER - BigInt(`0x${toHex(signature.subarray(40))}`)).toString(16).padStart(64, "0")
  const value = {
    kind: "ecdsa",
    hash: "sha256",
    r: signature.subarray(6, 38),
    s: Buffer.from(s, "hex"),
  } as const
  return { ...honest, evidence: { ...honest.evidence, signature: encodeSignature(value) } }
}
const otherValues = showingBanks((banks) =>
  banks.map(({ hash, values }) => ({ hash, values: flipped(values, 0) })),
)

attackTable(test, "N-01", SPENT, [
  ["the same answer twice", RSASSA, after()],
  [
    "the same answer a third time",
    P384,
    async (attempt) => {
      await after()(attempt)
      await attempt.world.service.verify(attempt.honest, GATEWAY).catch(() => {})
      return attempt.honest
    },
  ],
  ["a new quote for a challenge that was answered", P256, after(again)],
  ["the same quote under a new signature", RSAPSS, after(resigned)],
  ["the same quote under the twin of its signature", P256, after(twin)],
  ["the honest answer after one that was refused", P384, after(undefined, otherValues)],
  ["a refused answer after the honest one", RSASSA, after(otherValues)],
  [
    "an answer in the last millisecond of its challenge's life",
    RSAPSS,
    async (attempt) => {
      await after()(attempt)
      attempt.world.advance(59_999)
      return attempt.honest
    },
  ],
  [
    "an answer whose challenge has expired meanwhile",
    P256,
    async (attempt) => {
      await after()(attempt)
      attempt.world.advance(60_000)
      return attempt.honest
    },
    SPENT,
  ],
  [
    "the answer to a challenge from before a restart",
    P384,
    async ({ honest, device }) => {
      const before = createTestService()
      try {
        return { ...honest, ...(await answered(before.service, device)) }
      } finally {
        before.close()
      }
    },
    stale("NONCE_UNKNOWN"),
  ],
  [
    "the answer to a challenge as one to a nonce",
    RSASSA,
    ({ honest, extraData }) => ({ ...honest, freshness: { kind: "nonce", nonce: extraData } }),
    MISMATCH,
  ],
  [
    "the answer to a challenge as one to an epoch",
    P256,
    async ({ honest, world }) => {
      const { epoch } = await world.service.epoch(GATEWAY)
      return { ...honest, freshness: { kind: "epoch", number: epoch.number } }
    },
    MISMATCH,
  ],
])

// N-03: a quote over something like what was asked for.

const over =
  (change: (expected: Uint8Array, attempt: Attempt) => Uint8Array) =>
  (attempt: Attempt): VerifyInput => ({
    ...attempt.honest,
    evidence: evidenceOver(attempt.device, change(attempt.extraData, attempt)),
  })
/** A device that quotes whatever it is handed, and so gets no session. */
const raw: Victim = {
  ...victimOf("raw", "P-521", attackedDevice({ algorithm: "p521" }), { evidence: { rawNonce: true } }),
  verdict: "SESSION_KEY_UNCERTIFIED",
}
const NONCE = new Uint8Array(32).fill(3)

attackTable(test, "N-03", unspent("NONCE_MISMATCH"), [
  ["a quote over nothing", RSASSA, over(() => new Uint8Array())],
  ["a quote over zeros", P256, over(() => new Uint8Array(32))],
  ["a quote over all but the last byte", P384, over((expected) => expected.subarray(0, 31))],
  ["a quote over one byte more", RSAPSS, over((expected) => concat(expected, Uint8Array.of(0)))],
  [
    "a quote over the digest padded to 50 bytes",
    RSASSA,
    over((expected) => concat(expected, new Uint8Array(18))),
  ],
  [
    "a quote over the digest padded to 64 bytes",
    P256,
    over((expected) => concat(expected, new Uint8Array(32))),
  ],
  ["a quote over the digest padded in front", P384, over((expected) => concat(new Uint8Array(32), expected))],
  ["a quote over the digest in hexadecimal", RSAPSS, over((expected) => utf8(toHex(expected)))],
  [
    "a quote over the digest in base64",
    RSASSA,
    over((expected) => utf8(Buffer.from(expected).toString("base64"))),
  ],
  ["a quote over the digest backwards", P256, over((expected) => expected.toReversed())],
  [
    "a quote over the digest with its first bit changed",
    P384,
    over((expected) => flipped(expected, 0, 0x80)),
  ],
  ["a quote over the digest of the digest", RSAPSS, over((expected) => digest("sha256", expected, "buffer"))],
  [
    "a quote over the challenge's random bytes themselves",
    RSASSA,
    over((_, { transcript }) => transcript.random),
  ],
  [
    "a quote over the challenge's random bytes as a nonce",
    P256,
    over((_, { transcript }) => nonceExtraData("default", transcript.random)),
  ],
  [
    "a quote over the sealed challenge's digest",
    P384,
    over((_, { honest }) => digest("sha256", honest.freshness.challenge, "buffer")),
  ],
  [
    "a nonce quoted raw",
    RSAPSS,
    ({ device }) => ({ freshness: { kind: "nonce", nonce: NONCE }, evidence: evidenceOver(device, NONCE) }),
    MISMATCH,
  ],
  [
    "an epoch quoted raw",
    P256,
    async ({ device, world }) => {
      const { epoch } = await world.service.epoch(GATEWAY)
      return {
        freshness: { kind: "epoch", number: epoch.number },
        evidence: evidenceOver(device, epoch.value),
      }
    },
    MISMATCH,
  ],
  [
    "an epoch of another tenant",
    P384,
    async ({ device, world }) => {
      const { epoch } = await world.service.epoch(GATEWAY)
      return {
        freshness: { kind: "epoch", number: epoch.number },
        evidence: evidenceOver(device, epochExtraData("other", epoch.value)),
      }
    },
    MISMATCH,
  ],
  [
    "a quote over nothing where nothing was asked for",
    raw,
    ({ device }) => ({
      freshness: { kind: "nonce", nonce: new Uint8Array() },
      evidence: evidenceOver(device, new Uint8Array()),
    }),
    { code: "NONCE_MISSING", ends: "refuted", challenge: "none" },
  ],
])

test.run()
