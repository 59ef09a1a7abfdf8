import type { Code } from "../errors.ts"
import type { Crl } from "../evidence/x509/crl.ts"
import type { Published } from "./ports.ts"
import { RANKS, type Source } from "./refresh-sources.ts"

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** Nothing is asked for more often, whatever a list says about itself. */
const PAUSE_MS_MIN = 5 * MINUTE_MS
/** After failures in a row the pause doubles, up to this. */
const RETRY_MS_MAX = HOUR_MS
/** By how much of itself a pause after a failure is drawn out, at most, so that not all servers come back at once. */
const JITTER = 0.25
/** So long before nextUpdate, the next CRL should be there. */
const BEFORE_NEXT_UPDATE_MS = HOUR_MS
const AGE_MS_MAX = DAY_MS

/** How loading from one URL went so far. Times are milliseconds since 1970. */
export interface Progress {
  readonly lastAttempt: number | undefined
  readonly lastSuccess: number | undefined
  readonly lastFailure: { readonly at: number; readonly code: Code } | undefined
  /** In a row, up to now. */
  readonly failures: number
  /** Not before; of use while there are failures. */
  readonly retryAt: number
}

/** What is known of a URL that was never asked. */
export const NO_PROGRESS: Progress = {
  lastAttempt: undefined,
  lastSuccess: undefined,
  lastFailure: undefined,
  failures: 0,
  retryAt: 0,
}

/** Before it is asked. */
export const attempted = (progress: Progress, at: number): Progress => ({ ...progress, lastAttempt: at })

/** After all of it was loaded and found good, changed or not. */
export const succeeded = (progress: Progress, at: number): Progress => ({
  ...progress,
  lastSuccess: at,
  failures: 0,
  retryAt: 0,
})

/** After anything went wrong. @param jitter From 0 to 1. */
export const failed = (progress: Progress, at: number, code: Code, jitter: number): Progress => {
  const failures = progress.failures + 1
  const pause = Math.min(PAUSE_MS_MIN * 2 ** (failures - 1), RETRY_MS_MAX)
  return {
    ...progress,
    lastFailure: { at, code },
    failures,
    retryAt: at + pause * (1 + JITTER * Math.min(Math.max(jitter, 0), 1)),
  }
}

/** What the store has of a source, and when it came there: what a new process knows of the last success. */
export interface Kept {
  readonly crl: Crl | undefined
  readonly since: number
}

/**
 * When to ask next: at once for what there is nothing of; else for a CRL when half of its time has passed, an hour before
 * nextUpdate, and from then on until there is a newer one; and once a day in any case.
 */
export const dueAt = (kind: Published, progress: Progress, kept: Kept | undefined): number => {
  const soonest = (progress.lastAttempt ?? Number.NEGATIVE_INFINITY) + PAUSE_MS_MIN
  if (progress.failures > 0) return Math.max(progress.retryAt, soonest)
  const since = progress.lastSuccess ?? kept?.since
  if (since === undefined) return soonest
  if (kind === "certificates") return Math.max(since + AGE_MS_MAX, soonest)
  // A CRL that is not there any more has been removed, and is wanted all the same.
  return kept?.crl === undefined ? soonest : Math.max(nextMoment(since, kept.crl), soonest)
}

const nextMoment = (since: number, { thisUpdate, nextUpdate = thisUpdate }: Crl): number => {
  const last = nextUpdate - BEFORE_NEXT_UPDATE_MS
  if (since >= last) return since
  const half = thisUpdate + (nextUpdate - thisUpdate) / 2
  return Math.min(since + AGE_MS_MAX, last, half > since ? half : last)
}

/**
 * One item of each share, then the next of each, and so on: who has many things to be done does not come before who has
 * few. Otherwise in their order.
 */
export const inTurns = <T>(items: readonly T[], shareOf: (item: T) => string): readonly T[] =>
  [...Map.groupBy(items, shareOf).values()]
    .flatMap((own) => own.map((item, turn) => ({ item, turn })))
    .toSorted((a, b) => a.turn - b.turn)
    .map(({ item }) => item)

/**
 * The sources that are due, in the order in which they are asked: by rank; in turns, where the share comes first that had its last turn the longest
 * time ago; and of a share first what was not asked for longest.
 */
export const fairly = (
  sources: readonly Source[],
  isDue: (source: Source) => boolean,
  lastAttempt: (source: Source) => number,
): readonly Source[] => {
  const turns = new Map<string, number>()
  for (const source of sources)
    turns.set(source.share, Math.max(turns.get(source.share) ?? 0, lastAttempt(source)))
  const lastTurn = ({ share }: Source): number => turns.get(share) ?? 0
  const byAge = sources
    .filter(isDue)
    .toSorted((a, b) => lastTurn(a) - lastTurn(b) || lastAttempt(a) - lastAttempt(b))
  return RANKS.flatMap((rank) =>
    inTurns(
      byAge.filter((source) => source.rank === rank),
      ({ share }) => share,
    ),
  )
}
