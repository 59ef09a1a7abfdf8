import { textToBase64Url, toBase64Url } from "../bytes.ts"
import type { Json } from "./ear.ts"

/** The media types of Assay's tokens. Whoever expects one refuses the others. */
export type TokenType = "assay-session+jwt" | "ear+jwt" | "assay-epoch+jwt"

/** What signs a token: handed in, for the core holds no key. */
export interface TokenSigner {
  readonly algorithm: string
  readonly keyId: string
  /** After this instant no token signed by the key may be valid. */
  readonly notAfter: Date
  sign(input: Uint8Array): Uint8Array
}

/** Claims that every token has; times are integer seconds (RFC 7519, 4.1). */
export interface RegisteredClaims {
  readonly iss: string
  readonly sub: string
  readonly aud: string
  readonly iat: number
  readonly nbf: number
  readonly exp: number
  readonly jti: string
  readonly [name: string]: Json | undefined
}

/** Writes a token of `type`: see `encodeJws`. */
export const encodeToken = (type: TokenType, claims: RegisteredClaims, signer: TokenSigner): string =>
  encodeJws(type, claims, signer)

/** What a JWS is said to be. */
type JwsType = TokenType | "assay-checkpoint+jwt"

/**
 * Writes a JWS in compact serialization (RFC 7515, 3.1): header with alg, kid and typ, then the claims, both as the
 * one canonical text that `JSON.stringify` makes, so that a reader can refuse every other spelling. A claim that is
 * undefined is not there.
 */
export const encodeJws = (
  type: JwsType,
  claims: { readonly [name: string]: Json | undefined },
  signer: TokenSigner,
): string => {
  const input = `${headerOf(type, signer)}.${textToBase64Url(JSON.stringify(claims))}`
  return `${input}.${toBase64Url(signer.sign(Buffer.from(input, "latin1")))}`
}

/** Headers that were written before: a signer has one of each type. */
const headers = new WeakMap<TokenSigner, Map<JwsType, string>>()

const headerOf = (type: JwsType, signer: TokenSigner): string => {
  const known = headers.get(signer) ?? new Map<JwsType, string>()
  headers.set(signer, known)
  const header =
    known.get(type) ??
    textToBase64Url(JSON.stringify({ alg: signer.algorithm, kid: signer.keyId, typ: type }))
  known.set(type, header)
  return header
}

/** The number of whole seconds up to an instant. */
export const seconds = (at: Date): number => Math.floor(at.getTime() / 1000)
