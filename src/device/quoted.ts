import type { HashName } from "../evidence/tpm/algorithm.ts"
import { HashAlgorithm } from "../gen/assay/v1/evidence_pb.ts"

/** A quote and what it is over. */
export interface Quoted {
  /** TPMS_ATTEST. */
  readonly attest: Uint8Array
  /** TPMT_SIGNATURE. */
  readonly signature: Uint8Array
  /** By bank of the signed selection, concatenated in ascending order of PCR. */
  readonly pcrBanks: readonly { readonly hash: HashName; readonly values: Uint8Array }[]
  /** Empty if there is none. */
  readonly eventLog: Uint8Array
}

const BANKS: Readonly<Record<HashName, HashAlgorithm>> = {
  sha1: HashAlgorithm.SHA1,
  sha256: HashAlgorithm.SHA256,
  sha384: HashAlgorithm.SHA384,
  sha512: HashAlgorithm.SHA512,
}

/** The evidence message of a quote. */
export const evidenceOf = (akName: Uint8Array, { attest, signature, pcrBanks, eventLog }: Quoted) => ({
  kind: {
    case: "tpm" as const,
    value: {
      akName,
      attest,
      signature,
      pcrBanks: pcrBanks
        .filter(({ values }) => values.length > 0)
        .map(({ hash, values }) => ({ hash: BANKS[hash], values })),
      eventLog,
    },
  },
})
