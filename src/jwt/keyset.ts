import { createPublicKey, type KeyObject } from "node:crypto"
import { AssayError } from "../errors.ts"
import { isTokenAlgorithm, type TokenAlgorithm, type VerificationKey } from "./signature.ts"

/** A JWK Set (RFC 7517), as it was parsed from Assay's `/.well-known/jwks.json`. Nothing in it is trusted unread. */
export interface JsonWebKeySet {
  readonly keys: readonly object[]
}

/** The algorithms that Assay signs tokens with (RFC 7518 section 3.4, RFC 8037 section 3.1). */
const OURS: readonly TokenAlgorithm[] = ["ES256", "EdDSA"]

/** What a key has to say for each algorithm, and nothing may differ. */
const KEY_TYPE: Readonly<Record<TokenAlgorithm, { readonly kty: string; readonly crv: string | undefined }>> =
  {
    ES256: { kty: "EC", crv: "P-256" },
    ES384: { kty: "EC", crv: "P-384" },
    EdDSA: { kty: "OKP", crv: "Ed25519" },
    RS256: { kty: "RSA", crv: undefined },
    RS384: { kty: "RSA", crv: undefined },
    RS512: { kty: "RSA", crv: undefined },
  }

const ALL: readonly TokenAlgorithm[] = ["ES256", "ES384", "EdDSA", "RS256", "RS384", "RS512"]

/** What a key is for that does not say so: its curve's algorithm, and for RSA the one that every issuer has. */
const IMPLIED: readonly TokenAlgorithm[] = ["ES256", "ES384", "EdDSA", "RS256"]

/** Shorter ones are weak, and longer ones cost more than a call. */
const RSA_BITS_MIN = 2048
const RSA_BITS_MAX = 8192
const RSA_EXPONENT_MIN = 65_537n

/** More than any rotation publishes; each costs a point check. */
const KEYS_MAX = 64

/** Members of private and symmetric keys. */
const SECRET_MEMBERS = ["d", "k", "p", "q", "dp", "dq", "qi"]

/** Verification keys by kid, made once and used for every token. Only `prepareKeySet` fills one. */
export class KeySet {
  readonly #keys: ReadonlyMap<string, VerificationKey>
  readonly #algorithms: readonly TokenAlgorithm[]

  constructor(keys: ReadonlyMap<string, VerificationKey>, algorithms: readonly TokenAlgorithm[]) {
    this.#keys = new Map(keys)
    this.#algorithms = algorithms
  }

  get size(): number {
    return this.#keys.size
  }

  /** Whether `algorithm` is one that a key of the set could have. */
  isFor(algorithm: unknown): boolean {
    return this.#algorithms.some((one) => one === algorithm)
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
export const prepareKeySet = (jwks: JsonWebKeySet): KeySet => keySetOf(jwks, OURS, (read) => read("alg"))

/**
 * The same of an issuer that is not Assay: its keys may be of any algorithm that a token can be verified by, and need not
 * say which, for their kind does.
 *
 * @throws {AssayError} TOKEN_KEY, also for RSA keys of fewer than 2048 bits or more than 8192, or with an exponent under 65537.
 */
export const prepareForeignKeySet = (jwks: JsonWebKeySet): KeySet =>
  keySetOf(jwks, ALL, (read) => read("alg") ?? impliedBy(read))

const impliedBy = (read: (name: string) => unknown): TokenAlgorithm | undefined =>
  IMPLIED.find((algorithm) => {
    const { kty, crv } = KEY_TYPE[algorithm]
    return read("kty") === kty && read("crv") === crv
  })

const keySetOf = (
  jwks: JsonWebKeySet,
  algorithms: readonly TokenAlgorithm[],
  algorithmOf: (read: (name: string) => unknown) => unknown,
): KeySet => {
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
    const algorithm = algorithmOf(read)
    if (!isTokenAlgorithm(algorithm) || !algorithms.includes(algorithm) || !isForSignatures(read)) continue
    if (typeof kid !== "string" || kid === "") throw keyError("a kid in each key")
    keys.set(kid, { algorithm, keyObject: keyObjectOf(algorithm, read) })
  }
  return new KeySet(keys, algorithms)
}

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
  if (read("kty") !== kty || read("crv") !== crv) throw keyError(`${algorithm} keys of ${crv ?? kty}`)
  const members = MEMBERS[kty] ?? []
  const parts = members.map((name) => [name, read(name)] as const)
  if (parts.some(([, value]) => typeof value !== "string") || (kty === "OKP" && read("y") !== undefined))
    throw keyError(`${algorithm} keys with their ${members.join(" and ")}`)
  const key = { kty, ...(crv !== undefined && { crv }), ...Object.fromEntries(parts) }
  let keyObject: KeyObject
  try {
    keyObject = createPublicKey({ key, format: "jwk" })
  } catch (cause) {
    throw new AssayError("TOKEN_KEY", `the key set has a ${algorithm} key that is none`, { cause })
  }
  if (kty === "RSA") checkRsa(keyObject)
  return keyObject
}

/** The members that make a public key (RFC 7518, 6; RFC 8037, 2). */
const MEMBERS: Readonly<Record<string, readonly string[]>> = { EC: ["x", "y"], OKP: ["x"], RSA: ["n", "e"] }

const checkRsa = ({ asymmetricKeyDetails }: KeyObject): void => {
  const { modulusLength = 0, publicExponent = 0n } = asymmetricKeyDetails ?? {}
  if (
    modulusLength < RSA_BITS_MIN ||
    modulusLength > RSA_BITS_MAX ||
    publicExponent < RSA_EXPONENT_MIN ||
    publicExponent % 2n === 0n
  )
    throw keyError(
      `RSA keys of ${RSA_BITS_MIN} to ${RSA_BITS_MAX} bits with an odd exponent from ${RSA_EXPONENT_MIN}`,
    )
}

const keyError = (expected: string): AssayError =>
  new AssayError("TOKEN_KEY", `the key set is not usable: expected ${expected}`, { expected })
