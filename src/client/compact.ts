import { verify } from "node:crypto"
import { fromBase64Url, utf8 } from "../bytes.ts"
import { AssayError, type Code } from "../errors.ts"
import { parseCanonicalJson } from "../evidence/json.ts"
import {
  isTokenAlgorithm,
  type JsonWebKeySet,
  type KeySet,
  prepareKeySet,
  type VerificationKey,
} from "./keyset.ts"

/** A token whose signature holds. What it says has not been looked at. */
export interface SignedToken {
  readonly typ: string | undefined
  readonly payload: Uint8Array
}

/** More than any token of ours; a header field of a gRPC or HTTP call holds 8 KiB by default. */
const TOKEN_CHARACTERS_MAX = 16_384

/** Header parameters with which a sender would choose the key (RFC 7515, 4.1.2, 4.1.3, 4.1.5 to 4.1.8). */
const KEY_CHOOSERS = ["jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256"]

const SIGNATURE_BYTES = 64
const SCALAR_BYTES = 32

/** The order n of P-256 (SP 800-186, 3.2.1.3). */
const P256_ORDER = Buffer.from("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", "hex")
const ZERO_SCALAR = Buffer.alloc(SCALAR_BYTES)

/**
 * Verifies the signature of a JWS in compact serialization, strictly: three parts of canonical base64url, a header that
 * `JSON.stringify` would write and that has `alg`, `kid` and `typ` at most, a kid of the key set, the algorithm of that
 * very key, and a signature of exactly 64 bytes (RFC 7515 section 5.2, RFC 8725 section 3). The payload may be anything.
 *
 * The one verifier besides `jose` in the tests, which costs several times the signature itself.
 *
 * @throws {AssayError} TOKEN_FORMAT, TOKEN_ALG, TOKEN_KEY, TOKEN_SIGNATURE.
 */
export const verifyCompact = (token: string, keys: KeySet): SignedToken => {
  if (typeof token !== "string" || token.length > TOKEN_CHARACTERS_MAX)
    throw refusal("TOKEN_FORMAT", "token", `text of at most ${TOKEN_CHARACTERS_MAX} characters`)
  const [header = "", payload = "", signature = ""] = token.split(".", 3)
  if (payload === "" || token.length !== header.length + payload.length + signature.length + 2)
    throw refusal("TOKEN_FORMAT", "token", "a JWS of three parts")

  const { key, typ } = readHeader(decodePart(header, "header"), keys)
  const content = decodePart(payload, "payload")
  const raw = decodePart(signature, "signature")
  const input = utf8(token.slice(0, header.length + 1 + payload.length))
  if (raw.length !== SIGNATURE_BYTES || !signatureHolds(key, input, raw))
    throw refusal("TOKEN_SIGNATURE", "signature", "a signature of the key over this header and payload")
  return { typ, payload: content }
}

/**
 * As `verifyCompact`, by whichever of several key sets knows the key: sets that were published one after another.
 *
 * @throws {AssayError} TOKEN_KEY for a set that is none; then as `verifyCompact`.
 */
export const verifyCompactBy = (sets: readonly JsonWebKeySet[]): ((token: string) => SignedToken) => {
  const prepared = sets.map(prepareKeySet)
  return (token) => {
    let unknown = refusal("TOKEN_KEY", "kid", "the kid of a published key")
    for (const keys of prepared)
      try {
        return verifyCompact(token, keys)
      } catch (error) {
        if (!(error instanceof AssayError) || error.code !== "TOKEN_KEY" || error.location !== "kid")
          throw error
        unknown = error
      }
    throw unknown
  }
}

const decodePart = (part: string, location: string): Uint8Array => {
  const bytes = fromBase64Url(part)
  if (bytes === undefined) throw refusal("TOKEN_FORMAT", location, "canonical base64url")
  return bytes
}

const readHeader = (
  bytes: Uint8Array,
  keys: KeySet,
): { readonly key: VerificationKey; readonly typ: string | undefined } => {
  const header = parseCanonicalJson(bytes)
  if (header === undefined)
    throw refusal("TOKEN_FORMAT", "header", "a JSON object as JSON.stringify writes it")
  const { alg, kid, typ, ...others } = header
  for (const name of KEY_CHOOSERS)
    if (Object.hasOwn(others, name)) throw refusal("TOKEN_KEY", name, "a key that is chosen by kid alone")
  if (Object.keys(others).length > 0) throw refusal("TOKEN_FORMAT", "header", "alg, kid and typ alone")
  if (!isTokenAlgorithm(alg)) throw refusal("TOKEN_ALG", "alg", "ES256 or EdDSA")
  if (typ !== undefined && typeof typ !== "string") throw refusal("TOKEN_FORMAT", "typ", "text")
  const key = typeof kid === "string" ? keys.find(kid) : undefined
  if (key === undefined) throw refusal("TOKEN_KEY", "kid", "the kid of a published key")
  if (key.algorithm !== alg) throw refusal("TOKEN_ALG", "alg", `${key.algorithm}, which is the key's`)
  return { key, typ }
}

const signatureHolds = (key: VerificationKey, input: Uint8Array, raw: Uint8Array): boolean => {
  switch (key.algorithm) {
    case "ES256": {
      const r = raw.subarray(0, SCALAR_BYTES)
      const s = raw.subarray(SCALAR_BYTES)
      return isScalar(r) && isScalar(s) && verify("sha256", input, key.keyObject, derOf(r, s))
    }
    case "EdDSA":
      return verify(null, input, key.keyObject, raw)
  }
}

/** Whether 1 <= scalar < n. OpenSSL sees to it too; but a verifier that once did not is a CVE of its own (2022-21449). */
const isScalar = (scalar: Uint8Array): boolean =>
  Buffer.compare(scalar, ZERO_SCALAR) > 0 && Buffer.compare(scalar, P256_ORDER) < 0

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

/** A refusal that says where and what was expected, and repeats nothing of the token. */
export const refusal = (
  code: Extract<Code, `TOKEN_${string}`>,
  location: string,
  expected: string,
): AssayError =>
  new AssayError(code, `token refused: ${location}: expected ${expected}`, { location, expected })
