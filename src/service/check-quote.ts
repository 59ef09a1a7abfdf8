/**
 * Checks one quote with nothing but what is handed in: no registry, no policy, no challenge of ours. Unlike a
 * verification it goes on after a failure, so that it can say of each check whether it held. What it says of a later
 * check is worth something only if the earlier ones held; `accepted` says whether all did.
 */
import type { KeyObject } from "node:crypto"
import { toHex } from "../bytes.ts"
import { AssayError, type Code } from "../errors.ts"
import { EV_NO_ACTION, type EventLog, parseEventLog } from "../evidence/eventlog/eventlog.ts"
import { algorithmId, type HashName } from "../evidence/tpm/algorithm.ts"
import { type Attest, parseAttest } from "../evidence/tpm/attest.ts"
import type { BankValues, PcrValues } from "../evidence/tpm/pcrs.ts"
import type { PublicArea } from "../evidence/tpm/public.ts"
import { parseSignature, type Signature } from "../evidence/tpm/signature.ts"
import { type AttestationKey, createAttestationKey, createKeyObject } from "../verification/key.ts"
import {
  checkExtraData,
  checkPcrDigest,
  checkScheme,
  checkType,
  selectValues,
} from "../verification/quote.ts"
import {
  BOOT_PCR_MAX,
  compareBank,
  isResetValue,
  type Mismatch,
  mismatchError,
  replayBank,
} from "../verification/replay.ts"
import { verifySignature } from "../verification/signature.ts"
import { type KeyFile, parseKeyFile } from "./key-file.ts"
import { parsePcrs } from "./pcr-file.ts"
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

  const signer = given(key, (file) => signerOf(file, ledger))
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
      digest: of("digest"),
      replay: of("replay"),
    }
  }
}

const readSignature = ({ signature, signatureScheme }: QuoteInput): Signature =>
  signatureScheme === undefined ? parseSignature(signature) : parseRawSignature(signature, signatureScheme)

/** What the signature is checked with, whether or not the key may sign quotes. */
interface Signer {
  readonly keyObject: KeyObject
  /** Of a key with a public area that names a scheme: the scheme is the key's to say, and no signature's. */
  readonly ak: AttestationKey | undefined
}

const signerOf = (file: KeyFile, ledger: Ledger): Signer | undefined => {
  if (file.kind === "area") {
    const ak = ledger.hold("key", () => createAttestationKey(file.area))
    return ak === undefined ? unfitSigner(file.area) : { keyObject: ak.keyObject, ak }
  }
  try {
    return { keyObject: createKeyObject(file.key), ak: undefined }
  } catch (error) {
    if (!(error instanceof AssayError)) throw error
    ledger.fail("key", error)
    return undefined
  }
}

/** A key that is no attestation key has its finding already; that its signature is right may still be said. */
const unfitSigner = (area: PublicArea): Signer | undefined => {
  const { scheme } = area
  try {
    const keyObject = createKeyObject(area.key)
    const hasScheme = scheme.kind !== "null" && scheme.kind !== "unsupported"
    return { keyObject, ak: hasScheme ? { area, keyObject, scheme } : undefined }
  } catch (error) {
    if (!(error instanceof AssayError)) throw error
    return undefined
  }
}

/** As `checkScheme`; for a key without a scheme of its own, the signature's has to be one for such keys. Never SHA-1. */
const checkAnyScheme = (signature: Signature, { keyObject, ak }: Signer): void => {
  if (ak !== undefined) checkScheme(signature, ak)
  const isEcc = keyObject.asymmetricKeyType === "ec"
  if (signature.kind === "unsupported")
    throw schemeError(
      "rsassa, rsapss or ecdsa with a hash of the SHA-2 family",
      algorithmId(signature.sigAlg),
    )
  if ((signature.kind === "ecdsa") !== isEcc)
    throw schemeError(
      isEcc ? "ecdsa, for the key is ECC" : "rsassa or rsapss, for the key is RSA",
      signature.kind,
    )
  if (signature.hash === "sha1") throw schemeError("sha256, sha384 or sha512", signature.hash)
}

const schemeError = (expected: string, actual: string): AssayError =>
  new AssayError("SIG_ALG", "the signature is not of a scheme that Assay accepts", {
    location: "TPMT_SIGNATURE",
    expected,
    actual,
  })

const checkValue = (signature: Signature, { keyObject, ak }: Signer, attest: Uint8Array): void => {
  if (!verifySignature(keyObject, signature, attest))
    throw new AssayError("SIGNATURE", "the key did not sign these bytes", {
      location: "TPMT_SIGNATURE",
      expected: ak === undefined ? "a signature by the key" : `a signature by ${toHex(ak.area.name)}`,
      actual: "none",
    })
}

const hashOf = (signature: Signature | undefined): HashName | undefined =>
  signature === undefined || signature.kind === "unsupported" ? undefined : signature.hash

const noValues = (): AssayError =>
  new AssayError("PCR_SELECTION", "without PCR values the quote says nothing", {
    location: "PCR values",
    expected: "the values of the signed selection",
    actual: "none",
  })

/** Replays the log in each quoted bank. Every PCR that it does not lead to is a finding. */
const replayInto = (ledger: Ledger, values: PcrValues, log: EventLog): readonly Mismatch[] =>
  [...values].flatMap(([bank, quoted]) => {
    const mismatches = ledger.hold("replay", () => replayedMismatches(log, bank, quoted)) ?? []
    for (const mismatch of mismatches) ledger.fail("replay", mismatchError(mismatch))
    return mismatches
  })

const replayedMismatches = (log: EventLog, bank: HashName, quoted: BankValues): readonly Mismatch[] => {
  if (!log.banks.includes(bank)) {
    if (isUntouched(log, quoted)) return []
    throw new AssayError("EVENT_LOG_BANK", `the event log has no digests for the quoted bank ${bank}`, {
      location: `event log, bank ${bank}`,
      expected: bank,
      actual: log.banks.join(", "),
    })
  }
  const { values, gap } = replayBank(log, bank)
  if (gap !== undefined)
    throw new AssayError("EVENT_LOG_REPLAY", `event ${gap.sequence} has no digest for the bank ${bank}`, {
      location: `${bank}:${gap.pcr}, event ${gap.sequence}`,
    })
  return compareBank(log, bank, values, quoted)
}

/**
 * Whether a bank that the log has no digests for is as such a log leaves it: of the PCRs that the log extends in other
 * banks and the boot PCRs, some are quoted, and all those are at their reset value. Real firmware leaves banks so; what
 * that means for the device is a policy's to say.
 */
const isUntouched = (log: EventLog, quoted: BankValues): boolean => {
  const listed = log.events.flatMap(({ pcr, untrustedType }) => (untrustedType === EV_NO_ACTION ? [] : pcr))
  const compared = [...quoted].filter(([pcr]) => pcr <= BOOT_PCR_MAX || listed.includes(pcr))
  return compared.length > 0 && compared.every(([pcr, value]) => isResetValue(pcr, value))
}
