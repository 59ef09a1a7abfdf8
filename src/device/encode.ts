import { concat } from "../bytes.ts"
import { HASHES } from "../evidence/tpm/algorithm.ts"
import type { ClockInfo } from "../evidence/tpm/attest.ts"
import { SCHEMES, sized, u16, u32 } from "../evidence/tpm/encode.ts"
import { PCR_COUNT, type PcrSelection } from "../evidence/tpm/selection.ts"
import type { Signature } from "../evidence/tpm/signature.ts"

export { encodePublic, type PublicFields, sized, u16, u32 } from "../evidence/tpm/encode.ts"

/**
 * Writes TPM 2.0 structures in their wire form, all big-endian: the mirror of the parsers of `evidence/tpm`.
 *
 * Nothing is checked here. Tests write with it what no TPM would, to see it refused.
 */

/** A u64, big-endian. */
export const u64 = (value: bigint): Uint8Array =>
  concat(u32(Number((value >> 32n) & 0xffffffffn)), u32(Number(value & 0xffffffffn)))

/** A TPMT_SIGNATURE (Part 2, 11.3.4). */
export const encodeSignature = (
  signature: Exclude<Signature, { readonly kind: "unsupported" }>,
): Uint8Array =>
  concat(
    u16(SCHEMES[signature.kind]),
    u16(HASHES[signature.hash].id),
    ...(signature.kind === "ecdsa" ? [sized(signature.r), sized(signature.s)] : [sized(signature.value)]),
  )

/** One TPMS_PCR_SELECTION, whatever it says: any identifier, any bitmap. */
export interface RawSelection {
  /** TPM_ALG_ID of the bank. */
  readonly hash: number
  readonly bitmap: Uint8Array
}

/** The selection with a bitmap of three bytes, as a TPM for PCs writes it. */
export const rawSelection = ({ hash, pcrs }: PcrSelection): RawSelection => {
  const bitmap = new Uint8Array(PCR_COUNT / 8)
  for (const pcr of pcrs) bitmap[pcr >> 3] = (bitmap[pcr >> 3] ?? 0) | (1 << (pcr & 7))
  return { hash: HASHES[hash].id, bitmap }
}

/** A TPML_PCR_SELECTION, in the order given (Part 2, 10.9.7). */
export const encodePcrSelection = (banks: readonly RawSelection[]): Uint8Array =>
  concat(
    u32(banks.length),
    ...banks.map(({ hash, bitmap }) => concat(u16(hash), Uint8Array.of(bitmap.length), bitmap)),
  )

/** The fields of a TPMS_ATTEST before they are written and signed. */
export interface AttestFields {
  readonly magic: number
  readonly type: number
  readonly qualifiedSigner: Uint8Array
  readonly extraData: Uint8Array
  readonly clockInfo: ClockInfo
  readonly firmwareVersion: bigint
  /** The body that belongs to the type, written: see `encodeQuoted` and its siblings. */
  readonly attested: Uint8Array
}

/** A TPMS_ATTEST (Part 2, 10.12.12). */
export const encodeAttest = (fields: AttestFields): Uint8Array =>
  concat(
    u32(fields.magic),
    u16(fields.type),
    sized(fields.qualifiedSigner),
    sized(fields.extraData),
    encodeClockInfo(fields.clockInfo),
    u64(fields.firmwareVersion),
    fields.attested,
  )

/** TPMS_CLOCK_INFO, 17 bytes (Part 2, 10.11.1). */
export const encodeClockInfo = (clock: ClockInfo): Uint8Array =>
  concat(
    u64(clock.clockMs),
    u32(clock.resetCount),
    u32(clock.restartCount),
    Uint8Array.of(clock.safe ? 1 : 0),
  )

/** TPMS_QUOTE_INFO (Part 2, 10.12.4). */
export const encodeQuoted = (select: readonly RawSelection[], pcrDigest: Uint8Array): Uint8Array =>
  concat(encodePcrSelection(select), sized(pcrDigest))

/** TPMS_CERTIFY_INFO (Part 2, 10.12.3). */
export const encodeCertified = (name: Uint8Array, qualifiedName: Uint8Array): Uint8Array =>
  concat(sized(name), sized(qualifiedName))

/** TPMS_CREATION_INFO (Part 2, 10.12.7). */
export const encodeCreated = (objectName: Uint8Array, creationHash: Uint8Array): Uint8Array =>
  concat(sized(objectName), sized(creationHash))

/** TPMS_TIME_ATTEST_INFO (Part 2, 10.12.2). */
export const encodeTime = (timeMs: bigint, clock: ClockInfo, firmwareVersion: bigint): Uint8Array =>
  concat(u64(timeMs), encodeClockInfo(clock), u64(firmwareVersion))
