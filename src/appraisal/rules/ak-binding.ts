import type { Rule } from "./rule.ts"

/**
 * The attestation key is bound to a genuine TPM: by a certificate of the key that leads to a trust anchor, or by activation
 * beside an endorsement key that somebody vouches for still. Either affirms instance-identity. A key that only its operator vouches for leaves that without a claim; whether the
 * operator's word will do is the policy's to say.
 */
export const akBinding: Rule = ({ endorsements }, { ak }) =>
  endorsements.ak === undefined && !endorsements.activated
    ? {
        tier: ak.binding === "operator" ? "warning" : "contraindicated",
        code: "AK_BINDING_UNPROVEN",
        location: "attestation key",
        expected: "bound to its TPM by activation or certificate",
        actual: "vouched for by its operator only",
      }
    : { tier: "affirming", claim: ["instance-identity", RECOGNIZED] }

/** Recognized and sound (AR4SI, 2.3.3). */
const RECOGNIZED = 2
