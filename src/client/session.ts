import { timingSafeEqual } from "node:crypto"
import { fromBase64Url } from "../bytes.ts"
import type { AssayError } from "../errors.ts"
import { isObject, type JsonObject, parseCanonicalJson } from "../evidence/json.ts"
import type { Confirmation } from "../evidence/transcript.ts"
import { refusal, verifyCompact } from "../jwt/compact.ts"
import { type JsonWebKeySet, KeySet, prepareKeySet } from "../jwt/keyset.ts"
import { type Ear, readEar } from "./ear.ts"

/** What a relying party has to say to have a session token checked. */
export interface SessionTokenOptions {
  /** Assay's published keys. Prepare them once with `prepareKeySet`; a plain JWK Set is prepared at each call. */
  readonly keys: KeySet | JsonWebKeySet
  /** Exactly what `iss` has to be. */
  readonly issuer: string
  /** Exactly what `aud` has to be: the name of the service that asks. */
  readonly audience: string
  readonly at: Date
  /**
   * The key that the presenter has proven to hold: the SHA-256 of its TLS certificate or the thumbprint of its DPoP
   * key. A token for another key or for none is refused. "checked-elsewhere" leaves it to the caller, who then has to
   * compare `confirmation` of the result itself. Without this option a token that is bound to a key is refused.
   */
  readonly confirmation?: Confirmation | "checked-elsewhere"
  /** How far this clock may be from Assay's: a whole number of seconds, 0 (the default) to 60. */
  readonly clockToleranceSeconds?: number
  /** The longest life, iat to exp, that a token may have; by default one day, which is the most that a policy grants. */
  readonly lifetimeSecondsMax?: number
}

/** What a good session token says. */
export interface SessionClaims {
  readonly issuer: string
  readonly audience: string
  /** jti. The identity of the token: its bytes are not, an ECDSA signature has a twin. */
  readonly id: string
  /** sub. */
  readonly device: string
  readonly tenant: string
  /** The revision of the device's record that it was judged under. */
  readonly deviceRevision: number
  readonly issuedAt: Date
  readonly expiresAt: Date
  readonly tier: Ear["tier"]
  readonly vector: Ear["vector"]
  readonly policies: Ear["policies"]
  /** The key that the session is bound to; nothing of a bearer token. */
  readonly confirmation: Confirmation | undefined
}

/** The `typ` of session tokens. A signed result of a refusal has another one, and is no session. */
const TYP = "assay-session+jwt"

const CLOCK_TOLERANCE_SECONDS_MAX = 60
const LIFETIME_SECONDS_MAX = 86_400
const DIGEST_BYTES = 32

/**
 * Checks a session token offline: signature by a published key, type, issuer, audience, times, tier, and the key that it
 * is bound to. Whether the session was revoked in the meantime is not known here.
 *
 * @throws {AssayError} TOKEN_FORMAT, TOKEN_ALG, TOKEN_KEY, TOKEN_SIGNATURE, TOKEN_TIME, TOKEN_CLAIMS.
 * @throws {TypeError} if the options are not usable.
 * @see RFC 7519 section 7.2, RFC 8725 section 3, RFC 7800 section 3.
 */
export const verifySessionToken = (token: string, options: SessionTokenOptions): SessionClaims => {
  checkOptions(options)
  const keys = options.keys instanceof KeySet ? options.keys : prepareKeySet(options.keys)
  const { typ, payload } = verifyCompact(token, keys)
  if (typ !== TYP) throw refusal("TOKEN_FORMAT", "typ", TYP)
  const claims = parseCanonicalJson(payload)
  if (claims === undefined)
    throw refusal("TOKEN_FORMAT", "payload", "a JSON object as JSON.stringify writes it")

  const times = checkTimes(claims, options)
  if (claims["iss"] !== options.issuer) throw refusal("TOKEN_CLAIMS", "iss", "the issuer")
  if (claims["aud"] !== options.audience) throw refusal("TOKEN_CLAIMS", "aud", "this audience and no other")
  return {
    issuer: options.issuer,
    audience: options.audience,
    id: readText(claims, "jti"),
    device: readText(claims, "sub"),
    tenant: readText(claims, "tenant"),
    deviceRevision: readRevision(claims),
    ...times,
    ...readEar(claims),
    confirmation: checkConfirmation(claims, options.confirmation),
  }
}

