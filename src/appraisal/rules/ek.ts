import { AFFIRMING, type Found, type Rule } from "./rule.ts"

/**
 * The endorsement key is one that a TPM maker certified, or that is on the tenant's list, where the policy asks for it;
 * and its certificate has not expired, or the policy bears that.
 */
export const ek: Rule = ({ ek }) => {
  const expiredTier =
    ek.expired === "refused" ? "contraindicated" : ek.expired === "warned" ? "warning" : "affirming"
  return ({ endorsements }) => {
    const { ek: path, ekListed } = endorsements
    if (path === undefined && !ekListed && ek.certificate === "required") return MISSING
    if (path === undefined || !path.expired) return AFFIRMING
    return {
      tier: expiredTier,
      code: "VALIDITY",
      location: "certificate of the endorsement key",
      expected: "not past its notAfter",
      actual: `expired on ${new Date(path.leaf.notAfter).toISOString()}`,
    }
  }
}

/** Unrecognized hardware (AR4SI, 2.3.3). */
const UNRECOGNIZED = 97
const MISSING: Found = {
  tier: "contraindicated",
  code: "EK_MISSING",
  location: "endorsement key",
  expected: "a certificate of the endorsement key, or the key on the list",
  actual: "neither",
  claim: ["hardware", UNRECOGNIZED],
}
