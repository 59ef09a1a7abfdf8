import { Reader } from "../reader.ts"
import { type HashName, hashName, TPM_ALG_ECDSA, TPM_ALG_RSAPSS, TPM_ALG_RSASSA } from "./algorithm.ts"

/** The signature schemes that Assay verifies. */
export type SchemeName = "rsassa" | "rsapss" | "ecdsa"

/** A parsed TPMT_SIGNATURE. */
export type Signature =
  | { readonly kind: "rsassa" | "rsapss"; readonly hash: HashName; readonly value: Uint8Array }
  | { readonly kind: "ecdsa"; readonly hash: HashName; readonly r: Uint8Array; readonly s: Uint8Array }
  /** An algorithm or a hash that Assay does not verify: HMAC, ECDAA, SM2, NULL, SM3. Its body is not read. */
  | { readonly kind: "unsupported"; readonly sigAlg: number; readonly hashAlg: number | undefined }

/** RSA with 8192 bits; a TPM 2.0 has at most 4096. */
const RSA_SIGNATURE_BYTES_MAX = 1024
/** A coordinate of P-521. Whether r and s fit the key's own curve is for the verification to say. */
const ECDSA_INTEGER_BYTES_MAX = 66

const schemes = new Map<number, SchemeName>([
  [TPM_ALG_RSASSA, "rsassa"],
  [TPM_ALG_RSAPSS, "rsapss"],
  [TPM_ALG_ECDSA, "ecdsa"],
])

/** The scheme with this TPM_ALG_ID, if it is one that Assay verifies. */
export const schemeName = (id: number): SchemeName | undefined => schemes.get(id)

/**
 * Parses a TPMT_SIGNATURE.
 *
 * Shape, big-endian: sigAlg u16, hash u16, then for RSA a TPM2B signature, for ECDSA the TPM2Bs r and s, each
 * possibly shorter than the curve. What comes back are views on `bytes`.
 *
 * @throws {AssayError} FRAMING, LENGTH.
 * @see TPM 2.0 Library, Part 2: Structures, 11.3.4.
 */
export function parseSignature(bytes: Uint8Array): Signature {
  const r = new Reader(bytes, "TPMT_SIGNATURE")
  const sigAlg = r.u16("sigAlg")
  const kind = schemeName(sigAlg)
  if (kind === undefined) return { kind: "unsupported", sigAlg, hashAlg: undefined }
  const hashAlg = r.u16("hash")
  const hash = hashName(hashAlg)
  if (hash === undefined) return { kind: "unsupported", sigAlg, hashAlg }
  const signature: Signature =
    kind === "ecdsa"
      ? {
          kind,
          hash,
          r: r.sized("signatureR", ECDSA_INTEGER_BYTES_MAX),
          s: r.sized("signatureS", ECDSA_INTEGER_BYTES_MAX),
        }
      : { kind, hash, value: r.sized("sig", RSA_SIGNATURE_BYTES_MAX) }
  r.end()
  return signature
}
