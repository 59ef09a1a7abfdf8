import type { Act } from "./journal.ts"
import type { Counters, DeviceEndorsement, DeviceRecord } from "./registry.ts"

/**
 * Where a device stands with its operator. `pending` waits for approval, `suspended` may come back, `revoked` and `retired`
 * never do. Only an `active` device gets a session.
 */
export type DeviceState = "pending" | "active" | "suspended" | "revoked" | "retired"

/** What binds the attestation key to a TPM: credential activation, a certificate of the key, or its operator's word. */
export type KeyBinding = "activation" | "certificate" | "operator"

/** The keys that a device is known by. They change together, or not at all. */
export interface DeviceKeys {
  /** TPMT_PUBLIC of its attestation key. */
  readonly akPublic: Uint8Array
  /** Unique in its tenant. */
  readonly akName: Uint8Array
  /** What qualifiedSigner must be, if the key's parent is known. */
  readonly qualifiedName: Uint8Array | undefined
  /** SHA-256 of the endorsement key's SubjectPublicKeyInfo, 32 bytes, if it is known. Unique in its tenant. */
  readonly ek: Uint8Array | undefined
  readonly binding: KeyBinding
  readonly endorsement: DeviceEndorsement
}

/** What an operator says about a device. */
export interface DeviceDescription {
  /** One name that policies are assigned by; empty for none. As an id. */
  readonly group: string
  /** At most 32. Keys as an id, values of at most 255 visible ASCII characters or spaces. */
  readonly labels: ReadonlyMap<string, string>
  /** What the device called itself when it enrolled: a label, never a key. Empty if nothing. */
  readonly claimedName: string
}

/** What came of the last evidence that answered a challenge. */
export interface LastResult {
  readonly at: Date
  readonly tier: string
  /** The worst code, if there was one. */
  readonly code: string | undefined
  /** When the device last got a session; nothing if it never did. Not later than `at`. */
  readonly admittedAt: Date | undefined
}

/** What its operator allows a device once: to enroll again with the keys that its TPM then shows. */
export type Permit = PermittedKey & {
  readonly kind: "re-enrollment" | "ak-rotation" | "board-swap"
  readonly expiresAt: Date
}

/**
 * The key that it must enroll with: an endorsement key, its own or the new board's; or, where no endorsement key is known
 * that could say who comes, the attestation key with this Name, by a certificate of that key.
 */
export type PermittedKey =
  | { readonly ek: Uint8Array; readonly akName?: undefined }
  | { readonly akName: Uint8Array; readonly ek?: undefined }

/** What one administrative change sets. What is absent stays as it is. */
export interface DeviceChange {
  readonly state?: DeviceState
  readonly group?: string
  readonly labels?: ReadonlyMap<string, string>
  /** `undefined` inside takes the policy away. */
  readonly policy?: { readonly name: string | undefined }
  readonly keys?: DeviceKeys
  /** Takes the endorsement and attestation key off the device, so that they can enroll anew under another id. */
  readonly releaseKeys?: true
  /** What it starts counting from; `undefined` inside forgets what was seen. */
  readonly counters?: { readonly from: Counters | undefined }
  /** Takes the firmware version out of what was seen, and leaves the clock, which must never go back. */
  readonly forgetsFirmware?: true
  readonly permit?: { readonly granted: Permit | undefined }
  /** Whether sessions judged under earlier revisions end: a revocation from the new revision on is kept. */
  readonly endsSessions?: true
}

/** Sessions of a device that were judged under an earlier revision than `fromRevision` are revoked. */
export interface Revocation {
  readonly tenant: string
  readonly device: string
  readonly fromRevision: number
  readonly at: Date
}

/** What a list of devices is narrowed by: all of it holds. */
export interface DeviceFilter {
  readonly state?: DeviceState
  readonly group?: string
  readonly policy?: string
  readonly label?: { readonly key: string; readonly value: string }
  readonly idPrefix?: string
  /** Last session before this instant, or never one. */
  readonly silentSince?: Date
  /** Last session at or after this instant. */
  readonly seenSince?: Date
}

/** Where a page ends: a device that need not be there any more. */
export interface DeviceCursor {
  readonly id: string
  readonly createdAt: Date
}

/** One page: by what never changes, so that pages stay whole while devices come and go. */
export interface DeviceQuery {
  readonly filter: DeviceFilter
  readonly order: "id" | "created"
  readonly descending: boolean
  /** `next` of the page before. */
  readonly after: DeviceCursor | undefined
  /** 1 to 1,000. */
  readonly max: number
}

/**
 * Part of a list. The work for a page is bounded, however large the fleet is and however rare what was asked for: a page
 * may have fewer devices than asked for, or none, and yet not be the last.
 */
export interface DevicePage {
  readonly devices: readonly DeviceRecord[]
  /** Nothing if this is the last page. */
  readonly next: DeviceCursor | undefined
}

