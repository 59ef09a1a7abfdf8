import type { SessionKey } from "../../evidence/transcript.ts"

/** What a challenge says to whoever made it, and to nobody else. */
export interface Challenge {
  /** 32 bytes. */
  readonly random: Uint8Array
  readonly tenant: string
  /** The caller that made it and alone may use it. */
  readonly caller: string
  /** Empty if any device may answer. */
  readonly device: string
  readonly audience: string
  readonly confirmation: SessionKey | undefined
  /** Empty for whichever is assigned. */
  readonly policy: string
  /** The lowest acceptable revision of the policy; 0 for any. */
  readonly policyRevision: number
  readonly issuedAt: Date
  readonly expiresAt: Date
}

/** What a value is sealed for. Sealed for one purpose, it never opens for another. */
export type SealedPurpose = "attest" | "enroll"

/** What is handed out sealed, and comes back to be used once. */
export interface SingleUseValue {
  readonly purpose: SealedPurpose
  readonly tenant: string
  /** 32 random bytes, by which it is known again. */
  readonly id: Uint8Array
  readonly expiresAt: Date
  /** Whatever its maker has to know again. */
  readonly content: Uint8Array
}

/** A value that was opened, and where it was sealed: it is good for nothing else. */
export interface OpenedValue extends SingleUseValue {
  /** What it is known by among all values of the process that sealed it: tenant, purpose and id. */
  readonly key: string
  /** By which sealing key, 8 bytes, and under which state of the store of those that were spent. */
  readonly origin: { readonly keyId: Uint8Array; readonly fence: string }
}

/**
 * Seals values that nobody stores, opens them, and lets each be used at most once, whichever replica it comes back to. The
 * sealing keys and the memory of what was spent have one owner and end together.
 *
 * Every method throws NONCE_STORE if the owner does not answer in time, and CLOCK if its clock and ours differ. After
 * either, from `spend` and `attempt`, a value counts as used: what was lost may have been the answer alone.
 */
export interface SingleUse {
  /** At most 2,048 bytes of a challenge, 32 KiB of an enrollment. @throws {AssayError} RNG, NONCE_STORE, CLOCK. */
  seal(value: SingleUseValue): Promise<Uint8Array>
  /**
   * Opens without a write.
   *
   * @throws {AssayError} NONCE_UNKNOWN for what was not sealed here for that purpose, NONCE_EXPIRED; NONCE_SPENT where it is
   *   known already; NONCE_STORE, CLOCK.
   */
  open(purpose: SealedPurpose, sealed: Uint8Array, at: Date): Promise<OpenedValue>
  /**
   * Counts a try, and gives how many there were with this one. Whoever guesses at a value's secret has so many.
   *
   * @throws {AssayError} as `spend`, but for NONCE_SPENT.
   */
  attempt(value: OpenedValue, at: Date): Promise<number>
  /**
   * Counts under 32 bytes that say what is counted, until an instant. Gives how many there were with this one.
   *
   * @throws {AssayError} CHALLENGES_FULL; NONCE_STORE, CLOCK.
   */
  count(tenant: string, id: Uint8Array, until: Date, at: Date): Promise<number>
  /**
   * Spends: of all that ever try, on whichever replica, at most one succeeds.
   *
   * @throws {AssayError} NONCE_SPENT, NONCE_EXPIRED; NONCE_FENCED if the store was restarted or replaced since the value
   *   was sealed and may have forgotten it; CHALLENGES_FULL if the store is full, and then the value is unspent;
   *   NONCE_STORE, CLOCK.
   */
  spend(value: OpenedValue, at: Date): Promise<void>
}

/** One epoch of a tenant. */
export interface Epoch {
  readonly number: number
  /** HMAC-SHA-256(epoch key, tenant, number), 32 bytes: equal on all replicas. */
  readonly value: Uint8Array
  readonly startsAt: Date
  readonly endsAt: Date
}

/** Epochs: equal intervals of wall clock time, counted from 1970. Both methods throw NONCE_STORE without their key. */
export interface Epochs {
  /** @throws {AssayError} NONCE_STORE, CLOCK. */
  current(tenant: string, at: Date): Promise<Epoch>
  /** The epoch of this number, if it is the current one or the one before. @throws {AssayError} EPOCH; NONCE_STORE, CLOCK. */
  accepted(tenant: string, number: number, at: Date): Promise<Epoch>
}
