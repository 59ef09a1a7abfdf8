/** How often something may be done. */
export interface Rate {
  /** In the long run. */
  readonly perSecond: number
  /** At once, after a while without. */
  readonly burst: number
}

/** What instants with fractions are off by, when they are added up. */
const ROUNDING_MS = 0.001

/** Entries that are looked at before a new one is refused a place of its own. */
const LOOKED_AT_MAX = 8

/**
 * A token bucket for each key, in bounded memory.
 *
 * A bucket is one number: when it will be full again. A full one is as good as none, and only those are forgotten. If no
 * place is free, whoever is new shares one bucket with all others who are new: so nobody who has used up his own gets a
 * fresh one by coming under many keys, and a flood of keys takes nothing from those that have a bucket.
 */
export class Buckets {
  readonly #intervalMs: number
  readonly #depthMs: number
  readonly #max: number
  /** Those that are looked at next first. */
  readonly #fullAt = new Map<string, number>()
  #sharedFullAt = 0

  /** @param max Keys that are told apart. */
  constructor({ perSecond, burst }: Rate, max: number) {
    this.#intervalMs = 1000 / perSecond
    this.#depthMs = burst * this.#intervalMs
    this.#max = max
  }

  /** Buckets that are kept now. */
  get size(): number {
    return this.#fullAt.size
  }

  /** Takes one from the bucket of `key`: 0, or how many milliseconds until there is one to take. */
  take(key: string, nowMs: number): number {
    const before = this.#fullAt.get(key)
    if (before === undefined && !this.#hasPlace(nowMs)) {
      const { waitMs, fullAt } = this.#next(this.#sharedFullAt, nowMs)
      this.#sharedFullAt = fullAt
      return waitMs
    }
    const { waitMs, fullAt } = this.#next(before ?? nowMs, nowMs)
    this.#fullAt.set(key, fullAt)
    return waitMs
  }

  /** How many milliseconds until there is one to take, and takes none. */
  wait(key: string, nowMs: number): number {
    const before = this.#fullAt.get(key)
    const fullAt = before ?? (this.#hasPlace(nowMs) ? nowMs : this.#sharedFullAt)
    return this.#next(fullAt, nowMs).waitMs
  }

  #next(before: number, nowMs: number): { readonly waitMs: number; readonly fullAt: number } {
    const missingMs = Math.max(before - nowMs, 0) + this.#intervalMs
    const waitMs = missingMs - this.#depthMs
    // What was refused costs nothing: who goes on asking gets his due all the same.
    return waitMs > ROUNDING_MS ? { waitMs, fullAt: before } : { waitMs: 0, fullAt: nowMs + missingMs }
  }

  #hasPlace(nowMs: number): boolean {
    let looked = 0
    for (const [key, fullAt] of this.#fullAt) {
      if (this.#fullAt.size < this.#max || looked++ === LOOKED_AT_MAX) break
      this.#fullAt.delete(key)
      // Kept, and looked at again when all others have been.
      if (fullAt > nowMs) this.#fullAt.set(key, fullAt)
    }
    return this.#fullAt.size < this.#max
  }
}
