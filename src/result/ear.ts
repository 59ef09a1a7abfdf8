import { toBase64Url } from "../bytes.ts"
import type { AttestationResult, EarForm } from "./result.ts"

/** JSON, as it goes into a token. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json }

const DEVELOPER = "assay"

/** Claims of a token: one that is undefined is not there. */
export type Claims = { readonly [name: string]: Json | undefined }

/**
 * The claims of an EAT Attestation Result behind those of every token, in the wire form that the audience reads: the one
 * that deployed libraries know (`tag:github.com,2023:veraison/ear`), or the current draft's. There is one submodule, for
 * everything that Assay appraises today comes from one attester.
 *
 * @see draft-ietf-rats-ear, 3; draft-ietf-rats-ar4si, 2.3.
 */
export const withEar = <Registered extends Claims>(
  registered: Registered,
  { tier, vector, policy, nonce }: Pick<AttestationResult, "tier" | "vector" | "policy" | "nonce">,
  form: EarForm,
  build: string,
): Registered & Claims => {
  const policyId = policy === undefined ? undefined : `${policy.name}:${policy.revision}`
  const verifier = { developer: DEVELOPER, build }
  const eatNonce = nonce === undefined ? undefined : toBase64Url(nonce)
  switch (form) {
    case "2023":
      return {
        ...registered,
        eat_profile: "tag:github.com,2023:veraison/ear",
        "ear.verifier-id": verifier,
        eat_nonce: eatNonce,
        submods: {
          tpm: {
            "ear.status": tier,
            "ear.trustworthiness-vector": vector,
            "ear.appraisal-policy-id": policyId,
          },
        },
      }
    case "2026":
      return {
        ...registered,
        eat_profile: "tag:ietf.org,2026:rats/ear#03",
        ear_verifier_id: verifier,
        eat_nonce: eatNonce,
        ear_status: tier,
        submods: {
          tpm: {
            ear_status: tier,
            ear_trustworthiness_vector: vector,
            ear_appraisal_policy_ids: policyId === undefined ? undefined : [policyId],
          },
        },
      }
  }
}
