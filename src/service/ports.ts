/** What the service asks of the outside world. Every adapter of a port passes the same conformance suite. */

import type { Policy } from "../appraisal/policy.ts"
import type { ClockInfo } from "../evidence/tpm/attest.ts"
import type { Confirmation } from "../evidence/transcript.ts"
import type { Certificate } from "../evidence/x509/certificate.ts"
import type { EarForm } from "../result/result.ts"
import type { AdvisoryMatch, TpmModel } from "../verification/advisory.ts"
import type { AttestationKey } from "../verification/key.ts"
import type { Purpose } from "../verification/purpose.ts"
import type { RevocationMode } from "../verification/revocation.ts"
import type { Trust } from "../verification/trust.ts"
import type { Verified } from "../verification/verified.ts"
import type { DeniedKeys } from "../verification/weak-key.ts"

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
  /** What vouches for its keys, as it was registered. Verified again with each attestation. */
  readonly endorsement: DeviceEndorsement
  /** The policy of its own, if it has one. */
  readonly policy: string | undefined
  /** Moves on with each administrative change; counters and results leave it alone. */
  readonly revision: number
  readonly createdAt: Date
  /** Nothing before the first good answer to a challenge. */
  readonly counters: Counters | undefined
}

/** Certificates and lists that vouch for a device's keys. Each chain is DER, the leaf first; empty if there is none. */
export interface DeviceEndorsement {
  readonly ekCertificateChain: readonly Uint8Array[]
  readonly akCertificateChain: readonly Uint8Array[]
  /** SHA-256 of the endorsement key's SubjectPublicKeyInfo, of a TPM without an EK certificate. 32 bytes. */
  readonly ekDigest: Uint8Array | undefined
}

/** What is needed to register a device. */
export type NewDevice = Pick<
  DeviceRecord,
  "tenant" | "id" | "akPublic" | "akName" | "qualifiedName" | "endorsement" | "createdAt"
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
  /** The generation of the tenant's trust, if a certificate was verified against it. */
  readonly trust: number | undefined
}

