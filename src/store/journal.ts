import { AssayError } from "../errors.ts"
import type { Commit, Counters, Journal, JournalRecord, LastResult } from "../service/ports.ts"
import { countersFrom, laterCounters } from "./counters.ts"
import { type Database, storeError } from "./database.ts"
import { resultFrom } from "./device-row.ts"
import { putCounters, putResult } from "./device-statements.ts"
import { shareFence } from "./fence.ts"
import {
  appendRecords,
  type ChainWriter,
  type PreparedRecord,
  prepareRecord,
  recordFrom,
} from "./journal-append.ts"
import { judgedIn } from "./registry.ts"
import { laterResult } from "./result.ts"
import { integer, optional, type Row, text } from "./row.ts"
import { type Ask, askAll, statement, type Work } from "./statement.ts"

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
  /** Writes what waits. Every append made before settles by it. */
  flush(): Promise<void>
}

/** A scan blocks the event loop. */
const RECORDS_MAX = 1000
const RECORDS_DEFAULT = 100

/** Records of one transaction: what many of them take, others of the tenant wait for. */
const GROUP_MAX = 1000

interface Waiting {
  readonly record: JournalRecord
  readonly commit: Commit | undefined
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

/**
 * The journal of one writer, with group commit: all records that arrive in one turn of the event loop, or while others are
 * being written, share one transaction, and so one synchronization with the disk. The groups grow with the load, and an idle
 * service waits for nobody. A record that is refused leaves no trace and touches no other of its group.
 */
export function createJournal(database: Database, chains: ChainWriter): StoredJournal {
  let waiting: Waiting[] = []
  let scheduled: NodeJS.Immediate | undefined
  let writing: Promise<void> | undefined

  const write = async (): Promise<void> => {
    const group = waiting.slice(0, GROUP_MAX)
    waiting = waiting.slice(GROUP_MAX)
    await writeGroup(database, chains, group)
    writing = undefined
    schedule()
  }
  const schedule = (): void => {
    if (waiting.length > 0 && writing === undefined)
      scheduled ??= setImmediate(() => {
        scheduled = undefined
        writing ??= write()
      })
  }
  const flush = async (): Promise<void> => {
    clearImmediate(scheduled)
    scheduled = undefined
    while (writing !== undefined || waiting.length > 0) {
      writing ??= write()
      await writing
    }
  }

  return {
    append: (record, commit) =>
      new Promise((resolve, reject) => {
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
    flush,
  }
}

/** Writes a group, and tells each of it what became of it. */
const writeGroup = async (
  database: Database,
  chains: ChainWriter,
  group: readonly Waiting[],
): Promise<void> => {
  let refusals: readonly (AssayError | undefined)[]
  try {
    refusals = await database.write(() => commitGroup(chains, group), { ahead: true })
  } catch (cause) {
    // One error each: the use case writes into it what became of its own challenge.
    for (const { reject } of group) reject(refusalOf(cause))
    return
  }
  group.forEach(({ resolve, reject }, i) => {
    const refusal = refusals[i]
    if (refusal === undefined) resolve()
    else reject(refusal)
  })
}

/** Another one each time. */
const refusalOf = (cause: unknown): AssayError =>
  cause instanceof AssayError
    ? new AssayError("JOURNAL", cause.message, { cause })
    : storeError("JOURNAL", cause)

/** Locks a device against every other commit; where there is only one writer at a time there is nothing to lock. */
const lockDevice = statement<{ tenant: string; device: string }>((builder, at, dialect) =>
  dialect === "sqlite"
    ? undefined
    : builder
        .selectFrom("devices")
        .select("id")
        .where("tenant", "=", at("tenant"))
        .where("id", "=", at("device"))
        .forNoKeyUpdate(),
)

const selectCurrent = statement<{ tenant: string; device: string }>((builder, at) =>
  judgedIn(builder).where("d.tenant", "=", at("tenant")).where("d.id", "=", at("device")),
)

/** What is stored of a device, as the records of the group move it on. */
interface Held {
  readonly tenant: string
  readonly device: string
  readonly row: Row
  counters: Counters | undefined
  result: LastResult | undefined
  hasMoved: boolean
}

/** @returns For each of the group why it is refused, or nothing if it was written. */
function* commitGroup(
  chains: ChainWriter,
  group: readonly Waiting[],
): Work<readonly (AssayError | undefined)[]> {
  const held = yield* holdDevices(group)
  const accepted = new Map<string, PreparedRecord[]>()
  const refusals = group.map(({ record, commit }) => {
    try {
      const prepared = prepareRecord(record)
      if (commit !== undefined) move(held.get(keyOf(record.tenant, commit.device)), commit)
      const others = accepted.get(record.tenant)
      if (others === undefined) accepted.set(record.tenant, [prepared])
      else others.push(prepared)
      return undefined
    } catch (cause) {
      return storeError("JOURNAL", cause)
    }
  })
  yield* askAll([...held.values()].filter(({ hasMoved }) => hasMoved).flatMap(movements))
  for (const [tenant, records] of [...accepted].sort(([a], [b]) => (a < b ? -1 : 1)))
    yield* appendRecords(chains, tenant, records)
  return refusals
}

const keyOf = (tenant: string, device: string): string => JSON.stringify([tenant, device])

/** Reads all devices that commits are about, and keeps everybody else from changing them. */
function* holdDevices(group: readonly Waiting[]): Work<ReadonlyMap<string, Held>> {
  const devices = new Map<string, { tenant: string; device: string }>()
  for (const { record, commit } of group)
    if (commit !== undefined)
      devices.set(keyOf(record.tenant, commit.device), { tenant: record.tenant, device: commit.device })
  const sorted = [...devices].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, names]) => names)
  const tenants = [...new Set(sorted.map(({ tenant }) => tenant))]
  const locks = [...tenants.map((tenant) => shareFence({ tenant })), ...sorted.map(lockDevice)]
  const answers = yield* askAll([...locks, ...sorted.map(selectCurrent)])
  const held = new Map<string, Held>()
  sorted.forEach(({ tenant, device }, i) => {
    const row = answers[locks.length + i]?.rows[0]
    if (row === undefined) return
    const counters = row["clock_ms"] === null ? undefined : countersFrom(row)
    const result = row["tier"] === null ? undefined : resultFrom(row)
    held.set(keyOf(tenant, device), { tenant, device, row, counters, result, hasMoved: false })
  })
  return held
}

/** Moves what is held of a device on by a commit. @throws {AssayError} SNAPSHOT_MOVED; then nothing has moved. */
const move = (held: Held | undefined, { revisions, counters, result, known }: Commit): void => {
  if (held === undefined || !isCurrent(revisions, held.row))
    throw new AssayError(
      "SNAPSHOT_MOVED",
      "the device, its policy or the trust anchors changed while the evidence was judged: attest again",
    )
  if (counters !== undefined) held.counters = laterCounters(held.counters, counters, known)
  if (result !== undefined) held.result = laterResult(held.result, result)
  if (counters !== undefined || result !== undefined) held.hasMoved = true
}

const isCurrent = (revisions: Commit["revisions"], row: Row): boolean =>
  integer(row, "revision") === revisions.device &&
  optional(text, row, "policy_name") === revisions.policy?.name &&
  optional(integer, row, "policy_revision") === revisions.policy?.revision &&
  (revisions.trust === undefined || integer(row, "trust_generation") === revisions.trust)

const movements = ({ tenant, device, counters, result }: Held): readonly Ask[] => [
  ...(counters === undefined ? [] : [putCounters(tenant, device, counters)]),
  ...(result === undefined ? [] : [putResult(tenant, device, result)]),
]
