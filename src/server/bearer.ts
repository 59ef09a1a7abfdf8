/**
 * Callers that are known by a token of somebody whom the operator trusts to name them: a JWT, whose key is one of that
 * issuer's own, whatever its header says. What a token says of its holder's role and tenant counts only where the operator
 * has said what it means here.
 */
import { hash } from "node:crypto"
import { fromBase64Url } from "../bytes.ts"
import { isObject, type JsonObject, parseUniqueJson } from "../evidence/json.ts"
import { refusal, verifyCompact } from "../jwt/compact.ts"
import type { KeySet } from "../jwt/keyset.ts"
import { Memory } from "./memory.ts"
import type { Principal, Role } from "./roles.ts"

/** A fixed value, or what the values of a claim mean here. */
export type Meaning<T extends string> =
  | { readonly kind: "fixed"; readonly value: T }
  | { readonly kind: "claim"; readonly claim: string; readonly values: ReadonlyMap<string, T> }

/** Who the holders of an issuer's tokens are. */
export interface TokenRule {
  /** Begins the ids of its callers. */
  readonly name: string
  /** Exactly what `iss` is. No other rule has the same. */
  readonly issuer: string
  /** Exactly what `aud` is, as text or as the one element of a list. */
  readonly audience: string
  /** What `typ` may be; `none` for a token without one. */
  readonly types: readonly string[]
  readonly role: Meaning<Exclude<Role, "device">>
  readonly tenant: Meaning<string>
  /** From iat to exp, at most. */
  readonly lifetimeSecondsMax: number
  /** How far the issuer's clock may be from ours. */
  readonly clockToleranceSeconds: number
  readonly keys: KeySet
}

/** Says who the holder of a token is. @throws {AssayError} TOKEN_FORMAT, TOKEN_ALG, TOKEN_KEY, TOKEN_SIGNATURE, TOKEN_TIME, TOKEN_CLAIMS. */
export type KnowBearer = (token: string) => Principal

/** Tokens that are remembered: of as many callers. */
const REMEMBERED_MAX = 4096

/**
 * Verifies tokens. One whose signature held is remembered by its digest until it ends or its issuer's keys change; none
 * that was refused is.
 *
 * @see RFC 8725, 3; RFC 7519, 7.2.
 */
export function createKnowBearer(rules: () => readonly TokenRule[], now: () => Date): KnowBearer {
  const known = new Memory<{ readonly principal: Principal; readonly validUntil: number }>(REMEMBERED_MAX)
  let from: readonly TokenRule[] = []
  return (token) => {
    const current = rules()
    if (current.length !== from.length || current.some((rule, i) => rule !== from[i])) {
      known.clear()
      from = current
    }
    const at = now()
    const digest = hash("sha256", token, "base64url")
    const before = known.get(digest, at)
    if (before !== undefined) return before.principal
    const rule = ruleOf(token, current)
    const { typ = "none", payload } = verifyCompact(token, rule.keys, parseUniqueJson)
    if (!rule.types.includes(typ)) throw refusal("TOKEN_FORMAT", "typ", rule.types.join(" or "))
    const claims = parseUniqueJson(payload)
    if (claims === undefined) throw refusal("TOKEN_FORMAT", "payload", "a JSON object, each member once")
    const validUntil = checkTimes(claims, rule, at)
    const principal = holderOf(claims, rule)
    known.set(digest, { principal, validUntil })
    return principal
  }
}

/** The rule of the issuer that a token names. Nothing is believed of it for that: it has to be signed by this issuer. */
function ruleOf(token: string, rules: readonly TokenRule[]): TokenRule {
  const [, payload = ""] = token.split(".", 2)
  const claims = parseUniqueJson(fromBase64Url(payload) ?? new Uint8Array())
  if (claims === undefined) throw refusal("TOKEN_FORMAT", "payload", "a JSON object, each member once")
  const rule = rules.find(({ issuer }) => issuer === claims["iss"])
  if (rule === undefined) throw refusal("TOKEN_CLAIMS", "iss", "an issuer of the configuration")
  return rule
}

/** Until when the token holds, in milliseconds since 1970: it ends at the instant of its exp. */
function checkTimes(
  claims: JsonObject,
  { lifetimeSecondsMax, clockToleranceSeconds }: TokenRule,
  at: Date,
): number {
  const iat = secondsOf(claims, "iat")
  const exp = secondsOf(claims, "exp")
  const begins = Object.hasOwn(claims, "nbf") ? Math.max(iat, secondsOf(claims, "nbf")) : iat
  const now = at.getTime() / 1000
  if (exp - iat > lifetimeSecondsMax)
    throw refusal("TOKEN_TIME", "exp", `iat + ${lifetimeSecondsMax} s at most`)
  if (begins > now + clockToleranceSeconds)
    throw refusal("TOKEN_TIME", "nbf", "a token that is valid already")
  const ends = exp + clockToleranceSeconds
  if (ends <= now) throw refusal("TOKEN_TIME", "exp", "a token that is still valid")
  return ends * 1000 - 1
}

/** The last second that a Date can hold. */
const SECONDS_MAX = 8_640_000_000_000

function secondsOf(claims: JsonObject, name: string): number {
  const value = claims[name]
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > SECONDS_MAX)
    throw refusal("TOKEN_TIME", name, "whole seconds since 1970")
  return value
}

/** What issuers name callers by: visible ASCII, for it is in every line of the log. */
const SUBJECT = /^[\x21-\x7e]{1,255}$/

function holderOf(claims: JsonObject, rule: TokenRule): Principal {
  const { aud, sub } = claims
  // A token for several services is also in the hands of the others.
  const [audience, ...others]: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
  if (audience !== rule.audience || others.length > 0)
    throw refusal("TOKEN_CLAIMS", "aud", "this audience and no other")
  if (typeof sub !== "string" || !SUBJECT.test(sub))
    throw refusal("TOKEN_CLAIMS", "sub", "1 to 255 visible characters of ASCII")
  // Whoever presents it would have to prove a key, and here nobody does.
  if (Object.hasOwn(claims, "cnf")) throw refusal("TOKEN_CLAIMS", "cnf", "a token that is bound to no key")
  return {
    tenant: meaningOf(claims, rule.tenant),
    id: `jwt:${rule.name}:${sub}`,
    role: meaningOf(claims, rule.role),
  }
}

/** The one thing that a claim's values mean here. Values that mean nothing are passed over. */
function meaningOf<T extends string>(claims: JsonObject, meaning: Meaning<T>): T {
  if (meaning.kind === "fixed") return meaning.value
  const { claim, values } = meaning
  const said: unknown = Object.hasOwn(claims, claim) ? claims[claim] : undefined
  const all: readonly unknown[] = Array.isArray(said) ? said : [said]
  const found = new Set(all.flatMap((value) => (typeof value === "string" ? (values.get(value) ?? []) : [])))
  const [only, ...others] = found
  if (only === undefined || others.length > 0 || isObject(said))
    throw refusal("TOKEN_CLAIMS", claim, "exactly one of the meanings of the configuration")
  return only
}
