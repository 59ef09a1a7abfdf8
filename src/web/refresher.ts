import { setTimeout as sleep } from "node:timers/promises"
import { AssayError } from "../errors.ts"
import type { Clock } from "../service/ports.ts"
import type { Refresh } from "../service/refresh.ts"
import type { RefreshOutcome, RefreshReport } from "../service/refresh-report.ts"

/** What the loop needs. */
export interface RefresherOptions {
  readonly refresh: Pick<Refresh, "refresh" | "unready">
  readonly tenants: readonly string[]
  readonly clock: Clock
  /** Between the end of one round over all tenants and the start of the next. */
  readonly intervalMs: number
  /** Is told of each pass over a tenant. */
  readonly observe: {
    passed(report: RefreshReport): void
    failed(tenant: string, error: unknown): void
  }
}

/** What is known of all tenants' trust as of their last passes. */
export interface TrustCounts {
  readonly anchors: number
  /** Sum of the generations: it moves with each change. */
  readonly generation: number
  readonly crls: number
  /** Of all CRLs, the earliest; nothing if there are none. */
  readonly nextUpdate: Date | undefined
  /** Of the oldest CRL. */
  readonly ageSeconds: number | undefined
  /** Attempts to load from a URL since the start, and passes that failed as a whole. */
  readonly outcomes: Readonly<Record<RefreshOutcome | "aborted", number>>
}

/** The loop that keeps trust current. */
export interface Refresher {
  /** Begins with a round at once. */
  start(): void
  /** Ends what is under way, and resolves when nothing is. */
  stop(): Promise<void>
  /** Why trust may not be current: the loop is late, a pass failed, or a CRL that is required is not there. */
  unready(): readonly string[]
  counts(): TrustCounts
}

/** Intervals without a step after which the loop counts as dead: a source that was asked, a pass that ended. */
const LATE_INTERVALS = 3
/** And at least this, for one step may wait for an answer as long as `timeoutSeconds` can be. */
const LATE_MS_MIN = 120_000

/** Makes the loop. Rounds never overlap, and no failure ends it; that it runs at all is part of `unready`. */
export function createRefresher(options: RefresherOptions): Refresher {
  const { refresh, tenants, clock, intervalMs, observe } = options
  const stopping = new AbortController()
  const { signal } = stopping
  const reports = new Map<string, RefreshReport>()
  const failures = new Map<string, string>()
  const outcomes = { changed: 0, unchanged: 0, failed: 0, aborted: 0 }
  let lastStep = clock.now().getTime()
  let loop: Promise<void> | undefined

  const progressed = (): void => {
    lastStep = clock.now().getTime()
  }
  const pass = async (tenant: string): Promise<void> => {
    try {
      const report = await refresh.refresh(tenant, signal, progressed)
      reports.set(tenant, report)
      failures.delete(tenant)
      for (const outcome of ["changed", "unchanged", "failed"] as const)
        outcomes[outcome] += report.outcomes[outcome]
      observe.passed(report)
    } catch (error) {
      if (signal.aborted) return
      outcomes.aborted++
      failures.set(tenant, error instanceof AssayError ? error.code : "INTERNAL")
      observe.failed(tenant, error)
    }
  }
  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      // Whoever observes may throw too; the failure itself has been noted by then.
      for (const tenant of tenants) await pass(tenant).catch(() => undefined)
      progressed()
      // It rejects when it is stopped, and then there is nothing left to do.
      await sleep(intervalMs, undefined, { signal, ref: false }).catch(() => undefined)
    }
  }
  return {
    start() {
      loop ??= run()
    },
    async stop() {
      stopping.abort()
      await loop
    },
    unready() {
      const now = clock.now()
      const late = now.getTime() - lastStep > Math.max(LATE_INTERVALS * intervalMs, LATE_MS_MIN)
      return [
        ...(late ? ["the refresh of trust does not run"] : []),
        ...[...new Set(failures.values())].map((code) => `the refresh of trust failed: ${code}`),
        ...refresh.unready(now),
      ]
    },
    counts() {
      const all = [...reports.values()]
      const sum = (key: "anchors" | "generation" | "crls"): number =>
        all.reduce((total, report) => total + report[key], 0)
      const oldest = earliest(all.map(({ thisUpdate }) => thisUpdate))
      return {
        anchors: sum("anchors"),
        generation: sum("generation"),
        crls: sum("crls"),
        nextUpdate: earliest(all.map(({ nextUpdate }) => nextUpdate)),
        ageSeconds: oldest && (clock.now().getTime() - oldest.getTime()) / 1000,
        outcomes: { ...outcomes },
      }
    },
  }
}

const earliest = (dates: readonly (Date | undefined)[]): Date | undefined =>
  dates.filter((date) => date !== undefined).sort((a, b) => a.getTime() - b.getTime())[0]
