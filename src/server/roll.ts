/** What is on a roll knows its place there, which is the roll's alone to change. */
export interface Listed {
  place: number
}

/**
 * What comes and goes all the time, in no order. Not a `Set`: it makes a new table again and again, and each table leads to the
 * next. Once one of them is among what V8 has found old, all that come after it stay, with all that they held, until everything
 * is collected; so would nearly every call.
 */
export class Roll<T extends Listed> {
  readonly #members: T[] = []

  get size(): number {
    return this.#members.length
  }

  add(member: T): void {
    member.place = this.#members.push(member) - 1
  }

  /** Takes off what is on it; nothing else may be given. */
  delete(member: T): void {
    const last = this.#members.pop()
    if (last === undefined || last === member) return
    this.#members[member.place] = last
    last.place = member.place
  }

  /** All of them, as they are now. */
  all(): readonly T[] {
    return [...this.#members]
  }
}
