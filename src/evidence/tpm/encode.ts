import { concat } from "../../bytes.ts"
import {
  HASHES,
  type HashName,
  TPM_ALG_ECC,
  TPM_ALG_ECDSA,
  TPM_ALG_NULL,
  TPM_ALG_RSA,
  TPM_ALG_RSAPSS,
  TPM_ALG_RSASSA,
} from "./algorithm.ts"
import { CURVES, type PublicKey, type Symmetric } from "./public.ts"
import type { SchemeName } from "./signature.ts"

/**
 * Writes the few TPM 2.0 structures that both sides of an enrollment have to build, all big-endian: public areas, and
 * what a credential is made of. Nothing is checked here: what comes in is what our own code has put together.
 */

/** A u16, big-endian. */
export const u16 = (value: number): Uint8Array => Uint8Array.of(value >>> 8, value)

/** A u32, big-endian. */
export const u32 = (value: number): Uint8Array =>
  Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value)

/** A TPM2B: a u16 size and the bytes. */
export const sized = (bytes: Uint8Array): Uint8Array => concat(u16(bytes.length), bytes)

/** TPM_ALG_ID of each scheme. */
export const SCHEMES: Readonly<Record<SchemeName, number>> = {
  rsassa: TPM_ALG_RSASSA,
  rsapss: TPM_ALG_RSAPSS,
  ecdsa: TPM_ALG_ECDSA,
}

/** What a TPMT_PUBLIC says. */
export interface PublicFields {
  readonly nameAlg: HashName
  /** TPMA_OBJECT. */
  readonly attributes: number
  readonly authPolicy: Uint8Array
  readonly symmetric: Symmetric | undefined
  /** Nothing for TPM_ALG_NULL. */
  readonly scheme: { readonly kind: SchemeName; readonly hash: HashName } | undefined
  readonly key: PublicKey
}

const RSA_DEFAULT_EXPONENT = 65537

/**
 * A TPMT_PUBLIC. The exponent 65537 is written as 0, the way TPMs write it.
 *
 * @see TPM 2.0 Library, Part 2: Structures, 12.2.4.
 */
export function encodePublic(fields: PublicFields): Uint8Array {
  const { key, symmetric, scheme } = fields
  const ecc = key.kind === "ecc"
  return concat(
    u16(ecc ? TPM_ALG_ECC : TPM_ALG_RSA),
    u16(HASHES[fields.nameAlg].id),
    u32(fields.attributes),
    sized(fields.authPolicy),
    symmetric === undefined
      ? u16(TPM_ALG_NULL)
      : concat(u16(symmetric.algorithm), u16(symmetric.keyBits), u16(symmetric.mode)),
    scheme === undefined ? u16(TPM_ALG_NULL) : concat(u16(SCHEMES[scheme.kind]), u16(HASHES[scheme.hash].id)),
    ecc
      ? concat(u16(CURVES[key.curve].id), u16(TPM_ALG_NULL), sized(key.x), sized(key.y))
      : concat(
          u16(key.keyBits),
          u32(key.exponent === RSA_DEFAULT_EXPONENT ? 0 : key.exponent),
          sized(key.modulus),
        ),
  )
}
