import { concat } from "../bytes.ts"
import { HASHES } from "../evidence/tpm/algorithm.ts"
import { PCR_COUNT, type PcrSelection } from "../evidence/tpm/selection.ts"
import { rawSelection } from "./encode.ts"
import { u16le, u32le } from "./eventlog.ts"

const padded = (size: number, ...parts: readonly Uint8Array[]): Uint8Array => {
  const whole = new Uint8Array(size)
  whole.set(concat(...parts))
  return whole
}

/**
 * The PCR file that `tpm2_quote -o` writes in its default form and `tpm2_checkquote -f` reads, see `parsePcrFile`.
 *
 * @param values All values, one after another in the order of the selection.
 */
export const pcrFile = (selection: readonly PcrSelection[], values: Uint8Array): Uint8Array => {
  const digests: Uint8Array[] = []
  let offset = 0
  for (const { hash, pcrs } of selection)
    for (const _ of pcrs) {
      const end = offset + HASHES[hash].sizeBytes
      digests.push(padded(66, u16le(end - offset), values.subarray(offset, end)))
      offset = end
    }
  const lists: Uint8Array[] = []
  for (let first = 0; first < digests.length; first += 8) {
    const list = digests.slice(first, first + 8)
    lists.push(padded(532, u32le(list.length), ...list))
  }
  const banks = selection
    .map(rawSelection)
    .map(({ hash, bitmap }) => padded(8, u16le(hash), Uint8Array.of(PCR_COUNT / 8), bitmap))
  return concat(padded(132, u32le(banks.length), ...banks), u32le(lists.length), ...lists)
}
