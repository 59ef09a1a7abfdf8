import type { AssayError } from "../errors.ts"
import type { Claims } from "../verification/claims.ts"
import type { Quote } from "../verification/quote.ts"
import type { Verified } from "../verification/verified.ts"
import type { CompiledPolicy } from "./compile.ts"
import {
  CRYPTO_VALIDATION_FAILED,
  type Finding,
  type Tier,
  TRUST_CLAIMS,
  type TrustClaim,
  type TrustVector,
  tierOf,
  vectorOf,
  worstFirst,
  worstTier,
} from "./finding.ts"
import type { Circumstances, Measured } from "./rules/rule.ts"

/** What the rules found, and what that adds up to. */
export interface Appraisal {
  readonly tier: Tier
  readonly vector: TrustVector
  /** The worst first. */
  readonly findings: readonly Finding[]
}

/** Judges what was measured of a device by a policy. A cache wraps it; with and without one, every appraisal ends alike. */
export type Measure = (
  quote: Pick<Quote, "hash" | "pcrSelect" | "pcrDigest">,
  measured: Measured,
  policy: CompiledPolicy,
) => readonly Finding[]

/** The findings of the rules about what was measured, in their order. */
export const measure: Measure = (_quote, measured, policy) => judgeMeasured(measured, policy)

const judgeMeasured = (measured: Measured, policy: CompiledPolicy): readonly Finding[] =>
  policy.measured.map((judge) => judge(measured))

/**
 * Judges proven claims by a policy. Every rule runs, for the operator wants the whole list; a rule that fails
 * is a refusal. Without a policy there is nothing to be trusted by, and that too is a refusal.
 *
 * @param measuredBy Gives the findings of the rules about what was measured.
 */
export function appraise(
  claims: Verified<Claims>,
  policy: CompiledPolicy | undefined,
  circumstances: Circumstances,
  measuredBy: (policy: CompiledPolicy) => readonly Finding[] = (policy) => judgeMeasured(claims, policy),
): Appraisal {
  if (policy === undefined)
    return summarize([
      {
        rule: "policy",
        tier: "contraindicated",
        code: "NO_POLICY",
        expected: "a policy",
        actual: "none assigned",
      },
    ])
  const findings: Finding[] = []
  for (const judge of policy.state) findings.push(judge(claims, circumstances))
  for (const finding of measuredBy(policy)) findings.push(finding)
  for (const judge of policy.other) findings.push(judge(claims, circumstances))
  return summarize(findings)
}

/** What Assay derives from a quote. */
const DERIVED_CLAIMS: readonly TrustClaim[] = [
  "instance-identity",
  "configuration",
  "executables",
  "hardware",
]

/**
 * The appraisal of evidence that verification refused: its one finding, and no claim left that could be believed.
 */
export function refuted(failure: AssayError): Appraisal {
  const { code, location, expected, actual } = failure
  return {
    tier: "contraindicated",
    vector: Object.fromEntries(DERIVED_CLAIMS.map((claim) => [claim, CRYPTO_VALIDATION_FAILED])),
    findings: [
      {
        rule: "verification",
        tier: "contraindicated",
        code,
        ...(location !== undefined && { location }),
        ...(expected !== undefined && { expected }),
        ...(actual !== undefined && { actual }),
      },
    ],
  }
}

/** A status may be worse than its vector, never better; and without a single finding nothing is known. */
const summarize = (findings: readonly Finding[]): Appraisal => {
  const vector = vectorOf(findings)
  const tiers = findings.map((finding) => finding.tier)
  for (const claim of TRUST_CLAIMS) tiers.push(tierOf(vector[claim] ?? 0))
  return { tier: worstTier(tiers), vector, findings: worstFirst(findings) }
}
