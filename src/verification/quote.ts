/**
 * The checks of one quote, in the order in which they may be believed: the signature's scheme, the signature over
 * the exact bytes, what was signed, who signed, for which challenge; then the selection, the values and their
 * digest. Each is a function of its own, so that `assay check quote` can say of each whether it held; the service
 * calls `proveQuote` and `verifyPcrs`, which stop at the first failure, for nothing after it can be believed.
 */
import { timingSafeEqual } from "node:crypto"
import { briefCopy, concatBriefly, sameBytes, toHex } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { digestOf } from "../evidence/digest.ts"
import { algorithmId, HASHES, type HashName } from "../evidence/tpm/algorithm.ts"
import type { Attest, ClockInfo } from "../evidence/tpm/attest.ts"
import type { BankValues, PcrValues, UntrustedPcrs } from "../evidence/tpm/pcrs.ts"
import type { PcrSelection } from "../evidence/tpm/selection.ts"
import type { Signature } from "../evidence/tpm/signature.ts"
import type { AttestationKey } from "./key.ts"
import { verifySignature } from "./signature.ts"
import { type Verified, vouch } from "./verified.ts"

/** What a device shows of its quote. */
export interface SignedAttest {
  readonly attest: Attest
  /** The bytes that were signed. */
  readonly attestBytes: Uint8Array
  readonly signature: Signature
}

/** What the quote must say to be an answer. */
export interface Expected {
  /** Never empty. */
  readonly extraData: Uint8Array
  /** If the key's parent is known. */
  readonly qualifiedSigner: Uint8Array | undefined
}

/** A quote that the key signed, over what was asked for. Its PCR digest is proven, PCR values are not yet. */
export interface Quote {
  /** The hash of the signature scheme, which pcrDigest is made with. */
  readonly hash: HashName
  readonly pcrSelect: readonly PcrSelection[]
  readonly pcrDigest: Uint8Array
  readonly qualifiedSigner: Uint8Array
  readonly clockInfo: ClockInfo
  readonly firmwareVersion: bigint
}

/**
 * Proves that the key itself signed exactly these bytes, that they are a quote, and that it answers.
 *
 * @throws {AssayError} SIG_ALG, SIGNATURE, ATTEST_TYPE, QUALIFIED_SIGNER, NONCE_MISMATCH, NONCE_MISSING.
 */
export function proveQuote(
  signed: SignedAttest,
  ak: Verified<AttestationKey>,
  expected: Expected,
): Verified<Quote> {
  checkScheme(signed.signature, ak)
  checkSignature(signed, ak)
  const { pcrSelect, pcrDigest } = checkType(signed.attest)
  checkQualifiedSigner(signed.attest, expected.qualifiedSigner)
  checkExtraData(signed.attest, expected.extraData)
  const { qualifiedSigner, clockInfo, firmwareVersion } = signed.attest
  return vouch({ hash: ak.scheme.hash, pcrSelect, pcrDigest, qualifiedSigner, clockInfo, firmwareVersion })
}

/** The signature's scheme and hash are those of the key itself. @throws {AssayError} SIG_ALG. */
export function checkScheme(signature: Signature, { scheme }: Pick<AttestationKey, "scheme">): void {
  if (signature.kind === scheme.kind && signature.hash === scheme.hash) return
  throw new AssayError("SIG_ALG", "the signature is of another scheme than the key", {
    location: "TPMT_SIGNATURE",
    expected: `${scheme.kind}:${scheme.hash}`,
    actual:
      signature.kind === "unsupported"
        ? `${algorithmId(signature.sigAlg)}:${signature.hashAlg === undefined ? "?" : algorithmId(signature.hashAlg)}`
        : `${signature.kind}:${signature.hash}`,
  })
}

/** The key signed exactly these bytes. @throws {AssayError} SIGNATURE. */
export function checkSignature({ attestBytes, signature }: SignedAttest, ak: AttestationKey): void {
  if (!verifySignature(ak.keyObject, signature, attestBytes))
    throw new AssayError("SIGNATURE", "the attestation key did not sign these bytes", {
      location: "TPMT_SIGNATURE",
      expected: `a signature by ${toHex(ak.area.name)}`,
      actual: "none",
    })
}

/** What was attested is a quote. @throws {AssayError} ATTEST_TYPE. */
export function checkType(attest: Attest): Extract<Attest["attested"], { kind: "quote" }> {
  const { attested } = attest
  if (attested.kind === "quote") return attested
  throw new AssayError("ATTEST_TYPE", "the key signed something else than a quote", {
    location: "TPMS_ATTEST.type",
    expected: "quote",
    actual: attested.kind === "other" ? algorithmId(attested.type) : attested.kind,
  })
}

/** The signer sits where it was when it was registered. @throws {AssayError} QUALIFIED_SIGNER. */
export function checkQualifiedSigner(attest: Attest, expected: Uint8Array | undefined): void {
  if (expected !== undefined && !sameBytes(attest.qualifiedSigner, expected))
    throw new AssayError(
      "QUALIFIED_SIGNER",
      "the key that signed has another parent than the registered one",
      {
        location: "TPMS_ATTEST.qualifiedSigner",
        expected: toHex(expected),
        actual: toHex(attest.qualifiedSigner),
      },
    )
}

