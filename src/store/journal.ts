import { AssayError } from "../errors.ts"
import type { Journal, JournalRecord } from "../service/ports.ts"
import { type Database, storeError } from "./database.ts"
import { recordFrom } from "./journal-append.ts"
import type { GroupEntry } from "./journal-commit.ts"
import { statement } from "./statement.ts"

/** Reads the journal. */
export interface JournalReader {
  /**
   * The newest records of a tenant, at most `limit` (1 to 1000, 100 if not told), in the order they were written.
   *
   * @throws {AssayError} JOURNAL.
   */
  records(tenant: string, options?: { readonly limit?: number }): Promise<readonly JournalRecord[]>
}

/** A journal that can be read, and whose waiting records can be written at once. */
export interface StoredJournal extends Journal, JournalReader {
  /** Why nothing can be written; nothing while it can. For readiness, which it tries to bring back. */
  unready(): string | undefined
  /** Writes what waits. Every append made before settles by it. */
  flush(): Promise<void>
}

/** What is right unless somebody knows better. */
export interface JournalLimits {
  /** Records that wait while others are written. */
  readonly waitingMax?: number
  /** How long one group may take. */
  readonly commitMs?: number
  /** From the start of one group to the start of the next when the event loop is never idle. */
  readonly paceMs?: number
  /** How busy the event loop was since this was asked last, from 0 to 1. */
  readonly utilization?: () => number
}

/** A scan blocks the event loop. */
const RECORDS_MAX = 1000
const RECORDS_DEFAULT = 100

/** Records of one transaction: what many of them take, others of the tenant wait for. */
const GROUP_MAX = 1000

/** Records that wait while a group is written: some seconds' worth of them. */
const WAITING_MAX = 20_000

/**
 * From the start of one group to the start of the next, when the event loop is never idle and the last group had PACED_MIN
 * records; less by as much as it is idle, down to nothing at BUSY_MIN. What a group costs beside its records is shared by more
 * of them so. Measured at 2000 records a second, CPU time of both threads a record: 210 us in groups as soon as may be, of 2 or
 * 3; 137 at 4 ms; 118 at 6 ms. With 8 ms, half of all calls at 70 % of the capacity took 10 ms and more, with 2 ms some 4.
 * Whoever has time left need not save it, and does not let callers wait for that.
 */
const PACE_MS = 3
const PACED_MIN = 3
const BUSY_MIN = 0.5

/** A disk that takes longer is as good as none. */
const COMMIT_MS = 5000
const STUCK = `nothing was written for ${COMMIT_MS / 1000} s: the disk does not answer, or whoever else writes does not end`

interface Waiting extends GroupEntry {
  readonly resolve: () => void
  readonly reject: (error: AssayError) => void
}

const selectRecords = statement<{ tenant: string; limit: number }>((builder, at) =>
  builder
    .selectFrom("journal")
    .selectAll()
    .where("tenant", "=", at("tenant"))
    .orderBy("position", "desc")
    .limit(at("limit")),
)

/** Writes a group, durably when it resolves: for each why it is refused, or nothing. What it rejects with refuses all of it. */
export type CommitGroup = (group: readonly GroupEntry[]) => Promise<readonly (AssayError | undefined)[]>

/**
 * The journal of one writer, with group commit: all records that arrive in one turn of the event loop, or while others are
 * being written, share one transaction, and so one synchronization with the disk; under load, all of a few milliseconds. The
 * groups grow with the load, and an idle service waits for nobody. A record that is refused leaves no trace and touches no
 * other of its group.
 *
 * So many wait and no more, and none waits longer than a disk may take: then all of them are refused, and so is what comes
 * until the disk has answered.
 */
