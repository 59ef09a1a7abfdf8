import type { KeyObject } from "node:crypto"
import { LRUCache } from "lru-cache"
import { sameBytes } from "../../bytes.ts"
import type { OpenedValue } from "../../service/ports.ts"

/** What is inside of a value that was sealed here, as it is once it is opened, and what it was sealed under. */
export interface Inside {
  readonly value: OpenedValue
  readonly key: KeyObject
}

/** Sealed values that have not come back. */
export interface UnderWay {
  put(sealed: Uint8Array, inside: Inside): void
  /** What is inside of exactly these bytes, once. */
  take(sealed: Uint8Array): Inside | undefined
  readonly size: number
}

/** What an entry takes beside its sealed bytes and the content. */
const ENTRY_BYTES = 800
/**
 * Where the random bytes of the IV stand. By four of them a value is found, and by all of its bytes it is known: of two that are
 * found by the same, the earlier is deciphered.
 */
const KEY_START = 8

interface Entry extends Inside {
  readonly sealed: Uint8Array
}

/**
 * Remembers at most `maxBytes`, and forgets the oldest for more: whoever makes many challenges lets others be deciphered a
 * little more often, and takes nothing else from them.
 */
export function createUnderWay(maxBytes: number): UnderWay {
  const known = new LRUCache<number, Entry>({
    // Of nothing it makes no limit; no entry is as small as one byte.
    maxSize: Math.max(1, maxBytes),
    sizeCalculation: ({ sealed, value }) => sealed.length + value.content.length + ENTRY_BYTES,
  })
  return {
    put(sealed, { value, key }) {
      known.set(keyOf(sealed), { value, key, sealed: new Uint8Array(sealed) })
    },
    take(sealed) {
      const key = keyOf(sealed)
      // Not `get`: what is asked for becomes no younger by it.
      const entry = known.peek(key)
      if (entry === undefined || !sameBytes(entry.sealed, sealed)) return undefined
      known.delete(key)
      return entry
    },
    get size() {
      return known.size
    },
  }
}

/** A number: a text would be put among all texts of the process when it is looked up. */
const keyOf = (sealed: Uint8Array): number =>
  ((sealed[KEY_START] ?? 0) << 24) |
  ((sealed[KEY_START + 1] ?? 0) << 16) |
  ((sealed[KEY_START + 2] ?? 0) << 8) |
  (sealed[KEY_START + 3] ?? 0)
