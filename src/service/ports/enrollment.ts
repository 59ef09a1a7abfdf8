import type { DeviceEndorsement } from "./registry.ts"

/**
 * What is sealed into an enrollment between its two steps: all that the first step checked, so that the second one speaks
 * of the same keys and of no others, on whichever replica it arrives.
 */
export interface Enrollment {
  /** 32 bytes, of the transcript. It also names the enrollment. */
  readonly random: Uint8Array
  readonly tenant: string
  /** The caller that began it and alone may complete it. */
  readonly caller: string
  /** The enrollment token that the caller came with, if it came with one. */
  readonly token: string | undefined
  /** TPMT_PUBLIC of the attestation key. */
  readonly akPublic: Uint8Array
  /** What the device said that qualifiedSigner will be, if it said so. */
  readonly qualifiedName: Uint8Array | undefined
  /** TPMT_PUBLIC of the endorsement key, rebuilt from its template; nothing if a certificate binds the attestation key. */
  readonly ekPublic: Uint8Array | undefined
  readonly endorsement: DeviceEndorsement
  /** What the credential was made over, 32 bytes; nothing without an endorsement key. It leaves Assay only encrypted. */
  readonly secret: Uint8Array | undefined
  /** What the device calls itself: a label. */
  readonly claimedName: string
  readonly issuedAt: Date
  readonly expiresAt: Date
}

/**
 * Seals enrollments, opens them, counts their tries, and spends each at most once. As with challenges, the key and what
 * was spent have one owner and end together; a value that was sealed as a challenge is no enrollment, nor the reverse.
 */
export interface Enrollments {
  /** At most 32 KiB: the chains of both keys have at most 24 KiB together. @throws {AssayError} RNG, NONCE_STORE. */
  seal(enrollment: Enrollment): Promise<Uint8Array>
  /**
   * Opens without a write. @throws {AssayError} NONCE_UNKNOWN for what this key did not seal, NONCE_CONTEXT for what it
   * sealed for another purpose, NONCE_EXPIRED, NONCE_SPENT; NONCE_STORE.
   */
  open(sealed: Uint8Array, at: Date): Promise<Enrollment>
  /** Counts one more answer. @throws {AssayError} ACTIVATION if there were too many; NONCE_STORE. */
  attempt(enrollment: Enrollment, at: Date): Promise<void>
  /** Spends, at most one caller succeeds. @throws {AssayError} NONCE_SPENT, NONCE_EXPIRED, CHALLENGES_FULL, NONCE_STORE. */
  spend(enrollment: Enrollment, at: Date): Promise<void>
  /**
   * Counts one more beginning by a caller for one key, within minutes. What is counted are keys that were proven to be
   * somebody's, so that invented ones fill no store. @throws {AssayError} ENROLLMENT_LIMIT if there were too many;
   * NONCE_STORE.
   */
  admit(tenant: string, caller: string, keyDigest: Uint8Array, at: Date): Promise<void>
}