export function createJournal(
  database: Database,
  commit: CommitGroup,
  limits: JournalLimits = {},
): StoredJournal {
  const { waitingMax = WAITING_MAX, commitMs = COMMIT_MS, paceMs = PACE_MS } = limits
  const { utilization = eventLoopUtilization() } = limits
  const waiting: Waiting[] = []
  /** Takes back that the next group begins by itself. */
  let unschedule: (() => void) | undefined
  let pacedUntilMs = 0
  let writing: Promise<void> | undefined
  /** Why the last group was not written. */
  let failure: string | undefined
  /** Whether a group was given up that may still be written. */
  let isStuck = false

  const refuse = (group: readonly Waiting[], cause: unknown): void => {
    failure = cause instanceof Error ? cause.message : "for no reason that is known"
    // One error each: the use case writes into it what became of its own challenge.
    for (const { reject } of group) reject(refusalOf(cause))
  }
  const settle = (group: readonly Waiting[], refusals: readonly (AssayError | undefined)[]): void => {
    failure = undefined
    group.forEach(({ resolve, reject }, i) => {
      const refusal = refusals[i]
      if (refusal === undefined) resolve()
      else reject(refusal)
    })
  }
  /** An empty group is a look whether the disk takes anything. */
  const write = async (): Promise<void> => {
    const group = waiting.splice(0, GROUP_MAX)
    const busy = Math.max(0, utilization() - BUSY_MIN) / (1 - BUSY_MIN)
    pacedUntilMs = group.length < PACED_MIN ? 0 : performance.now() + busy * paceMs
    const committed = commit(group).then(
      (refusals) => settle(group, refusals),
      (cause: unknown) => refuse(group, cause),
    )
    if (!(await isWithin(commitMs, committed))) {
      isStuck = true
      refuse([...group, ...waiting.splice(0)], new Error(STUCK))
      void committed.then(() => {
        isStuck = false
        schedule()
      })
    }
    writing = undefined
    schedule()
  }
  const begin = (): void => {
    unschedule?.()
    unschedule = undefined
    if (!isStuck) writing ??= write()
  }
  const schedule = (): void => {
    if (waiting.length === 0 || writing !== undefined || unschedule !== undefined) return
    const pauseMs = pacedUntilMs - performance.now()
    if (pauseMs < 1) {
      const immediate = setImmediate(begin)
      unschedule = () => clearImmediate(immediate)
    } else {
      const timer = setTimeout(begin, pauseMs)
      unschedule = () => clearTimeout(timer)
    }
  }
  return {
    append: (record, commit) =>
      new Promise((resolve, reject) => {
        if (isStuck) return reject(refusalOf(new Error(STUCK)))
        if (waiting.length >= waitingMax) return reject(refusalOf(new Error("too many records wait already")))
        waiting.push({ record, commit, resolve, reject })
        schedule()
      }),
    records: async (tenant, { limit = RECORDS_DEFAULT } = {}) => {
      try {
        const bounded = Math.min(Math.max(1, limit), RECORDS_MAX)
        const { rows } = await database.ask(selectRecords({ tenant, limit: bounded }))
        return rows.map(recordFrom).reverse()
      } catch (cause) {
        throw storeError("JOURNAL", cause)
      }
    },
    unready: () => {
      if (failure === undefined) return undefined
      // Who is not ready is sent nothing, and so nothing would show that it could be written again.
      begin()
      return `the journal cannot be written: ${failure}`
    },
    flush: async () => {
      while (!isStuck && (writing !== undefined || waiting.length > 0)) {
        begin()
        await writing
      }
    },
  }
}

const eventLoopUtilization = (): (() => number) => {
  let last = performance.eventLoopUtilization()
  return () => {
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, last)
    last = now
    return utilization
  }
}

/** Whether `act`, which never fails, ends within so long. */
const isWithin = (ms: number, act: Promise<void>): Promise<boolean> =>
  new Promise((resolve) => {
    const late = setTimeout(resolve, ms, false)
    void act.then(() => {
      clearTimeout(late)
      resolve(true)
    })
  })

/** Another one each time. */
const refusalOf = (cause: unknown): AssayError =>
  cause instanceof AssayError
    ? new AssayError("JOURNAL", cause.message, { cause })
    : storeError("JOURNAL", cause)
