import type { ClockInfo } from "../../evidence/tpm/attest.ts"
import type { AdvisoryMatch } from "../../verification/advisory.ts"
import type { Claims } from "../../verification/claims.ts"
import type { Verified } from "../../verification/verified.ts"
import type { Finding } from "../finding.ts"
import type { Policy } from "../policy.ts"

/** What a rule may know beside the claims and the policy. */
export interface Circumstances {
  /** What the device said when it last answered a challenge, and when that was; firmwareVersion as first seen. */
  readonly before:
    | (ClockInfo & { readonly firmwareVersion: bigint | undefined; readonly recordedAt: Date })
    | undefined
  /** Before this instant the evidence cannot have been made. */
  readonly freshSince: Date
  /** Published weaknesses of the TPM's make and firmware, as its certificate states them. */
  readonly advisories: readonly AdvisoryMatch[]
  /** What the evidence answers. */
  readonly freshness: "challenge" | "nonce" | "epoch"
  /** Where the device stands with its operator: only `active` gets a session. */
  readonly state: string
  /** The audience of the session that is asked for; nothing in the modes that yield none. */
  readonly audience: string | undefined
}

/** A finding without its rule's name, which `compilePolicy` adds. */
export type Found = Omit<Finding, "rule">

/** A policy in, a judge out: whatever the policy says is read here, once for all that is judged by it. */
export type Rule = (policy: Policy) => Judge

/** Data in, one finding out. */
export type Judge = (claims: Verified<Claims>, circumstances: Circumstances) => Found

/** What was measured of a device. */
export type Measured = Pick<Claims, "pcrs" | "replay">

/** A rule about what was measured. The same measurements have the same findings by the same policy, whenever they are shown. */
export type MeasuredRule = (policy: Policy) => MeasuredJudge

/** Data in, one finding out. */
export type MeasuredJudge = (measured: Measured) => Found

/** The finding of a judge that has nothing to say. */
export const AFFIRMING = { tier: "affirming" } as const

/** The judge of a rule that the policy asks nothing of. */
export const affirm = (): Found => AFFIRMING
