import { constants, type KeyObject, verify } from "node:crypto"
import { HASHES, type HashName } from "../evidence/tpm/algorithm.ts"
import type { Signature } from "../evidence/tpm/signature.ts"

/** Coordinate size of the curve of an ECC key, by the name that node:crypto gives it. */
const CURVE_BYTES = new Map([
  ["prime256v1", 32],
  ["secp384r1", 48],
  ["secp521r1", 66],
])

/**
 * Whether `signature` is one over exactly these bytes by this key. Every fault is a plain no.
 *
 * RSA: as long as the modulus; PKCS#1 v1.5 with the whole encoding compared; PSS with MGF1 of the same hash and
 * a salt of the digest's size or of the greatest that fits (older TPMs), nothing else. ECDSA: r and s of one byte
 * to the curve's size, between 1 and the order. It judges SHA-1 too, for `assay check quote` says what held: that
 * SHA-1 is never accepted is `checkScheme`'s business.
 *
 * @see RFC 8017, 8.1.2 and 8.2.2; FIPS 186-5, 6.4.2; TPM 2.0 Library, Part 1, B.6 and B.7.
 */
export function verifySignature(key: KeyObject, signature: Signature, message: Uint8Array): boolean {
  switch (signature.kind) {
    case "rsassa":
      return hasModulusSize(key, signature.value) && verify(signature.hash, message, key, signature.value)
    case "rsapss":
      return hasModulusSize(key, signature.value) && verifyPss(key, signature.hash, signature.value, message)
    case "ecdsa": {
      const size = sizeOf(key)
      if (key.asymmetricKeyType !== "ec" || !fits(signature.r, size) || !fits(signature.s, size)) return false
      const value = new Uint8Array(2 * size)
      value.set(signature.r, size - signature.r.length)
      value.set(signature.s, 2 * size - signature.s.length)
      return verify(signature.hash, message, { key, dsaEncoding: "ieee-p1363" }, value)
    }
    case "unsupported":
      return false
  }
}

const fits = (integer: Uint8Array, size: number): boolean => integer.length > 0 && integer.length <= size

/** What was found out by `sizeOf`: a key is used again and again, and its details are made anew each time. */
const sizes = new WeakMap<KeyObject, number>()

/** Bytes of an RSA key's modulus, or of a coordinate on an ECC key's curve; 0 for other curves. */
const sizeOf = (key: KeyObject): number => {
  const known = sizes.get(key)
  if (known !== undefined) return known
  const { modulusLength, namedCurve = "" } = key.asymmetricKeyDetails ?? {}
  const size = modulusLength === undefined ? (CURVE_BYTES.get(namedCurve) ?? 0) : Math.ceil(modulusLength / 8)
  sizes.set(key, size)
  return size
}

const hasModulusSize = (key: KeyObject, value: Uint8Array): boolean =>
  key.asymmetricKeyType === "rsa" && value.length === sizeOf(key)

/** The encoded message of a modulus of whole bytes leaves room for the digest, one byte of padding and the trailer. */
const PSS_OVERHEAD_BYTES = 2

function verifyPss(key: KeyObject, hash: HashName, value: Uint8Array, message: Uint8Array): boolean {
  const { sizeBytes } = HASHES[hash]
  const salts = [sizeBytes, sizeOf(key) - sizeBytes - PSS_OVERHEAD_BYTES]
  return salts.some((saltLength) =>
    verify(hash, message, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }, value),
  )
}
