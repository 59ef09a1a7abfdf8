/**
 * Challenges that nobody stores until they are spent: what Assay needs to know again is sealed into the value that
 * the caller hands back. The key and the set of spent challenges live in this object alone and end together, so a
 * challenge from before a restart does not open and cannot be replayed into.
 */

import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from "node:crypto"
import { concat, lengthPrefixed, utf8 } from "../bytes.ts"
import { AssayError, type Code } from "../errors.ts"
import { Reader } from "../evidence/reader.ts"
import type { Challenge, Challenges, Random } from "../service/ports.ts"
import { SpentSet } from "./spent.ts"
import { u64Bytes } from "./u64.ts"

const CIPHER = "aes-256-gcm"
const KEY_BYTES = 32
const IV_BYTES = 12
const TAG_BYTES = 16
/** Where in the IV the count stands, and how long it is. */
const IV_COUNT_OFFSET = 6
const IV_COUNT_BYTES = 6
/** Of what is sealed, and of which layout: a value sealed for anything else does not open. */
const ADDITIONAL_DATA = utf8("assay/v1/sealed-challenge")

/** What `VerifyRequest.challenge` can carry. */
const SEALED_BYTES_MAX = 2048
const RANDOM_BYTES = 32
const CONFIRMATION_BYTES = 32
/** About 100 MB, and more than 8000 good answers a second for two minutes. */
const SPENT_MAX = 1_000_000

/** Challenges, and their counts since the start. */
export interface CountedChallenges extends Challenges {
  counts(): {
    readonly created: number
    readonly spent: number
    /** Spent ones that have to be remembered until they expire. */
    readonly outstanding: number
  }
}

/**
 * Challenges in memory, for one process.
 *
 * At most `spentMax` spent challenges that have not expired are remembered; then spending refuses, for whoever forgets
 * one lets it be spent twice.
 *
 * @throws {AssayError} RNG.
 */
export function createChallenges(
  random: Random,
  options: { readonly spentMax?: number } = {},
): CountedChallenges {
  const key = createSecretKey(random.bytes(KEY_BYTES))
  const spent = new SpentSet(options.spentMax ?? SPENT_MAX)
  let sealedCount = 0
  let spentCount = 0

  const refuseExpired = (challenge: Challenge, at: Date): void => {
    const isLive = at.getTime() < challenge.expiresAt.getTime() && !spent.isForgotten(challenge.expiresAt)
    if (!isLive) throw refusal("NONCE_EXPIRED", "the challenge has expired")
  }
  const refuseSpent = (challenge: Challenge): void => {
    if (spent.has(keyOf(challenge), challenge.expiresAt))
      throw refusal("NONCE_SPENT", "the challenge was used before")
  }

  return {
    seal(challenge) {
      const plain = encode(challenge)
      if (IV_BYTES + TAG_BYTES + plain.length > SEALED_BYTES_MAX)
        throw new TypeError(`a challenge has at most ${SEALED_BYTES_MAX} bytes`)
      return seal(key, ivOf(random, sealedCount++), plain)
    },
    open(sealed, at) {
      const challenge = decode(unseal(key, sealed))
      refuseSpent(challenge)
      refuseExpired(challenge, at)
      return challenge
    },
    // No await before the end: nothing can come between the question and the answer.
    async spend(challenge, at) {
      spent.forgetExpired(at)
      refuseExpired(challenge, at)
      refuseSpent(challenge)
      if (spent.isFull)
        throw new AssayError("CHALLENGES_FULL", "too many challenges were answered lately: try again shortly")
      spent.add(keyOf(challenge), challenge.expiresAt)
      spentCount++
    },
    counts: () => ({ created: sealedCount, spent: spentCount, outstanding: spent.size }),
  }
}

/** Its 32 random bytes, one character each. */
const keyOf = ({ random }: Challenge): string =>
  Buffer.from(random.buffer, random.byteOffset, random.length).toString("latin1")

/**
 * Random bytes, then a count. One IV used twice would give the key away, and random bytes alone are good for no
 * more than 2^32 of them (NIST SP 800-38D, 8.3), which a busy service makes in days.
 */
