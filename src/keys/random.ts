import { hash, randomBytes } from "node:crypto"
import { AssayError } from "../errors.ts"
import type { Random } from "../service/ports.ts"

/** Gives `size` random bytes. */
export type RandomSource = (size: number) => Uint8Array

/** Random bytes, and what readiness asks. */
export interface WatchedRandom extends Random {
  /** Why there are no random bytes any more; nothing while the source is sound. */
  unready(): string | undefined
}

/** What is compared: two equal blocks of 128 bits are no accident (2^-104 over all that is remembered). */
const BLOCK_BYTES = 16
/** At least two blocks are drawn each time, so that a short output is tested as a long one is. */
const DRAW_BYTES_MIN = 2 * BLOCK_BYTES
/** An id, and a part of an IV: nothing longer comes out of a stock. A key, a secret and a challenge have 32 bytes. */
const STOCKED_BYTES_MAX = 16
/** Drawn at once for outputs that are as short, and tested as a whole. */
const STOCK_BYTES = 4096
/** Outputs remembered: enough to see a source that starts over, at some 300 KB. */
const REMEMBERED_MAX = 4096
/** Draws at start, so that a constant source fails before the first caller has its output. */
const DRAWS_AT_START = 4

/**
 * Random bytes from `source`, whose health is tested at start and on every call (attack N-02): it must not throw,
 * must give as many bytes as asked for, no block of 16 bytes after its twin (so no constant either), and never again a
 * beginning that is among the last 4096. This finds a source that is broken, not one that is predictable. A
 * source that failed once stays failed until the process is restarted.
 *
 * Up to 16 bytes are cut from a stock that was drawn and tested at once, each byte given out at most once: ids, which are no
 * secret for long. Whatever is longer is drawn when it is asked for, and is nowhere before.
 *
 * What is remembered are digests: no output, which may have become a key, can be read from them.
 */
export const createRandom = (source: RandomSource = randomBytes): WatchedRandom => {
  const seen = new Set<string>()
  const order: string[] = []
  let oldest = 0
  let failure: string | undefined
  let stock: Uint8Array = new Uint8Array()
  let given = 0

  const fail = (reason: string, cause?: unknown): AssayError => {
    failure = reason
    return unavailable(reason, cause)
  }

  const draw = (size: number): Uint8Array => {
    let drawn: Uint8Array
    try {
      // A copy: a source that keeps its buffer must not change what was tested.
      drawn = new Uint8Array(source(size))
    } catch (cause) {
      throw fail("the source threw", cause)
    }
    const flaw = drawn.length === size ? flawOf(drawn) : `the source gave ${drawn.length} bytes for ${size}`
    if (flaw !== undefined) throw fail(flaw)
    const mark = hash("sha256", drawn.subarray(0, BLOCK_BYTES), "base64url")
    if (seen.has(mark)) throw fail("the source repeated itself")
    seen.delete(order[oldest] ?? "")
    seen.add(mark)
    order[oldest] = mark
    oldest = (oldest + 1) % REMEMBERED_MAX
    return drawn
  }

  const cut = (size: number): Uint8Array => {
    if (given + size > stock.length) {
      stock = draw(STOCK_BYTES)
      given = 0
    }
    given += size
    return stock.slice(given - size, given)
  }

  const random: WatchedRandom = {
    bytes: (size) => {
      if (!Number.isSafeInteger(size) || size < 1) throw new TypeError("size is a positive integer")
      if (failure !== undefined) throw unavailable(failure)
      return size > STOCKED_BYTES_MAX ? draw(Math.max(size, DRAW_BYTES_MIN)).subarray(0, size) : cut(size)
    },
    unready: () => failure,
  }
  try {
    for (let i = 0; i < DRAWS_AT_START; i++) draw(DRAW_BYTES_MIN)
  } catch (error) {
    // Not thrown here: the process starts, is not ready, and says why.
    if (!(error instanceof AssayError)) throw error
  }
  return random
}

const unavailable = (reason: string, cause?: unknown): AssayError =>
  new AssayError("RNG", `no random bytes: ${reason}; restart Assay once the source is repaired`, { cause })

const flawOf = (drawn: Uint8Array): string | undefined => {
  let same = 0
  for (let i = BLOCK_BYTES; i < drawn.length; i++) {
    // Whole blocks alone are compared, from their first byte on.
    if (i % BLOCK_BYTES === 0) same = 0
    if (drawn[i] === drawn[i - BLOCK_BYTES]) same++
    if (same === BLOCK_BYTES) return "the source gave one block twice"
  }
  return undefined
}
