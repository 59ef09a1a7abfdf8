import { lengthPrefixed, lengthPrefixedBriefly, PREFIX_BYTES } from "../bytes.ts"
import { AssayError, inField } from "../errors.ts"
import { type Certification, parseCertification, type RawCertification } from "./certification.ts"
import { digestOf } from "./digest.ts"
import { checkLogSize, EV_NO_ACTION, type EventLog, parseEventLog } from "./eventlog/eventlog.ts"
import { Reader } from "./reader.ts"
import { HASHES, type HashName } from "./tpm/algorithm.ts"
import { type Attest, parseAttest } from "./tpm/attest.ts"
import type { UntrustedPcrs } from "./tpm/pcrs.ts"
import { parseName } from "./tpm/public.ts"
import { PCR_COUNT } from "./tpm/selection.ts"
import { parseSignature, type Signature } from "./tpm/signature.ts"
import { type Certificate, parseCertificate } from "./x509/certificate.ts"
import { parseNvCertificate } from "./x509/nv.ts"

/** The PCR values of one bank: those of the signed selection, concatenated in ascending order of index. */
export interface RawPcrBank {
  readonly hash: HashName
  readonly values: Uint8Array
}

/** What a device shows, as it arrives. */
export interface RawEvidence {
  /** Name of the attestation key: which registered key to check with. */
  readonly akName: Uint8Array
  /** TPMS_ATTEST, byte for byte as the TPM signed it. */
  readonly attest: Uint8Array
  /** TPMT_SIGNATURE. */
  readonly signature: Uint8Array
  readonly pcrBanks: readonly RawPcrBank[]
  /** The TCG event log. No bytes at all mean that there is none, for on the wire the two are one. */
  readonly eventLog: Uint8Array | undefined
  /** SHA-256 of the event log, in its place. 32 bytes. */
  readonly eventLogDigest?: Uint8Array | undefined
  /** Certificates of the attestation key, DER, its own first. The first may be NV content. */
  readonly akCertificateChain?: readonly Uint8Array[]
  /** What is shown of a key that a certificate is asked for. */
  readonly certification?: RawCertification | undefined
}

/** An event log as it was sent, and its SHA-256. */
export interface SentLog {
  readonly digest: Uint8Array
  readonly bytes: Uint8Array
}

/** The event log of evidence: not shown at all, there in full, or called by its SHA-256. */
export type ShownLog =
  | { readonly kind: "none" }
  | ({ readonly kind: "sent" } & SentLog)
  | { readonly kind: "named"; readonly digest: Uint8Array }

/** Evidence that is well formed in every part but its log, which `parseSentLog` reads. Nothing in it is proven. */
export interface Evidence {
  readonly akName: Uint8Array
  readonly attest: Attest
  /** What the signature is over. */
  readonly attestBytes: Uint8Array
  readonly signature: Signature
  readonly pcrs: UntrustedPcrs
  readonly log: ShownLog
  readonly akCertificateChain: readonly Certificate[]
  readonly certification: Certification | undefined
  /**
   * SHA-256 over every part, each with its length, and over the log's SHA-256 in its place: names the evidence in the journal,
   * and is the same whether the log was sent or named. 32 bytes.
   */
  readonly digest: Uint8Array
}

/** Evidence in memory of its own, and its digest. Nobody has read it yet, and whoever still holds what came cannot change it. */
export interface CopiedEvidence extends CopiedParts {
  readonly log: ShownLog
}

/**
 * Copies everything that a device shows, once, and makes the digest over that copy.
 *
 * @throws {AssayError} FIELD for a log that is both sent and named; LENGTH for a digest of a log that is not 32 bytes;
 *   LOG_SIZE for a log over 1 MiB.
 */
export function copyEvidence(raw: RawEvidence): CopiedEvidence {
  const log = shownLog(raw)
  return { ...copyOf(raw, log), log }
}

/**
 * Reads everything that a device shows, and says which field is at fault if one is: `location` is the field's
 * path in the request, the message adds the place within it. What comes back are views on the copy.
 *
 * @throws {AssayError} as `parseCertification`; DER, OID, DEPTH, TRAILING, DUP_EXT, SERIAL, CERTIFICATE for certificates; QUOTE_MAGIC, PCR_SELECTION_MALFORMED, FRAMING, LENGTH as the
 *   parsers do; FIELD for a bank that occurs twice; LENGTH for a bank that is not 1 to 24 whole values.
 */
