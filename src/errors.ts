/**
 * Everything that Assay refuses, as one class with a closed list of codes.
 *
 * A code never changes its meaning: it is the attack catalogue's word with its subject, and the `reason` of
 * the `google.rpc.ErrorInfo` that a caller sees. Its kind alone decides how the failure ends.
 */

/** How a failure ends; `server/errors.ts` gives each kind its gRPC status. */
export type Kind =
  | "malformed" // the bytes are not what the format says
  | "refuted" // readable, and shown to be untrue or not allowed
  | "stale" // spent, expired or of another context
  | "denied" // the caller may not do this
  | "missing" // a resource named in the request is not there
  | "exhausted" // a limit of ours was reached
  | "unavailable" // something cannot give a sure answer
  | "fault" // we failed; the cause stays in our log

interface CodeEntry {
  readonly kind: Kind
  /** The classes of the attack catalogue that get this code. */
  readonly attacks: readonly string[]
}

const entry = (kind: Kind, ...attacks: readonly string[]): CodeEntry => ({ kind, attacks })

/** Every code that Assay can answer with. */
export const CODES = {
  // The bytes are not what the format says.
  FRAMING: entry("malformed", "Q-11"),
  LENGTH: entry("malformed", "Q-12"),
  QUOTE_MAGIC: entry("malformed", "Q-01"),
  PCR_SELECTION_MALFORMED: entry("malformed", "Q-07"),
  PUBLIC_AREA: entry("malformed"),
  SPEC_ID: entry("malformed"),
  EVENT: entry("malformed"),
  DER: entry("malformed", "X-11"),
  DUP_EXT: entry("malformed", "X-12"),
  SERIAL: entry("malformed", "X-13"),
  TRAILING: entry("malformed", "X-14"),
  OID: entry("malformed", "X-15"),
  CERTIFICATE: entry("malformed"),
  CRL: entry("malformed"),
  CSR: entry("malformed"),
  PROTO: entry("malformed", "G-02", "G-07"),
  /** A call whose messages are compressed as nobody here can unpack. */
  ENCODING: entry("malformed", "G-02"),
  FIELD: entry("malformed"),
  POLICY_SCHEMA: entry("malformed", "P-01"),
  INPUT: entry("malformed"),
  JOURNAL_FILE: entry("malformed"),
  BACKUP: entry("malformed"),
  /** A name of a tenant, a device or a caller that keeps to no grammar of ours. */
  ID: entry("malformed", "G-12"),
  FILTER: entry("malformed", "G-12"),
  PAGE_TOKEN: entry("malformed", "G-12"),

  // Readable, and shown to be untrue or not allowed.
  ATTEST_TYPE: entry("refuted", "Q-02"),
  PCR_SELECTION: entry("refuted", "Q-03", "Q-04", "Q-06"),
  PCR_UNQUOTED: entry("refuted", "Q-05"),
  PCR_BANK: entry("refuted", "Q-08", "Q-09"),
  PCR_DIGEST: entry("refuted", "Q-10"),
  SIG_ALG: entry("refuted", "Q-13", "Q-14"),
  SIGNATURE: entry("refuted", "Q-15", "Q-16"),
  NONCE_MISMATCH: entry("refuted", "N-03"),
  NONCE_MISSING: entry("refuted", "N-03"),
  QUALIFIED_SIGNER: entry("refuted"),
  AK_ATTRIBUTES: entry("refuted", "K-01"),
  AK_ALGORITHM: entry("refuted"),
  AK_BINDING_UNPROVEN: entry("refuted", "K-02"),
  AK_NAME: entry("refuted", "K-06"),
  AK_BINDING: entry("refuted", "K-02", "K-03", "K-04"),
  KEY_CERTIFICATION: entry("refuted"),
  KEY_NAME: entry("refuted", "K-06"),
  KEY_ATTRIBUTES: entry("refuted"),
  CSR_KEY: entry("refuted", "K-06"),
  CSR_SIGNATURE: entry("refuted"),
  CSR_REQUEST: entry("refuted"),
  EK_MISSING: entry("refuted"),
  EK_TEMPLATE: entry("refuted", "K-06"),
  TPM_MANUFACTURER: entry("refuted"),
  WEAK_KEY: entry("refuted", "K-07"),
  ROCA: entry("refuted", "K-08"),
  KEY_DENIED: entry("refuted", "K-08"),
  UNTRUSTED_ROOT: entry("refuted", "X-01"),
  ISSUER_NOT_CA: entry("refuted", "X-02"),
  PATH_LEN: entry("refuted", "X-03"),
  CRITICAL_EXT: entry("refuted", "X-04"),
  EKU: entry("refuted", "X-05"),
  KEY_USAGE: entry("refuted", "X-02"),
  NAME: entry("refuted", "X-06"),
  VALIDITY: entry("refuted", "X-07"),
  ALG_MISMATCH: entry("refuted", "X-08"),
  EC_PARAMS: entry("refuted", "X-09"),
  WEAK_ALG: entry("refuted", "X-10"),
  CHAIN: entry("refuted", "X-18", "X-19"),
  CERTIFICATE_POLICY: entry("refuted"),
  REVOKED: entry("refuted", "X-20"),
  DEVICE_EXISTS: entry("refuted", "K-04"),
  DEVICE_STATE: entry("refuted"),
  EVENT_LOG_REPLAY: entry("refuted"),
  EVENT_LOG_BANK: entry("refuted"),
  EVENT_LOG_MISSING: entry("refuted"),
  CLOCK_INFO_ROLLBACK: entry("refuted", "K-09"),
  CLOCK_INFO_RESETS: entry("refuted", "K-09"),
  CLOCK_INFO_UNSAFE: entry("refuted", "K-09"),
  TPM_FIRMWARE: entry("refuted", "K-08", "K-09"),
  NO_POLICY: entry("refuted", "P-01"),
  NO_REFERENCE: entry("refuted", "P-02"),
  REFERENCE_SET: entry("refuted", "P-05"),
  RULE_FAILED: entry("refuted", "T-08"),
  AUDIENCE: entry("refuted"),
  SESSION_KEY_UNCERTIFIED: entry("refuted"),
  RAW_NONCE: entry("refuted"),
  JOURNAL_CHAIN: entry("refuted"),
  JOURNAL_CHECKPOINT: entry("refuted"),
  JOURNAL_HEAD: entry("refuted"),
  /** A backup that does not go with the store that it is to be restored into. */
  RESTORE: entry("refuted"),

  // Spent, expired or of another context.
  NONCE_SPENT: entry("stale", "N-01", "N-05"),
  NONCE_CONTEXT: entry("stale", "N-04"),
  NONCE_EXPIRED: entry("stale", "N-04"),
  NONCE_UNKNOWN: entry("stale", "N-04"),
  /** The store of spent challenges was restarted or replaced since. */
  NONCE_FENCED: entry("stale", "S-02"),
  EPOCH: entry("stale"),
  ACTIVATION: entry("stale", "K-05"),
  POLICY_VERSION: entry("stale", "P-06"),
  SNAPSHOT_MOVED: entry("stale", "S-04"),
  /** Evidence names an event log that is not kept for its device: it has to come with the log. */
  EVENT_LOG_NEEDED: entry("stale"),
  ETAG: entry("stale", "S-04"),

  // The caller may not do this.
  CALLER_UNKNOWN: entry("denied", "G-11"),
  PERMISSION: entry("denied", "G-11"),
  ENROLLMENT_TOKEN: entry("denied"),
  TOKEN_ALG: entry("denied", "T-01"),
  TOKEN_KEY: entry("denied", "T-02"),
  TOKEN_FORMAT: entry("denied", "T-03"),
  TOKEN_SIGNATURE: entry("denied", "T-04"),
  TOKEN_TIME: entry("denied", "T-07"),
  TOKEN_CLAIMS: entry("denied"),

  // A resource named in the request is not there.
  DEVICE_NOT_FOUND: entry("missing"),
  ENROLLMENT_TOKEN_NOT_FOUND: entry("missing"),
  POLICY_NOT_FOUND: entry("missing", "P-06"),
  TRUST_NOT_FOUND: entry("missing"),
  /** A health check of a service that is not served. */
  SERVICE_NOT_FOUND: entry("missing"),

  // A limit of ours was reached.
  CHALLENGES_FULL: entry("exhausted", "N-07"),
  RATE: entry("exhausted", "N-07", "G-03"),
  /** More is asked of this process than it can answer in time, or hold. */
  OVERLOADED: entry("exhausted", "N-07", "G-06"),
  /** A request that takes too long to come. */
  SLOW: entry("exhausted", "G-06"),
  MESSAGE_SIZE: entry("exhausted", "G-01", "G-04"),
  ENROLLMENT_LIMIT: entry("exhausted", "N-07"),
  TRUST_FULL: entry("exhausted"),
  LOG_SIZE: entry("exhausted"),
  DEPTH: entry("exhausted", "X-16", "G-07"),
  PATH: entry("exhausted", "X-17", "G-09"),

  // Something cannot give a sure answer.
  RNG: entry("unavailable", "N-02"),
  SIGNER: entry("unavailable"),
  REVOCATION: entry("unavailable", "X-20"),
  TRUST: entry("unavailable", "S-09"),
  JOURNAL: entry("unavailable", "S-07"),
  REGISTRY: entry("unavailable", "S-03"),
  NONCE_STORE: entry("unavailable", "S-01", "S-02"),
  CLOCK: entry("unavailable", "S-06"),
  REVISION_UNCONFIRMED: entry("unavailable"),
  SHUTTING_DOWN: entry("unavailable"),
  /** On the server: no answer was found in the time that a call has. */
  DEADLINE: entry("unavailable", "G-06"),
  /** On the client: no answer came, or none in time. */
  NO_ANSWER: entry("unavailable"),
  /** On the device: its TPM, the tools that speak to it, or its event log cannot be used. */
  TPM: entry("unavailable"),

  // We failed.
  INTERNAL: entry("fault"),
} as const satisfies Record<string, CodeEntry>

