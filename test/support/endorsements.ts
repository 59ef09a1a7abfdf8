/** Proven endorsements for tests of rules and results: paths that a verification found, and what else vouches for keys. */
import type { Claims } from "../../src/verification/claims.ts"
import { type Endorsements, NO_ENDORSEMENTS } from "../../src/verification/endorsements.ts"
import type { TpmIdentity } from "../../src/verification/tpm-identity.ts"
import { caseOf, verifyCase } from "./chain.ts"
import { makeChain } from "./x509.ts"

/** The paths of a good attestation key and of a good endorsement key, of one maker. */
export const AK_PATH = verifyCase(caseOf(makeChain("ak")))
export const EK_PATH = verifyCase(caseOf(makeChain("ek"), { purpose: "ek" }))

/** Claims of which only the endorsements are told. */
export const endorsements = (given: Partial<Endorsements>): Pick<Claims, "endorsements"> => ({
  endorsements: { ...NO_ENDORSEMENTS, ...given },
})

/** The path, of a TPM that says something else of itself. */
export const ofTpm = (path: typeof AK_PATH, changed: Partial<TpmIdentity>): typeof AK_PATH => ({
  ...path,
  tpm: path.tpm && { ...path.tpm, ...changed },
})
