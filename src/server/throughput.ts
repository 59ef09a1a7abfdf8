/** How much can be begun, as it is measured, and so for how long what waits will. */

/** How long throughput is measured before it counts, and how much the newest measure does. */
const [MEASURE_MS, NEWEST] = [50, 0.3]
/** What comes at once, and is done after a while, waits: only a line that stays is one that is too long. */
const BURST_MS = 1000
/** A disk may stand still for a moment, and those who wait with it. */
const STILL_MS = 300
/** What is hoped for when all that waited was begun while others were refused. */
const PROBE = 1.1

/** All instants are in milliseconds, of a clock that never goes back. */
export class Throughput {
  /** Since when somebody has waited at any time; and when somebody was refused last. */
  #busySinceMs = 0
  #refusedMs = Number.NEGATIVE_INFINITY
  /** What is begun in a millisecond while requests wait; nothing before that was measured, and when nobody asks for too much. */
  #perMs: number | undefined
  #measured = { sinceMs: 0, weight: 0 }
  /** Since when somebody has waited and nothing was begun. */
  #stillSinceMs = 0
  #probedMs = 0

  /** The first request waits. */
  waits(nowMs: number): void {
    if (this.#perMs === undefined) this.#busySinceMs = nowMs
    this.#measured = { sinceMs: nowMs, weight: 0 }
    this.#stillSinceMs = nowMs
  }

  /** A request was refused. */
  refused(nowMs: number): void {
    this.#refusedMs = nowMs
  }

  /** So much was begun. */
  begun(weight: number, nowMs: number): void {
    this.#measured.weight += weight
    this.#stillSinceMs = nowMs
  }

  /** Whether nothing was begun for too long, which nothing that is measured tells, while somebody waits. */
  isStill(waitMs: number, nowMs: number): boolean {
    return nowMs - this.#stillSinceMs > Math.max(STILL_MS, waitMs)
  }

  /** Whether so much would have to wait for longer than that. Nothing would as long as nobody has asked for too much for a while. */
  isTooMuch(weight: number, waitMs: number, nowMs: number): boolean {
    if (this.#perMs === undefined || nowMs - this.#busySinceMs < BURST_MS) return false
    return weight / this.#perMs > waitMs
  }

  /** Requests were begun, and others still wait. Only what is begun while others wait says how much can be. */
  measure(nowMs: number): void {
    const { sinceMs, weight } = this.#measured
    if (nowMs - sinceMs < MEASURE_MS) return
    const perMs = weight / (nowMs - sinceMs)
    this.#perMs = this.#perMs === undefined ? perMs : this.#perMs + NEWEST * (perMs - this.#perMs)
    this.#measured = { sinceMs: nowMs, weight: 0 }
  }

  /**
   * Requests were begun, and nobody waits any more. Of what was refused some could have been begun; and if nothing was for a
   * while, nobody asks for too much.
   */
  probe(nowMs: number): void {
    if (this.#perMs === undefined) return
    if (nowMs - this.#refusedMs > BURST_MS) this.#perMs = undefined
    else if (nowMs - this.#probedMs >= MEASURE_MS) {
      this.#perMs *= PROBE
      this.#probedMs = nowMs
    }
  }
}
