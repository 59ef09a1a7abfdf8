import { createPublicKey, type KeyObject, X509Certificate } from "node:crypto"
import { fromBase64Url } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { type CurveName, type PublicArea, type PublicKey, parsePublic } from "../evidence/tpm/public.ts"

/** A key as somebody hands it over: with what a TPM says about it, or the key alone. */
export type KeyFile =
  | { readonly kind: "area"; readonly area: PublicArea }
  /** Without a public area: no scheme of its own, and no attributes that could be checked. */
  | { readonly kind: "bare"; readonly key: PublicKey }

const PEM = /^-----BEGIN ([A-Z0-9 ]+)-----/m
const PEM_LABELS: readonly string[] = ["PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE"]
/** The first byte of every DER structure here. A TPMT_PUBLIC begins with 00, and so does or with up to 08 a TPM2B_PUBLIC. */
const DER_SEQUENCE = 0x30

/**
 * Reads a public key: a TPMT_PUBLIC or TPM2B_PUBLIC, or a SubjectPublicKeyInfo or an X.509 certificate in PEM or DER.
 * Of a certificate only the key is read: neither who issued it nor whether it still holds.
 *
 * @throws {AssayError} PUBLIC_AREA, FRAMING, LENGTH for a public area; INPUT for what else is not a public key, and for
 *   a private one; WEAK_KEY for a curve that Assay does not verify with.
 */
export function parseKeyFile(bytes: Uint8Array): KeyFile {
  const label = PEM.exec(Buffer.from(bytes).toString("latin1"))?.[1]
  if (label !== undefined) return { kind: "bare", key: publicKeyOf(fromPem(bytes, label)) }
  if (bytes[0] === DER_SEQUENCE) return { kind: "bare", key: publicKeyOf(fromDer(bytes)) }
  return { kind: "area", area: parsePublic(bytes) }
}

const fromPem = (bytes: Uint8Array, label: string): KeyObject => {
  if (!PEM_LABELS.includes(label)) throw keyError(PEM_LABELS.join(" or "), label)
  try {
    return createPublicKey({ key: Buffer.from(bytes), format: "pem" })
  } catch {
    throw keyError("PEM of a public key", "something else")
  }
}

const fromDer = (bytes: Uint8Array): KeyObject => {
  const der = Buffer.from(bytes)
  try {
    return createPublicKey({ key: der, format: "der", type: "spki" })
  } catch {
    // Not a SubjectPublicKeyInfo: the one other form is a certificate.
  }
  try {
    return new X509Certificate(der).publicKey
  } catch {
    throw keyError("DER of a SubjectPublicKeyInfo or a certificate", "something else")
  }
}

const isCurve = (name: string | undefined): name is CurveName =>
  name === "P-256" || name === "P-384" || name === "P-521"

/** The same form that a public area gives, so that one function makes keys to verify with, and weighs them. */
const publicKeyOf = (keyObject: KeyObject): PublicKey => {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = keyObject
  if (type === "ec") return eccKeyOf(keyObject, details?.namedCurve ?? "an unnamed curve")
  if (type !== "rsa") throw keyError("an RSA or elliptic curve key", type ?? "another")
  const { n } = keyObject.export({ format: "jwk" })
  const modulus = member(n)
  return {
    kind: "rsa",
    keyBits: 8 * modulus.length,
    exponent: Number(details?.publicExponent ?? 0),
    modulus,
  }
}

const eccKeyOf = (keyObject: KeyObject, namedCurve: string): PublicKey => {
  const unknown = (): AssayError =>
    new AssayError("WEAK_KEY", "the key is of a curve that Assay does not verify with", {
      location: "key",
      expected: "P-256, P-384 or P-521",
      actual: namedCurve,
    })
  try {
    const { crv, x, y } = keyObject.export({ format: "jwk" })
    if (isCurve(crv)) return { kind: "ecc", curve: crv, x: member(x), y: member(y) }
  } catch {
    // Node exports no JWK of other curves.
  }
  throw unknown()
}

const member = (value: string | undefined): Uint8Array => fromBase64Url(value ?? "") ?? new Uint8Array()

const keyError = (expected: string, actual: string): AssayError =>
  new AssayError("INPUT", "this is no public key that Assay can read", { location: "key", expected, actual })
