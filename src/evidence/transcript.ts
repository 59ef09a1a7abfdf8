import { createHmac } from "node:crypto"
import { concat, lengthPrefixed, lengthPrefixedBriefly, utf8 } from "../bytes.ts"
import { digestOf } from "./digest.ts"

/** The key that a session is bound to (RFC 7800): one method, and a SHA-256 digest of 32 bytes. */
export interface Confirmation {
  readonly method: "x5t#S256" | "jkt"
  readonly digest: Uint8Array
}

/** A key of the device's TPM that a certificate is asked for, by its Name: 34, 50 or 66 bytes. */
export interface TpmKeyName {
  readonly method: "name"
  readonly name: Uint8Array
}

/** What a challenge binds a session to: a key that is named by a digest, or one that is to be certified. */
export type SessionKey = Confirmation | TpmKeyName

/** The key itself, without what it is named by: 32 bytes, or a Name. */
export const sessionKeyBytes = (key: SessionKey): Uint8Array =>
  key.method === "name" ? key.name : key.digest

/**
 * What a challenge is about. The device fills in its own audience and its own key before it quotes; Assay
 * fills in what it sealed. Only if both say the same does the quote answer the challenge.
 */
export interface Transcript {
  readonly random: Uint8Array
  readonly tenant: string
  /** Empty if any device may answer. */
  readonly device: string
  readonly audience: string
  readonly confirmation: SessionKey | undefined
  /** Empty for whichever is assigned. */
  readonly policy: string
}

/** Each mode has a label of its own, so that no digest of one can be taken for a digest of another. */
const LABEL = {
  challenge: utf8("assay/v1/challenge"),
  nonce: utf8("assay/v1/nonce"),
  epoch: utf8("assay/v1/epoch"),
  enrollment: utf8("assay/v1/enrollment"),
  activation: utf8("assay/v1/activation"),
}

/** SHA-256 over the parts with their lengths. */
const sha256 = (...parts: readonly Uint8Array[]): Uint8Array =>
  digestOf("sha256", lengthPrefixedBriefly(parts))

/** The UTF-8 bytes of a text, for a digest: in memory that is shared with others. Of no text a `Buffer` would have its own. */
const text = (value: string): Uint8Array => (value === "" ? NO_BYTES : Buffer.from(value))

const NO_BYTES = new Uint8Array()

/** extraData of a quote that answers a challenge: SHA-256 over the length-prefixed transcript, 32 bytes. */
export const challengeExtraData = (transcript: Transcript): Uint8Array => {
  const { random, tenant, device, audience, confirmation, policy } = transcript
  const key =
    confirmation === undefined ? NO_BYTES : concat(utf8(confirmation.method), sessionKeyBytes(confirmation))
  return sha256(LABEL.challenge, random, text(tenant), text(device), text(audience), key, text(policy))
}

/** extraData of a quote over a relying party's nonce: SHA-256 over label, tenant and nonce, 32 bytes. */
export const nonceExtraData = (tenant: string, nonce: Uint8Array): Uint8Array =>
  sha256(LABEL.nonce, text(tenant), nonce)

/** extraData of a quote over an epoch: SHA-256 over label, tenant and the epoch's value, 32 bytes. */
export const epochExtraData = (tenant: string, value: Uint8Array): Uint8Array =>
  sha256(LABEL.epoch, text(tenant), value)

/**
 * What an enrollment is about: both sides put it together by themselves, and the quote that ends the enrollment and the
 * answer to its credential are over it.
 */
export interface EnrollmentTranscript {
  /** Of this one enrollment, 32 bytes. */
  readonly random: Uint8Array
  readonly tenant: string
  /** SHA-256 of the endorsement key's SubjectPublicKeyInfo, 32 bytes; empty where an AK certificate stands for it. */
  readonly ekDigest: Uint8Array
  readonly akName: Uint8Array
}

const enrollmentBytes = (label: Uint8Array, transcript: EnrollmentTranscript): Uint8Array => {
  const { random, tenant, ekDigest, akName } = transcript
  return lengthPrefixed(label, random, utf8(tenant), ekDigest, akName)
}

/** extraData of the quote that ends an enrollment: SHA-256 over the length-prefixed transcript, 32 bytes. */
export const enrollmentExtraData = (transcript: EnrollmentTranscript): Uint8Array =>
  digestOf("sha256", enrollmentBytes(LABEL.enrollment, transcript))

/**
 * How a device shows that its TPM opened the credential, without saying what was in it: HMAC-SHA256 by that secret over
 * the same transcript under a label of its own, 32 bytes. Secret is the key alone: compare it in constant time.
 */
export const activationMac = (secret: Uint8Array, transcript: EnrollmentTranscript): Uint8Array =>
  createHmac("sha256", secret).update(enrollmentBytes(LABEL.activation, transcript)).digest()