export function parseCopied(copy: CopiedEvidence): Evidence {
  const { akName, attest, signature, pcrBanks, log, akCertificateChain, certification, digest } = copy
  return {
    akName: inField("evidence.tpm.ak_name", () => parseName(akName)),
    attest: inField("evidence.tpm.attest", () => parseAttest(attest)),
    attestBytes: attest,
    signature: inField("evidence.tpm.signature", () => parseSignature(signature)),
    pcrs: { kind: "concatenated", banks: pcrBanks.map(checkedBank) },
    log,
    akCertificateChain: parseChain(akCertificateChain, "evidence.tpm.ak_certificate_chain"),
    certification: certification === undefined ? undefined : parseCertification(certification),
    digest,
  }
}

/** Copies and reads evidence. @throws {AssayError} as `copyEvidence` and `parseCopied`. */
export const parseEvidence = (raw: RawEvidence): Evidence => parseCopied(copyEvidence(raw))

/**
 * Certificates of one key, its own first, which may be what an NV index of the TPM holds.
 *
 * @throws {AssayError} as `parseCertificate` and `unwrapNv`; `location` is the certificate's place in `path`.
 */
export const parseChain = (chain: readonly Uint8Array[], path: string): Certificate[] =>
  chain.map((bytes, i) =>
    inField(`${path}[${i}]`, () => (i === 0 ? parseNvCertificate(bytes) : parseCertificate(bytes))),
  )

/** The log, if there is one, in a copy of its own that is digested before anybody reads it. @throws {AssayError} FIELD, LENGTH, LOG_SIZE. */
function shownLog({ eventLog, eventLogDigest }: RawEvidence): ShownLog {
  const sent = eventLog !== undefined && eventLog.length > 0
  if (eventLogDigest !== undefined) {
    const location = "evidence.tpm.event_log_digest"
    if (sent)
      throw new AssayError("FIELD", `${location}: the log is there itself`, {
        location,
        expected: "event_log or event_log_digest, not both",
      })
    if (eventLogDigest.length !== LOG_DIGEST_BYTES)
      throw new AssayError("LENGTH", `${location}: not a SHA-256`, {
        location,
        expected: `${LOG_DIGEST_BYTES} bytes`,
        actual: `${eventLogDigest.length} bytes`,
      })
    return { kind: "named", digest: new Uint8Array(eventLogDigest) }
  }
  if (!sent) return { kind: "none" }
  inField(LOG_PATH, () => checkLogSize(eventLog))
  const bytes = new Uint8Array(eventLog)
  return { kind: "sent", digest: digestOf("sha256", bytes), bytes }
}

const LOG_PATH = "evidence.tpm.event_log"
const LOG_DIGEST_BYTES = 32

/**
 * The event log of evidence: all of it, with nothing behind its last event, and of no PCR that no TPM has.
 *
 * @throws {AssayError} SPEC_ID, EVENT, FRAMING, LENGTH, LOG_SIZE as `parseEventLog`; EVENT also for unused bytes behind the
 *   last event.
 */
export const parseSentLog = (bytes: Uint8Array): EventLog => inField(LOG_PATH, () => parseWholeLog(bytes))

/**
 * The parts in their fixed order, with their lengths, in one piece of memory, and its digest. The certificates are one
 * part with parts of its own; behind the five that are always there come the banks' pairs of identifier and values, then
 * the certification, if there is one: whether the number of parts is odd says so.
 */
