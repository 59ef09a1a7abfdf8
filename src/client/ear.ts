import { isObject, type JsonObject } from "../evidence/json.ts"
import { refusal } from "../jwt/compact.ts"

/** What an attestation result says that a session may be opened on. */
export interface Ear {
  readonly tier: "affirming" | "warning"
  /** AR4SI trustworthiness claims by name, each a signed 8-bit number; a claim that is absent says nothing. */
  readonly vector: Readonly<Record<string, number>>
  /** The policies that the evidence was appraised by, in the order applied; at least one. */
  readonly policies: readonly string[]
}

/** How the members of an appraisal are called in each wire form. */
interface Names {
  readonly status: string
  readonly vector: string
  /** One string in the old form, a list in the new one. */
  readonly policy: string
}

const NAMES: ReadonlyMap<unknown, Names> = new Map([
  [
    "tag:github.com,2023:veraison/ear",
    { status: "ear.status", vector: "ear.trustworthiness-vector", policy: "ear.appraisal-policy-id" },
  ],
  [
    "tag:ietf.org,2026:rats/ear#03",
    { status: "ear_status", vector: "ear_trustworthiness_vector", policy: "ear_appraisal_policy_ids" },
  ],
])

/** The appraisal of the TPM's evidence; the one that every session rests on. */
const SUBMODULE = "tpm"

/**
 * Reads the EAR claims of a session token, in either wire form. Every status in it, of whichever submodule and at the
 * top level, has to be one that a session may rest on: nothing that is not understood is read as good.
 *
 * @throws {AssayError} TOKEN_CLAIMS.
 * @see draft-ietf-rats-ear-03 section 3; draft-fv-rats-ear-00 for the old form.
 */
export const readEar = (claims: JsonObject): Ear => {
  const names = NAMES.get(claims["eat_profile"])
  if (names === undefined) throw refusal("TOKEN_CLAIMS", "eat_profile", "a profile of EAR that is known")
  if (Object.hasOwn(claims, names.status)) readTier(claims, names)
  const { submods } = claims
  if (!isObject(submods) || !Object.hasOwn(submods, SUBMODULE))
    throw refusal("TOKEN_CLAIMS", "submods", `an appraisal named ${SUBMODULE}`)
  for (const appraisal of Object.values(submods)) readTier(appraisal, names)
  const appraisal = submods[SUBMODULE]
  return {
    tier: readTier(appraisal, names),
    vector: readVector(appraisal, names),
    policies: readPolicies(appraisal, names),
  }
}

const member = (appraisal: unknown, name: string): unknown =>
  isObject(appraisal) && Object.hasOwn(appraisal, name) ? appraisal[name] : undefined

const readTier = (appraisal: unknown, { status }: Names): Ear["tier"] => {
  const value = member(appraisal, status)
  if (value !== "affirming" && value !== "warning")
    throw refusal("TOKEN_CLAIMS", status, "affirming or warning")
  return value
}

const readVector = (appraisal: unknown, { vector }: Names): Ear["vector"] => {
  const value = member(appraisal, vector)
  if (!isObject(value)) throw refusal("TOKEN_CLAIMS", vector, "a trustworthiness vector")
  const claims = new Map<string, number>()
  for (const [name, claim] of Object.entries(value)) {
    if (typeof claim !== "number" || !Number.isInteger(claim) || claim < -128 || claim > 127)
      throw refusal("TOKEN_CLAIMS", vector, "signed 8-bit numbers")
    claims.set(name, claim)
  }
  return Object.fromEntries(claims)
}

const readPolicies = (appraisal: unknown, { policy }: Names): readonly string[] => {
  const value = member(appraisal, policy)
  const policies: readonly unknown[] = Array.isArray(value) ? value : [value]
  const named = policies.filter((one) => typeof one === "string" && one !== "")
  if (named.length === 0 || named.length !== policies.length)
    throw refusal("TOKEN_CLAIMS", policy, "the policies that were applied")
  return named.map(String)
}
