/**
 * How values are sealed: AES-256-GCM under a key that only Assay has, whose id leads the sealed value. The purpose is
 * additional data: sealed for one purpose, a value never opens for another.
 */

import { createCipheriv, createDecipheriv, hash, type KeyObject } from "node:crypto"
import { concat, latin1, lengthPrefixed, utf8 } from "../../bytes.ts"
import { AssayError } from "../../errors.ts"
import { Reader } from "../../evidence/reader.ts"
import type { OpenedValue, Random, SealedPurpose, SingleUseValue } from "../../service/ports.ts"
import { u64Bytes } from "../u64.ts"
import { createUnderWay } from "./under-way.ts"

const CIPHER = "aes-256-gcm"
export const KEY_BYTES = 32
export const KEY_ID_BYTES = 8
const IV_BYTES = 12
const IV_RANDOM_BYTES = 8
/** The count behind the random bytes begins anew after as many. */
const IV_COUNTS = 2 ** 32
const TAG_BYTES = 16
const MASK_BYTES = 32
const HEAD_BYTES = KEY_ID_BYTES + IV_BYTES + TAG_BYTES
const ID_BYTES = 32

/** What a request can carry. */
const SEALED_BYTES_MAX: Readonly<Record<SealedPurpose, number>> = { attest: 2048, enroll: 32_768 }

/** A key that values are sealed under. */
export interface SealingKey {
  /** 8 bytes, random and public. */
  readonly id: Uint8Array
  readonly key: KeyObject
}

/** Seals values and opens them. */
export interface Sealer {
  /** Seals under a key and a fence: what the store of those that were spent was when it was sealed. @throws {AssayError} RNG. */
  seal(value: SingleUseValue, sealing: SealingKey, fence: string): Uint8Array
  /** As `unseal`, for less the first time that what was sealed here comes back. @throws {AssayError} NONCE_UNKNOWN. */
  open(purpose: SealedPurpose, sealed: Uint8Array, sealing: SealingKey): OpenedValue
}

/** What challenges that are under way may take: some 15,000 of them. All others are deciphered. */
const UNDER_WAY_BYTES = 2 ** 24

/**
 * A sealer that needs no cipher to open its own challenges: it knows what is inside of exactly these bytes, until they come
 * back for the first time.
 *
 * @param underWayBytes What it may remember for that.
 * @throws {AssayError} RNG.
 */
export function createSealer(random: Random, underWayBytes = UNDER_WAY_BYTES): Sealer {
  const nextIv = createIvs(random)
  const underWay = createUnderWay(underWayBytes)
  return {
    seal(value, sealing, fence) {
      const { id: keyId, key } = sealing
      const sealed = encrypt(value.purpose, encode(value, fence), sealing, nextIv())
      if (value.purpose === "attest") underWay.put(sealed, { value: openedOf(value, { keyId, fence }), key })
      return sealed
    },
    open(purpose, sealed, sealing) {
      const own = purpose === "attest" ? underWay.take(sealed) : undefined
      return own?.key === sealing.key ? own.value : unseal(purpose, sealed, sealing)
    },
  }
}

/**
 * IVs that come once under any key, whoever else seals under it: 8 random bytes, then a count, which a mask of the
 * sealer's and of those bytes makes unreadable: it would tell every caller how much is asked of Assay. What one sealer
 * makes differs by the count for 2^32 values, and of two that count alike by 64 random bits: at a billion values a day of
 * ten replicas, two are the same once in four billion days (NIST SP 800-38D, 8, asks for 2^32).
 *
 * @throws {AssayError} RNG.
 */
function createIvs(random: Random): () => Uint8Array {
  let count = 0
  const mask = random.bytes(MASK_BYTES)
  return () => {
    const iv = Buffer.alloc(IV_BYTES)
    iv.set(random.bytes(IV_RANDOM_BYTES))
    // Of equal random bytes the masks are equal, and so the counts still differ.
    const own = hash("sha256", concat(mask, iv.subarray(0, IV_RANDOM_BYTES)), "buffer").readUInt32BE()
    iv.writeUInt32BE((count ^ own) >>> 0, IV_RANDOM_BYTES)
    count = (count + 1) % IV_COUNTS
    return iv
  }
}

/** Shape: key id (8 bytes), IV (12), tag (16), ciphertext. */
const encrypt = (
  purpose: SealedPurpose,
  plain: Uint8Array,
  { id, key }: SealingKey,
  iv: Uint8Array,
): Uint8Array => {
  const max = SEALED_BYTES_MAX[purpose]
  if (HEAD_BYTES + plain.length > max) throw new TypeError(`a sealed value has at most ${max} bytes`)
  const cipher = createCipheriv(CIPHER, key, iv, { authTagLength: TAG_BYTES })
  cipher.setAAD(ADDITIONAL_DATA[purpose])
  const ciphertext = cipher.update(plain)
  cipher.final()
  return concat(id, iv, cipher.getAuthTag(), ciphertext)
}

