/** What the service asks of the outside world. Every adapter of a port passes the same conformance suite. */

import type { Policy } from "../appraisal/policy.ts"
import type { ClockInfo } from "../evidence/tpm/attest.ts"
import type { Confirmation } from "../evidence/transcript.ts"
import type { EarForm } from "../result/result.ts"
import type { AttestationKey } from "../verification/key.ts"
import type { Verified } from "../verification/verified.ts"

/** Who calls: told by the connection and its credentials, never by the request. */
export interface Caller {
  readonly tenant: string
  readonly id: string
}

/** The wall clock. */
export interface Clock {
  now(): Date
}

/** Random bytes from a source whose health is watched. */
export interface Random {
  /** @throws {AssayError} RNG if the source fails, repeats itself or gives constant output. */
  bytes(size: number): Uint8Array
}

/** What a device said about its clock when it last answered a challenge. */
export interface Counters extends ClockInfo {
  /** As it was first seen. */
  readonly firmwareVersion: bigint
  /** When the answer was judged, by our clock: a challenge made after it can only be answered later still. */
  readonly recordedAt: Date
}

/** A device as the registry keeps it. */
export interface DeviceRecord {
  readonly tenant: string
  readonly id: string
  /** TPMT_PUBLIC of its attestation key. */
  readonly akPublic: Uint8Array
  readonly akName: Uint8Array
  /** What qualifiedSigner must be, if the key's parent is known. */
  readonly qualifiedName: Uint8Array | undefined
  /** The policy of its own, if it has one. */
  readonly policy: string | undefined
  /** Moves on with each administrative change; counters and results leave it alone. */
  readonly revision: number
  readonly createdAt: Date
  /** Nothing before the first good answer to a challenge. */
  readonly counters: Counters | undefined
}

/** What is needed to register a device. */
export type NewDevice = Pick<
  DeviceRecord,
  "tenant" | "id" | "akPublic" | "akName" | "qualifiedName" | "createdAt"
>

/** One revision of a policy document. It never changes. */
export interface PolicyRecord {
  readonly tenant: string
  readonly name: string
  readonly revision: number
  /** YAML or JSON, as it was set. */
  readonly document: string
  /** SHA-256 of the document's UTF-8 bytes. */
  readonly digest: Uint8Array
}

/** The revisions that one verification was judged under. */
export interface Revisions {
  readonly device: number
  /** Which policy was assigned, by name and revision; nothing if none was. */
  readonly policy: { readonly name: string; readonly revision: number } | undefined
}

/** Everything that one verification is judged under, read in one transaction. */
export interface Snapshot {
  readonly device: DeviceRecord
  /** The latest revision of the device's own policy, else of the tenant's default. */
  readonly policy: PolicyRecord | undefined
}

/** Devices and policies. Every method names the tenant first. */
export interface Registry {
  /** @throws {AssayError} DEVICE_NOT_FOUND; REGISTRY. */
  snapshotFor(tenant: string, akName: Uint8Array): Promise<Snapshot>
  /** @throws {AssayError} DEVICE_EXISTS if the id or the key's Name is taken; REGISTRY. */
  registerDevice(device: NewDevice): Promise<DeviceRecord>
  /** @throws {AssayError} DEVICE_NOT_FOUND; REGISTRY. */
  device(tenant: string, id: string): Promise<DeviceRecord>
  /** Stores `document` as the next revision of `name`. @throws {AssayError} REGISTRY. */
  setPolicy(policy: Omit<PolicyRecord, "revision">): Promise<PolicyRecord>
  /** The latest revision. @throws {AssayError} POLICY_NOT_FOUND; REGISTRY. */
  policy(tenant: string, name: string): Promise<PolicyRecord>
  /** The latest revision of the tenant's default policy, if there is one. @throws {AssayError} REGISTRY. */
  defaultPolicy(tenant: string): Promise<PolicyRecord | undefined>
  /**
   * Assigns a policy to a device, or to every device of the tenant without one of its own. Moves the device's
   * revision on. @throws {AssayError} POLICY_NOT_FOUND, DEVICE_NOT_FOUND; REGISTRY.
   */
  assignPolicy(tenant: string, policy: string, device: string | undefined): Promise<void>
}

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

/** One decision, as the journal keeps it. Never a token, a nonce or a key. */
export interface JournalRecord {
  readonly at: Date
  readonly tenant: string
  readonly caller: string
  readonly act: "verify" | "register-device" | "set-policy" | "assign-policy"
  readonly device: string
  /** Tier of a verification; "done" of an administrative act. */
  readonly outcome: string
  /** Codes of the findings, the worst first. */
  readonly codes: readonly string[]
  /** SHA-256 of the evidence, or of the document of an administrative act. */
  readonly evidenceDigest: Uint8Array
  readonly policyDigest: Uint8Array | undefined
  readonly revisions: Revisions | undefined
  /** jti of the token that this record lets out. */
  readonly tokenId: string | undefined
}

/** What is written together with a record, or not at all. */
export interface Commit {
  readonly device: string
  /** Compared with what is current at commit. */
  readonly revisions: Revisions
  /** The new counters, after evidence that answered a challenge. Never rewinds what is stored. */
  readonly counters: Counters | undefined
  /** Whether the snapshot had counters to judge the evidence by. */
  readonly known: boolean
}

/** The record of every decision, durable before its token leaves. */
export interface Journal {
  /**
   * Appends, and writes the commit in the same transaction. Resolves when both are durable.
   *
   * @throws {AssayError} SNAPSHOT_MOVED if a revision is no longer current, or if the device has meanwhile
   *   answered from a later boot; JOURNAL if it cannot be made durable. Then nothing was written.
   */
  append(record: JournalRecord, commit?: Commit): Promise<void>
}

/** A signature algorithm for tokens (RFC 7518, RFC 8037). */
export type SignatureAlgorithm = "ES256" | "EdDSA"

/** Signs tokens. */
export interface Signer {
  readonly algorithm: SignatureAlgorithm
  readonly keyId: string
  /** After this instant no token signed by the key may be valid. */
  readonly notAfter: Date
  /**
   * JWS signature over `input`: r and s of 32 bytes each, or Ed25519's 64 bytes.
   *
   * @throws {AssayError} SIGNER if the key has not proven itself.
   */
  sign(input: Uint8Array): Uint8Array
}

/** What a snapshot becomes before it is judged by: the key and the policy ready to use. */
export interface Context {
  readonly snapshot: Snapshot
  readonly ak: Verified<AttestationKey>
  readonly policy: Policy | undefined
}

/** Makes contexts of snapshots. A cache wraps it; with and without one, every verification ends alike. */
export type Compile = (snapshot: Snapshot) => Context

/** Settings of the service itself. */
export interface Settings {
  /** `iss` of every token. */
  readonly issuer: string
  readonly build: string
  readonly challengeLifetimeMs: number
  /** The wire form of results for an audience. */
  readonly earForm: (audience: string) => EarForm
}

/** All ports that the use cases need. */
export interface Ports {
  readonly clock: Clock
  readonly random: Random
  readonly registry: Registry
  readonly challenges: Challenges
  readonly epochs: Epochs
  readonly journal: Journal
  readonly signer: Signer
  readonly compile: Compile
  readonly settings: Settings
}
