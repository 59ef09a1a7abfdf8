/** Whose turn it is: among those of this process, or of all processes that share something. */
export interface TakeTurns {
  /** Does `act` when it is its turn. @throws {Error} if it is not its turn in time, or whatever `act` throws. */
  take<T>(act: () => Promise<T>): Promise<T>
}

/** Lets a few go on at a time. The others wait for their turn, and not for longer than somebody waits for an answer. */
export class Turns implements TakeTurns {
  readonly #patienceMs: number
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(atOnce: number, patienceMs: number) {
    this.#free = atOnce
    this.#patienceMs = patienceMs
  }

  /**
   * Does `act` when it is its turn, in the order in which it was asked for.
   *
   * @throws {Error} if it is not its turn in time.
   */
  async take<T>(act: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--
    else await this.#turn()
    try {
      return await act()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#free++
      else next()
    }
  }

  #turn(): Promise<void> {
    return new Promise((resolve, reject) => {
      const go = (): void => {
        clearTimeout(timer)
        resolve()
      }
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(go), 1)
        reject(new Error("too many transactions wait for each other"))
      }, this.#patienceMs)
      this.#waiting.push(go)
    })
  }
}
