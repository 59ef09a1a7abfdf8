import type { AssayError } from "../errors.ts"
import type { Party } from "./party.ts"

/** A request that waits for its turn. */
export interface Waiting {
  readonly line: Line
  /** By its bytes. */
  readonly weight: number
  readonly sinceMs: number
  readonly isGone: () => boolean
  readonly begin: (end: (() => void) | undefined) => void
  readonly refuse: (error: AssayError) => void
}

/** One caller's line: what waits in it, and what its caller has had. All is in weights: 1 is a request without any bytes. */
export class Line {
  /** Whose turns its caller shares. */
  readonly party: Party
  /** What may be begun before it is another's turn; less than nothing while it owes for what was begun. */
  credit = 0
  /** What each request is expected to take beyond its weight, by what those have taken that were begun lately. */
  extra = 0
  readonly #waiting: Waiting[] = []
  /** Of what waits, by its bytes. */
  #weight = 0
  /** What was begun lately, with what it was expected to take, and what its caller owes besides. */
  #begun = 0
  /** How many were begun lately, and what they have taken beyond their weight. */
  #count = 0
  #took = 0
  /** As much of what was expected of those that were begun as they have not taken yet. */
  #paid = 0

  constructor(party: Party) {
    this.party = party
  }

  get waiting(): number {
    return this.#waiting.length
  }
  /** The first that waits. */
  get head(): Waiting | undefined {
    return this.#waiting[0]
  }
  /** Of what waits, with what it is expected to take besides. */
  get weight(): number {
    return this.#weight + this.#waiting.length * this.extra
  }
  /** What its caller asks for, and what it was given lately. */
  get asked(): number {
    return this.weight + this.#begun
  }
  /** Whether hardly anything is known of its caller. */
  get isForgotten(): boolean {
    return this.#begun < 1 && this.#waiting.length === 0
  }

  push(waiting: Waiting): void {
    if (this.#waiting.length === 0) this.party.joins(this)
    this.#waiting.push(waiting)
    this.#weight += waiting.weight
    this.party.weight += waiting.weight + this.extra
  }

  /** Takes away what came first, and has its turn; or what came last. */
  leave(which: "first" | "last"): Waiting | undefined {
    const left = which === "first" ? this.#waiting.shift() : this.#waiting.pop()
    if (left === undefined) return undefined
    this.#weight -= left.weight
    this.party.weight -= left.weight + this.extra
    if (this.#waiting.length > 0) return left
    this.#weight = 0
    this.credit = Math.min(0, this.credit)
    this.party.leaves(this)
    return left
  }

  /** What is begun in its turn is paid for with what may be. */
  pay(weight: number): void {
    this.credit -= weight
    this.party.credit -= weight
  }

  /** A request of that weight is begun. */
  began(weight: number): void {
    this.#has(weight + this.extra)
    this.#count += 1
    this.#paid += this.extra
  }

  /** So much more has been had than was expected. */
  owe(weight: number): void {
    this.pay(weight)
    this.#has(weight)
  }

  /** A request that was begun has taken so much beyond its weight. What was expected is paid. */
  took(weight: number): void {
    const paid = Math.min(this.#paid, weight)
    this.#paid -= paid
    this.owe(weight - paid)
    this.#took += weight
    this.#expect()
  }

  /** Of all that was lately, a part is left. */
  fade(left: number): void {
    this.#begun *= left
    this.#count *= left
    this.#took *= left
    this.#paid *= left
    if (this.credit < 0) this.credit *= left
    this.#expect()
  }

  #has(weight: number): void {
    this.#begun += weight
    this.party.had += weight
  }

  #expect(): void {
    const extra = this.#took / Math.max(1, this.#count)
    this.party.weight += this.#waiting.length * (extra - this.extra)
    this.extra = extra
  }
}
