import { AssayError } from "../errors.ts"

/** Watches the wall clock of this machine. */
export interface ClockWatch {
  /** @throws {AssayError} CLOCK while the wall clock cannot be relied on. */
  check(): void
  /** Why it cannot be relied on; nothing while it can. For readiness. */
  unready(): string | undefined
  /** What lay between both clocks at the start, for a process of the same machine that is to go by it, whenever it begins. */
  readonly betweenMs: number
}

/** What tells the time, in ms: one that people set, and one that nobody can. */
export interface ClockSources {
  readonly wallMs: () => number
  readonly monotonicMs: () => number
}

/** `performance.now` begins anew in each process, the clock behind it with the machine. */
const BEGUN_MS = Number(process.hrtime.bigint() / 1000n) / 1000 - performance.now()

const MACHINE: ClockSources = {
  wallMs: () => Date.now(),
  monotonicMs: () => BEGUN_MS + performance.now(),
}

/**
 * Compares the wall clock with the monotonic one, which goes at the same rate and is never set: what lies between them
 * stays as it was at the start, or somebody turned the clock, stopped it, or put the machine to sleep (attack S-06). Nobody
 * can tell from here which time is right, so there is none until the two agree again. A clock that was wrong at the start
 * and is right now takes a restart, which lets go of everything that was judged by the wrong one.
 *
 * @param boundMs How far they may drift apart.
 * @param betweenMs What lay between them when a service began of which this process is a part; else what does now.
 */
export const createClockWatch = (
  boundMs: number,
  { wallMs, monotonicMs }: ClockSources = MACHINE,
  betweenMs = wallMs() - monotonicMs(),
): ClockWatch => {
  const turnedMs = (): number => wallMs() - monotonicMs() - betweenMs
  const isOff = (ms: number): boolean => !(Math.abs(ms) <= boundMs)

  return {
    betweenMs,
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
