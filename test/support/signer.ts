import { toBase64Url, utf8 } from "../../src/bytes.ts"
import { generateSigningKey, type PublicJwk, type SigningKey, signWith } from "../../src/keys/key.ts"
import type { SignatureAlgorithm, Signer } from "../../src/service/ports.ts"

/** Within the life of every test key and token. */
export const SIGNER_TIME = new Date("2026-03-01T12:00:00Z")

/** A signer for tests, with what its tokens are verified with. */
export interface TestSigner extends Signer {
  readonly key: SigningKey
  readonly jwks: { readonly keys: readonly PublicJwk[] }
}

/** A ready signer with a new key, good until 2036, without a timer. */
export const testSigner = (algorithm: SignatureAlgorithm = "ES256"): TestSigner => {
  const key = generateSigningKey(algorithm, {
    createdAt: new Date("2026-01-01T00:00:00Z"),
    notAfter: new Date("2036-01-01T00:00:00Z"),
  })
  return {
    algorithm,
    keyId: key.publicJwk.kid,
    notAfter: key.notAfter,
    sign: (input) => signWith(key, input),
    publicJwks: () => ({ keys: [key.publicJwk] }),
    key,
    jwks: { keys: [key.publicJwk] },
  }
}

/** A compact JWS over whatever header and payload: objects as `JSON.stringify` writes them, text as it is. */
export const signedToken = (signer: Signer, header: object | string, payload: object | string): string => {
  const input = [header, payload]
    .map((part) => toBase64Url(utf8(typeof part === "string" ? part : JSON.stringify(part))))
    .join(".")
  return `${input}.${toBase64Url(signer.sign(utf8(input)))}`
}

/** The header of tokens by `signer`. */
export const tokenHeader = (signer: Signer, typ = "assay-session+jwt") => ({
  alg: signer.algorithm,
  kid: signer.keyId,
  typ,
})
