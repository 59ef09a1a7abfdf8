import { fromBase64Url, utf8 } from "../bytes.ts"
import { AssayError, type Code } from "../errors.ts"
import { type JsonObject, parseCanonicalJson } from "../evidence/json.ts"
import { type JsonWebKeySet, type KeySet, prepareKeySet } from "./keyset.ts"
import { signatureHolds, type VerificationKey } from "./signature.ts"

/** A token whose signature holds. What it says has not been looked at. */
export interface SignedToken {
  readonly typ: string | undefined
  readonly payload: Uint8Array
}

/** More than any token of ours; a header field of a gRPC or HTTP call holds 8 KiB by default. */
const TOKEN_CHARACTERS_MAX = 16_384

/** Header parameters with which a sender would choose the key (RFC 7515, 4.1.2, 4.1.3, 4.1.5 to 4.1.8). */
const KEY_CHOOSERS = ["jku", "jwk", "x5u", "x5c", "x5t", "x5t#S256"]

/**
 * Verifies the signature of a JWS in compact serialization, strictly: three parts of canonical base64url, a header that
 * `JSON.stringify` would write and that has `alg`, `kid` and `typ` at most, a kid of the key set, the algorithm of that
 * very key, and a signature of exactly its length (RFC 7515 section 5.2, RFC 8725 section 3). The payload may be anything.
 *
 * The one verifier besides `jose` in the tests, which costs several times the signature itself.
 *
 * @param parse Reads the header, if it is not Assay that wrote it.
 * @throws {AssayError} TOKEN_FORMAT, TOKEN_ALG, TOKEN_KEY, TOKEN_SIGNATURE.
 */
export const verifyCompact = (
  token: string,
  keys: KeySet,
  parse: (bytes: Uint8Array) => JsonObject | undefined = parseCanonicalJson,
): SignedToken => {
  if (typeof token !== "string" || token.length > TOKEN_CHARACTERS_MAX)
    throw refusal("TOKEN_FORMAT", "token", `text of at most ${TOKEN_CHARACTERS_MAX} characters`)
  const [header = "", payload = "", signature = ""] = token.split(".", 3)
  if (payload === "" || token.length !== header.length + payload.length + signature.length + 2)
    throw refusal("TOKEN_FORMAT", "token", "a JWS of three parts")

  const { key, typ } = readHeader(parse(decodePart(header, "header")), keys)
  const content = decodePart(payload, "payload")
  const raw = decodePart(signature, "signature")
  const input = utf8(token.slice(0, header.length + 1 + payload.length))
  if (!signatureHolds(key, input, raw))
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
  header: JsonObject | undefined,
  keys: KeySet,
): { readonly key: VerificationKey; readonly typ: string | undefined } => {
  if (header === undefined)
    throw refusal("TOKEN_FORMAT", "header", "a JSON object as JSON.stringify writes it")
  const { alg, kid, typ, ...others } = header
  for (const name of KEY_CHOOSERS)
    if (Object.hasOwn(others, name)) throw refusal("TOKEN_KEY", name, "a key that is chosen by kid alone")
  if (Object.keys(others).length > 0) throw refusal("TOKEN_FORMAT", "header", "alg, kid and typ alone")
  if (!keys.isFor(alg)) throw refusal("TOKEN_ALG", "alg", "an algorithm of the key set")
  if (typ !== undefined && typeof typ !== "string") throw refusal("TOKEN_FORMAT", "typ", "text")
  const key = typeof kid === "string" ? keys.find(kid) : undefined
  if (key === undefined) throw refusal("TOKEN_KEY", "kid", "the kid of a published key")
  if (key.algorithm !== alg) throw refusal("TOKEN_ALG", "alg", `${key.algorithm}, which is the key's`)
  return { key, typ }
}

/** A refusal that says where and what was expected, and repeats nothing of the token. */
export const refusal = (
  code: Extract<Code, `TOKEN_${string}`>,
  location: string,
  expected: string,
): AssayError =>
  new AssayError(code, `token refused: ${location}: expected ${expected}`, { location, expected })