/** Everything that one verification is judged under, read in one transaction. */
export interface Snapshot {
  readonly device: DeviceRecord
  /** The latest revision of the device's own policy, else of the tenant's default. */
  readonly policy: PolicyRecord | undefined
  /** The generation of the tenant's trust. */
  readonly trustGeneration: number
  /** How many trust anchors the tenant has. Without any, nothing is verified. */
  readonly anchors: number
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

/** A trust anchor as the store keeps it. */
export interface AnchorRecord {
  readonly tenant: string
  /** SHA-256 of the certificate in lowercase hexadecimal: its name everywhere. */
  readonly id: string
  /** DER. */
  readonly certificate: Uint8Array
  /** What its operator calls it. */
  readonly label: string
  readonly purpose: Purpose
  readonly revocation: RevocationMode
  /** Where it came from, in its operator's words. */
  readonly provenance: string
  readonly addedAt: Date
}

/** A certificate that may help to build a path, and is never believed for being kept. */
export interface IntermediateRecord {
  readonly tenant: string
  readonly id: string
  readonly certificate: Uint8Array
  /** Where it came from: `import`, or the URL that it was loaded from. */
  readonly source: string
  readonly addedAt: Date
}

/** A certificate revocation list. One is kept for each source. */
export interface CrlRecord {
  readonly tenant: string
  /** `import:`, or the URL that it was loaded from and `#`; then the SHA-256 of its issuer, key and scope. */
  readonly source: string
  /** SHA-256 of the list in lowercase hexadecimal. */
  readonly id: string
  readonly crl: Uint8Array
  readonly addedAt: Date
}

/** An endorsement key that is trusted without a certificate. */
export interface ListedEk {
  readonly tenant: string
  /** SHA-256 of its SubjectPublicKeyInfo, 32 bytes. */
  readonly digest: Uint8Array
  readonly label: string
  readonly addedAt: Date
}

/** An issuer that nobody decided about, kept for review. It is trusted for nothing. */
export interface PendingIssuer {
  readonly tenant: string
  /** SHA-256 of the issuer's name in its comparable form, in lowercase hexadecimal. */
  readonly id: string
  /** The issuer's name as people read it. */
  readonly issuer: string
  /** The chain that was shown first, DER, the leaf first. */
  readonly chain: readonly Uint8Array[]
  readonly firstSeenAt: Date
  readonly lastSeenAt: Date
  /** How often it was shown. */
  readonly count: number
}

/** A pending issuer, without the certificates. */
export type PendingEntry = Omit<PendingIssuer, "chain">

/** What an import adds, all of it or nothing. What is there already is left as it is, but for an anchor's settings. */
export interface TrustImport {
  readonly anchors: readonly Omit<AnchorRecord, "tenant" | "addedAt">[]
  readonly intermediates: readonly Omit<IntermediateRecord, "tenant" | "addedAt">[]
  readonly crls: readonly Omit<CrlRecord, "tenant" | "addedAt">[]
  readonly eks: readonly Omit<ListedEk, "tenant" | "addedAt">[]
}

/** What became of an import. */
export interface ImportedTrust {
  /** From now on. */
  readonly generation: number
  /** How much was not there before, a list in place of an older one too. */
  readonly added: number
  /** How many anchors were there, and have other settings now. */
  readonly changed: number
}

/** The generation of a tenant's trust, and how much of everything there is. */
export interface TrustState {
  readonly generation: number
  readonly anchors: number
  readonly intermediates: number
  readonly crls: number
  readonly eks: number
}

/** All that paths are verified against, as of one generation. */
export interface TrustRecord {
  readonly generation: number
  readonly anchors: readonly AnchorRecord[]
  readonly intermediates: readonly IntermediateRecord[]
  readonly crls: readonly CrlRecord[]
}

/** Trust anchors and what belongs to them. Every method names the tenant first. */
export interface TrustStore {
  /** Counted, not read. @throws {AssayError} REGISTRY. */
  trustState(tenant: string): Promise<TrustState>
  /** All in one transaction. A row whose bytes are not those of its id is a failure. @throws {AssayError} REGISTRY. */
  trust(tenant: string): Promise<TrustRecord>
  /**
   * Adds all, and moves the generation on, once, if anything changed.
   *
   * @param expectedGeneration The one that `parts` were compared with. Without it, they are as good in any.
   * @throws {AssayError} SNAPSHOT_MOVED if another generation is current; TRUST_FULL over the bounds; REGISTRY, also for
   *   an id that is not the digest of its bytes.
   */
  importTrust(
    tenant: string,
    parts: TrustImport,
    at: Date,
    expectedGeneration?: number,
  ): Promise<ImportedTrust>
  /**
   * Removes whatever has this id, anchor, intermediate, list or listed key, and moves the generation on. @throws
   * {AssayError} TRUST_NOT_FOUND; REGISTRY.
   */
  removeTrust(tenant: string, id: string): Promise<{ readonly generation: number }>
  /** The listed key with this digest, if there is one. @throws {AssayError} REGISTRY. */
  listedEk(tenant: string, digest: Uint8Array): Promise<ListedEk | undefined>
  /** Listed keys in the order of their digests, after `after`, at most `max` and at most 1,000. @throws {AssayError} REGISTRY. */
  listedEks(tenant: string, after: Uint8Array | undefined, max: number): Promise<readonly ListedEk[]>
  /**
   * Keeps an unknown issuer for review, or counts it again. Bounded: the least lately seen one gives way, and of a long
   * chain the first 64 KiB are kept. @throws {AssayError} REGISTRY.
   */
  notePending(tenant: string, issuer: Pick<PendingIssuer, "id" | "issuer" | "chain">, at: Date): Promise<void>
  /** The latest first. @throws {AssayError} REGISTRY. */
  pendingIssuers(tenant: string): Promise<readonly PendingEntry[]>
  /** @throws {AssayError} TRUST_NOT_FOUND; REGISTRY. */
  pendingIssuer(tenant: string, id: string): Promise<PendingIssuer>
  /** How many there are. @throws {AssayError} REGISTRY. */
  countPending(tenant: string): Promise<number>
  /** @throws {AssayError} TRUST_NOT_FOUND; REGISTRY. */
  dismissPending(tenant: string, id: string): Promise<void>
}

/** Makes a tenant's trust ready to verify with. A cache wraps it; generations never come back. */
export type LoadTrust = (tenant: string, generation: number) => Promise<Trust>

/** What the world publishes at a URL: a CRL, or certificates of an issuer. */
export type Published = "crl" | "certificates"

/**
 * Loads what is published at a URL, within limits of time and size. Never during a request: only the refresher holds it.
 *
 * @throws {AssayError} REVOCATION for a CRL, TRUST for certificates, with the URL as location: for a host that is not
 *   listed, over a limit, and for whatever else did not give all of it.
 */
export type Fetch = (url: string, kind: Published, signal: AbortSignal) => Promise<Uint8Array>

/** Lets others work. What takes long calls it between its parts. */
export type Breathe = () => Promise<void>

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

/** The revisions that a record tells of: no device's of a change of trust. */
export interface RecordedRevisions extends Omit<Revisions, "device"> {
  readonly device: number | undefined
}

/** One decision, as the journal keeps it. Never a token, a nonce or a key. */
export interface JournalRecord {
  readonly at: Date
  readonly tenant: string
  readonly caller: string
  readonly act:
    | "verify"
    | "register-device"
    | "set-policy"
    | "assign-policy"
    | "import-trust"
    | "remove-trust"
    | "dismiss-issuer"
    | "refresh-trust"
  readonly device: string
  /** Tier of a verification; "done" of an administrative act. */
  readonly outcome: string
  /** Codes of the findings, the worst first. */
  readonly codes: readonly string[]
  /** SHA-256 of the evidence, or of the document of an administrative act. */
  readonly evidenceDigest: Uint8Array
  readonly policyDigest: Uint8Array | undefined
  /** What a verification was judged under, or what an administrative act made. */
  readonly revisions: RecordedRevisions | undefined
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
  /** Certificates of the device's registration, parsed: the leaf first. */
  readonly akChain: readonly Certificate[]
  readonly ekChain: readonly Certificate[]
}

/** Makes contexts of snapshots. A cache wraps it; with and without one, every verification ends alike. */
export type Compile = (snapshot: Snapshot) => Context

/** Known weaknesses of TPMs of a make and firmware. */
export type AdvisoriesFor = (tpm: TpmModel) => readonly AdvisoryMatch[]

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
  readonly breathe: Breathe
  readonly registry: Registry
  readonly trust: TrustStore
  readonly loadTrust: LoadTrust
  /**
   * Notes certificates that a device has shown: what they name is looked after from now on. Bounded for each device, which
   * has proven that it is the one; nothing else is believed.
   */
  readonly want: (tenant: string, chain: readonly Certificate[], device: string) => void
  /** Keys that nobody may be trusted by. */
  readonly denied: DeniedKeys
  readonly advisoriesFor: AdvisoriesFor
  readonly challenges: Challenges
  readonly epochs: Epochs
  readonly journal: Journal
  readonly signer: Signer
  readonly compile: Compile
  readonly settings: Settings
}
