import { setTimeout as sleep } from "node:timers/promises"
import { AssayError } from "../errors.ts"
import type { CheckpointDue, CheckpointJournal } from "../service/checkpoint-journal.ts"

/** What the loop needs. */
export interface CheckpointerOptions {
  readonly checkpoint: CheckpointJournal
  readonly tenants: readonly string[]
  readonly due: CheckpointDue
  /** Between the end of one look at all tenants and the next. Default 1 second. */
  readonly intervalMs?: number
  /** Milliseconds since some beginning, which never go back. */
  readonly monotonicMs?: () => number
  /** Is told of a look that failed. */
  readonly failed: (tenant: string, error: unknown) => void
}

/** How often checkpoints were made, and could not be, since the start. */
export interface CheckpointCounts {
  readonly made: number
  readonly failed: number
}

/** The loop that vouches for the journal, apart from any request. */
export interface Checkpointer {
  start(): void
  /** Ends the loop, and vouches for what was written last. Resolves when nothing is under way. */
  stop(): Promise<void>
  /** Why the journal may have records that nobody vouches for; nothing while it has none that are due. For readiness. */
  unready(): string | undefined
  counts(): CheckpointCounts
}

const INTERVAL_MS = 1000

/** A loop that has not come to its end for so long does not run, or does not get through. */
const LATE_MS = 15_000

/** Makes the loop. No failure ends it; that it runs at all is part of `unready`. */
export const createCheckpointer = (options: CheckpointerOptions): Checkpointer => {
  const { checkpoint, tenants, due, failed, intervalMs = INTERVAL_MS } = options
  const { monotonicMs = () => performance.now() } = options
  const stopping = new AbortController()
  const { signal } = stopping
  const failures = new Map<string, string>()
  const counts = { made: 0, failed: 0 }
  let lastLook = monotonicMs()
  let loop: Promise<void> | undefined

  const look = async (tenant: string, when?: CheckpointDue): Promise<void> => {
    try {
      counts.made += await checkpoint(tenant, when)
      failures.delete(tenant)
    } catch (error) {
      counts.failed += 1
      failures.set(tenant, error instanceof AssayError ? error.code : "INTERNAL")
      failed(tenant, error)
    }
  }
  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      // Whoever is told may throw too; the failure itself has been noted by then.
      for (const tenant of tenants) await look(tenant, due).catch(() => undefined)
      lastLook = monotonicMs()
      await sleep(intervalMs, undefined, { signal, ref: false }).catch(() => undefined)
    }
  }
  return {
    start: () => {
      lastLook = monotonicMs()
      loop ??= run()
    },
    stop: async () => {
      stopping.abort()
      if (loop === undefined) return
      await loop
      for (const tenant of tenants) await look(tenant).catch(() => undefined)
    },
    unready: () => {
      const [failure] = failures.values()
      if (failure !== undefined) return `the journal's checkpoints cannot be made: ${failure}`
      return monotonicMs() - lastLook > LATE_MS ? "the journal's checkpoints are not made" : undefined
    },
    counts: () => ({ ...counts }),
  }
}
