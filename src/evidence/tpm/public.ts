import { hash as digest } from "node:crypto"
import { concat } from "../../bytes.ts"
import { Reader } from "../reader.ts"
import {
  algorithmId,
  DIGEST_BYTES_MAX,
  HASHES,
  type HashName,
  hashName,
  TPM_ALG_ECC,
  TPM_ALG_NULL,
  TPM_ALG_RSA,
} from "./algorithm.ts"
import { type SchemeName, schemeName } from "./signature.ts"

/** The NIST curves of TPM keys that Assay verifies with. */
export type CurveName = "P-256" | "P-384" | "P-521"

/** Identifier and coordinate size of each curve (TPM_ECC_CURVE). */
export const CURVES: Readonly<Record<CurveName, { readonly id: number; readonly sizeBytes: number }>> = {
  "P-256": { id: 0x0003, sizeBytes: 32 },
  "P-384": { id: 0x0004, sizeBytes: 48 },
  "P-521": { id: 0x0005, sizeBytes: 66 },
}

/** TPMA_OBJECT, bit numbers (Part 2, 8.3). */
export const ATTRIBUTES = {
  fixedTPM: 1,
  stClear: 2,
  fixedParent: 4,
  sensitiveDataOrigin: 5,
  userWithAuth: 6,
  adminWithPolicy: 7,
  firmwareLimited: 8,
  svnLimited: 9,
  noDA: 10,
  encryptedDuplication: 11,
  restricted: 16,
  decrypt: 17,
  sign: 18,
  x509sign: 19,
} as const

/** An attribute of a TPM object. */
export type AttributeName = keyof typeof ATTRIBUTES

const NAMED_BITS = Object.values(ATTRIBUTES).reduce((mask, bit) => mask | (1 << bit), 0)

/** The scheme that a key is made for; without one, a key may sign by any. */
export type KeyScheme =
  | { readonly kind: SchemeName; readonly hash: HashName }
  | { readonly kind: "null" }
  | { readonly kind: "unsupported"; readonly scheme: number; readonly hashAlg: number | undefined }

/** The symmetric algorithm of a storage key; a signing key has none. */
export interface Symmetric {
  readonly algorithm: number
  readonly keyBits: number
  readonly mode: number
}

/** The parameters and the public key itself. */
export type PublicKey =
  | {
      readonly kind: "rsa"
      readonly keyBits: number
      /** 65537 where the field is 0. The Name depends on which of the two was written. */
      readonly exponent: number
      readonly modulus: Uint8Array
    }
  | { readonly kind: "ecc"; readonly curve: CurveName; readonly x: Uint8Array; readonly y: Uint8Array }

/** A parsed TPMT_PUBLIC. */
export interface PublicArea {
  /** The TPMT_PUBLIC, byte for byte: what the Name is a digest of. */
  readonly bytes: Uint8Array
  readonly nameAlg: HashName
  /** TPMA_OBJECT; see `hasAttribute`. */
  readonly attributes: number
  readonly authPolicy: Uint8Array
  readonly symmetric: Symmetric | undefined
  readonly scheme: KeyScheme
  readonly key: PublicKey
  /** nameAlg, big-endian, and that hash over `bytes`: 22, 34, 50 or 66 bytes. */
  readonly name: Uint8Array
}

/** No public area of an RSA or ECC key is larger: the modulus, a policy and less than 100 bytes of the rest. */
const PUBLIC_AREA_BYTES_MAX = 2048
/** RSA with 8192 bits; a TPM 2.0 has at most 4096. */
const RSA_MODULUS_BYTES_MAX = 1024
/** A coordinate of P-521. */
const COORDINATE_BYTES_MAX = 66
const RSA_DEFAULT_EXPONENT = 65537

const curves = new Map(Object.entries(CURVES).map(([name, { id }]) => [id, name as CurveName]))

