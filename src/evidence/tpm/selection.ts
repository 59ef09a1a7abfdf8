import type { Reader } from "../reader.ts"
import { algorithmId, type HashName, hashName } from "./algorithm.ts"

/** One bank of a TPML_PCR_SELECTION: which of its PCRs, in ascending order. */
export interface PcrSelection {
  readonly hash: HashName
  readonly pcrs: readonly number[]
}

/** A TPM 2.0 for PCs has at most this many banks: the HASH_COUNT of the reference code. */
const BANKS_MAX = 16
/** A PC client TPM has 24 PCRs and always writes a bitmap of three bytes. */
const SELECT_BYTES = 3
/** How many PCRs a bank has. */
export const PCR_COUNT = 8 * SELECT_BYTES

/**
 * Reads a TPML_PCR_SELECTION: count u32, then for each bank hash u16, size u8 (3), bitmap.
 * Bit n of the bitmap's byte m is PCR 8m + n. Banks stay in the order they were signed in, for the digest
 * depends on it. A bank without any bit is kept: whether that is acceptable is not the parser's to say.
 *
 * @throws {AssayError} PCR_SELECTION_MALFORMED for a bank that occurs twice, an unknown hash or another bitmap
 *   size; FRAMING, LENGTH.
 * @see TPM 2.0 Library, Part 2: Structures, 10.6.2 and 10.9.7.
 */
export function readPcrSelection(r: Reader): readonly PcrSelection[] {
  const count = r.count("pcrSelect.count", BANKS_MAX)
  const banks: PcrSelection[] = []
  for (let i = 0; i < count; i++) {
    r.index = i
    const id = r.u16("pcrSelect[].hash")
    const hash = hashName(id)
    if (hash === undefined)
      throw r.error("PCR_SELECTION_MALFORMED", "pcrSelect[].hash", "a bank of an unknown hash", {
        actual: algorithmId(id),
      })
    if (banks.some((bank) => bank.hash === hash))
      throw r.error("PCR_SELECTION_MALFORMED", "pcrSelect[].hash", "a bank that occurs twice", {
        actual: hash,
      })
    const size = r.u8("pcrSelect[].sizeofSelect")
    if (size !== SELECT_BYTES)
      throw r.error("PCR_SELECTION_MALFORMED", "pcrSelect[].sizeofSelect", "not the bitmap of 24 PCRs", {
        expected: String(SELECT_BYTES),
        actual: String(size),
      })
    banks.push({ hash, pcrs: pcrsOf(r.take("pcrSelect[].pcrSelect", size)) })
  }
  return banks
}

/** The PCRs whose bits are set, in ascending order: bit n of byte m is PCR 8m + n. */
export const pcrsOf = (bitmap: Uint8Array): number[] => {
  const pcrs: number[] = []
  for (let pcr = 0; pcr < 8 * bitmap.length; pcr++)
    if (((bitmap[pcr >> 3] ?? 0) >> (pcr & 7)) & 1) pcrs.push(pcr)
  return pcrs
}
