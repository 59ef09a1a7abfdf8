import type { Found, Rule } from "./rule.ts"

/**
 * The attestation key is bound to a genuine TPM: by a certificate of the key that leads to a trust anchor, or by activation
 * beside an endorsement key that somebody vouches for still. Either affirms instance-identity. A key that only its operator vouches for leaves that without a claim; whether the
 * operator's word will do is the policy's to say.
 */
export const akBinding: Rule = ({ ak }) => {
  const unproven: Found = {
    tier: ak.binding === "operator" ? "warning" : "contraindicated",
    code: "AK_BINDING_UNPROVEN",
    location: "attestation key",
    expected: "bound to its TPM by activation or certificate",
    actual: "vouched for by its operator only",
  }
  return ({ endorsements }) => (endorsements.ak === undefined && !endorsements.activated ? unproven : BOUND)
}

/** Recognized and sound (AR4SI, 2.3.3). */
const RECOGNIZED = 2
const BOUND: Found = { tier: "affirming", claim: ["instance-identity", RECOGNIZED] }