const checkOptions = (options: SessionTokenOptions): void => {
  const { issuer, audience, at, clockToleranceSeconds = 0, lifetimeSecondsMax = 1 } = options
  if (typeof issuer !== "string" || issuer === "") throw new TypeError("issuer is the iss to expect")
  if (typeof audience !== "string" || audience === "") throw new TypeError("audience is the aud to expect")
  if (!(at instanceof Date) || Number.isNaN(at.getTime())) throw new TypeError("at is a valid Date")
  if (
    !Number.isInteger(clockToleranceSeconds) ||
    clockToleranceSeconds < 0 ||
    clockToleranceSeconds > CLOCK_TOLERANCE_SECONDS_MAX
  )
    throw new TypeError(`clockToleranceSeconds is a whole number from 0 to ${CLOCK_TOLERANCE_SECONDS_MAX}`)
  if (!Number.isSafeInteger(lifetimeSecondsMax) || lifetimeSecondsMax < 1)
    throw new TypeError("lifetimeSecondsMax is a positive whole number")
}

/** iat <= nbf <= exp, begun and not over, and no longer than asked for. A token ends at the instant of its exp. */
const checkTimes = (
  claims: JsonObject,
  { at, clockToleranceSeconds = 0, lifetimeSecondsMax = LIFETIME_SECONDS_MAX }: SessionTokenOptions,
): Pick<SessionClaims, "issuedAt" | "expiresAt"> => {
  const iat = readSeconds(claims, "iat")
  const nbf = readSeconds(claims, "nbf")
  const exp = readSeconds(claims, "exp")
  const now = at.getTime() / 1000
  if (iat > nbf || nbf > exp) throw refusal("TOKEN_TIME", "nbf", "iat <= nbf <= exp")
  if (exp - iat > lifetimeSecondsMax)
    throw refusal("TOKEN_TIME", "exp", `iat + ${lifetimeSecondsMax} s at most`)
  // iat <= nbf, so that this bounds both.
  if (nbf > now + clockToleranceSeconds) throw refusal("TOKEN_TIME", "nbf", "a token that is valid already")
  if (exp <= now - clockToleranceSeconds) throw refusal("TOKEN_TIME", "exp", "a token that is still valid")
  return { issuedAt: new Date(iat * 1000), expiresAt: new Date(exp * 1000) }
}

/** The last second that a Date can hold. */
const SECONDS_MAX = 8_640_000_000_000

const readSeconds = (claims: JsonObject, name: string): number => {
  const value = claims[name]
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > SECONDS_MAX)
    throw refusal("TOKEN_TIME", name, "whole seconds since 1970")
  return value
}

const readText = (claims: JsonObject, name: string): string => {
  const value = claims[name]
  if (typeof value !== "string" || value === "") throw refusal("TOKEN_CLAIMS", name, "text")
  return value
}

const readRevision = (claims: JsonObject): number => {
  const value = claims["device_revision"]
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0)
    throw refusal("TOKEN_CLAIMS", "device_revision", "a whole number")
  return value
}

/** The confirmation of the token, if it is the one that the presenter proved (attacks T-06, N-06). */
const checkConfirmation = (
  claims: JsonObject,
  proven: SessionTokenOptions["confirmation"],
): Confirmation | undefined => {
  const bound = readConfirmation(claims["cnf"])
  if (proven === "checked-elsewhere") return bound
  if (bound === undefined && proven === undefined) return undefined
  if (bound === undefined || proven === undefined || !sameConfirmation(bound, proven))
    throw confirmationError()
  return bound
}

const sameConfirmation = (a: Confirmation, b: Confirmation): boolean =>
  a.method === b.method && a.digest.length === b.digest.length && timingSafeEqual(a.digest, b.digest)

/** RFC 7800 section 3.1: one method, here one of two. */
const readConfirmation = (cnf: unknown): Confirmation | undefined => {
  if (cnf === undefined) return undefined
  const [member, ...others] = isObject(cnf) ? Object.entries(cnf) : []
  const [method, value] = member ?? []
  const digest = typeof value === "string" ? fromBase64Url(value) : undefined
  if (others.length > 0 || (method !== "x5t#S256" && method !== "jkt") || digest?.length !== DIGEST_BYTES)
    throw confirmationError()
  return { method, digest }
}

const confirmationError = (): AssayError =>
  refusal("TOKEN_CLAIMS", "cnf", "a session of the key that its presenter has proven to hold")
