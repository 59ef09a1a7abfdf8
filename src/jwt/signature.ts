import { type KeyObject, verify } from "node:crypto"

/** How a signature algorithm of JWS is verified (RFC 7518, 3.1; RFC 8037, 3.1). */
type Scheme =
  | { readonly kind: "ecdsa"; readonly hash: string; readonly order: Buffer }
  | { readonly kind: "rsa"; readonly hash: string }
  | { readonly kind: "eddsa" }

/** The order n of a curve (SP 800-186, 3.2.1). */
const P256_ORDER = Buffer.from("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", "hex")
const P384_ORDER = Buffer.from(
  "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
  "hex",
)

const SCHEMES = {
  ES256: { kind: "ecdsa", hash: "sha256", order: P256_ORDER },
  ES384: { kind: "ecdsa", hash: "sha384", order: P384_ORDER },
  EdDSA: { kind: "eddsa" },
  RS256: { kind: "rsa", hash: "sha256" },
  RS384: { kind: "rsa", hash: "sha384" },
  RS512: { kind: "rsa", hash: "sha512" },
} as const satisfies Readonly<Record<string, Scheme>>

/** The algorithms that a token can be verified by. */
export type TokenAlgorithm = keyof typeof SCHEMES

/** Whether `value` names an algorithm of ours. */
export const isTokenAlgorithm = (value: unknown): value is TokenAlgorithm =>
  typeof value === "string" && Object.hasOwn(SCHEMES, value)

/** A key that tokens may be verified with, and by nothing but its own algorithm. */
export interface VerificationKey {
  readonly algorithm: TokenAlgorithm
  readonly keyObject: KeyObject
}

/** Whether `raw` is a signature of the key over `input`: of the one length that its algorithm has, and good. */
export const signatureHolds = (
  { algorithm, keyObject }: VerificationKey,
  input: Uint8Array,
  raw: Uint8Array,
): boolean => {
  const scheme: Scheme = SCHEMES[algorithm]
  switch (scheme.kind) {
    case "ecdsa": {
      const { order, hash } = scheme
      if (raw.length !== 2 * order.length) return false
      const r = raw.subarray(0, order.length)
      const s = raw.subarray(order.length)
      return isScalar(r, order) && isScalar(s, order) && verify(hash, input, keyObject, derOf(r, s))
    }
    // Of these OpenSSL takes signatures of the one right length alone.
    case "rsa":
      return verify(scheme.hash, input, keyObject, raw)
    case "eddsa":
      return verify(null, input, keyObject, raw)
  }
}

/** Whether 1 <= scalar < n. OpenSSL sees to it too; but a verifier that once did not is a CVE of its own (2022-21449). */
const isScalar = (scalar: Uint8Array, order: Buffer): boolean =>
  scalar.some((byte) => byte !== 0) && Buffer.compare(scalar, order) < 0

/** SEQUENCE { INTEGER r, INTEGER s }. By hand, since `dsaEncoding` makes a verification half as slow again on Node 24. */
const derOf = (r: Uint8Array, s: Uint8Array): Uint8Array => {
  const integers = [...integerOf(r), ...integerOf(s)]
  return Uint8Array.of(0x30, integers.length, ...integers)
}

const integerOf = (scalar: Uint8Array): readonly number[] => {
  const content = scalar.subarray(scalar.findIndex((byte) => byte !== 0))
  const sign = (content[0] ?? 0) >= 0x80 ? [0] : []
  return [0x02, sign.length + content.length, ...sign, ...content]
}
