/** Numbers from a seed, the same on every machine (mulberry32). For tests: whoever sees one can tell the next. */
export class Random {
  #state = 0x9e3779b9

  /** @param seeds Integers; another list of them is another stream. */
  constructor(...seeds: readonly number[]) {
    for (const seed of seeds) this.#state = Math.imul(this.#state ^ seed, 0x85ebca6b) ^ this.#u32()
  }

  /** An integer from 0 up to, but without, `limit`. */
  below(limit: number): number {
    return Math.floor((this.#u32() / 2 ** 32) * limit)
  }

  /** One of the list, which must not be empty. */
  pick<T>(list: readonly T[]): T {
    const [item] = list.slice(this.below(list.length))
    if (item === undefined) throw new RangeError("nothing to pick from")
    return item
  }

  /** True in so many of 100 cases. */
  percent(share: number): boolean {
    return this.below(100) < share
  }

  /** The list in another order. */
  shuffle<T>(list: readonly T[]): T[] {
    const shuffled = [...list]
    for (let i = 0; i < shuffled.length; i++) {
      const j = i + this.below(shuffled.length - i)
      shuffled.splice(i, 0, ...shuffled.splice(j, 1))
    }
    return shuffled
  }

  #u32(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
}