function copyOf(raw: RawEvidence, log: ShownLog): CopiedParts {
  const { akCertificateChain: chain = [], certification, pcrBanks } = raw
  const nameOfLog = log.kind === "none" ? NO_BYTES : log.digest
  const certificates = chain.length === 0 ? NO_BYTES : lengthPrefixed(...chain)
  const parts = [raw.akName, raw.attest, raw.signature, nameOfLog, certificates]
  for (const { hash, values } of pcrBanks) parts.push(IDENTIFIERS[hash], values)
  if (certification !== undefined) parts.push(lengthPrefixed(...partsOf(certification)))
  // What is read out of certificates is kept for long, and must not keep more than itself.
  const isKept = chain.length > 0 || certification !== undefined
  const copy = isKept ? lengthPrefixed(...parts) : lengthPrefixedBriefly(parts)
  let end = 0
  const pass = ({ length }: Uint8Array): void => {
    end += PREFIX_BYTES + length
  }
  /** What became of the next part. */
  const next = (part: Uint8Array): Uint8Array => {
    pass(part)
    return copy.subarray(end - part.length, end)
  }
  const akName = next(raw.akName)
  const attest = next(raw.attest)
  const signature = next(raw.signature)
  pass(nameOfLog)
  const chainCopy = next(certificates)
  const banks = pcrBanks.map(({ hash, values }) => {
    pass(IDENTIFIERS[hash])
    return { hash, values: next(values) }
  })
  return {
    digest: digestOf("sha256", copy),
    akName,
    attest,
    signature,
    akCertificateChain: chain.length === 0 ? [] : readChain(chainCopy, chain.length),
    pcrBanks: banks,
    certification:
      certification === undefined ? undefined : readCertification(copy.subarray(end + PREFIX_BYTES)),
  }
}

const readChain = (parts: Uint8Array, count: number): Uint8Array[] => {
  const r = new Reader(parts, "evidence.certificates")
  return Array.from({ length: count }, () => r.sized32("certificate", parts.length))
}

const partsOf = ({ csr, keyPublic, attest, signature }: RawCertification): Uint8Array[] => [
  csr,
  keyPublic,
  attest,
  signature,
]

const readCertification = (parts: Uint8Array): RawCertification => {
  const r = new Reader(parts, "evidence.certification")
  const next = (): Uint8Array => r.sized32("part", parts.length)
  return { csr: next(), keyPublic: next(), attest: next(), signature: next() }
}

const NO_BYTES = new Uint8Array()

const identifierOf = (hash: HashName): Uint8Array => Uint8Array.of(HASHES[hash].id >>> 8, HASHES[hash].id)
const IDENTIFIERS: Readonly<Record<HashName, Uint8Array>> = {
  sha1: identifierOf("sha1"),
  sha256: identifierOf("sha256"),
  sha384: identifierOf("sha384"),
  sha512: identifierOf("sha512"),
}

interface CopiedParts extends Required<Omit<RawEvidence, "eventLog" | "eventLogDigest">> {
  /** As that of `Evidence`. */
  readonly digest: Uint8Array
}

/** A bank of its own, with one to 24 whole digests. Whether they are those of the selection is not known here. */
function checkedBank(bank: RawPcrBank, index: number, banks: readonly RawPcrBank[]): RawPcrBank {
  const path = `evidence.tpm.pcr_banks[${index}]`
  if (banks.findIndex(({ hash }) => hash === bank.hash) !== index)
    throw new AssayError("FIELD", `${path}.hash: bank ${bank.hash} occurs twice`, {
      location: `${path}.hash`,
      expected: "each bank once",
      actual: bank.hash,
    })
  const { sizeBytes } = HASHES[bank.hash]
  const { length } = bank.values
  if (length === 0 || length % sizeBytes !== 0 || length > PCR_COUNT * sizeBytes)
    throw new AssayError("LENGTH", `${path}.values: not whole values of bank ${bank.hash}`, {
      location: `${path}.values`,
      expected: `1 to ${PCR_COUNT} times ${sizeBytes} bytes`,
      actual: `${length} bytes`,
    })
  return bank
}

function parseWholeLog(bytes: Uint8Array): EventLog {
  const log = parseEventLog(bytes)
  if (log.paddingBytes > 0)
    throw new AssayError(
      "EVENT",
      `event log at byte ${bytes.length - log.paddingBytes}: bytes after the last event`,
      {
        actual: `${log.paddingBytes} bytes of one value`,
      },
    )
  const stray = log.events.find(
    ({ pcr, untrustedType }) => untrustedType !== EV_NO_ACTION && pcr >= PCR_COUNT,
  )
  if (stray !== undefined)
    throw new AssayError("EVENT", `event log, event ${stray.sequence}: extends a PCR that no TPM has`, {
      actual: `PCR ${stray.pcr}`,
    })
  return log
}
