/** The rules of the schema for the one request that is judged many thousand times a second, as plain comparisons. */
import type { VerifyRequest, VerifyStreamRequest } from "../gen/assay/v1/attestation_pb.ts"
import { HashAlgorithm, type TpmEvidence } from "../gen/assay/v1/evidence_pb.ts"

/**
 * Whether every rule of `attestation.proto` and `evidence.proto` holds for a request. Of one that is told not to, nothing is
 * said: the rules are then judged where they stand, which takes ten times as long and says what is wrong. So this may
 * be stricter than they are, as it is with a certification, and never laxer.
 */
export const keepsRules = ({ freshness, evidence, certification }: VerifyRequest): boolean =>
  certification === undefined &&
  isFreshness(freshness) &&
  evidence?.kind.case === "tpm" &&
  isEvidence(evidence.kind.value)

/** The same of a request in a stream. */
export const streamKeepsRules = ({ id, request }: VerifyStreamRequest): boolean =>
  isId(id) && request !== undefined && keepsRules(request)

/** Whether an id in a stream is what it must be: an answer can name it. */
export const isId = (id: string): boolean => isWithin(id, 1, 64) && VISIBLE.test(id)

const VISIBLE = /^[!-~]+$/

const isFreshness = (freshness: VerifyRequest["freshness"]): boolean => {
  switch (freshness.case) {
    case "challenge":
      return isWithin(freshness.value, 1, 2048)
    case "nonce":
      return isWithin(freshness.value, 16, 64)
    case "epoch":
      return freshness.value <= BigInt(Number.MAX_SAFE_INTEGER)
    case undefined:
      return false
  }
}

const isEvidence = (tpm: TpmEvidence): boolean =>
  isWithin(tpm.akName, 34, 66) &&
  isWithin(tpm.attest, 1, 1024) &&
  isWithin(tpm.signature, 1, 1100) &&
  isWithin(tpm.pcrBanks, 1, 4) &&
  tpm.pcrBanks.every(({ hash, values }) => isBank(hash) && isWithin(values, 1, 1536)) &&
  isWithin(tpm.eventLog, 0, 1_048_576) &&
  (tpm.eventLogDigest === undefined || tpm.eventLogDigest.length === 32) &&
  tpm.akCertificateChain.length <= 8 &&
  tpm.akCertificateChain.every((certificate) => isWithin(certificate, 1, 16_384))

const isBank = (hash: HashAlgorithm): boolean => hash >= HashAlgorithm.SHA1 && hash <= HashAlgorithm.SHA512

const isWithin = ({ length }: { readonly length: number }, min: number, max: number): boolean =>
  length >= min && length <= max
