/**
 * Checks one quote with nothing but what is handed in: no registry, no policy, no challenge of ours. Unlike a
 * verification it goes on after a failure, so that it can say of each check whether it held. What it says of a later
 * check is worth something only if the earlier ones held; `accepted` says whether all did.
 */
import { AssayError, type Code } from "../errors.ts"
import { type EventLog, parseEventLog } from "../evidence/eventlog/eventlog.ts"
import type { HashName } from "../evidence/tpm/algorithm.ts"
import { type Attest, parseAttest } from "../evidence/tpm/attest.ts"
import type { PcrValues } from "../evidence/tpm/pcrs.ts"
import { parseSignature, type Signature } from "../evidence/tpm/signature.ts"
import { createLogOutcome } from "../verification/log-outcome.ts"
import { checkExtraData, checkPcrDigest, checkType, selectValues } from "../verification/quote.ts"
import { type Mismatch, mismatchError, mismatchesOf } from "../verification/replay.ts"
import { type KeyFile, parseKeyFile } from "./key-file.ts"
import { parsePcrs } from "./pcr-file.ts"
import { checkAnyScheme, checkValue, type ExaminedKey, examineKey } from "./quote-signer.ts"
import { parseRawSignature, type SignatureScheme } from "./raw-signature.ts"

/** What is checked, in this order. */
export const QUOTE_CHECKS = [
  "structure", // every input is what its format says
  "key", // its public area is one of an attestation key; of a key alone nobody knows
  "scheme", // the signature is of the key's own scheme, and not over SHA-1
  "signature",
  "type",
  "nonce",
  "selection", // there are values for exactly the quoted PCRs
  "bank", // not of SHA-1 alone; a SHA-1 bank beside a stronger one is a policy's to judge
  "digest",
  "replay", // the event log leads to the values, in every quoted bank
] as const

/** One of the checks. */
export type QuoteCheckName = (typeof QUOTE_CHECKS)[number]

/** A bare key leaves `key` unknown, and a quote without a log `replay`. Every other check has to have held. */
const MAY_BE_UNKNOWN: readonly QuoteCheckName[] = ["key", "replay"]

/** Everything that is handed in, as bytes. */
export interface QuoteInput {
  /** TPMS_ATTEST. */
  readonly attest: Uint8Array
  /** TPMT_SIGNATURE, or with `signatureScheme` the bare value. */
  readonly signature: Uint8Array
  readonly signatureScheme: SignatureScheme | undefined
  /** See `parseKeyFile`. */
  readonly key: Uint8Array
  /** What extraData has to be. A quote without is refused: it could be of any time. */
  readonly nonce: Uint8Array | undefined
  /** See `parsePcrs`. A quote without is refused: a digest alone says nothing. */
  readonly pcrs: Uint8Array | undefined
  readonly eventLog: Uint8Array | undefined
}

/** A check that failed, and how. */
export interface QuoteFinding {
  readonly check: QuoteCheckName
  readonly error: AssayError
}

/** Of each check whether it held; nothing where what it needs was not there or could not be read. */
export type Held = Readonly<Record<QuoteCheckName, boolean | undefined>>

/** What was found. */
export interface QuoteCheck {
  /** Nothing failed, and nothing that a good quote needs was left unchecked. */
  readonly accepted: boolean
  /** Of the first finding. */
  readonly code: Code | undefined
  readonly held: Held
  readonly findings: readonly QuoteFinding[]
  readonly attest: Attest | undefined
  readonly signature: Signature | undefined
  readonly key: KeyFile | undefined
  /** Those of the quoted selection. */
  readonly pcrs: PcrValues | undefined
  /** Every quoted PCR that the log does not lead to. */
  readonly mismatches: readonly Mismatch[]
}

