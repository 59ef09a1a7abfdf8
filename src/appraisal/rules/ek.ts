import { AFFIRMING, type Rule } from "./rule.ts"

/**
 * The endorsement key is one that a TPM maker certified, or that is on the tenant's list, where the policy asks for it;
 * and its certificate has not expired, or the policy bears that.
 */
export const ek: Rule = ({ endorsements }, { ek }) => {
  const { ek: path, ekListed } = endorsements
  if (path === undefined && !ekListed && ek.certificate === "required")
    return {
      tier: "contraindicated",
      code: "EK_MISSING",
      location: "endorsement key",
      expected: "a certificate of the endorsement key, or the key on the list",
      actual: "neither",
      claim: ["hardware", UNRECOGNIZED],
    }
  if (path === undefined || !path.expired) return AFFIRMING
  const refused = ek.expired === "refused"
  return {
    tier: refused ? "contraindicated" : ek.expired === "warned" ? "warning" : "affirming",
    code: "VALIDITY",
    location: "certificate of the endorsement key",
    expected: "not past its notAfter",
    actual: `expired on ${new Date(path.leaf.notAfter).toISOString()}`,
  }
}

/** Unrecognized hardware (AR4SI, 2.3.3). */
const UNRECOGNIZED = 97
