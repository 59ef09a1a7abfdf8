import { concat, toHex } from "../bytes.ts"
import { HASHES, type HashName } from "../evidence/tpm/algorithm.ts"
import { parseAttest } from "../evidence/tpm/attest.ts"
import { parsePublic } from "../evidence/tpm/public.ts"
import type { PcrSelection } from "../evidence/tpm/selection.ts"
import { parseSignature } from "../evidence/tpm/signature.ts"
import type { TpmEvidence } from "../gen/assay/v1/evidence_pb.ts"
import { HashAlgorithm } from "../gen/assay/v1/evidence_pb.ts"
import { createKeyObject } from "../verification/key.ts"

/**
 * Evidence that other programs can check again: everything in hexadecimal but what says otherwise. `assay appraise`
 * reads it, and its members are what `tpm2_checkquote` and `openssl` need as files.
 */
export interface EvidenceJson {
  /** TPM2B_PUBLIC. */
  readonly akPublic: string
  /** SubjectPublicKeyInfo. */
  readonly akPem: string
  readonly akName: string
  readonly qualifiedName: string
  /** TPMS_ATTEST. */
  readonly attest: string
  /** TPMT_SIGNATURE. */
  readonly signature: string
  /** `ecdsa:sha256`. */
  readonly signatureScheme: string
  /** What extraData has to be. */
  readonly nonce: string
  /** `sha256:0,1,2`, as tpm2-tools take it. */
  readonly pcrSelection: string
  readonly pcrs: Readonly<Partial<Record<HashName, Readonly<Record<string, string>>>>>
  /** The values as `tpm2_checkquote -f` reads them. */
  readonly pcrFile: string
  readonly eventLog: string
}

const BANKS = new Map<HashAlgorithm, HashName>([
  [HashAlgorithm.SHA1, "sha1"],
  [HashAlgorithm.SHA256, "sha256"],
  [HashAlgorithm.SHA384, "sha384"],
  [HashAlgorithm.SHA512, "sha512"],
])

/**
 * Writes evidence as JSON.
 *
 * @param pcrFile Writes values of a selection as tpm2-tools keep them in a file.
 * @throws {AssayError} as the parsers do.
 */
export const evidenceJson = (
  evidence: TpmEvidence,
  akPublic: Uint8Array,
  pcrFile: (selection: readonly PcrSelection[], values: Uint8Array) => Uint8Array,
): EvidenceJson => {
  const { qualifiedSigner, extraData, attested } = parseAttest(evidence.attest)
  const signature = parseSignature(evidence.signature)
  const select = attested.kind === "quote" ? attested.pcrSelect : []
  const valuesOf = (hash: HashName): Uint8Array =>
    evidence.pcrBanks.find((bank) => BANKS.get(bank.hash) === hash)?.values ?? new Uint8Array()
  return {
    akPublic: toHex(akPublic),
    akPem: String(createKeyObject(parsePublic(akPublic).key).export({ type: "spki", format: "pem" })),
    akName: toHex(evidence.akName),
    qualifiedName: toHex(qualifiedSigner),
    attest: toHex(evidence.attest),
    signature: toHex(evidence.signature),
    signatureScheme: signature.kind === "unsupported" ? "unsupported" : `${signature.kind}:${signature.hash}`,
    nonce: toHex(extraData),
    pcrSelection: select.map(({ hash, pcrs }) => `${hash}:${pcrs.join(",")}`).join("+"),
    pcrs: Object.fromEntries(select.map((bank) => [bank.hash, indexed(bank, valuesOf(bank.hash))])),
    pcrFile: toHex(pcrFile(select, concat(...select.map(({ hash }) => valuesOf(hash))))),
    eventLog: toHex(evidence.eventLog),
  }
}

const indexed = ({ hash, pcrs }: PcrSelection, values: Uint8Array): Record<string, string> => {
  const { sizeBytes } = HASHES[hash]
  return Object.fromEntries(
    pcrs.map((pcr, i) => [String(pcr), toHex(values.subarray(i * sizeBytes, (i + 1) * sizeBytes))]),
  )
}