/** A device to bring in as it is: from an export, or by its operator's word. */
export type ImportedDevice = DeviceKeys &
  DeviceDescription & {
    readonly id: string
    readonly state: DeviceState
    readonly policy: string | undefined
    readonly createdAt: Date
    readonly counters: Counters | undefined
  }

/** A token that lets devices enroll, known by the digest of its secret alone. */
export interface EnrollmentTokenRecord {
  readonly tenant: string
  /** Random, as an id. */
  readonly id: string
  /** SHA-256 of the secret, 32 bytes. Unique over all tenants. */
  readonly digest: Uint8Array
  readonly usesMax: number
  readonly uses: number
  readonly createdAt: Date
  readonly expiresAt: Date
  readonly revoked: boolean
  /** What devices that enroll with it are put into. */
  readonly group: string
  readonly labels: ReadonlyMap<string, string>
}

/** A device that has proven its keys. */
export interface EnrolledDevice extends DeviceKeys, DeviceDescription {
  readonly tenant: string
  /** The id that it gets unless it is there already, with a permit. */
  readonly id: string
  readonly state: "pending" | "active"
  readonly createdAt: Date
  /** What its first quote said. */
  readonly counters: Counters
  /** Generation of the tenant's trust that its keys were verified under. */
  readonly trust: number
  /**
   * The enrollment token that let it in, which is used once more with it. It stays with the device (`DeviceRecord.token`), for
   * who holds it speaks for devices that it let in and for no others; its group and labels win over those here.
   */
  readonly token: string | undefined
}

/**
 * Devices as operators manage them. Every method names the tenant first. Every change is one transaction with its record
 * in the journal, and moves the device's revision and the tenant's on.
 */
export interface Devices {
  /**
   * Makes a device, or gives a device that has a permit for this endorsement key, or without one for this attestation key,
   * its new keys, moves its revision on, ends its sessions and takes the permit away. Of two racing calls with one key one succeeds.
   *
   * @throws {AssayError} DEVICE_EXISTS if the endorsement key or the attestation key is another device's, or this one's
   *   without permit; ENROLLMENT_TOKEN if the token is used up, expired or revoked; SNAPSHOT_MOVED if another generation of
   *   trust is current; AK_BINDING for certificates of another cloud instance than the device with the permit is;
   *   REGISTRY, JOURNAL.
   */
  enroll(device: EnrolledDevice, act: Act): Promise<DeviceRecord>
  /**
   * @param revision What the change was decided on; `undefined` for whatever is current.
   * @throws {AssayError} DEVICE_NOT_FOUND, POLICY_NOT_FOUND; ETAG for another revision; DEVICE_STATE for a state that a
   *   device does not come back from; DEVICE_EXISTS for keys of another device; REGISTRY, JOURNAL.
   */
  change(
    tenant: string,
    id: string,
    revision: number | undefined,
    change: DeviceChange,
    act: Act,
  ): Promise<DeviceRecord>
  /** Forgets a device; its id is never given again. @throws as `change`. */
  remove(tenant: string, id: string, revision: number | undefined, act: Act): Promise<void>
  /** @throws {AssayError} REGISTRY. */
  list(tenant: string, query: DeviceQuery): Promise<DevicePage>
  /**
   * Brings in at most 1,000 devices, all or none; those that are there with the same keys are left as they are.
   *
   * @throws {AssayError} DEVICE_EXISTS for an id or a key that is taken, with the position as location; POLICY_NOT_FOUND;
   *   REGISTRY, JOURNAL.
   */
  import(tenant: string, devices: readonly ImportedDevice[], act: Act): Promise<{ readonly added: number }>
  /** Revocations of the tenant, at most `max`, in the order they were made, after `after`. */
  revocations(
    tenant: string,
    after: number,
    max: number,
  ): Promise<readonly (Revocation & { readonly sequence: number })[]>
  /** @throws {AssayError} REGISTRY, JOURNAL. */
  addEnrollmentToken(token: Omit<EnrollmentTokenRecord, "uses" | "revoked">, act: Act): Promise<void>
  /** By the digest of its secret, in any tenant; also one that is used up, expired or revoked. */
  enrollmentToken(digest: Uint8Array): Promise<EnrollmentTokenRecord | undefined>
  /** In the order of ids. */
  enrollmentTokens(tenant: string, after: string, max: number): Promise<readonly EnrollmentTokenRecord[]>
  /** @throws {AssayError} ENROLLMENT_TOKEN_NOT_FOUND; REGISTRY, JOURNAL. */
  revokeEnrollmentToken(tenant: string, id: string, act: Act): Promise<void>
  /** Moves on with every administrative change of the tenant: devices, policies, trust, tokens. */
  revision(tenant: string): Promise<number>
}
