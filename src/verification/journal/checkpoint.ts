import { hash } from "node:crypto"
import { fromBase64Url, fromHex, utf8 } from "../../bytes.ts"
import { AssayError } from "../../errors.ts"
import { type JsonObject, parseCanonicalJson } from "../../evidence/json.ts"
import type { ChainHead, ChainId } from "./chain.ts"

/** The media type of a checkpoint, in the header's `typ`. */
export const CHECKPOINT_TYPE = "assay-checkpoint+jwt"

/** What a checkpoint states: that a chain reached this head. */
export interface Checkpoint {
  readonly chain: ChainId
  readonly head: ChainHead
  /** SHA-256 of the chain's checkpoint before this one, 32 bytes; nothing for its first. */
  readonly previous: Uint8Array | undefined
  /** How many records there are since the checkpoint before, or since the chain's beginning. */
  readonly count: number
  readonly issuer: string
  /** Whole seconds since 1970. */
  readonly issuedAt: number
}

/**
 * Verifies a JWS in compact serialization, and gives what it carries. Handed in, for this room holds no key set.
 *
 * @throws {AssayError} `denied` in kind; TOKEN_KEY with the location `kid` if its key is not among those that are known.
 */
export type VerifyJws = (compact: string) => {
  readonly typ: string | undefined
  readonly payload: Uint8Array
}

/** A checkpoint that was read, and whether its signature held: not, if its key is not known. */
export interface ReadCheckpoint extends Checkpoint {
  readonly compact: string
  readonly signed: boolean
}

/** What every checkpoint is known by. 32 bytes. */
export const checkpointDigest = (compact: string): Uint8Array => hash("sha256", utf8(compact), "buffer")

/**
 * Reads a checkpoint. One by a key that is not known is read all the same, as not `signed`: keys come and go, and a later
 * checkpoint of the same chain may vouch for it.
 *
 * @throws {AssayError} JOURNAL_CHECKPOINT if it is none, or if the signature does not hold.
 */
export const readCheckpoint = (compact: string, verify: VerifyJws): ReadCheckpoint => {
  try {
    const { typ, payload } = verify(compact)
    return { ...parseClaims(typ, payload), compact, signed: true }
  } catch (error) {
    if (!(error instanceof AssayError) || error.kind !== "denied") throw error
    if (error.code !== "TOKEN_KEY" || error.location !== "kid")
      throw refusal(`is none: ${error.message}`, error.expected)
    const [header = "", payload = ""] = compact.split(".")
    const { typ } = parseCanonicalJson(fromBase64Url(header) ?? NONE) ?? {}
    return { ...parseClaims(typ, fromBase64Url(payload) ?? NONE), compact, signed: false }
  }
}

const NONE = new Uint8Array()

const MEMBERS = ["iss", "iat", "tenant", "writer", "sequence", "head", "previous", "count"]

const parseClaims = (typ: unknown, payload: Uint8Array): Checkpoint => {
  if (typ !== CHECKPOINT_TYPE) throw refusal("is something else", `the type ${CHECKPOINT_TYPE}`)
  const claims = parseCanonicalJson(payload)
  if (claims === undefined || Object.keys(claims).some((name) => !MEMBERS.includes(name)))
    throw refusal("has other claims", MEMBERS.join(", "))
  const chain = { tenant: textOf(claims, "tenant"), writer: textOf(claims, "writer") }
  const head = { sequence: countOf(claims, "sequence"), hash: digestOf(claims, "head") }
  const previous = claims["previous"] === undefined ? undefined : digestOf(claims, "previous")
  const count = countOf(claims, "count")
  const [issuer, issuedAt] = [textOf(claims, "iss"), countOf(claims, "iat")]
  return { chain, head, previous, count, issuer, issuedAt }
}

const textOf = (claims: JsonObject, name: string): string => {
  const value = claims[name]
  if (typeof value !== "string" || value === "") throw refusal(`has no ${name}`, "text")
  return value
}

const countOf = (claims: JsonObject, name: string): number => {
  const value = claims[name]
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0)
    throw refusal(`has no ${name}`, "a whole number")
  return value
}

const HASH_HEX = /^[0-9a-f]{64}$/

const digestOf = (claims: JsonObject, name: string): Uint8Array => {
  const value = claims[name]
  const bytes = typeof value === "string" && HASH_HEX.test(value) ? fromHex(value) : undefined
  if (bytes === undefined) throw refusal(`has no ${name}`, "64 digits of lowercase hexadecimal")
  return bytes
}

const refusal = (what: string, expected: string | undefined): AssayError =>
  new AssayError("JOURNAL_CHECKPOINT", `the checkpoint ${what}`, expected === undefined ? {} : { expected })
