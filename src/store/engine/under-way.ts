import type { KeyObject } from "node:crypto"
import { LRUCache } from "lru-cache"
import { latin1, sameBytes } from "../../bytes.ts"
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
/** No two sealed values begin with the same: the IV is among so many bytes. By them one is found, and by all it is known. */
const KEY_BYTES = 32

interface Entry extends Inside {
  readonly sealed: Uint8Array
}

/**
 * Remembers at most `maxBytes`, and forgets the oldest for more: whoever makes many challenges lets others be deciphered a
 * little more often, and takes nothing else from them.
 */
export function createUnderWay(maxBytes: number): UnderWay {
  const known = new LRUCache<string, Entry>({
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

const keyOf = (sealed: Uint8Array): string => latin1(sealed.subarray(0, KEY_BYTES))
