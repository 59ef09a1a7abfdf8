/** Remembers what holds until an instant; of too many, the first gives way. */
export class Memory<T extends { readonly validUntil: number }> {
  readonly #entries = new Map<string, T>()
  readonly #max: number

  constructor(max: number) {
    this.#max = max
  }

  /** What was set for `key`, if it holds at `at`: to the end of `validUntil`, in milliseconds since 1970. */
  get(key: string, at: Date): T | undefined {
    const entry = this.#entries.get(key)
    if (entry !== undefined && at.getTime() <= entry.validUntil) return entry
    this.#entries.delete(key)
    return undefined
  }

  set(key: string, entry: T): void {
    const [first] = this.#entries.keys()
    if (first !== undefined && this.#entries.size >= this.#max) this.#entries.delete(first)
    this.#entries.set(key, entry)
  }

  clear(): void {
    this.#entries.clear()
  }
}
