/** Whether a store that replicas share is to be relied on right now: looked at all the time, and never taken on trust. */

import { AssayError, printable } from "../../errors.ts"
import type { Clock } from "../../service/ports.ts"
import { type KeyRing, periodOf } from "./key-ring.ts"
import type { EngineLink } from "./link.ts"

/** Between two looks at the store. */
const LOOK_MS = 250
/** How long a look is believed: one that takes its second, and a pause, fit twice. */
const SURE_MS = 2500
const TEND_MS = 5000
/** In the worst case: another's keys are found, keys are made, another made them first. */
const ROUNDS_MAX = 5

/** What the last look showed. */
export interface Sure {
  readonly fence: string
  readonly isFull: boolean
}

/** How clocks are compared. */
export interface ClockOptions {
  readonly clock: Clock
  /** How far the store's clock and ours may be apart. */
  readonly clockBoundMs: number
  /** Throws if our own clock cannot be relied on. @throws {AssayError} CLOCK. */
  readonly checkClock: () => void
}

/** The watch over a store. */
export interface StoreWatch {
  /** @throws {AssayError} NONCE_STORE, CLOCK. */
  sure(): Sure
  /** Looks now, or waits for the look that is under way. @throws {AssayError} INPUT, NONCE_STORE, CLOCK. */
  look(): Promise<void>
  /** As `look`; what it shows is for others to find. */
  lookSoon(): void
  /** Compares the store's clock, as it was read after `before` by ours. @throws {AssayError} CLOCK. */
  checkDrift(theirs: Date, before: Date): void
  /** Why nothing can be relied on; nothing while it can. */
  unready(): string | undefined
  /** Looks again and again from now on. */
  start(): void
  /** Ends the looks, and waits for the last one. */
  close(): Promise<void>
}

interface Doubt {
  readonly kind: "unsure"
  readonly code: "NONCE_STORE" | "CLOCK"
  readonly reason: string
  readonly cause?: unknown
}
type State = Doubt | { readonly kind: "sure"; readonly sight: Sure; readonly sinceMs: number }

/** Watches a store over its link, and keeps the shared keys as they are there. */
export function watchStore(link: EngineLink, ring: KeyRing, options: ClockOptions): StoreWatch {
  const { clock, clockBoundMs, checkClock } = options
  let state: State = { kind: "unsure", code: "NONCE_STORE", reason: `${link.name} was not reached yet` }
  let looking: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  let tendedMs = performance.now()

  const checkDrift = (theirs: Date, before: Date): void => {
    const [from, to, now] = [before.getTime(), clock.now().getTime(), theirs.getTime()]
    const driftMs = Math.max(from - now, now - to, 0)
    if (driftMs <= clockBoundMs) return
    void lookQuietly() // a look that finds the same tells everybody else
    throw new AssayError("CLOCK", `the clocks of ${link.name} and of this machine differ: set both right`, {
      expected: `at most ${clockBoundMs} ms`,
      actual: `${driftMs} ms`,
    })
  }
  const lookNow = async (): Promise<void> => {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const sinceMs = performance.now()
      checkClock()
      const before = clock.now()
      const sight = await link.look()
      checkDrift(sight.now, before)
      const isNew = await ring.take(sight.keys)
      const missing = await ring.missing(clock.now())
      for (const key of missing) await link.claim(key)
      if (!isNew && missing.length === 0) {
        state = { kind: "sure", sight, sinceMs }
        return
      }
      // Keys take their time to open, and of several that are made at once the first one's counts: look again.
    }
    throw new AssayError("NONCE_STORE", `the shared keys in ${link.name} do not stay as they are`)
  }
  const look = (): Promise<void> => {
    looking ??= lookNow()
      .catch((error: unknown) => {
        state = doubtOf(error)
        throw error
      })
      .finally(() => {
        looking = undefined
      })
    return looking
  }
  const lookQuietly = (): Promise<void> => look().catch(() => {})

  /** What is known, unless it is known no more. */
  const standing = (): State =>
    state.kind === "sure" && performance.now() - state.sinceMs > SURE_MS
      ? { kind: "unsure", code: "NONCE_STORE", reason: `${link.name} has not answered for a while` }
      : state
  const tend = async (): Promise<void> => {
    if (performance.now() - tendedMs < TEND_MS || standing().kind === "unsure") return
    tendedMs = performance.now()
    const at = clock.now()
    await link.tend(periodOf(at) - 1, at).catch(() => {}) // the next time
  }
  const keepLooking = (): void => {
    timer = setTimeout(async () => {
      await lookQuietly()
      await tend()
      if (timer !== undefined) keepLooking()
    }, LOOK_MS).unref()
  }

  link.watch((isConnected) => {
    if (isConnected) void lookQuietly()
    else state = { kind: "unsure", code: "NONCE_STORE", reason: `${link.name} cannot be reached` }
  })
  return {
    sure() {
      const known = standing()
      if (known.kind === "sure") return known.sight
      // Anew for each caller: an error goes on to say what became of its challenge.
      throw new AssayError(known.code, known.reason, { cause: known.cause })
    },
    look,
    lookSoon: () => void lookQuietly(),
    checkDrift,
    unready: () => {
      const known = standing()
      return known.kind === "sure" ? undefined : `${known.reason}${detailOf(known.cause)}`
    },
    start: keepLooking,
    async close() {
      clearTimeout(timer)
      timer = undefined
      await looking?.catch(() => {})
    },
  }
}

/** Of a look that failed; what would be refused at the start is a store that is not to be relied on later. */
const doubtOf = (error: unknown): Doubt =>
  error instanceof AssayError
    ? {
        kind: "unsure",
        code: error.code === "CLOCK" ? "CLOCK" : "NONCE_STORE",
        reason: error.message,
        cause: error.cause,
      }
    : {
        kind: "unsure",
        code: "NONCE_STORE",
        reason: "the store of spent challenges cannot be relied on",
        cause: error,
      }

/** What a library says of a failure, for operators: callers need not know where the store is. */
const detailOf = (cause: unknown): string =>
  cause instanceof Error && cause.message !== "" ? ` (${printable(cause.message)})` : ""
