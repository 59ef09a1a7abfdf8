import type { Claims } from "../verification/claims.ts"
import type { Verified } from "../verification/verified.ts"
import type { Finding } from "./finding.ts"
import type { Policy } from "./policy.ts"
import { MEASURED_RULES, OTHER_RULES, STATE_RULES } from "./rules/index.ts"
import { AFFIRMING, type Circumstances, type Found, type Measured } from "./rules/rule.ts"

/**
 * A policy that is ready to judge by: whatever it says was read when it was compiled, once for all that it judges. Each judge
 * gives one finding and never throws: a rule that fails is a refusal.
 */
export interface CompiledPolicy {
  readonly terms: Policy
  /** Whether the device is in service at all. */
  readonly state: readonly NamedJudge[]
  /** What was measured. */
  readonly measured: readonly ((measured: Measured) => Finding)[]
  /** Who measured it, when, and for whom. */
  readonly other: readonly NamedJudge[]
}

type NamedJudge = (claims: Verified<Claims>, circumstances: Circumstances) => Finding

/** Compiles every rule by a policy. */
export const compilePolicy = (terms: Policy): CompiledPolicy => ({
  terms,
  state: Object.entries(STATE_RULES).map(([name, rule]) => compiled(name, () => rule(terms))),
  measured: Object.entries(MEASURED_RULES).map(([name, rule]) =>
    compiled<Measured, void>(name, () => rule(terms)),
  ),
  other: Object.entries(OTHER_RULES).map(([name, rule]) => compiled(name, () => rule(terms))),
})

/** The judge of one rule, with its name on what it finds. Where the rule fails, and be it on the policy, that is what it finds. */
const compiled = <Shown, Around>(
  rule: string,
  compile: () => (shown: Shown, around: Around) => Found,
): ((shown: Shown, around: Around) => Finding) => {
  const failed: Finding = {
    rule,
    tier: "contraindicated",
    code: "RULE_FAILED",
    expected: "a verdict",
    actual: "the rule failed",
  }
  try {
    return named(rule, compile(), failed)
  } catch {
    return () => failed
  }
}

/** Most judges find the same thing again and again: it is named once, and is one object ever after. */
const named = <Shown, Around>(
  rule: string,
  judge: (shown: Shown, around: Around) => Found,
  failed: Finding,
) => {
  let last: Found = AFFIRMING
  let finding: Finding = { rule, ...last }
  return (shown: Shown, around: Around): Finding => {
    try {
      const found = judge(shown, around)
      if (found === last) return finding
      last = found
      finding = { rule, ...found }
      return finding
    } catch {
      return failed
    }
  }
}
