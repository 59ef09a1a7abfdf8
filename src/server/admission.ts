/**
 * Whose turn it is. Requests wait for theirs, each caller's in a line of its own, and the parties that callers are of, and in
 * each its lines, are served in turns by what their requests weigh: who asks more than the others waits longer, and nobody else
 * does. What waits is bounded by the time that it would wait, as it is measured: beyond it, whoever asks most is refused at once,
 * by what waits and what was begun lately. Who asks for less than its share may so come with many at once beside one who never stops.
 */
import { AssayError } from "../errors.ts"
import { Batch } from "./batch.ts"
import { Line, type Waiting } from "./line.ts"
import { Party, QUANTUM, takeOut } from "./party.ts"
import { Throughput } from "./throughput.ts"

/** Bounds of what is begun and of what waits. */
export interface AdmissionLimits {
  /** Requests that are begun and not answered. */
  readonly runningMax: number
  /** Requests that wait. */
  readonly waitingMax: number
  /** For how long one may have to wait, as far as can be told. */
  readonly waitMs: number
}

/** What is told of it, and what it has to know of callers. */
export interface AdmissionEvents {
  /** A request has begun, after so long. */
  readonly waited: (seconds: number) => void
  /** The name of the party that a caller is of; by default each is one by itself. */
  readonly partyOf?: (caller: string) => string
}

/** So many bytes of a request weigh as much as a request without any. */
const BYTES_OF_ONE = 8192
/** Of what was begun for a caller, a third still counts after so long; and between two looks at how much that is. */
const [LATELY_MS, FADE_MS] = [1000, 50]
/** What has come and is not in line yet, as a part of what is. */
const UNSEEN = 0.5
/** What a request without any bytes takes of the loop, about. */
const REQUEST_MS = 0.125
/** What a refusal costs, and whoever is refused has taken, as a part of a request. */
const REFUSED = 1 / 4
/** Of what the one asks who asks most. Were it less, of two who ask for the same, one would get so much less, and stay with it. */
const MUCH = 0.9

/** Of what those ask of a party who ask most of what it asks for: who asks for so much is one of them. */
const TYPICAL = 0.5

/** Lets requests begin. */
export class Admission {
  readonly #limits: AdmissionLimits
  readonly #events: AdmissionEvents
  readonly #nowMs: () => number
  /** Of who waits or was served lately. Not only of who waits: a `Map` that is added to and taken from all the time leaves much behind. */
  readonly #lines = new Map<string, Line>()
  readonly #parties = new Map<string, Party>()
  /** Those of whom somebody waits, in the order of their turns. */
  readonly #turns: Party[] = []
  #fadedMs = 0
  #waiting = 0
  #running = 0
  #isPumping = false
  readonly #batch = new Batch()
  readonly #throughput = new Throughput()

  /** @param nowMs A clock that never goes back. */
  constructor(limits: AdmissionLimits, events: AdmissionEvents, nowMs = (): number => performance.now()) {
    this.#limits = limits
    this.#events = events
    this.#nowMs = nowMs
  }

  get waiting(): number {
    return this.#waiting
  }
  get running(): number {
    return this.#running
  }

