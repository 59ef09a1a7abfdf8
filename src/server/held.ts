/**
 * How much of requests is held at a time. A message counts with the size that it says it has, from its first bytes until its
 * call, or the request of a stream that it is, has been answered: so nobody makes others hold what never becomes whole.
 */
import { AssayError } from "../errors.ts"
import { partyOf } from "./party.ts"

/** Bytes of requests that are held at a time. */
export interface HeldLimits {
  /** Of everybody. */
  readonly bytesMax: number
  /** Of one caller, of one connection, and of all callers of one party. */
  readonly callerBytesMax: number
  /** Of one message, unpacked. */
  readonly messageBytesMax: number
}

/** A quarter of the whole is for messages up to this size: large ones never crowd out what most calls are. */
const SMALL_BYTES = 16 * 1024
const LARGE_SHARE = 3 / 4
/** What one of those may have who share what a caller may: whoever holds several enrollment tokens does not crowd out the rest. */
const MEMBER_SHARE = 1 / 2

/** Whose bytes they are: a connection's, and as soon as that is known a caller's, and its party's if it is not alone in it. */
export type Owners =
  | readonly [connection: string]
  | readonly [connection: string, caller: string]
  | readonly [connection: string, caller: string, party: string]

/** @param caller Its line. */
export const ownersOf = (connection: string, caller: string): Owners => {
  const party = partyOf(caller)
  return party === caller ? [connection, caller] : [connection, caller, party]
}

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
  take(owners: Owners, bytes: number): void {
    const { bytesMax, callerBytesMax, messageBytesMax } = this.#limits
    const [connection, caller = connection, party] = owners
    const memberMax = Math.max(callerBytesMax * MEMBER_SHARE, messageBytesMax)
    if (this.#total + bytes > (bytes > SMALL_BYTES ? bytesMax * LARGE_SHARE : bytesMax))
      throw overloaded("requests that are not answered yet", bytesMax)
    this.#check(connection, bytes, callerBytesMax)
    this.#check(caller, bytes, party === undefined ? callerBytesMax : memberMax)
    if (party !== undefined) this.#check(party, bytes, callerBytesMax)
    this.#total += bytes
    for (const owner of owners) this.#ofOwner.set(owner, (this.#ofOwner.get(owner) ?? 0) + bytes)
  }

  #check(owner: string, bytes: number, max: number): void {
    if ((this.#ofOwner.get(owner) ?? 0) + bytes > max)
      throw overloaded("requests of this caller that are not answered yet", max)
  }

  /** Holds them no longer. */
  release(owners: Owners, bytes: number): void {
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
