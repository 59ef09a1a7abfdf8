import type { ClockInfo } from "../../evidence/tpm/attest.ts"

/** What a device said about its clock when it last answered a challenge. */
export interface Counters extends ClockInfo {
  /** As it was first seen; nothing from the moment that its operator accepts another until the device has told which. */
  readonly firmwareVersion: bigint | undefined
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
