import type { KeyObject } from "node:crypto"
import { latin1 } from "../../bytes.ts"

/** What is inside of a value that was sealed here, and what it was sealed under. */
export interface Inside {
  readonly plain: Uint8Array
  readonly key: KeyObject
}

/** Sealed values that have not come back. */
export interface UnderWay {
  put(sealed: Uint8Array, inside: Inside): void
  /** What is inside of exactly these bytes, once. */
  take(sealed: Uint8Array): Inside | undefined
  readonly size: number
}

/** What an entry takes beside the bytes of both. */
const ENTRY_BYTES = 300

/**
 * Remembers at most `maxBytes`, and forgets the oldest for more: whoever makes many challenges lets others be deciphered a
 * little more often, and takes nothing else from them.
 */
export function createUnderWay(maxBytes: number): UnderWay {
  const known = new Map<string, Inside>()
  let bytes = 0

  const forget = (key: string, { plain }: Inside): void => {
    known.delete(key)
    bytes -= sizeOf(key, plain)
  }
  return {
    put(sealed, inside) {
      const key = latin1(sealed)
      known.set(key, inside)
      bytes += sizeOf(key, inside.plain)
      for (const [oldest, its] of known) {
        if (bytes <= maxBytes) break
        forget(oldest, its)
      }
    },
    take(sealed) {
      const key = latin1(sealed)
      const inside = known.get(key)
      if (inside !== undefined) forget(key, inside)
      return inside
    },
    get size() {
      return known.size
    },
  }
}

const sizeOf = (key: string, plain: Uint8Array): number => key.length + plain.length + ENTRY_BYTES