/** Whether the object has the attribute. */
export const hasAttribute = (area: PublicArea, name: AttributeName): boolean =>
  ((area.attributes >>> ATTRIBUTES[name]) & 1) === 1

/** The Name of an object: nameAlg and that hash over its TPMT_PUBLIC (Part 1, 16). */
export const nameOf = (nameAlg: HashName, publicArea: Uint8Array): Uint8Array =>
  concat(algorithmBytes(nameAlg), digest(nameAlg, publicArea, "buffer"))

/**
 * The qualified name of an object: nameAlg and that hash over the parent's qualified name and the object's
 * Name, always by the object's own nameAlg. For a primary key the parent is its hierarchy's 4-byte handle.
 *
 * @see TPM 2.0 Library, Part 1: Architecture, 26.6.
 */
export const qualifiedNameOf = (
  parentQualifiedName: Uint8Array,
  name: Uint8Array,
  nameAlg: HashName,
): Uint8Array => concat(algorithmBytes(nameAlg), digest(nameAlg, concat(parentQualifiedName, name), "buffer"))

const algorithmBytes = (hash: HashName): Uint8Array =>
  Uint8Array.of(HASHES[hash].id >>> 8, HASHES[hash].id & 0xff)

/**
 * Parses a TPM2B_PUBLIC or a TPMT_PUBLIC, which the first two bytes tell apart: an object type is 0x0001 or
 * 0x0023, and a TPM2B's size is never that small and always covers all the rest.
 *
 * @throws {AssayError} PUBLIC_AREA, FRAMING, LENGTH.
 */
export function parsePublic(bytes: Uint8Array): PublicArea {
  const size = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0)
  return size === TPM_ALG_RSA || size === TPM_ALG_ECC ? parsePublicArea(bytes) : parseSizedPublic(bytes)
}

/**
 * Parses a TPM2B_PUBLIC: a u16 size and a TPMT_PUBLIC of exactly that size.
 *
 * @throws {AssayError} PUBLIC_AREA, FRAMING, LENGTH.
 * @see TPM 2.0 Library, Part 2: Structures, 12.2.5.
 */
export function parseSizedPublic(bytes: Uint8Array): PublicArea {
  const r = new Reader(bytes, "TPM2B_PUBLIC")
  const area = r.sized("publicArea", PUBLIC_AREA_BYTES_MAX)
  r.end()
  return parsePublicArea(area)
}

/**
 * Parses a TPMT_PUBLIC of an asymmetric key.
 *
 * Shape, big-endian: type u16, nameAlg u16, attributes u32, authPolicy TPM2B (<= 64 bytes), symmetric, scheme,
 * then for RSA keyBits u16, exponent u32 (0 is 65537), modulus TPM2B; for ECC curve u16, kdf, the TPM2Bs x and y.
 * The bytes are copied: a public area is kept. It says what a key claims to be; that a TPM holds such a key is
 * proven by activation or certification, never by this.
 *
 * @throws {AssayError} PUBLIC_AREA for types, curves, hashes and attribute bits that Assay does not know;
 *   FRAMING, LENGTH.
 * @see TPM 2.0 Library, Part 2: Structures, 12.2.4.
 */
export function parsePublicArea(input: Uint8Array): PublicArea {
  const bytes = new Uint8Array(input)
  const r = new Reader(bytes, "TPMT_PUBLIC")
  const type = r.u16("type")
  if (type !== TPM_ALG_RSA && type !== TPM_ALG_ECC)
    throw r.error("PUBLIC_AREA", "type", "neither an RSA nor an ECC key", { actual: algorithmId(type) })
  const nameAlgId = r.u16("nameAlg")
  const nameAlg = hashName(nameAlgId)
  if (nameAlg === undefined)
    throw r.error("PUBLIC_AREA", "nameAlg", "an unknown hash", { actual: algorithmId(nameAlgId) })
  const attributes = r.u32("objectAttributes")
  if ((attributes & ~NAMED_BITS) !== 0)
    throw r.error("PUBLIC_AREA", "objectAttributes", "reserved bits are set", {
      actual: attributes.toString(16),
    })
  const authPolicy = r.sized("authPolicy", DIGEST_BYTES_MAX)
  const symmetric = readSymmetric(r)
  const scheme = readScheme(r)
  const key = type === TPM_ALG_RSA ? readRsaKey(r) : readEccKey(r)
  r.end()
  return { bytes, nameAlg, attributes, authPolicy, symmetric, scheme, key, name: nameOf(nameAlg, bytes) }
}