const ivOf = (random: Random, count: number): Uint8Array => {
  const iv = Buffer.from(random.bytes(IV_BYTES))
  iv.writeUIntBE(count, IV_COUNT_OFFSET, IV_COUNT_BYTES)
  return iv
}

/** IV, tag, ciphertext. */
const seal = (key: KeyObject, iv: Uint8Array, plain: Uint8Array): Uint8Array => {
  const cipher = createCipheriv(CIPHER, key, iv, { authTagLength: TAG_BYTES })
  cipher.setAAD(ADDITIONAL_DATA)
  const ciphertext = cipher.update(plain)
  cipher.final()
  return concat(iv, cipher.getAuthTag(), ciphertext)
}

const unseal = (key: KeyObject, sealed: Uint8Array): Uint8Array => {
  const bodyOffset = IV_BYTES + TAG_BYTES
  if (sealed.length < bodyOffset || sealed.length > SEALED_BYTES_MAX) throw unknown()
  const decipher = createDecipheriv(CIPHER, key, sealed.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES })
  decipher.setAAD(ADDITIONAL_DATA)
  decipher.setAuthTag(sealed.subarray(IV_BYTES, bodyOffset))
  const plain = decipher.update(sealed.subarray(bodyOffset))
  try {
    decipher.final()
  } catch {
    throw unknown()
  }
  return new Uint8Array(plain.buffer, plain.byteOffset, plain.length)
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
const PURPOSES: readonly Challenge["purpose"][] = ["attest"]
const METHODS: readonly NonNullable<Challenge["confirmation"]>["method"][] = ["x5t#S256", "jkt"]

/**
 * Shape, big-endian: random, tenant, caller, purpose, device, audience, confirmation method and digest (both empty
 * for none) and policy, each with a u32 size before it; then u64: policy revision, issue and expiry in ms since 1970.
 */
const encode = (challenge: Challenge): Uint8Array => {
  if (challenge.random.length !== RANDOM_BYTES)
    throw new AssayError("RNG", "a challenge without 32 random bytes is none", {
      expected: `${RANDOM_BYTES} bytes`,
      actual: `${challenge.random.length} bytes`,
    })
  return concat(
    lengthPrefixed(
      challenge.random,
      utf8(challenge.tenant),
      utf8(challenge.caller),
      utf8(challenge.purpose),
      utf8(challenge.device),
      utf8(challenge.audience),
      utf8(challenge.confirmation?.method ?? ""),
      challenge.confirmation?.digest ?? new Uint8Array(),
      utf8(challenge.policy),
    ),
    u64Bytes(BigInt(challenge.policyRevision)),
    u64Bytes(BigInt(challenge.issuedAt.getTime())),
    u64Bytes(BigInt(challenge.expiresAt.getTime())),
  )
}

const decode = (plain: Uint8Array): Challenge => {
  const r = new Reader(plain, "challenge")
  const text = (field: string): string => decoder.decode(r.sized32(field, SEALED_BYTES_MAX))
  const challenge = {
    random: r.sized32("random", RANDOM_BYTES),
    tenant: text("tenant"),
    caller: text("caller"),
    purpose: knownOf(PURPOSES, text("purpose")),
    device: text("device"),
    audience: text("audience"),
    confirmation: readConfirmation(text("method"), r.sized32("digest", CONFIRMATION_BYTES)),
    policy: text("policy"),
    policyRevision: Number(r.u64("policyRevision")),
    issuedAt: new Date(Number(r.u64("issuedAt"))),
    expiresAt: new Date(Number(r.u64("expiresAt"))),
  }
  r.end()
  return challenge
}

const readConfirmation = (method: string, digest: Uint8Array): Challenge["confirmation"] =>
  method === "" ? undefined : { method: knownOf(METHODS, method), digest }

const knownOf = <T extends string>(known: readonly T[], value: string): T => {
  const found = known.find((one) => one === value)
  if (found === undefined) throw unknown()
  return found
}

const unknown = (): AssayError =>
  refusal("NONCE_UNKNOWN", "the challenge was not made here, or before the last restart")

const refusal = (code: Code, message: string): AssayError =>
  new AssayError(code, `${message}: ask for a new one`)
