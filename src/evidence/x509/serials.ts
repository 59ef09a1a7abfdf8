/**
 * The order of a million serial numbers, without an object for any of them: whoever writes a list chooses its numbers, so that
 * nothing here may depend on how they are spread, and what is made of them all must not be one long step.
 */

/** Entries at first; doubled whenever that is not enough. */
const ENTRIES_MIN = 64

/** Compares the serial numbers of two entries by where these begin: negative, positive, or 0 for the same. */
export type CompareEntries = (a: number, b: number) => number

/** Entries of a list, by where each begins, and a number that is compared before they are. */
export class SortedEntries {
  readonly #compare: CompareEntries
  #places = new Uint32Array(ENTRIES_MIN)
  #keys = new Uint32Array(ENTRIES_MIN)
  #size = 0
  /** Whether they came in the order of their keys, each key once, as those of an issuer who counts: there is nothing to sort. */
  #isSorted = true
  /** Runs of this many are sorted, and merged two by two into the others, which then take the place of these. */
  #width = 1
  #otherPlaces = new Uint32Array(0)
  #otherKeys = new Uint32Array(0)
  /** The next of either run, where they end, and where the next goes. */
  #left = 0
  #right = 0
  #middle = 0
  #end = 0
  #to = 0

  constructor(compare: CompareEntries) {
    this.#compare = compare
  }

  get size(): number {
    return this.#size
  }

  /** @param key Of 32 bits, equal for equal serial numbers. */
  add(key: number, place: number): void {
    if (this.#size === this.#places.length) {
      this.#places = grown(this.#places)
      this.#keys = grown(this.#keys)
    }
    if (this.#size > 0 && key <= (this.#keys[this.#size - 1] ?? 0)) this.#isSorted = false
    this.#places[this.#size] = place
    this.#keys[this.#size] = key
    this.#size += 1
  }

  /**
   * Sorts until so many entries have been moved. True when all are sorted: then nothing may be added.
   *
   * @param twice Is told of an entry whose serial number another one has.
   */
  sort(count: number, twice: (place: number) => void): boolean {
    for (let moved = 0; moved < count && !this.#isSorted; moved++) {
      if (this.#to === this.#end) this.#begin()
      this.#move(twice)
      if (this.#to === this.#size) this.#turn()
    }
    return this.#isSorted
  }

  /** Where the entry begins that has this key and is equal by `compare`, which is given where another one begins. */
  find(key: number, compare: (place: number) => number): number | undefined {
    let low = 0
    let high = this.#size - 1
    while (low <= high) {
      const middle = (low + high) >>> 1
      const place = this.#places[middle] ?? 0
      const order = key - (this.#keys[middle] ?? 0) || compare(place)
      if (order === 0) return place
      if (order < 0) high = middle - 1
      else low = middle + 1
    }
    return undefined
  }

  /** The next two runs; of the last one there may be nothing to merge it with. */
  #begin(): void {
    if (this.#otherPlaces.length < this.#size) {
      this.#otherPlaces = new Uint32Array(this.#size)
      this.#otherKeys = new Uint32Array(this.#size)
    }
    this.#left = this.#to
    this.#middle = Math.min(this.#to + this.#width, this.#size)
    this.#right = this.#middle
    this.#end = Math.min(this.#middle + this.#width, this.#size)
  }

  #move(twice: (place: number) => void): void {
    const [left, right] = [this.#left, this.#right]
    const order = left === this.#middle ? 1 : right === this.#end ? -1 : this.#order(left, right)
    if (order === 0) twice(Math.max(this.#places[left] ?? 0, this.#places[right] ?? 0))
    const from = order < 0 ? this.#left++ : this.#right++
    this.#otherPlaces[this.#to] = this.#places[from] ?? 0
    this.#otherKeys[this.#to] = this.#keys[from] ?? 0
    this.#to += 1
  }

  /** All runs have been merged: there are half as many now. */
  #turn(): void {
    const [places, keys] = [this.#places, this.#keys]
    this.#places = this.#otherPlaces
    this.#keys = this.#otherKeys
    this.#width *= 2
    this.#to = this.#end = 0
    this.#isSorted = this.#width >= this.#size
    this.#otherPlaces = this.#isSorted ? new Uint32Array(0) : places
    this.#otherKeys = this.#isSorted ? new Uint32Array(0) : keys
  }

  #order(a: number, b: number): number {
    return (
      (this.#keys[a] ?? 0) - (this.#keys[b] ?? 0) || this.#compare(this.#places[a] ?? 0, this.#places[b] ?? 0)
    )
  }
}

const grown = (full: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> => {
  const more = new Uint32Array(2 * full.length)
  more.set(full)
  return more
}