/** Checks a quote. Throws no AssayError: whatever is wrong is a finding. */
export function checkQuote(input: QuoteInput): QuoteCheck {
  const ledger = new Ledger()
  const parse = <T>(act: () => T): T | undefined => ledger.hold("structure", act)
  const attest = parse(() => parseAttest(input.attest))
  const quote = attest?.attested.kind === "quote" ? attest.attested : undefined
  const signature = parse(() => readSignature(input))
  const key = parse(() => parseKeyFile(input.key))
  const shown = given(input.pcrs, (bytes) => parse(() => parsePcrs(bytes, quote?.pcrSelect)))
  const log = given(input.eventLog, (bytes) => parse(() => parseEventLog(bytes)))

  const { signer, flaw } = key === undefined ? NO_KEY : examineKey(key)
  if (flaw !== undefined) ledger.fail("key", flaw)
  else if (key?.kind === "area") ledger.pass("key")
  if (signature !== undefined && signer !== undefined) {
    ledger.hold("scheme", () => checkAnyScheme(signature, signer))
    ledger.hold("signature", () => checkValue(signature, signer, input.attest))
  }
  if (attest !== undefined) {
    ledger.hold("type", () => checkType(attest))
    ledger.hold("nonce", () => checkExtraData(attest, input.nonce ?? new Uint8Array()))
  }
  if (input.pcrs === undefined) ledger.fail("selection", noValues())
  const values =
    quote && given(shown, (pcrs) => ledger.hold("selection", () => selectValues(quote.pcrSelect, pcrs)))
  if (values !== undefined) ledger.hold("bank", () => checkBanks(values))
  const hash = signer?.ak?.scheme.hash ?? hashOf(signature)
  if (quote !== undefined && values !== undefined && hash !== undefined)
    ledger.hold("digest", () => checkPcrDigest({ hash, pcrDigest: quote.pcrDigest }, values))
  const mismatches = values && log ? replayInto(ledger, values, log) : []

  const { findings } = ledger
  const held = ledger.held()
  return {
    accepted: QUOTE_CHECKS.every((check) => held[check] ?? MAY_BE_UNKNOWN.includes(check)),
    code: findings[0]?.error.code,
    held,
    findings,
    attest,
    signature,
    key,
    pcrs: values,
    mismatches,
  }
}

const NO_KEY: ExaminedKey = { signer: undefined, flaw: undefined }

const given = <T, U>(value: T | undefined, act: (value: T) => U | undefined): U | undefined =>
  value === undefined ? undefined : act(value)

/** Which checks ran, and what they found. */
class Ledger {
  readonly findings: QuoteFinding[] = []
  readonly #ran = new Set<QuoteCheckName>()

  /** What `act` gives; what it throws becomes a finding of the check. */
  hold<T>(check: QuoteCheckName, act: () => T): T | undefined {
    this.#ran.add(check)
    try {
      return act()
    } catch (error) {
      if (!(error instanceof AssayError)) throw error
      this.fail(check, error)
      return undefined
    }
  }

  pass(check: QuoteCheckName): void {
    this.#ran.add(check)
  }

  fail(check: QuoteCheckName, error: AssayError): void {
    this.#ran.add(check)
    this.findings.push({ check, error })
  }

  held(): Held {
    const of = (check: QuoteCheckName): boolean | undefined =>
      this.#ran.has(check) ? this.findings.every((finding) => finding.check !== check) : undefined
    return {
      structure: of("structure"),
      key: of("key"),
      scheme: of("scheme"),
      signature: of("signature"),
      type: of("type"),
      nonce: of("nonce"),
      selection: of("selection"),
      bank: of("bank"),
      digest: of("digest"),
      replay: of("replay"),
    }
  }
}

const readSignature = ({ signature, signatureScheme }: QuoteInput): Signature =>
  signatureScheme === undefined ? parseSignature(signature) : parseRawSignature(signature, signatureScheme)

const hashOf = (signature: Signature | undefined): HashName | undefined =>
  signature === undefined || signature.kind === "unsupported" ? undefined : signature.hash

const noValues = (): AssayError =>
  new AssayError("PCR_SELECTION", "without PCR values the quote says nothing", {
    location: "PCR values",
    expected: "the values of the signed selection",
    actual: "none",
  })

/** @throws {AssayError} PCR_BANK. */
const checkBanks = (values: PcrValues): void => {
  if ([...values.keys()].every((hash) => hash === "sha1"))
    throw new AssayError("PCR_BANK", "only a SHA-1 bank is quoted, which proves nothing", {
      location: "sha1",
      expected: "sha256 or stronger",
      actual: "sha1",
    })
}

/** Replays the log in each quoted bank. Every PCR that it does not lead to is a finding. */
const replayInto = (ledger: Ledger, values: PcrValues, log: EventLog): readonly Mismatch[] => {
  const outcome = createLogOutcome(() => log)
  return [...values].flatMap(([bank, quoted]) => {
    const mismatches = ledger.hold("replay", () => mismatchesOf(outcome, bank, quoted)) ?? []
    for (const mismatch of mismatches) ledger.fail("replay", mismatchError(mismatch))
    return mismatches
  })
}
