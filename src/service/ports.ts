/** What the service asks of the outside world. Every adapter of a port passes the same conformance suite. */

import type { Measure } from "../appraisal/appraise.ts"
import type { CompiledPolicy } from "../appraisal/compile.ts"
import type { Certificate } from "../evidence/x509/certificate.ts"
import type { EarForm } from "../result/result.ts"
import type { AdvisoryMatch, TpmModel } from "../verification/advisory.ts"
import type { verifyEndorsements } from "../verification/endorsements.ts"
import type { AttestationKey } from "../verification/key.ts"
import type { Verified } from "../verification/verified.ts"
import type { DeniedKeys } from "../verification/weak-key.ts"
import type { JournalArchive } from "./ports/archive.ts"
import type { Breathe, Clock, Meter, Pause, Random } from "./ports/caller.ts"
import type { Epochs, SingleUse } from "./ports/challenge.ts"
import type { Confirm } from "./ports/changes.ts"
import type { Devices } from "./ports/device.ts"
import type { DeviceAuthority } from "./ports/device-authority.ts"
import type { EventLogs, LogOwner } from "./ports/event-log.ts"
import type { Journal } from "./ports/journal.ts"
import type { Counters, Registry, Snapshot } from "./ports/registry.ts"
import type { LoadTrust, TrustStore } from "./ports/trust.ts"
import type { Verdicts } from "./ports/verdict.ts"

export type * from "./ports/archive.ts"
export type * from "./ports/caller.ts"
export type * from "./ports/challenge.ts"
export type * from "./ports/changes.ts"
export type * from "./ports/device.ts"
export type * from "./ports/device-authority.ts"
export type * from "./ports/event-log.ts"
export * from "./ports/journal.ts"
export type * from "./ports/keys.ts"
export type * from "./ports/registry.ts"
export type * from "./ports/trust.ts"
export type * from "./ports/verdict.ts"

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
  /** What its signatures are verified by, as it is published (RFC 7517). */
  publicJwks(): { readonly keys: readonly object[] }
}

/** What a snapshot becomes before it is judged by: the key and the policy ready to use. */
export interface Context {
  readonly snapshot: Snapshot
  readonly ak: Verified<AttestationKey>
  readonly policy: CompiledPolicy | undefined
  /** Whose event logs are known of it: one object as long as the device is remembered, whatever its counters say. */
  readonly owner: LogOwner
  /** Certificates of the device's registration, parsed: the leaf first. */
  readonly akChain: readonly Certificate[]
  readonly ekChain: readonly Certificate[]
}

/** A context, and where it is from. */
export interface FoundContext {
  readonly context: Context
  /** It may be older than the store: only a commit that confirms all of its revisions says that it still holds. */
  readonly isRemembered: boolean
}

/** What devices are judged by. A cache wraps it; with and without one, every verification ends alike. */
export interface Contexts {
  /** The context as it is remembered; nothing if it is not. */
  remembered(tenant: string, akName: Uint8Array): Context | undefined
  /**
   * The context of a device by the Name of its attestation key, as it is remembered or as it is now.
   *
   * @throws {AssayError} DEVICE_NOT_FOUND, REGISTRY.
   */
  contextFor(tenant: string, akName: Uint8Array): Promise<FoundContext>
  /** The same as it is now, whatever is remembered. @throws {AssayError} DEVICE_NOT_FOUND, REGISTRY. */
  readContext(tenant: string, akName: Uint8Array): Promise<Context>
  /** Says what counters a commit has written for a device that was judged by this context. */
  moved(context: Context, counters: Counters): void
}

/** Known weaknesses of TPMs of a make and firmware. */
export type AdvisoriesFor = (tpm: TpmModel) => readonly AdvisoryMatch[]

/** Settings of the service itself. */
export interface Settings {
  /** `iss` of every token. */
  readonly issuer: string
  readonly build: string
  readonly challengeLifetimeMs: number
  readonly enrollment: {
    readonly lifetimeMs: number
    /** Whether devices that have proven their keys are active, or wait for their operator. */
    readonly approval: "automatic" | "operator"
  }
  /** How long ago a device's last session may be before it counts as silent. */
  readonly silenceMs: number
  /** The wire form of results for an audience. */
  readonly earForm: (audience: string) => EarForm
}

/** All ports that the use cases need. */
export interface Ports {
  readonly clock: Clock
  readonly random: Random
  readonly breathe: Breathe
  readonly pause: Pause
  readonly registry: Registry
  readonly logs: EventLogs
  readonly devices: Devices
  readonly trust: TrustStore
  readonly loadTrust: LoadTrust
  /**
   * Notes certificates that a device has shown: what they name is looked after from now on. Bounded for each device, which
   * has proven that it is the one; nothing else is believed.
   */
  readonly want: (tenant: string, chain: readonly Certificate[], device: string) => void
  readonly meter: Meter
  /** Keys that nobody may be trusted by. */
  readonly denied: DeniedKeys
  readonly advisoriesFor: AdvisoriesFor
  readonly confirm: Confirm
  readonly singleUse: SingleUse
  readonly epochs: Epochs
  readonly journal: Journal
  readonly archive: JournalArchive
  readonly signer: Signer
  readonly deviceAuthority: DeviceAuthority
  readonly contexts: Contexts
  readonly verdicts: Verdicts
  readonly measure: Measure
  /** A cache wraps it; with and without one, every verification ends alike. */
  readonly verifyEndorsements: typeof verifyEndorsements
  readonly settings: Settings
}