/** The id of the key that a value says to be sealed under: a view. @throws {AssayError} NONCE_UNKNOWN for what cannot be one. */
export const keyIdOf = (purpose: SealedPurpose, sealed: Uint8Array): Uint8Array => {
  if (sealed.length < HEAD_BYTES || sealed.length > SEALED_BYTES_MAX[purpose]) throw unknownValue(purpose)
  return sealed.subarray(0, KEY_ID_BYTES)
}

/** Opens what was sealed under a key for a purpose. @throws {AssayError} NONCE_UNKNOWN for anything else. */
export const unseal = (purpose: SealedPurpose, sealed: Uint8Array, { id, key }: SealingKey): OpenedValue => {
  const iv = sealed.subarray(KEY_ID_BYTES, KEY_ID_BYTES + IV_BYTES)
  const decipher = createDecipheriv(CIPHER, key, iv, { authTagLength: TAG_BYTES })
  decipher.setAAD(ADDITIONAL_DATA[purpose])
  decipher.setAuthTag(sealed.subarray(KEY_ID_BYTES + IV_BYTES, HEAD_BYTES))
  const plain = decipher.update(sealed.subarray(HEAD_BYTES))
  try {
    decipher.final()
  } catch {
    throw unknownValue(purpose)
  }
  return decode(purpose, plain, id)
}

const ADDITIONAL_DATA: Readonly<Record<SealedPurpose, Uint8Array>> = {
  attest: utf8("assay/v1/sealed/attest"),
  enroll: utf8("assay/v1/sealed/enroll"),
}

/** Shape, big-endian: fence, tenant, id and content, each with a u32 size before it; then the expiry as u64 ms since 1970. */
const encode = (value: SingleUseValue, fence: string): Uint8Array => {
  if (value.id.length !== ID_BYTES)
    throw new AssayError("RNG", "what has no 32 random bytes would not be used once", {
      expected: `${ID_BYTES} bytes`,
      actual: `${value.id.length} bytes`,
    })
  return concat(
    lengthPrefixed(utf8(fence), utf8(value.tenant), value.id, value.content),
    u64Bytes(BigInt(value.expiresAt.getTime())),
  )
}

const decode = (purpose: SealedPurpose, plain: Uint8Array, keyId: Uint8Array): OpenedValue => {
  const r = new Reader(plain, "sealed value")
  const max = SEALED_BYTES_MAX[purpose]
  const fence = r.ownText32("fence", max)
  const value = {
    purpose,
    tenant: r.ownText32("tenant", max),
    id: r.sized32("id", ID_BYTES),
    content: r.sized32("content", max),
    expiresAt: new Date(Number(r.u64("expiresAt"))),
  }
  r.end()
  return openedOf(value, { keyId, fence })
}

/** A value as it is once it is opened. */
export const openedOf = (
  { purpose, tenant, id, expiresAt, content }: SingleUseValue,
  origin: OpenedValue["origin"],
): OpenedValue => {
  const key = `${tenant}/${purpose}/${latin1(id)}`
  return { purpose, tenant, id, expiresAt, content, key, origin }
}

/** What a purpose's values are called by people. */
const NAMES: Readonly<Record<SealedPurpose, string>> = { attest: "challenge", enroll: "enrollment" }

/** What the value is called. */
export const nameOf = ({ purpose }: { readonly purpose: SealedPurpose }): string => NAMES[purpose]

/** That a value is none of ours. */
export const unknownValue = (purpose: SealedPurpose): AssayError =>
  new AssayError(
    "NONCE_UNKNOWN",
    `the ${NAMES[purpose]} was not made here, or before the last restart: begin anew`,
  )

/** That a value has expired. */
export const expiredValue = (value: SingleUseValue): AssayError =>
  new AssayError("NONCE_EXPIRED", `the ${nameOf(value)} has expired: begin anew`)

/** That a value was used. */
export const spentValue = (value: SingleUseValue): AssayError =>
  new AssayError("NONCE_SPENT", `the ${nameOf(value)} was used before: begin anew`)

/** That nothing more can be spent for now. */
export const fullStore = (cause?: unknown): AssayError =>
  new AssayError("CHALLENGES_FULL", "too many challenges were answered lately: try again shortly", { cause })

/** That what is to be counted is over. */
export const expiredCount = (): AssayError =>
  new AssayError("NONCE_EXPIRED", "what is to be counted is over: begin anew")

/** Whether something that ends lives at an instant; at no instant at all it does not. */
export const isLive = (expiresAt: Date, at: Date): boolean => at.getTime() < expiresAt.getTime()
