/**
 * How much of requests is held at a time. A message counts with the size that it says it has, from its first bytes until its
 * call, or the request of a stream that it is, has been answered: so nobody makes others hold what never becomes whole.
 */
import { AssayError } from "../errors.ts"

/** Bytes of requests that are held at a time. */
export interface HeldLimits {
  /** Of everybody. */
  readonly bytesMax: number
  /** Of one caller, and of one connection. */
  readonly callerBytesMax: number
}

/** A quarter of the whole is for messages up to this size: large ones never crowd out what most calls are. */
const SMALL_BYTES = 16 * 1024
const LARGE_SHARE = 3 / 4

/** Counts what is held, of all and of each owner. */
export class Held {
  readonly #limits: HeldLimits
  readonly #ofOwner = new Map<string, number>()
  #total = 0

  constructor(limits: HeldLimits) {
    this.#limits = limits
  }

  /** What is held now, in bytes. */
  get total(): number {
    return this.#total
  }

  /** Holds `bytes` more of each of `owners`. @throws {AssayError} OVERLOADED: then it holds none of them. */
  take(owners: readonly string[], bytes: number): void {
    const { bytesMax, callerBytesMax } = this.#limits
    if (this.#total + bytes > (bytes > SMALL_BYTES ? bytesMax * LARGE_SHARE : bytesMax))
      throw overloaded("requests that are not answered yet", bytesMax)
    for (const owner of owners)
      if ((this.#ofOwner.get(owner) ?? 0) + bytes > callerBytesMax)
        throw overloaded("requests of this caller that are not answered yet", callerBytesMax)
    this.#total += bytes
    for (const owner of owners) this.#ofOwner.set(owner, (this.#ofOwner.get(owner) ?? 0) + bytes)
  }

  /** Holds them no longer. */
  release(owners: readonly string[], bytes: number): void {
    this.#total -= bytes
    for (const owner of owners) {
      const left = (this.#ofOwner.get(owner) ?? 0) - bytes
      if (left > 0) this.#ofOwner.set(owner, left)
      else this.#ofOwner.delete(owner)
    }
  }
}

const overloaded = (what: string, max: number): AssayError =>
  new AssayError("OVERLOADED", `too much is held of ${what}`, {
    location: "message",
    expected: `at most ${max} bytes`,
  })
