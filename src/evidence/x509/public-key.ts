import { DerGate, TAG } from "./der.ts"
import { DerReader } from "./der-reader.ts"

/** A named curve that Assay verifies with. */
export type CurveName = "P-256" | "P-384" | "P-521"

/** What a SubjectPublicKeyInfo says. Whether the key is any good is not known here. */
export type SubjectPublicKey =
  | {
      readonly kind: "rsa"
      /** Big-endian, without leading zeros. */
      readonly modulus: Uint8Array
      /** Big-endian, without leading zeros. */
      readonly exponent: Uint8Array
      /** Under id-RSAES-OAEP (RFC 4055, 4), which OpenSSL and node do not read. */
      readonly oaep: boolean
    }
  /** The point in whatever form it came; only the uncompressed one, 04, x, y, is a good key. */
  | { readonly kind: "ec"; readonly curve: CurveName; readonly point: Uint8Array }
  | { readonly kind: "ed25519"; readonly key: Uint8Array }
  /** A curve that is spelled out, or none: its parameters are not read. */
  | { readonly kind: "ec-parameters"; readonly text: string }
  | { readonly kind: "weak" | "unsupported"; readonly text: string }

const RSA = "1.2.840.113549.1.1.1"
const RSAES_OAEP = "1.2.840.113549.1.1.7"
const EC = "1.2.840.10045.2.1"
const ED25519 = "1.3.101.112"
const DSA = "1.2.840.10040.4.1"

const CURVES: ReadonlyMap<string, CurveName> = new Map([
  ["1.2.840.10045.3.1.7", "P-256"],
  ["1.3.132.0.34", "P-384"],
  ["1.3.132.0.35", "P-521"],
])

/**
 * Reads the elements of a SubjectPublicKeyInfo.
 *
 * @throws {AssayError} CERTIFICATE, and DER for an RSAPublicKey that is not.
 * @see RFC 5280, 4.1.2.7; RFC 3279; RFC 5480.
 */
export function readPublicKey(spki: DerReader): SubjectPublicKey {
  const algorithm = spki.sequence("algorithm")
  const oid = algorithm.oid("algorithm")
  switch (oid) {
    case RSA:
      algorithm.content(TAG.null, "parameters")
      algorithm.end()
      return readRsa(spki, false)
    case RSAES_OAEP:
      return readRsa(spki, true)
    case EC:
      return readEc(spki, algorithm)
    case ED25519: {
      algorithm.end()
      const key = spki.bits("subjectPublicKey")
      spki.end()
      return { kind: "ed25519", key }
    }
    case DSA:
      return { kind: "weak", text: "DSA" }
    default:
      return { kind: "unsupported", text: oid }
  }
}

function readRsa(spki: DerReader, oaep: boolean): SubjectPublicKey {
  const bits = spki.bits("subjectPublicKey")
  spki.end()
  DerGate.check(bits, "RSAPublicKey")
  const outer = new DerReader(bits, "RSAPublicKey")
  const key = outer.sequence("key")
  const modulus = unsigned(key.integer("modulus"))
  const exponent = unsigned(key.integer("publicExponent"))
  key.end()
  return { kind: "rsa", modulus, exponent, oaep }
}

/** A negative number stays what it is not: no bytes at all, which no check of a key lets pass. */
const unsigned = (integer: Uint8Array): Uint8Array => {
  const [first = 0] = integer
  if (first >= 0x80) return integer.subarray(0, 0)
  return first === 0 ? integer.subarray(1) : integer
}

function readEc(spki: DerReader, algorithm: DerReader): SubjectPublicKey {
  if (algorithm.tag !== TAG.oid)
    return {
      kind: "ec-parameters",
      text: algorithm.tag === TAG.sequence ? "a curve that is spelled out" : "no named curve",
    }
  const oid = algorithm.oid("namedCurve")
  algorithm.end()
  const point = spki.bits("subjectPublicKey")
  spki.end()
  const curve = CURVES.get(oid)
  if (curve === undefined) return { kind: "weak", text: `curve ${oid}` }
  return { kind: "ec", curve, point }
}

/** The key as people read it. */
export const publicKeyText = (key: SubjectPublicKey): string => {
  switch (key.kind) {
    case "rsa":
      return `RSA-${bitLength(key.modulus)}${key.oaep ? " (id-RSAES-OAEP)" : ""}`
    case "ec":
      return key.curve
    case "ed25519":
      return "Ed25519"
    case "ec-parameters":
    case "weak":
    case "unsupported":
      return key.text
  }
}

/** How many bits a number without leading zero bytes has. */
export const bitLength = (number: Uint8Array): number =>
  number.length === 0 ? 0 : number.length * 8 - Math.clz32(number[0] ?? 0) + 24
