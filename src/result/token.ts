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

/** The last header of each type, and the key that it names. */
const headers = new Map<
  JwsType,
  { readonly algorithm: string; readonly keyId: string; readonly header: string }
>()

const headerOf = (type: JwsType, { algorithm, keyId }: TokenSigner): string => {
  const last = headers.get(type)
  if (last?.keyId === keyId && last.algorithm === algorithm) return last.header
  const header = textToBase64Url(JSON.stringify({ alg: algorithm, kid: keyId, typ: type }))
  headers.set(type, { algorithm, keyId, header })
  return header
}

/** The number of whole seconds up to an instant. */
export const seconds = (at: Date): number => Math.floor(at.getTime() / 1000)
