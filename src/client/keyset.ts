import { createPublicKey, type KeyObject } from "node:crypto"
import { AssayError } from "../errors.ts"

/** The algorithms that Assay signs tokens with (RFC 7518 section 3.4, RFC 8037 section 3.1). */
export type TokenAlgorithm = "ES256" | "EdDSA"

/** A key that tokens may be verified with. */
export interface VerificationKey {
  readonly algorithm: TokenAlgorithm
  readonly keyObject: KeyObject
}

/** A JWK Set (RFC 7517), as it was parsed from Assay's `/.well-known/jwks.json`. Nothing in it is trusted unread. */
export interface JsonWebKeySet {
  readonly keys: readonly object[]
}

/** What a key has to say for each algorithm, and nothing may differ. */
const KEY_TYPE: Readonly<Record<TokenAlgorithm, { readonly kty: string; readonly crv: string }>> = {
  ES256: { kty: "EC", crv: "P-256" },
  EdDSA: { kty: "OKP", crv: "Ed25519" },
}

/** More than any rotation publishes; each costs a point check. */
const KEYS_MAX = 64

/** Members of private and symmetric keys. */
const SECRET_MEMBERS = ["d", "k", "p", "q", "dp", "dq", "qi"]

/** Verification keys by kid, made once and used for every token. Only `prepareKeySet` fills one. */
export class KeySet {
  readonly #keys: ReadonlyMap<string, VerificationKey>

  constructor(keys: ReadonlyMap<string, VerificationKey>) {
    this.#keys = new Map(keys)
  }

  /** The key of exactly this kid, if there is one. */
  find(kid: string): VerificationKey | undefined {
    return this.#keys.get(kid)
  }
}

/**
 * Makes a key set ready to verify with. Prepare it once for each time it is fetched: it costs as much as a verification.
 *
 * Keys of other algorithms, and keys that are not for signatures, are left out, so that no token can choose them. A key
 * set that is ambiguous or broken is refused in whole.
 *
 * @throws {AssayError} TOKEN_KEY if the set is not one, has more than 64 keys, one kid twice, a secret in it, or an
 *   ES256 or EdDSA key without a kid, of another curve, or off its curve.
 */
export const prepareKeySet = (jwks: JsonWebKeySet): KeySet => {
  const listed: unknown = Reflect.get(Object(jwks), "keys")
  if (!Array.isArray(listed) || listed.length > KEYS_MAX) throw keyError(`a list of at most ${KEYS_MAX} keys`)
  const keys = new Map<string, VerificationKey>()
  const kids = new Set<unknown>()
  for (const jwk of listed) {
    const read = reader(jwk)
    const kid = read("kid")
    if (kid !== undefined && kids.has(kid)) throw keyError("each kid once")
    kids.add(kid)
    if (SECRET_MEMBERS.some((name) => read(name) !== undefined)) throw keyError("public keys alone")
    const algorithm = read("alg")
    if (!isTokenAlgorithm(algorithm) || !isForSignatures(read)) continue
    if (typeof kid !== "string" || kid === "") throw keyError("a kid in each key")
    keys.set(kid, { algorithm, keyObject: keyObjectOf(algorithm, read) })
  }
  return new KeySet(keys)
}

/** Whether `value` names an algorithm of ours. */
export const isTokenAlgorithm = (value: unknown): value is TokenAlgorithm =>
  value === "ES256" || value === "EdDSA"

/** Reads own members alone: a kid of `__proto__` finds nothing that was inherited. */
const reader = (jwk: unknown): ((name: string) => unknown) => {
  if (typeof jwk !== "object" || jwk === null) throw keyError("keys that are JSON objects")
  return (name) => (Object.hasOwn(jwk, name) ? Reflect.get(jwk, name) : undefined)
}

/** RFC 7517 sections 4.2 and 4.3. */
const isForSignatures = (read: (name: string) => unknown): boolean => {
  const use = read("use")
  const operations = read("key_ops")
  if (use !== undefined && use !== "sig") return false
  return operations === undefined || (Array.isArray(operations) && operations.includes("verify"))
}

const keyObjectOf = (algorithm: TokenAlgorithm, read: (name: string) => unknown): KeyObject => {
  const { kty, crv } = KEY_TYPE[algorithm]
  if (read("kty") !== kty || read("crv") !== crv) throw keyError(`${algorithm} keys of ${crv}`)
  const x = read("x")
  const y = read("y")
  if (typeof x !== "string" || (algorithm === "ES256") !== (typeof y === "string"))
    throw keyError(`${algorithm} keys with their coordinates`)
  const key = typeof y === "string" ? { kty, crv, x, y } : { kty, crv, x }
  try {
    return createPublicKey({ key, format: "jwk" })
  } catch (cause) {
    throw new AssayError("TOKEN_KEY", `the key set has a ${algorithm} key that is not on its curve`, {
      cause,
    })
  }
}

const keyError = (expected: string): AssayError =>
  new AssayError("TOKEN_KEY", `the key set is not usable: expected ${expected}`, { expected })
