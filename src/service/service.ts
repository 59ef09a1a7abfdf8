import type { RawEvidence } from "../evidence/evidence.ts"
import type { SessionKey, Transcript } from "../evidence/transcript.ts"
import type { AttestationResult } from "../result/result.ts"
import { type BeginEnrollmentInput, type BegunEnrollment, createBeginEnrollment } from "./begin-enrollment.ts"
import { createCreateChallenge } from "./challenge.ts"
import { type CompleteEnrollmentInput, createCompleteEnrollment } from "./complete-enrollment.ts"
import { createDeviceUseCases, type DeviceUseCases } from "./devices.ts"
import { createEnrollmentTokenUseCases, type EnrollmentTokenUseCases } from "./enrollment-tokens.ts"
import { createEpoch } from "./epoch.ts"
import { createJournalUseCases, type JournalUseCases } from "./journal.ts"
import { type AssignPolicyInput, createAssignPolicy, createSetPolicy } from "./policy.ts"
import type { Caller, DeviceRecord, Epoch, PolicyRecord, Ports } from "./ports.ts"
import { createTrustUseCases, type TrustUseCases } from "./trust.ts"
import { createVerify } from "./verify.ts"

/** What a session is asked for. */
export interface ChallengeInput {
  /** Empty if any device may answer. */
  readonly device: string
  readonly audience: string
  readonly confirmation: SessionKey | undefined
  /** Empty for whichever is assigned. */
  readonly policy: string
}

/** A sealed challenge and what the device needs to answer it. */
export interface CreatedChallenge {
  readonly sealed: Uint8Array
  readonly transcript: Transcript
  readonly expiresAt: Date
}

/** What proves that evidence is fresh: one of three, never none. */
export type FreshnessInput =
  | { readonly kind: "challenge"; readonly challenge: Uint8Array }
  | { readonly kind: "nonce"; readonly nonce: Uint8Array }
  | { readonly kind: "epoch"; readonly number: number }

/** Evidence, and what proves that it is fresh. */
export interface VerifyInput {
  readonly freshness: FreshnessInput
  readonly evidence: RawEvidence
}

/** A device to register by its operator's word. */
export interface RegisterDeviceInput {
  readonly id: string
  /** TPMT_PUBLIC or TPM2B_PUBLIC. */
  readonly akPublic: Uint8Array
  readonly qualifiedName: Uint8Array | undefined
  /** What vouches for its keys beside its operator. */
  readonly endorsement?: EndorsementInput
}

/** Certificates, DER, each chain with its own first, which may be NV content; empty if there are none. */
export interface EndorsementInput {
  readonly ekCertificateChain: readonly Uint8Array[]
  readonly akCertificateChain: readonly Uint8Array[]
  /** TPMT_PUBLIC or TPM2B_PUBLIC of an endorsement key that has no certificate and is on the list. */
  readonly ekPublic: Uint8Array | undefined
}

/** Every use case. */
export interface Service extends TrustUseCases, DeviceUseCases, EnrollmentTokenUseCases, JournalUseCases {
  createChallenge(input: ChallengeInput, caller: Caller): Promise<CreatedChallenge>
  verify(input: VerifyInput, caller: Caller): Promise<AttestationResult>
  epoch(caller: Caller): Promise<{ readonly epoch: Epoch; readonly token: string }>
  beginEnrollment(input: BeginEnrollmentInput, caller: Caller): Promise<BegunEnrollment>
  completeEnrollment(input: CompleteEnrollmentInput, caller: Caller): Promise<DeviceRecord>
  setPolicy(document: string, caller: Caller): Promise<PolicyRecord>
  assignPolicy(input: AssignPolicyInput, caller: Caller): Promise<void>
  policy(name: string, caller: Caller): Promise<PolicyRecord>
}

/** The service over its ports. */
export const createService = (ports: Ports): Service => ({
  createChallenge: createCreateChallenge(ports),
  verify: createVerify(ports),
  epoch: createEpoch(ports),
  beginEnrollment: createBeginEnrollment(ports),
  completeEnrollment: createCompleteEnrollment(ports),
  setPolicy: createSetPolicy(ports),
  assignPolicy: createAssignPolicy(ports),
  policy: (name, caller) => ports.registry.policy(caller.tenant, name),
  ...createTrustUseCases(ports),
  ...createDeviceUseCases(ports),
  ...createEnrollmentTokenUseCases(ports),
  ...createJournalUseCases(ports),
})
