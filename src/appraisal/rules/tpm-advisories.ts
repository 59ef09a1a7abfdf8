import { AFFIRMING, affirm, type Rule } from "./rule.ts"

/** No published weakness is known of the TPM's make and firmware, or the policy bears it. */
export const tpmAdvisories: Rule = ({ tpm }) => {
  if (tpm.advisories === "ignored") return affirm
  const refused = tpm.advisories === "refused"
  return (_claims, { advisories }) => {
    const [first] = advisories
    if (first === undefined) return AFFIRMING
    const { fixedIn } = first
    return {
      tier: refused ? "contraindicated" : "warning",
      code: "TPM_FIRMWARE",
      location: "certificate of the TPM's key",
      expected: fixedIn === undefined ? "a TPM without a known weakness" : `firmware ${fixedIn} or later`,
      actual: advisories.map(({ id, certain }) => (certain ? id : `${id} (possibly)`)).join(", "),
      claim: ["hardware", refused ? FORBIDDEN : WEAK],
    }
  }
}

/** Genuine with a known weakness, and forbidden (AR4SI, 2.3.3). */
const WEAK = 32
const FORBIDDEN = 96
