import type { Line, Waiting } from "./line.ts"

/**
 * How the lines of one tenant's devices begin, and of holders of enrollment tokens, and of connections that nobody has to be known
 * on. With its colon: a credential may be named `device`.
 */
const MANY = /^\S+ (?:device|enrollment|local):/

/** Whose turns a caller shares, by its line: those of whom there may be any number have one among them, of each kind. */
export const partyOf = (line: string): string => MANY.exec(line)?.[0] ?? line

/** What each party may begin in its turn, and in it each line. */
export const QUANTUM = 4

/**
 * Callers who take turns with others as if they were one, and then among themselves. Most are alone in theirs. Who may be many
 * at no cost is one of a party: a thousand of them have no more turns than one gateway. All is in weights, as of a `Line`.
 */
export class Party {
  /** What may be begun before it is another's turn; less than nothing while it owes for what was begun. */
  credit = 0
  /** Of what waits, with what it is expected to take besides. */
  weight = 0
  /** What was begun for it lately. */
  had = 0
  /** How many lines it has, those too in which nobody waits. */
  lines = 0
  /** What those ask for of whom most of all that it asks for comes, as it was when this was looked at last. */
  typical = 0
  /** Of what its lines ask for, each squared. */
  #squares = 0
  /** Its lines in which somebody waits, in the order of their turns. */
  readonly #turns: Line[] = []

  /** What it asks for, and what it was given lately. */
  get asked(): number {
    return this.weight + this.had
  }
  get isWaiting(): boolean {
    return this.#turns.length > 0
  }
  /** Whether hardly anything is known of it. */
  get isForgotten(): boolean {
    return this.had < 1 && !this.isWaiting
  }
  /** The line of who asks most, of those who wait. */
  get most(): Line | undefined {
    let most: Line | undefined
    for (const line of this.#turns) if (most === undefined || line.asked > most.asked) most = line
    return most
  }

  /** Somebody waits in this line now. */
  joins(line: Line): void {
    this.#turns.push(line)
  }

  /** Nobody waits in this line any more. */
  leaves(line: Line): void {
    takeOut(this.#turns, line)
    if (this.isWaiting) return
    this.weight = 0
    this.credit = Math.min(0, this.credit)
  }

  /** The first of the line whose turn it is, which it stays until he has left. */
  next(): Waiting | undefined {
    for (;;) {
      const [line] = this.#turns
      if (line?.head === undefined) return undefined
      if (line.credit >= line.head.weight + line.extra) return line.head
      line.credit += QUANTUM
      this.#turns.push(line)
      this.#turns.shift()
    }
  }

  /** One of its lines asks for so much. */
  count(asked: number): void {
    this.#squares += asked * asked
  }

  /** Of all that was lately, a part is left; and all its lines have been counted. */
  fade(left: number): void {
    this.had *= left
    this.typical = this.#squares / Math.max(1, this.asked)
    this.#squares = 0
    if (this.credit < 0) this.credit *= left
  }
}

/** Takes one out of those who take turns, of whom it is mostly the first. */
export const takeOut = <One>(turns: One[], one: One): void => {
  if (turns[0] === one) turns.shift()
  else turns.splice(turns.indexOf(one), 1)
}
