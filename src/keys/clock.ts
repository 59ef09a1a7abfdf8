import { AssayError } from "../errors.ts"

/** Watches the wall clock of this machine. */
export interface ClockWatch {
  /** @throws {AssayError} CLOCK while the wall clock cannot be relied on. */
  check(): void
  /** Why it cannot be relied on; nothing while it can. For readiness. */
  unready(): string | undefined
}

/** What tells the time, in ms: one that people set, and one that nobody can. */
export interface ClockSources {
  readonly wallMs: () => number
  readonly monotonicMs: () => number
}

const MACHINE: ClockSources = { wallMs: () => Date.now(), monotonicMs: () => performance.now() }

/**
 * Compares the wall clock with the monotonic one, which goes at the same rate and is never set: what lies between them
 * stays as it was at the start, or somebody turned the clock, stopped it, or put the machine to sleep (attack S-06). Nobody
 * can tell from here which time is right, so there is none until the two agree again. A clock that was wrong at the start
 * and is right now takes a restart, which lets go of everything that was judged by the wrong one.
 *
 * @param boundMs How far they may drift apart.
 */
export const createClockWatch = (
  boundMs: number,
  { wallMs, monotonicMs }: ClockSources = MACHINE,
): ClockWatch => {
  const betweenMs = wallMs() - monotonicMs()

  const turnedMs = (): number => wallMs() - monotonicMs() - betweenMs
  const isOff = (ms: number): boolean => !(Math.abs(ms) <= boundMs)

  return {
    check() {
      const ms = turnedMs()
      if (!isOff(ms)) return
      throw new AssayError("CLOCK", `${REASON}: set it right, or restart Assay if it is right now`, {
        expected: `at most ${boundMs} ms off`,
        actual: `${Math.round(ms)} ms off`,
      })
    },
    unready: () => {
      const ms = turnedMs()
      return isOff(ms) ? `${REASON} by ${Math.round(ms)} ms since the start` : undefined
    },
  }
}

const REASON = "the clock of this machine was turned or stopped"
