import { constants, createPublicKey, type KeyObject, verify } from "node:crypto"
import { toBase64Url, toHex } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { algorithmText, type SignatureAlgorithm } from "../evidence/x509/algorithm.ts"
import { type Certificate, certificateText } from "../evidence/x509/certificate.ts"
import type { CurveName } from "../evidence/x509/public-key.ts"
import { checkPoint, checkRsa } from "./weak-key.ts"

/** Octets of a coordinate. */
const COORDINATE: Readonly<Record<CurveName, number>> = { "P-256": 32, "P-384": 48, "P-521": 66 }
const UNCOMPRESSED = 0x04

/**
 * y of the points of order 1, 2, 4 and 8, little-endian, and the spellings of them that are not below p; the sign of x is
 * left out. A signature by such a key is one over anything.
 */
const ED25519_LOW_ORDER: ReadonlySet<string> = new Set([
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
])

/** Keys that have passed their checks. A key object is a pure function of the certificate: it is made once. */
const keyObjects = new WeakMap<Certificate, KeyObject>()

/**
 * The certificate's public key, if it is one to rely on. What can be told from sizes is told before any arithmetic.
 *
 * @throws {AssayError} EC_PARAMS for a curve that is spelled out, WEAK_ALG, WEAK_KEY, ROCA.
 */
export function keyObjectOf(certificate: Certificate): KeyObject {
  const known = keyObjects.get(certificate)
  if (known !== undefined) return known
  checkPublicKey(certificate)
  const key = importKey(certificate)
  keyObjects.set(certificate, key)
  return key
}

/**
 * SubjectPublicKeyInfo of the key, checked, as anybody would encode it: under rsaEncryption where the certificate has
 * id-RSAES-OAEP.
 *
 * @throws {AssayError} as `keyObjectOf`.
 */
export function plainSpkiOf(certificate: Certificate): Uint8Array {
  const key = keyObjectOf(certificate)
  const { publicKey, spki } = certificate
  return publicKey.kind === "rsa" && publicKey.oaep ? key.export({ type: "spki", format: "der" }) : spki
}

function checkPublicKey(certificate: Certificate): void {
  const { publicKey } = certificate
  const location = certificateText(certificate)
  switch (publicKey.kind) {
    case "rsa":
      checkRsa(publicKey.modulus, numberOf(publicKey.exponent), location)
      return
    case "ec": {
      const { curve, point } = publicKey
      if (point[0] !== UNCOMPRESSED || point.length !== 1 + 2 * COORDINATE[curve])
        throw refused("WEAK_KEY", certificate, `a point of ${curve}: 04, x, y`, `${point.length} bytes`)
      const y = 1 + COORDINATE[curve]
      checkPoint(curve, point.subarray(1, y), point.subarray(y), location)
      return
    }
    case "ed25519":
      if (publicKey.key.length !== 32)
        throw refused("WEAK_KEY", certificate, "32 bytes", `${publicKey.key.length} bytes`)
      if (ED25519_LOW_ORDER.has(toHex(publicKey.key.with(31, (publicKey.key[31] ?? 0) & 0x7f))))
        throw refused("WEAK_KEY", certificate, "a point of large order", "one of low order")
      return
    case "ec-parameters":
      throw refused("EC_PARAMS", certificate, "a named curve", publicKey.text)
    case "weak":
    case "unsupported":
      throw refused("WEAK_ALG", certificate, "RSA, P-256, P-384, P-521 or Ed25519", publicKey.text)
  }
}

/** As a number that `checkRsa` refuses if it is out of all proportion. */
const numberOf = (octets: Uint8Array): number =>
  octets.length > 6 ? Number.MAX_SAFE_INTEGER : octets.reduce((sum, octet) => sum * 256 + octet, 0)

const importKey = (certificate: Certificate): KeyObject => {
  const { publicKey, spki } = certificate
  try {
    if (publicKey.kind === "rsa" && publicKey.oaep)
      return createPublicKey({
        key: { kty: "RSA", n: toBase64Url(publicKey.modulus), e: toBase64Url(publicKey.exponent) },
        format: "jwk",
      })
    return createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" })
  } catch (cause) {
    throw new AssayError("WEAK_KEY", "the public key is not one: its point is not on its curve", {
      location: certificateText(certificate),
      cause,
    })
  }
}

const refused = (
  code: "EC_PARAMS" | "WEAK_ALG" | "WEAK_KEY",
  certificate: Certificate,
  expected: string,
  actual: string,
): AssayError =>
  new AssayError(code, "the certificate's key is not one that Assay accepts", {
    location: certificateText(certificate),
    expected,
    actual,
  })

/** Whatever carries a signature as certificates do: a certificate, a CRL, or a request for a certificate. */
export interface Signed {
  readonly tbs: Uint8Array
  readonly signature: Uint8Array
  readonly signatureAlgorithm: SignatureAlgorithm
}

/**
 * Whether `issuer`'s key made the signature. A signature of another kind than the key makes is none.
 *
 * @throws {AssayError} WEAK_ALG for MD5, SHA-1 and DSA, SIG_ALG for what Assay does not know; as `keyObjectOf`.
 */
export const isSignedBy = (signed: Signed, issuer: Certificate): boolean =>
  isSignedWith(signed, keyObjectOf(issuer))

/**
 * As `isSignedBy`, with a key that was checked already.
 *
 * @throws {AssayError} WEAK_ALG for MD5, SHA-1 and DSA, SIG_ALG for what Assay does not know.
 */
export function isSignedWith(signed: Signed, key: KeyObject): boolean {
  const { signatureAlgorithm: algorithm, tbs, signature } = signed
  const { asymmetricKeyType: kind } = key
  switch (algorithm.kind) {
    case "rsassa":
      return kind === "rsa" && verify(algorithm.hash, tbs, key, signature)
    case "rsapss": {
      const { saltLength, hash } = algorithm
      const padding = constants.RSA_PKCS1_PSS_PADDING
      return kind === "rsa" && verify(hash, tbs, { key, padding, saltLength }, signature)
    }
    case "ecdsa":
      return kind === "ec" && verify(algorithm.hash, tbs, key, signature)
    case "ed25519":
      return kind === "ed25519" && verify(null, tbs, key, signature)
    case "weak":
    case "unsupported":
      throw algorithmError(algorithm)
  }
}

/** A signature algorithm that nothing is believed by. */
export const algorithmError = (algorithm: SignatureAlgorithm, location?: string): AssayError =>
  new AssayError(
    algorithm.kind === "weak" ? "WEAK_ALG" : "SIG_ALG",
    "signed by an algorithm that Assay does not accept",
    {
      ...(location !== undefined && { location }),
      expected: "RSA, ECDSA or Ed25519 with SHA-256 or stronger",
      actual: algorithmText(algorithm),
    },
  )
