import { AFFIRMING, type Rule } from "./rule.ts"

/**
 * The TPM is of a manufacturer that the policy lists. A certificate of the attestation key itself that says so affirms
 * hardware; one of the endorsement key says it of a TPM that the attestation key is not yet proven to live in.
 */
export const tpmMaker: Rule = ({ endorsements }, { tpm }) => {
  const identity = endorsements.ak?.tpm ?? endorsements.ek?.tpm
  const maker = identity?.vendor ?? identity?.manufacturer
  if (tpm.manufacturers !== undefined && (maker === undefined || !tpm.manufacturers.includes(maker)))
    return {
      tier: "contraindicated",
      code: "TPM_MANUFACTURER",
      location: "certificate of the TPM's key",
      expected: tpm.manufacturers.join(" or "),
      actual: maker ?? "no certificate",
      claim: ["hardware", UNRECOGNIZED],
    }
  return endorsements.ak === undefined ? AFFIRMING : { tier: "affirming", claim: ["hardware", GENUINE] }
}

/** Genuine, and unrecognized (AR4SI, 2.3.3). */
const GENUINE = 2
const UNRECOGNIZED = 97
