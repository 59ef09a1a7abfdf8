import {
  createPublicKey,
  sign as cryptoSign,
  verify as cryptoVerify,
  generateKeyPairSync,
  hash,
  type KeyObject,
} from "node:crypto"
import { utf8 } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import type { SignatureAlgorithm } from "../service/ports.ts"

/** The public half of a signing key, as it is published (RFC 7517, RFC 8037). */
export interface PublicJwk {
  readonly kty: "EC" | "OKP"
  readonly crv: "P-256" | "Ed25519"
  /** base64url. */
  readonly x: string
  /** base64url; of EC alone. */
  readonly y?: string
  /** SHA-256 thumbprint (RFC 7638). */
  readonly kid: string
  readonly alg: SignatureAlgorithm
  readonly use: "sig"
}

/** A key that tokens are signed with. */
export interface SigningKey {
  readonly algorithm: SignatureAlgorithm
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  readonly publicJwk: PublicJwk
  readonly createdAt: Date
  /** No token may be valid after it. */
  readonly notAfter: Date
}

/** From when until when a key is for. */
export type KeyPeriod = Pick<SigningKey, "createdAt" | "notAfter">

/** A new key: P-256 for ES256, Ed25519 for EdDSA. Whole seconds of the period are kept. */
export const generateSigningKey = (algorithm: SignatureAlgorithm, period: KeyPeriod): SigningKey =>
  createSigningKey(generate(algorithm), period)

const generate = (algorithm: SignatureAlgorithm): KeyObject => {
  switch (algorithm) {
    case "ES256":
      return generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey
    case "EdDSA":
      return generateKeyPairSync("ed25519").privateKey
  }
}

/**
 * The signing key that `privateKey` is. Algorithm and kid follow from the key itself.
 *
 * @throws {AssayError} SIGNER if it is neither P-256 nor Ed25519.
 */
export const createSigningKey = (privateKey: KeyObject, period: KeyPeriod): SigningKey => {
  const publicKey = createPublicKey(privateKey)
  const publicJwk = publicJwkOf(publicKey)
  return {
    algorithm: publicJwk.alg,
    privateKey,
    publicKey,
    publicJwk,
    createdAt: wholeSeconds(period.createdAt),
    notAfter: wholeSeconds(period.notAfter),
  }
}

const wholeSeconds = (date: Date): Date => new Date(Math.floor(date.getTime() / 1000) * 1000)

const publicJwkOf = (publicKey: KeyObject): PublicJwk => {
  const { kty, crv, x, y } = publicKey.export({ format: "jwk" })
  // The members of the thumbprint, in the order of RFC 7638 section 3.
  if (kty === "EC" && crv === "P-256" && x !== undefined && y !== undefined)
    return { kty, crv, x, y, kid: thumbprint({ crv, kty, x, y }), alg: "ES256", use: "sig" }
  if (kty === "OKP" && crv === "Ed25519" && x !== undefined)
    return { kty, crv, x, kid: thumbprint({ crv, kty, x }), alg: "EdDSA", use: "sig" }
  throw new AssayError("SIGNER", "a signing key is P-256 or Ed25519", {
    expected: "P-256 or Ed25519",
    actual: crv ?? kty ?? "unknown",
  })
}

const thumbprint = (members: Readonly<Record<string, string>>): string =>
  hash("sha256", utf8(JSON.stringify(members)), "base64url")

/** The JWS signature over `input` (RFC 7518 section 3.4, RFC 8037 section 3.1): 64 bytes. */
export const signWith = (key: SigningKey, input: Uint8Array): Uint8Array =>
  key.algorithm === "ES256"
    ? rawFromDer(cryptoSign("sha256", input, key.privateKey))
    : new Uint8Array(cryptoSign(null, input, key.privateKey))

/** Whether `signature` is the key's own JWS signature over `input`. */
export const verifiesWith = (key: SigningKey, input: Uint8Array, signature: Uint8Array): boolean =>
  key.algorithm === "ES256"
    ? cryptoVerify("sha256", input, { key: key.publicKey, dsaEncoding: "ieee-p1363" }, signature)
    : cryptoVerify(null, input, key.publicKey, signature)

/** Bytes of r and of s over P-256. */
const SCALAR_BYTES = 32

/**
 * r || s of the DER signature that OpenSSL gives. By hand, since asking `node:crypto` for this form doubles the
 * cost of a signature on Node 24: SEQUENCE { INTEGER r, INTEGER s } of at most 72 bytes has one-byte lengths.
 */
const rawFromDer = (der: Uint8Array): Uint8Array => {
  // Of memory that is shared with others: it is written into a token at once.
  const raw = Buffer.allocUnsafe(2 * SCALAR_BYTES).fill(0)
  const rEnd = 4 + (der[3] ?? 0)
  writeScalar(raw, SCALAR_BYTES, der.subarray(4, rEnd))
  writeScalar(raw, 2 * SCALAR_BYTES, der.subarray(rEnd + 2))
  return raw
}

/** Right-aligns an INTEGER's content, which has one zero in front if its first bit is set. */
const writeScalar = (raw: Uint8Array, end: number, integer: Uint8Array): void => {
  const scalar = integer.length > SCALAR_BYTES ? integer.subarray(integer.length - SCALAR_BYTES) : integer
  raw.set(scalar, end - scalar.length)
}
