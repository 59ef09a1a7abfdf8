import { AssayError } from "../../errors.ts"
import { Reader } from "../reader.ts"
import { HASHES, type HashName, hashName } from "./algorithm.ts"
import { PCR_COUNT } from "./selection.ts"

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
const FILE_LISTS_MAX = 16 * (PCR_COUNT / FILE_DIGESTS)

/**
 * Parses the PCR file that `tpm2_quote -o` writes in its default format.
 *
 * Shape, little-endian host structures: a TPML_PCR_SELECTION padded to 16 banks (132 bytes: count u32, then for
 * each hash u16, size u8, 4 bytes of bitmap, 1 byte of padding), a u32 count of lists, then TPML_DIGESTs of 532
 * bytes: count u32, eight times size u16 and 64 bytes. Digests follow the selection across the lists.
 *
 * @throws {AssayError} FRAMING, LENGTH.
 */
export function parsePcrFile(bytes: Uint8Array): PcrValues {
  const r = new Reader(bytes, "PCR file", "little-endian")
  const count = r.count("selection.count", FILE_BANKS)
  const wanted: { hash: HashName; pcr: number }[] = []
  for (let bank = 0; bank < FILE_BANKS; bank++) {
    r.index = bank
    const id = r.u16("selection[].hash")
    const size = r.u8("selection[].sizeofSelect")
    const bitmap = r.take("selection[].pcrSelect", FILE_SELECT_BYTES)
    r.u8("selection[].padding")
    if (bank >= count) continue
    const hash = hashName(id)
    if (hash === undefined || size > FILE_SELECT_BYTES)
      throw r.error("FRAMING", "selection[]", "not a bank of a known hash")
    for (let pcr = 0; pcr < PCR_COUNT; pcr++)
      if (pcr < 8 * size && ((bitmap[pcr >> 3] ?? 0) >> (pcr & 7)) & 1) wanted.push({ hash, pcr })
  }
  const digests = readDigestLists(r)
  r.end()
  if (digests.length !== wanted.length)
    throw new AssayError("FRAMING", "the PCR file does not hold a value for each PCR that it names", {
      location: "PCR file",
      expected: `${wanted.length} values`,
      actual: `${digests.length} values`,
    })
  const banks = new Map<HashName, Map<number, Uint8Array>>()
  wanted.forEach(({ hash, pcr }, i) => {
    const bank = banks.get(hash) ?? new Map<number, Uint8Array>()
    const digest = digests[i] ?? new Uint8Array()
    if (digest.length !== HASHES[hash].sizeBytes || bank.has(pcr))
      throw new AssayError(
        "FRAMING",
        `the PCR file's value of ${hash}:${pcr} is not one digest of that bank`,
        {
          location: "PCR file",
          expected: `${HASHES[hash].sizeBytes} bytes`,
          actual: `${digest.length} bytes`,
        },
      )
    bank.set(pcr, digest)
    banks.set(hash, bank)
  })
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
      if (size > FILE_DIGEST_BYTES) throw r.error("LENGTH", "digests[]", "longer than its slot")
      if (i < count) digests.push(slot.subarray(0, size))
    }
  }
  return digests
}
