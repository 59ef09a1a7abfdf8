import { toBase64Url } from "../bytes.ts"
import type { AttestationResult, EarForm } from "./result.ts"

/** JSON, as it goes into a token. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json }

const DEVELOPER = "assay"
/** Everything that Assay appraises today comes from one attester. */
const SUBMODULE = "tpm"

/**
 * The claims of an EAT Attestation Result, in the wire form that the audience reads: the one that deployed
 * libraries know (`tag:github.com,2023:veraison/ear`), or the current draft's.
 *
 * @see draft-ietf-rats-ear, 3; draft-ietf-rats-ar4si, 2.3.
 */
export const earClaims = (
  result: Omit<AttestationResult, "token" | "attestAt" | "certificateChain">,
  form: EarForm,
  build: string,
): { readonly [name: string]: Json } => {
  const { tier, vector, policy, nonce } = result
  const policyId = policy === undefined ? undefined : `${policy.name}:${policy.revision}`
  const verifier = { developer: DEVELOPER, build }
  const topNonce = nonce === undefined ? {} : { eat_nonce: toBase64Url(nonce) }
  switch (form) {
    case "2023":
      return {
        eat_profile: "tag:github.com,2023:veraison/ear",
        "ear.verifier-id": verifier,
        ...topNonce,
        submods: {
          [SUBMODULE]: {
            "ear.status": tier,
            "ear.trustworthiness-vector": vector,
            ...(policyId !== undefined && { "ear.appraisal-policy-id": policyId }),
          },
        },
      }
    case "2026":
      return {
        eat_profile: "tag:ietf.org,2026:rats/ear#03",
        ear_verifier_id: verifier,
        ...topNonce,
        ear_status: tier,
        submods: {
          [SUBMODULE]: {
            ear_status: tier,
            ear_trustworthiness_vector: vector,
            ...(policyId !== undefined && { ear_appraisal_policy_ids: [policyId] }),
          },
        },
      }
  }
}