function readSymmetric(r: Reader): Symmetric | undefined {
  const algorithm = r.u16("symmetric")
  if (algorithm === TPM_ALG_NULL) return undefined
  return { algorithm, keyBits: r.u16("symmetric.keyBits"), mode: r.u16("symmetric.mode") }
}

/** The one scheme without a hash. */
const TPM_ALG_RSAES = 0x0015
/** The one scheme with a count behind its hash. */
const TPM_ALG_ECDAA = 0x001a

function readScheme(r: Reader): KeyScheme {
  const scheme = r.u16("scheme")
  if (scheme === TPM_ALG_NULL) return { kind: "null" }
  if (scheme === TPM_ALG_RSAES) return { kind: "unsupported", scheme, hashAlg: undefined }
  const hashAlg = r.u16("scheme.hashAlg")
  if (scheme === TPM_ALG_ECDAA) r.u16("scheme.count")
  const kind = schemeName(scheme)
  const hash = hashName(hashAlg)
  return kind === undefined || hash === undefined ? { kind: "unsupported", scheme, hashAlg } : { kind, hash }
}

function readRsaKey(r: Reader): PublicKey {
  const keyBits = r.u16("keyBits")
  const exponent = r.u32("exponent") || RSA_DEFAULT_EXPONENT
  const modulus = r.sized("unique.rsa", RSA_MODULUS_BYTES_MAX)
  if (modulus.length * 8 !== keyBits)
    throw r.error("PUBLIC_AREA", "unique.rsa", "not a modulus of the size in keyBits", {
      expected: `${keyBits} bits`,
      actual: `${modulus.length * 8} bits`,
    })
  return { kind: "rsa", keyBits, exponent, modulus }
}

function readEccKey(r: Reader): PublicKey {
  const id = r.u16("curveID")
  const curve = curves.get(id)
  if (curve === undefined)
    throw r.error("PUBLIC_AREA", "curveID", "not P-256, P-384 or P-521", { actual: algorithmId(id) })
  const kdf = r.u16("kdf")
  if (kdf !== TPM_ALG_NULL) r.u16("kdf.hashAlg")
  const x = r.sized("unique.ecc.x", COORDINATE_BYTES_MAX)
  const y = r.sized("unique.ecc.y", COORDINATE_BYTES_MAX)
  const { sizeBytes } = CURVES[curve]
  if (x.length !== sizeBytes || y.length !== sizeBytes)
    throw r.error("PUBLIC_AREA", "unique.ecc", "coordinates that are not of the curve's size", {
      expected: `${sizeBytes} bytes each`,
      actual: `${x.length} and ${y.length} bytes`,
    })
  return { kind: "ecc", curve, x, y }
}

/**
 * Parses a Name as it travels: the identifier of a hash and a digest of its size. What comes back are the bytes
 * that came in: 22, 34, 50 or 66 of them.
 *
 * @throws {AssayError} FRAMING.
 */
export function parseName(bytes: Uint8Array): Uint8Array {
  const r = new Reader(bytes, "TPM2B_NAME")
  const hash = hashName(r.u16("nameAlg"))
  if (hash === undefined || r.remaining !== HASHES[hash].sizeBytes)
    throw r.error("FRAMING", undefined, "not an algorithm identifier and a digest of its size", {
      actual: `${bytes.length} bytes`,
    })
  return bytes
}
