import type { ClockInfo } from "../../evidence/tpm/attest.ts"
import type { DeviceDescription, DeviceKeys, DeviceState, LastResult, Permit } from "./device.ts"
import type { Act } from "./journal.ts"

/** What a device said about its clock when it last answered a challenge. */
export interface Counters extends ClockInfo {
  /** As it was first seen; nothing from the moment that its operator accepts another until the device has told which. */
  readonly firmwareVersion: bigint | undefined
  /** When the answer was judged, by our clock: a challenge made after it can only be answered later still. */
  readonly recordedAt: Date
}

/** A device as the registry keeps it. Once its keys were taken off it, they are empty. */
export interface DeviceRecord extends DeviceKeys, DeviceDescription {
  readonly tenant: string
  readonly id: string
  readonly state: DeviceState
  /** The policy of its own, if it has one; else its group's judges it, else the tenant's default. */
  readonly policy: string | undefined
  /** Moves on with each administrative change; counters and results leave it alone. */
  readonly revision: number
  readonly createdAt: Date
  /** Id of the enrollment token that let it in, if one did. */
  readonly token: string | undefined
  readonly permit: Permit | undefined
  /** Nothing before the first good answer to a challenge. */
  readonly counters: Counters | undefined
  readonly lastResult: LastResult | undefined
}

/** Certificates and lists that vouch for a device's keys. Each chain is DER, the leaf first; empty if there is none. */
export interface DeviceEndorsement {
  readonly ekCertificateChain: readonly Uint8Array[]
  readonly akCertificateChain: readonly Uint8Array[]
  /** SHA-256 of the endorsement key's SubjectPublicKeyInfo, of a TPM without an EK certificate. 32 bytes. */
  readonly ekDigest: Uint8Array | undefined
}

/** What is needed to register a device by its operator's word. It is active at once. */
export interface NewDevice extends DeviceKeys, DeviceDescription {
  readonly tenant: string
  readonly id: string
  readonly createdAt: Date
}

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
  /** The latest revision of the device's own policy, else of its group's, else of the tenant's default. */
  readonly policy: PolicyRecord | undefined
  /** The generation of the tenant's trust. */
  readonly trustGeneration: number
  /** How many trust anchors the tenant has. Without any, nothing is verified. */
  readonly anchors: number
}

/** Whom a policy is assigned to: one device, those of a group, or all devices of the tenant. The nearest one judges. */
export type PolicyTarget =
  | { readonly kind: "device"; readonly id: string }
  | { readonly kind: "group"; readonly name: string }
  | { readonly kind: "default" }

/**
 * Devices and policies. Every method names the tenant first. Every change is one transaction with its record in the journal,
 * and moves the tenant's revision on; what throws has changed nothing.
 */
export interface Registry {
  /** @throws {AssayError} DEVICE_NOT_FOUND; REGISTRY. */
  snapshotFor(tenant: string, akName: Uint8Array): Promise<Snapshot>
  /**
   * @throws {AssayError} DEVICE_EXISTS if the id or one of the keys is taken, or the id was a removed device's; REGISTRY,
   *   JOURNAL.
   */
  registerDevice(device: NewDevice, act: Act): Promise<DeviceRecord>
  /** @throws {AssayError} DEVICE_NOT_FOUND; REGISTRY. */
  device(tenant: string, id: string): Promise<DeviceRecord>
  /**
   * Stores `document` as the next revision of `name`: an older one that is posted again is newer than what was there.
   *
   * @throws {AssayError} REGISTRY, JOURNAL.
   */
  setPolicy(policy: Omit<PolicyRecord, "revision">, act: Act): Promise<PolicyRecord>
  /** The latest revision. @throws {AssayError} POLICY_NOT_FOUND; REGISTRY. */
  policy(tenant: string, name: string): Promise<PolicyRecord>
  /**
   * The latest revision of what judges the devices of a group that have no policy of their own: the group's policy, else the
   * tenant's default, if there is one. @param group Empty for devices of no group. @throws {AssayError} REGISTRY.
   */
  groupPolicy(tenant: string, group: string): Promise<PolicyRecord | undefined>
  /**
   * Assigns a policy, whatever its latest revision is. Moves the revision on of a device that it is assigned to.
   *
   * @throws {AssayError} POLICY_NOT_FOUND, DEVICE_NOT_FOUND; REGISTRY, JOURNAL.
   */
  assignPolicy(tenant: string, policy: string, target: PolicyTarget, act: Act): Promise<void>
}