/** A code of the closed list. */
export type Code = keyof typeof CODES

/** What became of the challenge of a call that failed. */
export type ChallengeState = "none" | "unspent" | "spent"

/** What a person needs to know beside the code. None of it is secret, and `printable` has made it safe to show. */
export interface Details {
  /** Where: a field's path, a PCR, an event, a certificate. */
  readonly location?: string
  readonly expected?: string
  readonly actual?: string
  /** For `exhausted`: in how many milliseconds it is worth another try. */
  readonly retryMs?: number
  /** For `fault` and `unavailable`: stays in our log. */
  readonly cause?: unknown
}

const SHOWN_MAX = 300

/** `text` with everything but visible ASCII escaped and its length bounded, fit for a log, a terminal and an error. */
export const printable = (text: string): string => {
  const cut = text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text
  return cut.replace(/[^\x20-\x7e…]/gu, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`)
}

/** The one error class. Decide by `code` or `kind`, never by `message`. */
export class AssayError extends Error {
  override readonly name = "AssayError"
  readonly code: Code
  readonly location: string | undefined
  readonly expected: string | undefined
  readonly actual: string | undefined
  readonly retryMs: number | undefined
  /** Set by the use case that held the challenge, so that each error says whether it was spent. */
  challenge: ChallengeState = "none"

  constructor(code: Code, message: string, details: Details = {}) {
    super(printable(message), details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.location = details.location === undefined ? undefined : printable(details.location)
    this.expected = details.expected === undefined ? undefined : printable(details.expected)
    this.actual = details.actual === undefined ? undefined : printable(details.actual)
    this.retryMs = details.retryMs
  }

  get kind(): Kind {
    return CODES[this.code].kind
  }
}

/** The same error under another code or at another place: what it says stays. */
export const retold = (
  error: AssayError,
  changed: { readonly code?: Code; readonly location?: string },
): AssayError => {
  const { code = error.code, location = error.location } = changed
  const { message, expected, actual, retryMs, cause } = error
  return new AssayError(code, message, {
    ...(retryMs !== undefined && { retryMs }),
    ...(location !== undefined && { location }),
    ...(expected !== undefined && { expected }),
    ...(actual !== undefined && { actual }),
    ...(cause !== undefined && { cause }),
  })
}

/** What `act` gives; what it throws, it throws as an error of the field at this path in the request. */
export function inField<T>(location: string, act: () => T): T {
  try {
    return act()
  } catch (error) {
    throw error instanceof AssayError ? retold(error, { location }) : error
  }
}
