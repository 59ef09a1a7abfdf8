import { AFFIRMING, type Found, type Rule } from "./rule.ts"

/**
 * The TPM is of a manufacturer that the policy lists. A certificate of the attestation key itself that says so affirms
 * hardware. One of the endorsement key does too if the attestation key was proven to live beside it; else it says it of a
 * TPM that need not be this one.
 */
export const tpmMaker: Rule =
  ({ tpm: { manufacturers } }) =>
  ({ endorsements }) => {
    const identity = endorsements.ak?.tpm ?? endorsements.ek?.tpm
    const maker = identity?.vendor ?? identity?.manufacturer
    if (manufacturers !== undefined && (maker === undefined || !manufacturers.includes(maker)))
      return {
        tier: "contraindicated",
        code: "TPM_MANUFACTURER",
        location: "certificate of the TPM's key",
        expected: manufacturers.join(" or "),
        actual: maker ?? "no certificate",
        claim: ["hardware", UNRECOGNIZED],
      }
    const isThisTpm =
      endorsements.ak !== undefined || (endorsements.ek !== undefined && endorsements.activated)
    return isThisTpm ? KNOWN : AFFIRMING
  }

/** Genuine, and unrecognized (AR4SI, 2.3.3). */
const GENUINE = 2
const UNRECOGNIZED = 97
const KNOWN: Found = { tier: "affirming", claim: ["hardware", GENUINE] }
