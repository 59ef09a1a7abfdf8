import type { AssayError } from "../errors.ts"
import type { Claims } from "../verification/claims.ts"
import type { Verified } from "../verification/verified.ts"
import {
  byTier,
  CRYPTO_VALIDATION_FAILED,
  type Finding,
  type Tier,
  type TrustClaim,
  type TrustVector,
  tierOf,
  vectorOf,
  worstTier,
} from "./finding.ts"
import type { Policy } from "./policy.ts"
import { RULES } from "./rules/index.ts"
import type { Circumstances } from "./rules/rule.ts"

/** What the rules found, and what that adds up to. */
export interface Appraisal {
  readonly tier: Tier
  readonly vector: TrustVector
  /** The worst first. */
  readonly findings: readonly Finding[]
}

/**
 * Judges proven claims by a policy. Every rule runs, for the operator wants the whole list; a rule that fails
 * is a refusal. Without a policy there is nothing to be trusted by, and that too is a refusal.
 */
export function appraise(
  claims: Verified<Claims>,
  policy: Policy | undefined,
  circumstances: Circumstances,
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
  return summarize(
    Object.entries(RULES).map(([rule, judge]): Finding => {
      try {
        return { rule, ...judge(claims, policy, circumstances) }
      } catch {
        return {
          rule,
          tier: "contraindicated",
          code: "RULE_FAILED",
          expected: "a verdict",
          actual: "the rule failed",
        }
      }
    }),
  )
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
  const tiers = [...findings.map((finding) => finding.tier), ...Object.values(vector).map(tierOf)]
  return { tier: worstTier(tiers), vector, findings: findings.toSorted(byTier) }
}
