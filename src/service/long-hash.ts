import { createHash } from "node:crypto"
import { PREFIX_BYTES } from "../bytes.ts"
import type { Breathe } from "./ports.ts"

/** Bytes between two breaths: a millisecond or two. */
const SLICE_BYTES = 2 * 1024 * 1024

/** SHA-256 over all pieces, 32 bytes, in slices: a list of revoked certificates may have 32 MiB. */
export const hashInSlices = async (pieces: Iterable<Uint8Array>, breathe: Breathe): Promise<Buffer> => {
  const sum = createHash("sha256")
  let since = 0
  for (const piece of pieces)
    for (let at = 0; at < piece.length; at += SLICE_BYTES) {
      const slice = piece.subarray(at, at + SLICE_BYTES)
      sum.update(slice)
      since += slice.length
      if (since < SLICE_BYTES) continue
      since = 0
      await breathe()
    }
  return sum.digest()
}

/** The pieces of `lengthPrefixed` over each list, and of that over all of them, without a copy. */
export function* prefixedPieces(lists: Iterable<readonly Uint8Array[]>): Generator<Uint8Array> {
  for (const parts of lists) {
    yield prefixOf(parts.reduce((sum, { length }) => sum + PREFIX_BYTES + length, 0))
    for (const part of parts) {
      yield prefixOf(part.length)
      yield part
    }
  }
}

const prefixOf = (length: number): Uint8Array => {
  const bytes = Buffer.alloc(PREFIX_BYTES)
  bytes.writeUInt32BE(length)
  return bytes
}
