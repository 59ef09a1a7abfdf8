import type { Appraisal } from "../../appraisal/appraise.ts"
import type { CopiedEvidence } from "../../evidence/evidence.ts"
import type { ClockInfo } from "../../evidence/tpm/attest.ts"
import type { EndorsementResult } from "../../result/endorsement.ts"
import type { CertifiedKey } from "../../verification/certification.ts"
import type { Quote } from "../../verification/quote.ts"
import type { Verified } from "../../verification/verified.ts"
import type { ReadLog } from "./event-log.ts"
import type { Snapshot } from "./registry.ts"

/** Evidence that answers an epoch, and everything else that the verdict on it depends on. */
export interface Showing {
  readonly evidence: Pick<CopiedEvidence, "akName" | "digest" | "log">
  /** The value of the epoch: another one for each tenant, and after each change of keys. 32 bytes. */
  readonly epoch: Uint8Array
  /** What it is judged by. */
  readonly snapshot: Snapshot
  readonly at: Date
}

/** How long a verdict stands, if nothing that it depends on changes. */
export type Standing =
  /** What the evidence says is proven: until the first certificate or list ends that it rests on, if it rests on any. */
  | { readonly kind: "proven"; readonly until: Date | undefined }
  /** Refuted by its own bytes. Anybody can make any number of these. */
  | { readonly kind: "refuted" }
  /** Another time it may end otherwise, without anything having changed. */
  | { readonly kind: "passing" }

/** What came of evidence, without anything that is of one call alone. */
export interface Verdict {
  readonly appraisal: Appraisal
  readonly endorsements: readonly EndorsementResult[]
  /** Whether certificates or listed keys were judged by the tenant's trust. */
  readonly isEndorsed: boolean
  /** Whether the quote is the device's and answers the epoch; only then is anybody told whether a log is known. */
  readonly answers: boolean
  /** What the quote says of its clock, if it is proven. */
  readonly clock: ClockInfo | undefined
  readonly standing: Standing
}

/** What a call has in hand that has proven evidence itself. */
export interface Proven {
  readonly quote: Verified<Quote>
  readonly certifiedKey?: CertifiedKey | undefined
  /** The log, if it leads to PCRs that were quoted. */
  readonly held?: ReadLog | undefined
}

/** A verdict; with what was proven on the way, if the evidence was proven for this very call. */
export interface Judged extends Verdict {
  readonly proven?: Proven | undefined
}

/**
 * Verdicts on evidence that answers an epoch, which is shown to many. A cache wraps it; with and without one, every
 * verification ends alike. Never asked about evidence that answers a challenge or a nonce.
 */
export interface Verdicts {
  /** Whether evidence of these very bytes was judged for the tenant before, and so can be read. */
  knows(tenant: string, evidence: Showing["evidence"]): boolean
  /** The verdict as `judge` gave it for the same showing, if that is remembered. */
  remembered(showing: Showing): Verdict | undefined
  /** The verdict: as `judge` gives it, or as it gave it for the same showing. @throws whatever `judge` throws. */
  verdictOn(showing: Showing, judge: () => Promise<Judged>): Promise<Judged>
}
