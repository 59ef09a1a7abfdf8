/** Hash algorithms of a TPM 2.0 that Assay can compute (TPM 2.0 Library, Part 2, 6.3; TCG Algorithm Registry). */
export type HashName = "sha1" | "sha256" | "sha384" | "sha512"

interface Hash {
  /** TPM_ALG_ID. */
  readonly id: number
  readonly sizeBytes: number
}

/** Identifier and digest size of each hash. */
export const HASHES: Readonly<Record<HashName, Hash>> = {
  sha1: { id: 0x0004, sizeBytes: 20 },
  sha256: { id: 0x000b, sizeBytes: 32 },
  sha384: { id: 0x000c, sizeBytes: 48 },
  sha512: { id: 0x000d, sizeBytes: 64 },
}

/** In the order of their identifiers. */
export const HASH_NAMES: readonly HashName[] = ["sha1", "sha256", "sha384", "sha512"]

const names = new Map(HASH_NAMES.map((name) => [HASHES[name].id, name]))

/** The hash with this TPM_ALG_ID, if it is one that Assay computes. SM3-256 and SHA-3 are not. */
export const hashName = (id: number): HashName | undefined => names.get(id)

/** The largest digest that a TPM 2.0 knows. */
export const DIGEST_BYTES_MAX = 64
/** The largest Name: nameAlg and the largest digest. */
export const NAME_BYTES_MAX = 2 + DIGEST_BYTES_MAX

export const TPM_ALG_RSA = 0x0001
export const TPM_ALG_AES = 0x0006
export const TPM_ALG_NULL = 0x0010
export const TPM_ALG_RSASSA = 0x0014
export const TPM_ALG_RSAPSS = 0x0016
export const TPM_ALG_ECDSA = 0x0018
export const TPM_ALG_ECC = 0x0023
export const TPM_ALG_CFB = 0x0043

/** A TPM_ALG_ID as people read it: `0x0012`. */
export const algorithmId = (id: number): string => `0x${id.toString(16).padStart(4, "0")}`
