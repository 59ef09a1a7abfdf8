/** Issuers of bearer tokens that are not Assay. */
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto"
import { toBase64Url, utf8 } from "../../src/bytes.ts"
import type { TokenAlgorithm } from "../../src/jwt/signature.ts"
import { rsaPair } from "./rsa.ts"

/** Somebody with a key. */
export interface Issuer {
  readonly kid: string
  readonly algorithm: TokenAlgorithm
  readonly privateKey: KeyObject
  /** With `alg`, unless it is made without. */
  readonly jwk: Readonly<Record<string, unknown>>
  readonly sign: (input: Uint8Array) => Uint8Array
}

const HASHES: Readonly<Record<TokenAlgorithm, string | null>> = {
  ES256: "sha256",
  ES384: "sha384",
  EdDSA: null,
  RS256: "sha256",
  RS384: "sha384",
  RS512: "sha512",
}

const keysOf = (algorithm: TokenAlgorithm, modulusLength: number, publicExponent: number) => {
  switch (algorithm) {
    case "ES256":
      return generateKeyPairSync("ec", { namedCurve: "P-256" })
    case "ES384":
      return generateKeyPairSync("ec", { namedCurve: "P-384" })
    case "EdDSA":
      return generateKeyPairSync("ed25519")
    default:
      return rsaPair(modulusLength, publicExponent)
  }
}

/** An issuer with a new key. */
export const makeIssuer = (
  algorithm: TokenAlgorithm,
  kid: string = algorithm,
  { bits = 2048, exponent = 65_537 } = {},
): Issuer => {
  const { publicKey, privateKey } = keysOf(algorithm, bits, exponent)
  return {
    kid,
    algorithm,
    privateKey,
    jwk: { ...publicKey.export({ format: "jwk" }), kid, alg: algorithm, use: "sig" },
    sign: (input) =>
      new Uint8Array(sign(HASHES[algorithm], input, { key: privateKey, dsaEncoding: "ieee-p1363" })),
  }
}

type Part = object | string
const encoded = (part: Part): string =>
  toBase64Url(utf8(typeof part === "string" ? part : JSON.stringify(part)))

/** A token over whatever header and claims: objects as `JSON.stringify` writes them, text as it is. */
export const tokenOf = (issuer: Issuer, header: Part, claims: Part): string => {
  const input = `${encoded(header)}.${encoded(claims)}`
  return `${input}.${toBase64Url(issuer.sign(utf8(input)))}`
}

/** The header of an issuer's tokens. */
export const headerOf = ({ algorithm: alg, kid }: Issuer, changed: object = {}): object => ({
  alg,
  typ: "JWT",
  kid,
  ...changed,
})
