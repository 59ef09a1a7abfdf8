/** How long the loop may be away from its sockets, about: so many requests are begun at a time. */
const TICK_MS = 4
/** Where the sockets take it longer than that, as a part of it: else those who are refused would leave no time for the others. */
const TICK_PART = 1 / 2
const [START, STEP, MAX] = [64, 4, 256]
/** More where there is longer than this for it, and at most so many times as many. */
const [LONG_MS, LONG_MAX] = [32, 4]

/** How many requests are begun at a time, before the loop looks at its sockets again. */
export class Batch {
  #size = START

  /** What those may weigh together. */
  get size(): number {
    return this.#size
  }

  /**
   * Begins more or fewer the next time, by what those took that were begun now, and what they may take. That a few took little
   * says nothing of many.
   *
   * @param awayMs How long the sockets took the loop before that.
   * @param isUsedUp Whether as many were begun as might be.
   */
  adapt(tookMs: number, awayMs: number, isUsedUp: boolean): void {
    const allowedMs = Math.max(TICK_MS, awayMs * TICK_PART)
    const step = Math.round((STEP * allowedMs) / TICK_MS)
    const max = MAX * Math.min(LONG_MAX, Math.max(1, allowedMs / LONG_MS))
    if (tookMs > allowedMs) this.#size = Math.max(1, this.#size >> 1)
    else if (isUsedUp && tookMs < allowedMs / 2) this.#size += step
    this.#size = Math.min(max, this.#size)
  }
}
