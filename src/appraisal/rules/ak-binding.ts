import type { Rule } from "./rule.ts"

/**
 * The attestation key is bound to a genuine TPM. A key that only its operator vouches for leaves instance-identity
 * without a claim; whether the operator's word will do is the policy's to say.
 */
export const akBinding: Rule = (_claims, { ak }, circumstances) => ({
  tier: ak.binding === "operator" ? "warning" : "contraindicated",
  code: "AK_BINDING_UNPROVEN",
  location: "attestation key",
  expected: "bound to its TPM by activation or certificate",
  actual: `vouched for by its ${circumstances.akBinding} only`,
})