/**
 * extraData is what was asked for, all of it and nothing more, compared in constant time.
 *
 * @throws {AssayError} NONCE_MISSING if nothing was asked for: an absent nonce is an error, not a skip;
 *   NONCE_MISMATCH, without the expected value.
 */
export function checkExtraData(attest: Attest, expected: Uint8Array): void {
  if (expected.length === 0)
    throw new AssayError("NONCE_MISSING", "a quote is only fresh if it answers a nonce", {
      location: "TPMS_ATTEST.extraData",
    })
  const { extraData } = attest
  if (extraData.length !== expected.length || !timingSafeEqual(extraData, briefCopy(expected)))
    throw new AssayError("NONCE_MISMATCH", "the quote does not answer what was asked", {
      location: "TPMS_ATTEST.extraData",
      expected: `the digest of this call's transcript, ${expected.length} bytes`,
      actual: `another value, ${extraData.length} bytes`,
    })
}

/**
 * Proves the PCR values: exactly those of the signed selection, whose digest is the signed one.
 *
 * @throws {AssayError} PCR_SELECTION, PCR_UNQUOTED, PCR_DIGEST.
 */
export function verifyPcrs(quote: Verified<Quote>, pcrs: UntrustedPcrs): Verified<PcrValues> {
  const values = selectValues(quote.pcrSelect, pcrs)
  checkPcrDigest(quote, values)
  return vouch(values)
}

/**
 * The values of the signed selection: a value for each selected PCR, each as long as its bank's digest, and no
 * value besides. Only the signed selection is read; what else claims to be one must equal it.
 *
 * @throws {AssayError} PCR_SELECTION for an empty selection, and for values that are missing or of another size;
 *   PCR_UNQUOTED for values that were not quoted.
 */
export function selectValues(pcrSelect: readonly PcrSelection[], pcrs: UntrustedPcrs): PcrValues {
  const selected = pcrSelect.filter((bank) => bank.pcrs.length > 0)
  if (selected.length === 0)
    throw new AssayError("PCR_SELECTION", "the quote is over no PCR at all", {
      location: "TPMS_ATTEST.pcrSelect",
      expected: "at least one PCR",
      actual: "none",
    })
  const values = new Map<HashName, BankValues>()
  for (const bank of selected)
    values.set(
      bank.hash,
      pcrs.kind === "concatenated"
        ? split(bank, pcrs.banks.find(({ hash }) => hash === bank.hash)?.values)
        : pick(bank, pcrs.banks.get(bank.hash)),
    )
  const claimed = pcrs.kind === "concatenated" ? pcrs.banks.map(({ hash }) => hash) : [...pcrs.banks.keys()]
  for (const hash of claimed) if (!values.has(hash)) throw unquoted(hash, "a bank that is not in the quote")
  return values
}

/** The one digest over all values, in the order of the selection, by the signature scheme's hash. @throws {AssayError} PCR_DIGEST. */
export function checkPcrDigest(quote: Pick<Quote, "hash" | "pcrDigest">, values: PcrValues): void {
  const all: Uint8Array[] = []
  for (const bank of values.values()) for (const value of bank.values()) all.push(value)
  const actual = digestOf(quote.hash, concatBriefly(all))
  if (!sameBytes(actual, quote.pcrDigest))
    throw new AssayError("PCR_DIGEST", "the PCR values are not those that were quoted", {
      location: "TPMS_ATTEST.pcrDigest",
      expected: toHex(quote.pcrDigest),
      actual: toHex(actual),
    })
}

const split = (
  { hash, pcrs }: PcrSelection,
  values: Uint8Array | undefined,
): ReadonlyMap<number, Uint8Array> => {
  const { sizeBytes } = HASHES[hash]
  const size = pcrs.length * sizeBytes
  if (values === undefined || values.length < size)
    throw missing(hash, `${size} bytes for PCR ${pcrs.join(",")}`, `${values?.length ?? 0} bytes`)
  if (values.length > size)
    throw unquoted(hash, `${values.length - size} bytes more than the quoted PCRs have`)
  const found = new Map<number, Uint8Array>()
  let start = 0
  for (const pcr of pcrs) {
    found.set(pcr, values.subarray(start, start + sizeBytes))
    start += sizeBytes
  }
  return found
}

const pick = ({ hash, pcrs }: PcrSelection, values: ReadonlyMap<number, Uint8Array> | undefined) => {
  const { sizeBytes } = HASHES[hash]
  const picked = new Map<number, Uint8Array>()
  for (const pcr of pcrs) {
    const value = values?.get(pcr)
    if (value?.length !== sizeBytes)
      throw missing(
        `${hash}:${pcr}`,
        `${sizeBytes} bytes`,
        value === undefined ? "no value" : `${value.length} bytes`,
      )
    picked.set(pcr, value)
  }
  for (const pcr of values?.keys() ?? [])
    if (!picked.has(pcr)) throw unquoted(`${hash}:${pcr}`, "a PCR that is not in the quote")
  return picked
}

const missing = (location: string, expected: string, actual: string): AssayError =>
  new AssayError("PCR_SELECTION", `the values of ${location} do not cover the quoted selection`, {
    location,
    expected,
    actual,
  })

const unquoted = (location: string, actual: string): AssayError =>
  new AssayError("PCR_UNQUOTED", `there are values of ${location} that the quote does not cover`, {
    location,
    expected: "the values of the signed selection and no others",
    actual,
  })
