import type { Finding, Tier, TrustVector } from "../appraisal/finding.ts"
import type { ChallengeState } from "../errors.ts"
import type { EndorsementResult } from "./endorsement.ts"

/** The two wire forms of an EAR that relying parties understand: the deployed one, and the current draft. */
export type EarForm = "2023" | "2026"

/** Which freshness a result rests on. */
export type FreshnessKind = "challenge" | "nonce" | "epoch"

/** The outcome of one appraisal, before anything is encoded. */
export interface AttestationResult {
  /** The jti of its token. */
  readonly id: string
  readonly tenant: string
  readonly tier: Tier
  readonly vector: TrustVector
  /** The worst first. */
  readonly findings: readonly Finding[]
  readonly device: string
  readonly deviceRevision: number
  readonly policy: { readonly name: string; readonly revision: number } | undefined
  readonly evaluatedAt: Date
  /** SHA-256 over the length-prefixed parts of the evidence. */
  readonly evidenceDigest: Uint8Array
  readonly freshness: FreshnessKind
  readonly challengeState: ChallengeState
  /** What the certificates of the device's keys proved. */
  readonly endorsements: readonly EndorsementResult[]
  /** In nonce mode. */
  readonly nonce: Uint8Array | undefined
  /** In epoch mode: the greatest age that the evidence can have. */
  readonly evidenceAgeMs: number | undefined
  /** The client certificate that the session is bound to, DER, its own first, if Assay issued one; never without a session. */
  readonly certificateChain: readonly Uint8Array[]
  /** The one token that says all this. */
  readonly token: Token
  /** When the device should attest again at the latest. */
  readonly attestAt: Date
}

/** A signed token: a session for a device that the policy lets in, or the result and no session. */
export interface Token {
  readonly kind: "session" | "result"
  readonly compact: string
  readonly expiresAt: Date
}
