import { Texts } from "../../texts.ts"

/** Entries leave by whole seconds, so that forgetting them costs a step for each second and not for each entry. */
const secondOf = (instant: Date): number => Math.floor(instant.getTime() / 1000)

/**
 * A bounded set of what was spent. It forgets an entry only after it expired, and remembers up to which expiry it
 * has forgotten: a clock that steps back brings nothing back. When it is full it refuses.
 */
export class SpentSet {
  readonly #max: number
  /** By the second of expiry. */
  readonly #keys = new Map<number, Texts>()
  #size = 0
  #forgottenThrough = Number.NEGATIVE_INFINITY
  #visited = Number.NaN

  constructor(max: number) {
    if (!Number.isSafeInteger(max) || max < 1) throw new TypeError("the bound of a set is a positive integer")
    this.#max = max
  }

  get size(): number {
    return this.#size
  }

  get isFull(): boolean {
    return this.#size >= this.#max
  }

  has(key: string, expiresAt: Date): boolean {
    return this.#keys.get(secondOf(expiresAt))?.has(key) ?? false
  }

  /** Whether what expires at that instant may have been forgotten, so that `has` cannot tell any more. */
  isForgotten(expiresAt: Date): boolean {
    return secondOf(expiresAt) <= this.#forgottenThrough
  }

  /** Adds one use, and gives how many there are now. The caller has asked `isFull` and `isForgotten`. */
  add(key: string, expiresAt: Date): number {
    const second = secondOf(expiresAt)
    const keys = this.#keys.get(second) ?? new Texts()
    const uses = keys.add(key)
    if (uses === 1) this.#size++
    this.#keys.set(second, keys)
    return uses
  }

  /** Forgets what has expired at that instant, as far as whole seconds of it have passed. */
  forgetExpired(at: Date): void {
    const now = secondOf(at)
    if (now === this.#visited) return
    this.#visited = now
    for (const [second, keys] of this.#keys) {
      if (second < now) {
        this.#keys.delete(second)
        this.#size -= keys.size
        this.#forgottenThrough = Math.max(this.#forgottenThrough, second)
      }
    }
  }
}
