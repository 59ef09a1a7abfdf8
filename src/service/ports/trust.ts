import type { Purpose } from "../../verification/purpose.ts"
import type { RevocationMode } from "../../verification/revocation.ts"
import type { Trust } from "../../verification/trust.ts"
import type { Act } from "./journal.ts"

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

/**
 * Trust anchors and what belongs to them. Every method names the tenant first. Every change that has an act is one
 * transaction with its record in the journal, and moves the tenant's revision on; what throws has changed nothing.
 */
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
   *   an id that is not the digest of its bytes; JOURNAL.
   */
  importTrust(
    tenant: string,
    parts: TrustImport,
    act: Act,
    expectedGeneration?: number,
  ): Promise<ImportedTrust>
  /**
   * Removes whatever has this id, anchor, intermediate, list or listed key, and moves the generation on. @throws
   * {AssayError} TRUST_NOT_FOUND; REGISTRY, JOURNAL.
   */
  removeTrust(tenant: string, id: string, act: Act): Promise<{ readonly generation: number }>
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
  /** @throws {AssayError} TRUST_NOT_FOUND; REGISTRY, JOURNAL. */
  dismissPending(tenant: string, id: string, act: Act): Promise<void>
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
