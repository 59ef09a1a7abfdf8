import { Reader } from "../reader.ts"
import { algorithmId, HASHES, type HashName, hashName } from "./algorithm.ts"
import { PCR_COUNT, type PcrSelection, pcrsOf } from "./selection.ts"

/** PCR values of one bank, by index. */
export type BankValues = ReadonlyMap<number, Uint8Array>
/** PCR values, by bank and index. */
export type PcrValues = ReadonlyMap<HashName, BankValues>

/**
 * What somebody says the PCRs hold, before the quote's digest has been compared.
 *
 * `concatenated`: the values of the signed selection, one after another, as they travel on the wire.
 * `indexed`: values with a claim of their own as to which PCRs they are; the claim must equal the signed selection.
 */
export type UntrustedPcrs =
  | {
      readonly kind: "concatenated"
      readonly banks: readonly { readonly hash: HashName; readonly values: Uint8Array }[]
    }
  | { readonly kind: "indexed"; readonly banks: PcrValues }

/** The lists of tpm2-tools have room for 16 banks, and eight digests of up to 64 bytes each. */
const FILE_BANKS = 16
const FILE_SELECT_BYTES = 4
const FILE_DIGESTS = 8
const FILE_DIGEST_BYTES = 64
const FILE_LISTS_MAX = FILE_BANKS * (PCR_COUNT / FILE_DIGESTS)

/**
 * Parses the PCR file that `tpm2_quote -o` writes in its default format.
 *
 * Shape, little-endian host structures: a TPML_PCR_SELECTION padded to 16 banks (132 bytes: count u32, then for
 * each hash u16, size u8, 4 bytes of bitmap, 1 byte of padding), a u32 count of lists, then TPML_DIGESTs of 532
 * bytes: count u32, eight times size u16 and 64 bytes. Digests follow the selection across the lists.
 * Banks and PCRs come back in the file's order; values are views on `bytes`.
 *
 * @throws {AssayError} PCR_SELECTION_MALFORMED for a bank that occurs twice, an unknown hash or a PCR over 23;
 *   FRAMING, LENGTH.
 */
export function parsePcrFile(bytes: Uint8Array): PcrValues {
  const r = new Reader(bytes, "PCR file", "little-endian")
  const selection = readFileSelection(r)
  const digests = readDigestLists(r)
  r.end()
  const wanted = selection.reduce((sum, { pcrs }) => sum + pcrs.length, 0)
  if (digests.length !== wanted)
    throw r.error("FRAMING", undefined, "not one value for each selected PCR", {
      expected: `${wanted} values`,
      actual: `${digests.length} values`,
    })
  let next = 0
  return new Map(
    selection.map(({ hash, pcrs }) => {
      const values = digests.slice(next, next + pcrs.length)
      next += pcrs.length
      if (values.some((value) => value.length !== HASHES[hash].sizeBytes))
        throw r.error("FRAMING", undefined, `a value of bank ${hash} that is not one of its digests`)
      return [hash, new Map(values.map((value, i) => [pcrs[i] ?? 0, value]))]
    }),
  )
}

function readFileSelection(r: Reader): PcrSelection[] {
  const count = r.count("selection.count", FILE_BANKS)
  const banks: PcrSelection[] = []
  for (let i = 0; i < FILE_BANKS; i++) {
    r.index = i
    const id = r.u16("selection[].hash")
    const sizeBytes = r.u8("selection[].sizeofSelect")
    const slot = r.take("selection[].pcrSelect", FILE_SELECT_BYTES)
    r.u8("selection[].padding")
    if (i >= count) continue
    const hash = hashName(id)
    if (hash === undefined || banks.some((bank) => bank.hash === hash))
      throw r.error("PCR_SELECTION_MALFORMED", "selection[]", "a bank twice, or one of an unknown hash", {
        actual: algorithmId(id),
      })
    if (sizeBytes > FILE_SELECT_BYTES) throw r.error("LENGTH", "selection[]", "longer than its slot")
    const pcrs = pcrsOf(slot.subarray(0, sizeBytes))
    if (pcrs.some((pcr) => pcr >= PCR_COUNT))
      throw r.error("PCR_SELECTION_MALFORMED", "selection[]", `a PCR over ${PCR_COUNT - 1}`)
    banks.push({ hash, pcrs })
  }
  return banks
}

function readDigestLists(r: Reader): Uint8Array[] {
  const lists = r.count("digests.count", FILE_LISTS_MAX)
  const digests: Uint8Array[] = []
  for (let list = 0; list < lists; list++) {
    r.index = list
    const count = r.count("digests[].count", FILE_DIGESTS)
    for (let i = 0; i < FILE_DIGESTS; i++) {
      const size = r.u16("digests[].size")
      const slot = r.take("digests[].buffer", FILE_DIGEST_BYTES)
      if (i >= count) continue
      if (size > FILE_DIGEST_BYTES) throw r.error("LENGTH", "digests[]", "longer than its slot")
      digests.push(slot.subarray(0, size))
    }
  }
  return digests
}
