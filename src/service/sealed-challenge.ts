import { briefCopy, lengthPrefixed, utf8 } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { Reader } from "../evidence/reader.ts"
import { NAME_BYTES_MAX } from "../evidence/tpm/algorithm.ts"
import { sessionKeyBytes } from "../evidence/transcript.ts"
import type { Challenge, OpenedValue, SingleUse } from "./ports.ts"

/** The most that one field of a request has. */
const FIELD_BYTES_MAX = 2048

/** A challenge that was opened. */
export interface OpenedChallenge {
  readonly challenge: Challenge
  /** What it is spent by. */
  readonly value: OpenedValue
}

/** Seals a challenge into what its caller hands back. @throws {AssayError} RNG, NONCE_STORE, CLOCK. */
export const sealChallenge = (singleUse: SingleUse, challenge: Challenge): Promise<Uint8Array> =>
  singleUse.seal({
    purpose: "attest",
    tenant: challenge.tenant,
    id: challenge.random,
    expiresAt: challenge.expiresAt,
    content: encode(challenge),
  })

/**
 * Opens a challenge, without a write.
 *
 * @throws {AssayError} NONCE_UNKNOWN, NONCE_EXPIRED, NONCE_SPENT; NONCE_STORE, CLOCK.
 */
export const openChallenge = (singleUse: SingleUse, sealed: Uint8Array, at: Date): Promise<OpenedChallenge> =>
  singleUse.open("attest", sealed, at).then((value) => ({ challenge: decode(value), value }))

/**
 * Shape, big-endian: caller, device, audience, confirmation method and key (both empty for none) and policy, each
 * with a u32 size before it; then the policy's revision and the issue in ms since 1970 as text, with their sizes too.
 */
const encode = (challenge: Challenge): Uint8Array =>
  lengthPrefixed(
    utf8(challenge.caller),
    utf8(challenge.device),
    utf8(challenge.audience),
    utf8(challenge.confirmation?.method ?? ""),
    challenge.confirmation === undefined ? new Uint8Array() : sessionKeyBytes(challenge.confirmation),
    utf8(challenge.policy),
    utf8(String(challenge.policyRevision)),
    utf8(String(challenge.issuedAt.getTime())),
  )

/** What was sealed is ours: nobody else's bytes come here. */
const decode = ({ tenant, id, expiresAt, content }: OpenedValue): Challenge => {
  const r = new Reader(briefCopy(content), "challenge")
  const text = (field: string): string => r.ownText32(field, FIELD_BYTES_MAX)
  const challenge = {
    random: id,
    tenant,
    caller: text("caller"),
    device: text("device"),
    audience: text("audience"),
    confirmation: confirmationOf(text("method"), r.sized32("key", NAME_BYTES_MAX)),
    policy: text("policy"),
    policyRevision: Number(text("policyRevision")),
    issuedAt: new Date(Number(text("issuedAt"))),
    expiresAt,
  }
  r.end()
  return challenge
}

const METHODS: readonly NonNullable<Challenge["confirmation"]>["method"][] = ["x5t#S256", "jkt", "name"]

const confirmationOf = (name: string, key: Uint8Array): Challenge["confirmation"] => {
  if (name === "") return undefined
  const method = METHODS.find((known) => known === name)
  // A later version's, among replicas of both: without its confirmation the session would be anybody's.
  if (method === undefined)
    throw new AssayError("NONCE_UNKNOWN", "the challenge is of another version of Assay")
  return method === "name" ? { method, name: key } : { method, digest: key }
}
