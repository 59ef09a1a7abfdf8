import { type Appraisal, appraise, refuted } from "../appraisal/appraise.ts"
import { compilePolicy } from "../appraisal/compile.ts"
import type { Policy } from "../appraisal/policy.ts"
import { concat } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { parseEvidence, parseSentLog } from "../evidence/evidence.ts"
import type { PcrValues } from "../evidence/tpm/pcrs.ts"
import { parseName, parsePublic } from "../evidence/tpm/public.ts"
import { admits } from "../result/issue.ts"
import { type Claims, verifyClaims } from "../verification/claims.ts"
import { createAttestationKey } from "../verification/key.ts"
import { createLogOutcome } from "../verification/log-outcome.ts"
import { proveQuote } from "../verification/quote.ts"
import type { Verified } from "../verification/verified.ts"

/** Evidence that carries everything it is judged with, for there is no registry to ask. */
export interface OfflineEvidence {
  /** TPMT_PUBLIC or TPM2B_PUBLIC. Taken for the device's key on the word of whoever hands it in. */
  readonly akPublic: Uint8Array
  /** What qualifiedSigner has to be, if that is known. */
  readonly qualifiedName: Uint8Array | undefined
  readonly attest: Uint8Array
  readonly signature: Uint8Array
  readonly pcrs: PcrValues
  readonly eventLog: Uint8Array | undefined
  /** What extraData has to be. */
  readonly nonce: Uint8Array
}

/** How the evidence was judged, and by which bytes. */
export interface OfflineAppraisal extends Appraisal {
  /** The policy lets a device of this tier in. */
  readonly admitted: boolean
  /** Name of the key that signed. */
  readonly akName: Uint8Array
  /** SHA-256 over the parts of the evidence, as the journal has it. */
  readonly evidenceDigest: Uint8Array
}

/**
 * Verifies and appraises evidence as the service does, with everything that a service would know handed in: no challenge
 * is spent, no counters are compared, nobody but the caller vouches for the key.
 *
 * @throws {AssayError} for what is malformed, as `parsePublic` and `parseEvidence`. Whatever is refuted is an answer.
 */
export function appraiseEvidence(input: OfflineEvidence, policy: Policy): OfflineAppraisal {
  const area = parsePublic(input.akPublic)
  const qualifiedSigner = input.qualifiedName === undefined ? undefined : parseName(input.qualifiedName)
  const evidence = parseEvidence({
    akName: area.name,
    attest: input.attest,
    signature: input.signature,
    pcrBanks: [...input.pcrs].map(([hash, values]) => ({ hash, values: concat(...values.values()) })),
    eventLog: input.eventLog,
  })
  const { log } = evidence
  const eventLog = log.kind === "sent" ? createLogOutcome(() => parseSentLog(log.bytes)) : undefined
  const prove = (): Verified<Claims> => {
    const ak = createAttestationKey(area)
    const quote = proveQuote(evidence, ak, { extraData: input.nonce, qualifiedSigner })
    // Each value says which PCR it is of, and that has to be the quote's: in one piece they would no longer say it.
    const pcrs = { kind: "indexed", banks: input.pcrs } as const
    return verifyClaims(quote, { pcrs, eventLog }, ak)
  }
  const appraisal = judge(prove, policy)
  return {
    ...appraisal,
    admitted: admits(policy, appraisal),
    akName: area.name,
    evidenceDigest: evidence.digest,
  }
}

const judge = (prove: () => Verified<Claims>, policy: Policy): Appraisal => {
  try {
    return appraise(prove(), compilePolicy(policy), {
      before: undefined,
      freshSince: new Date(0),
      advisories: [],
      freshness: "nonce",
      state: "active",
      audience: undefined,
    })
  } catch (error) {
    if (error instanceof AssayError && error.kind === "refuted") return refuted(error)
    throw error
  }
}
