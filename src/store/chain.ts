import { lengthPrefixed } from "../bytes.ts"
import { Reader } from "../evidence/reader.ts"
import { blob, optional, type Row } from "./row.ts"

/** More than any path is long, and half of what one request can carry. */
const CERTIFICATES_MAX = 64
const CHAIN_BYTES_MAX = 1024 * 1024

/** What is kept of a chain that anybody may show: several times what TPM makers issue. */
const SHOWN_BYTES_MAX = 64 * 1024

/**
 * A chain as a column: its certificates, each after its length as a u32, big-endian; NULL for none.
 *
 * @throws {TypeError} if it has more than 64 certificates or, with their lengths, more than 1 MiB.
 */
export function chainColumn(chain: readonly Uint8Array[]): Uint8Array | null {
  if (chain.length === 0) return null
  const column = lengthPrefixed(...chain)
  if (chain.length > CERTIFICATES_MAX || column.length > CHAIN_BYTES_MAX)
    throw new TypeError(`a chain has at most ${CERTIFICATES_MAX} certificates and ${CHAIN_BYTES_MAX} bytes`)
  return column
}

/** Most devices have none, and a hundred thousand of those may be remembered. */
const NO_CHAIN: readonly Uint8Array[] = []

/** The chain of a column that `chainColumn` made. @throws {Error} if the column is not such a one. */
export function chainFrom(row: Row, column: string): readonly Uint8Array[] {
  const bytes = optional(blob, row, column)
  if (bytes === undefined) return NO_CHAIN
  const r = new Reader(bytes, column)
  const chain: Uint8Array[] = []
  try {
    do chain.push(r.sized32("certificate", CHAIN_BYTES_MAX))
    while (r.remaining > 0 && chain.length < CERTIFICATES_MAX)
    r.end()
  } catch (cause) {
    // Not the caller's bytes are malformed, but ours.
    throw new Error(`column ${column} holds no chain`, { cause })
  }
  return chain
}

/** The first certificates of a chain, as many as fit in 64 KiB and in `chainColumn`. */
export function shownPart(chain: readonly Uint8Array[]): readonly Uint8Array[] {
  let size = 0
  const end = chain.findIndex((certificate, i) => {
    size += certificate.length
    return i === CERTIFICATES_MAX || size > SHOWN_BYTES_MAX
  })
  return end === -1 ? chain : chain.slice(0, end)
}