  /**
   * Whether a request of this caller should be refused before it is read: there is hardly any room, its party asks about as much
   * as whoever asks most, and it is one of those in it who make that so. What has come with it is not in line yet, and would be
   * refused when it has cost most of what it costs.
   */
  refuses(caller: string): boolean {
    if (!this.#isFull(1, { unseen: UNSEEN })) return false
    const line = this.#lines.get(caller)
    if (line === undefined || line.party.asked < (this.#most?.asked ?? 0) * MUCH) return false
    const { party } = line
    // Of many, hardly any has anything wait, for there is no room: each would be read to be told so.
    if (party.lines === 1 ? line.waiting === 0 : line.asked < party.typical * TYPICAL) return false
    this.#refused(line)
    return true
  }

  /**
   * Waits for the caller's turn, at least until what has come by now is read: who has gone by then is not served.
   *
   * @param bytes Of the request.
   * @param isGone Whether nobody waits for the answer any more.
   * @returns What has to be called when it is answered; nothing if nobody waits for that.
   * @throws {AssayError} OVERLOADED.
   */
  enter(caller: string, bytes: number, isGone: () => boolean): Promise<(() => void) | undefined> {
    return new Promise((begin, refuse) => {
      const weight = 1 + bytes / BYTES_OF_ONE
      const line = this.#lineOf(caller)
      const { party } = line
      let made = 0
      while (this.#isFull(weight + line.extra, { made })) {
        const more = weight + line.extra
        const [most, own] = [this.#most, party.most]
        if (most !== undefined && most.asked > party.asked + more) made += this.#shorten(most.most)
        else if (own !== undefined && own.asked > line.asked + more) made += this.#shorten(own)
        else return refuse(this.#overloaded(line))
      }
      const sinceMs = this.#nowMs()
      if (this.#waiting === 0) this.#throughput.waits(sinceMs)
      if (!party.isWaiting) this.#turns.push(party)
      line.push({ line, weight, sinceMs, isGone, begin, refuse })
      this.#waiting += 1
      this.#pump()
    })
  }

  /**
   * A request of this caller has taken so many milliseconds of the loop: it is expected of its others, and what was not expected
   * makes its turns come later. Else who sends few that are dear would get more than who sends many that are not.
   */
  charge(caller: string, ms: number): void {
    this.#lineOf(caller).took(ms / REQUEST_MS)
  }

  /** A call of this caller was refused at once for another reason, which costs what a refusal does. */
  refused(caller: string): void {
    this.#lineOf(caller).owe(REFUSED)
  }

  #lineOf(caller: string): Line {
    const known = this.#lines.get(caller)
    if (known !== undefined) return known
    const name = this.#events.partyOf?.(caller) ?? caller
    const party = this.#parties.get(name) ?? new Party()
    this.#parties.set(name, party)
    const line = new Line(party)
    party.lines += 1
    this.#lines.set(caller, line)
    return line
  }

  /**
   * Whether so much more would have to wait too long. While nothing ends, no more may wait than does.
   *
   * @param unseen What comes with it, as a part of what waits.
   * @param made The weight of what was refused for it.
   */
  #isFull(weight: number, { unseen = 0, made = 0 }): boolean {
    if (this.#waiting === 0) return false
    const { waitingMax, runningMax, waitMs } = this.#limits
    if (this.#waiting >= waitingMax) return true
    const nowMs = this.#nowMs()
    if (this.#running >= runningMax && weight > made && this.#throughput.isStill(waitMs, nowMs)) return true
    const all = this.#weight() * (1 + unseen) + weight
    return this.#throughput.isTooMuch(all, waitMs, nowMs)
  }

  /** Of all that waits. */
  #weight(): number {
    let weight = 0
    for (const party of this.#turns) weight += party.weight
    return weight
  }

  /** The party that asks most, of those of whom somebody waits. */
  get #most(): Party | undefined {
    let most: Party | undefined
    for (const party of this.#turns) if (most === undefined || party.asked > most.asked) most = party
    return most
  }

  /** Refuses what came last to a line, and gives what that weighs. */
  #shorten(line: Line | undefined): number {
    const left = line && this.#leave(line, "last")
    left?.refuse(this.#overloaded(left.line))
    return left === undefined ? 0 : left.weight + left.line.extra
  }

  #leave(line: Line, which: "first" | "last"): Waiting | undefined {
    const left = line.leave(which)
    if (left === undefined) return undefined
    this.#waiting -= 1
    if (!line.party.isWaiting) takeOut(this.#turns, line.party)
    return left
  }

  /** Who floods has taken what the refusals cost: else what they leave would be shared as if nobody had. */
  #refused(line: Line): void {
    this.#throughput.refused(this.#nowMs())
    line.owe(REFUSED)
  }

  #overloaded(line: Line): AssayError {
    this.#refused(line)
    return new AssayError("OVERLOADED", "more is asked than can be answered in time", {
      location: "requests that wait",
      expected: `an answer to begin within ${this.#limits.waitMs} ms`,
    })
  }

  /** @param awaySinceMs When the loop went to its sockets, if it was here before that. */
  #pump(awaySinceMs?: number): void {
    if (this.#isPumping || this.#waiting === 0 || this.#running >= this.#limits.runningMax) return
    this.#isPumping = true
    let sinceMs = 0
    let isUsedUp = false
    setImmediate(() => {
      sinceMs = this.#nowMs()
      isUsedUp = this.#tick(sinceMs)
    })
    // Comes behind what the requests that were begun have done at once, and before the sockets.
    setImmediate(() => {
      this.#isPumping = false
      const nowMs = this.#nowMs()
      this.#batch.adapt(nowMs - sinceMs, sinceMs - (awaySinceMs ?? sinceMs), isUsedUp)
      this.#pump(nowMs)
    })
  }

  /** Begins some, as many as the loop has time for before it looks at its sockets again. Gives whether there were as many. */
  #tick(nowMs: number): boolean {
    let begun = 0
    while (begun < this.#batch.size && this.#running < this.#limits.runningMax) {
      const next = this.#next()
      if (next === undefined) break
      const weight = next.weight + next.line.extra
      this.#throughput.begun(weight, nowMs)
      if (next.isGone()) next.begin(undefined)
      else {
        begun += weight
        this.#begin(next, nowMs)
      }
    }
    if (nowMs - this.#fadedMs >= FADE_MS) this.#fade(nowMs)
    if (this.#waiting === 0) this.#throughput.probe(nowMs)
    else this.#throughput.measure(nowMs)
    return begun >= this.#batch.size
  }

  #begin({ line, weight, sinceMs, begin }: Waiting, nowMs: number): void {
    this.#running += 1
    line.began(weight)
    this.#events.waited((nowMs - sinceMs) / 1000)
    let ended = false
    begin(() => {
      if (ended) return
      ended = true
      this.#running -= 1
      this.#pump()
    })
  }

  /** The first of the line whose turn it is, of the party whose turn it is. */
  #next(): Waiting | undefined {
    for (;;) {
      const [party] = this.#turns
      const next = party?.next()
      if (party === undefined || next === undefined) return undefined
      const weight = next.weight + next.line.extra
      if (party.credit >= weight) {
        next.line.pay(weight)
        return this.#leave(next.line, "first")
      }
      party.credit += QUANTUM
      this.#turns.push(party)
      this.#turns.shift()
    }
  }

  /** What was begun counts less and less. */
  #fade(nowMs: number): void {
    const left = Math.exp((this.#fadedMs - nowMs) / LATELY_MS)
    for (const [caller, line] of this.#lines) {
      line.fade(left)
      line.party.count(line.asked)
      if (!line.isForgotten) continue
      line.party.lines -= 1
      this.#lines.delete(caller)
    }
    for (const [name, party] of this.#parties) {
      party.fade(left)
      if (party.isForgotten) this.#parties.delete(name)
    }
    this.#fadedMs = nowMs
  }
}
