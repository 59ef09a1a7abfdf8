import {
  constants,
  generateKeyPairSync,
  type KeyObject,
  sign as signBytes,
  type webcrypto,
} from "node:crypto"
import { fromBase64Url } from "../bytes.ts"
import { HASHES, type HashName } from "../evidence/tpm/algorithm.ts"
import type { CurveName, PublicKey } from "../evidence/tpm/public.ts"
import type { SchemeName } from "../evidence/tpm/signature.ts"
import { encodeSignature } from "./encode.ts"

/** The kinds of key that a software TPM makes. */
export type KeyAlgorithm = "rsa-2048" | "rsa-3072" | "rsa-4096" | "p256" | "p384" | "p521"

/** A key pair of a software TPM. */
export interface KeyPair {
  readonly privateKey: KeyObject
  readonly publicKey: PublicKey
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array
}

const CURVE_OF: Readonly<Record<Exclude<KeyAlgorithm, `rsa-${number}`>, CurveName>> = {
  p256: "P-256",
  p384: "P-384",
  p521: "P-521",
}

const MODULUS_BITS: Readonly<Record<Exclude<KeyAlgorithm, `p${number}`>, number>> = {
  "rsa-2048": 2048,
  "rsa-3072": 3072,
  "rsa-4096": 4096,
}

const isCurve = (algorithm: KeyAlgorithm): algorithm is keyof typeof CURVE_OF => algorithm in CURVE_OF

/** Makes a key pair: some 100 ms for RSA-2048, a second for RSA-4096, below 1 ms for a curve. */
export function generateKeys(algorithm: KeyAlgorithm): KeyPair {
  return keyPairOf(
    algorithm,
    isCurve(algorithm)
      ? generateKeyPairSync("ec", { namedCurve: CURVE_OF[algorithm] })
      : generateKeyPairSync("rsa", { modulusLength: MODULUS_BITS[algorithm] }),
  )
}

/** A key pair of that kind that is there already. */
export function keyPairOf(
  algorithm: KeyAlgorithm,
  { privateKey, publicKey }: { readonly privateKey: KeyObject; readonly publicKey: KeyObject },
): KeyPair {
  const spki = new Uint8Array(publicKey.export({ format: "der", type: "spki" }))
  return { privateKey, publicKey: publicKeyOf(algorithm, publicKey.export({ format: "jwk" })), spki }
}

const publicKeyOf = (algorithm: KeyAlgorithm, jwk: webcrypto.JsonWebKey): PublicKey => {
  const member = (name: "n" | "x" | "y"): Uint8Array => fromBase64Url(jwk[name] ?? "") ?? new Uint8Array()
  if (isCurve(algorithm)) return { kind: "ecc", curve: CURVE_OF[algorithm], x: member("x"), y: member("y") }
  const modulus = member("n")
  return { kind: "rsa", keyBits: 8 * modulus.length, exponent: 65537, modulus }
}

const shared = new Map<KeyAlgorithm, KeyPair>()

/** One key pair per algorithm for the whole process, so that tests need not wait for RSA primes. */
export function sharedKeysOf(algorithm: KeyAlgorithm): KeyPair {
  const keys = shared.get(algorithm) ?? generateKeys(algorithm)
  shared.set(algorithm, keys)
  return keys
}

/** How to sign. */
export interface SigningScheme {
  readonly kind: SchemeName
  readonly hash: HashName
  /** Of RSAPSS: as long as the digest, which is the default, or as long as fits, as older TPMs have it. */
  readonly salt?: "digest" | "maximum"
}

/** A TPMT_SIGNATURE over `bytes`; r and s with leading zeros up to the curve's size, as swtpm writes them. */
export function signTpm(
  { privateKey, publicKey }: KeyPair,
  bytes: Uint8Array,
  scheme: SigningScheme,
): Uint8Array {
  const { kind, hash } = scheme
  if ((publicKey.kind === "ecc") !== (kind === "ecdsa"))
    throw new TypeError(`a key of kind ${publicKey.kind} does not sign by ${kind}`)
  switch (kind) {
    case "ecdsa": {
      const value = signBytes(hash, bytes, { key: privateKey, dsaEncoding: "ieee-p1363" })
      const sizeBytes = value.length / 2
      return encodeSignature({ kind, hash, r: value.subarray(0, sizeBytes), s: value.subarray(sizeBytes) })
    }
    case "rsassa":
      return encodeSignature({ kind, hash, value: signBytes(hash, bytes, privateKey) })
    case "rsapss": {
      const saltLength =
        scheme.salt === "maximum" ? constants.RSA_PSS_SALTLEN_MAX_SIGN : HASHES[hash].sizeBytes
      const padding = constants.RSA_PKCS1_PSS_PADDING
      return encodeSignature({
        kind,
        hash,
        value: signBytes(hash, bytes, { key: privateKey, padding, saltLength }),
      })
    }
  }
}
