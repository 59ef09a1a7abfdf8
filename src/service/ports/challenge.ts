import type { Confirmation } from "../../evidence/transcript.ts"

/** What is sealed into a challenge. */
export interface Challenge {
  /** 32 bytes. */
  readonly random: Uint8Array
  readonly tenant: string
  /** The caller that made it and alone may use it. */
  readonly caller: string
  readonly purpose: "attest"
  /** Empty if any device may answer. */
  readonly device: string
  readonly audience: string
  readonly confirmation: Confirmation | undefined
  /** Empty for whichever is assigned. */
  readonly policy: string
  /** The lowest acceptable revision of the policy; 0 for any. */
  readonly policyRevision: number
  readonly issuedAt: Date
  readonly expiresAt: Date
}

/** Seals challenges, opens them, and spends each at most once. The key and the spent set die together. */
export interface Challenges {
  /** @throws {AssayError} RNG. */
  seal(challenge: Challenge): Uint8Array
  /**
   * Opens without writing. @throws {AssayError} NONCE_UNKNOWN for what this key did not seal, NONCE_EXPIRED,
   * NONCE_SPENT.
   */
  open(sealed: Uint8Array, at: Date): Challenge
  /**
   * Spends, at most one caller succeeds. @throws {AssayError} NONCE_SPENT, NONCE_EXPIRED; CHALLENGES_FULL when
   * the bound of unexpired spent challenges is reached, and then this one counts as unspent.
   */
  spend(challenge: Challenge, at: Date): Promise<void>
}

/** One epoch of a tenant. */
export interface Epoch {
  readonly number: number
  /** HMAC-SHA-256(epoch key, tenant, number), 32 bytes. */
  readonly value: Uint8Array
  readonly startsAt: Date
  readonly endsAt: Date
}

/** Epochs: equal intervals of wall clock time, counted from 1970. */
export interface Epochs {
  current(tenant: string, at: Date): Epoch
  /** The epoch of this number, if it is the current one or the one before. @throws {AssayError} EPOCH. */
  accepted(tenant: string, number: number, at: Date): Epoch
}
