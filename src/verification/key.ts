import { createPublicKey, hash, type KeyObject } from "node:crypto"
import { toBase64Url } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import type { HashName } from "../evidence/tpm/algorithm.ts"
import { type AttributeName, hasAttribute, type PublicArea, type PublicKey } from "../evidence/tpm/public.ts"
import type { SchemeName } from "../evidence/tpm/signature.ts"
import { ecSpki } from "./spki.ts"
import { type Verified, vouch } from "./verified.ts"
import { checkRsa } from "./weak-key.ts"

/** A key that may sign quotes, ready to verify with. */
export interface AttestationKey {
  readonly area: PublicArea
  readonly keyObject: KeyObject
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array
  /** SHA-256 of it in lowercase hexadecimal: what lists of denied keys name it by. */
  readonly spkiDigest: string
  /** The key's own scheme; a signature that says another is refused. */
  readonly scheme: { readonly kind: SchemeName; readonly hash: HashName }
}

/** TCG TPM 2.0 Keys for Device Identity and Attestation, 7.3.4.1: what makes a key an attestation key. */
const ATTRIBUTES_REQUIRED: readonly AttributeName[] = [
  "fixedTPM",
  "fixedParent",
  "sensitiveDataOrigin",
  "restricted",
  "sign",
]
const ATTRIBUTES_FORBIDDEN: readonly AttributeName[] = ["decrypt", "encryptedDuplication"]

const RSA_BITS_MIN = 2048
const RSA_BITS_MAX = 4096
const RSA_EXPONENT = 65537

/**
 * Makes a public area into a key that quotes can be verified with, if it is one of an attestation key.
 *
 * If `restricted` were clear, the magic number of a quote would prove nothing: such a key signs any bytes.
 * The TPM does not refuse weak keys and schemes by itself; this does.
 *
 * @throws {AssayError} AK_ATTRIBUTES; SIG_ALG for a scheme or a nameAlg that is missing, unsupported or SHA-1;
 *   WEAK_KEY for RSA under 2048 bits or with another exponent than 65537, and for a point off its curve.
 */
export function createAttestationKey(area: PublicArea): Verified<AttestationKey> {
  for (const name of ATTRIBUTES_REQUIRED)
    if (!hasAttribute(area, name)) throw attributeError(name, "set", "clear")
  for (const name of ATTRIBUTES_FORBIDDEN)
    if (hasAttribute(area, name)) throw attributeError(name, "clear", "set")
  if (area.symmetric !== undefined) throw attributeError("symmetric", "NULL", "an algorithm")
  if (area.nameAlg === "sha1") throw algorithmError("nameAlg", "sha256 or stronger", "sha1")
  const { scheme } = area
  if (scheme.kind === "null" || scheme.kind === "unsupported")
    throw algorithmError("scheme", "RSASSA, RSAPSS or ECDSA", scheme.kind)
  if (scheme.hash === "sha1") throw algorithmError("scheme.hashAlg", "sha256 or stronger", "sha1")
  if ((scheme.kind === "ecdsa") !== (area.key.kind === "ecc"))
    throw algorithmError("scheme", `a scheme of ${area.key.kind} keys`, scheme.kind)
  const keyObject = createKeyObject(area.key)
  const spki = spkiOf(area.key, keyObject)
  return vouch({ area, keyObject, spki, spkiDigest: hash("sha256", spki, "hex"), scheme })
}

/**
 * The `KeyObject` of a public key.
 *
 * @throws {AssayError} WEAK_KEY; ROCA for a modulus of the kind that CVE-2017-15361 made.
 */
export function createKeyObject(key: PublicKey): KeyObject {
  if (key.kind === "rsa") {
    if (key.keyBits < RSA_BITS_MIN || key.keyBits > RSA_BITS_MAX)
      throw weakKey(`RSA with ${RSA_BITS_MIN} to ${RSA_BITS_MAX} bits`, `${key.keyBits} bits`)
    if (key.exponent !== RSA_EXPONENT) throw weakKey(`exponent ${RSA_EXPONENT}`, String(key.exponent))
    const [first = 0] = key.modulus
    const last = key.modulus[key.modulus.length - 1] ?? 0
    if (first < 0x80 || (last & 1) === 0) throw weakKey("an odd modulus of full length", "another")
    checkRsa(key.modulus, key.exponent, "TPMT_PUBLIC.unique")
  }
  const jwk =
    key.kind === "rsa"
      ? { kty: "RSA", n: toBase64Url(key.modulus), e: "AQAB" }
      : { kty: "EC", crv: key.curve, x: toBase64Url(key.x), y: toBase64Url(key.y) }
  try {
    return createPublicKey({ key: jwk, format: "jwk" })
  } catch (cause) {
    throw new AssayError("WEAK_KEY", "the public key is not one: its point is not on its curve", {
      location: "TPMT_PUBLIC.unique",
      cause,
    })
  }
}

const spkiOf = (key: PublicKey, keyObject: KeyObject): Uint8Array =>
  key.kind === "ecc" ? ecSpki(key.curve, key.x, key.y) : keyObject.export({ type: "spki", format: "der" })

const attributeError = (name: string, expected: string, actual: string): AssayError =>
  new AssayError("AK_ATTRIBUTES", `the key is no attestation key: ${name} is ${actual}`, {
    location: `TPMT_PUBLIC.objectAttributes.${name}`,
    expected,
    actual,
  })

const algorithmError = (field: string, expected: string, actual: string): AssayError =>
  new AssayError("SIG_ALG", `the key's ${field} is not one that Assay accepts`, {
    location: `TPMT_PUBLIC.${field}`,
    expected,
    actual,
  })

const weakKey = (expected: string, actual: string): AssayError =>
  new AssayError("WEAK_KEY", "the key is too weak or malformed", {
    location: "TPMT_PUBLIC.unique",
    expected,
    actual,
  })
