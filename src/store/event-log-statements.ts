import { sql } from "kysely"
import { blob, integer, type Row } from "./row.ts"
import { type Ask, ask, changesOf, rowOf, rowsOf, statement, type Work } from "./statement.ts"

type OfLog = { tenant: string; digest: Uint8Array }
type OfDevice = { tenant: string; device: string }
type OfLink = OfDevice & { ak_name: Uint8Array; digest: Uint8Array }

/** What the logs of a tenant, and those of one device, may come to. */
export interface LogBounds {
  readonly logs: number
  readonly bytes: number
  readonly deviceLogs: number
  readonly deviceBytes: number
}

/** A log that a device has shown. */
export interface ShownNow extends OfLink {
  readonly log: Uint8Array
  /** Milliseconds since 1970. */
  readonly at: number
}

export const selectLink = statement<OfLink>((builder, at) =>
  builder
    .selectFrom("device_event_logs")
    .select("used_at")
    .where("tenant", "=", at("tenant"))
    .where("device", "=", at("device"))
    .where("ak_name", "=", at("ak_name"))
    .where("digest", "=", at("digest")),
)

export const selectLog = statement<OfLog>((builder, at) =>
  builder
    .selectFrom("event_logs")
    .select("log")
    .where("tenant", "=", at("tenant"))
    .where("digest", "=", at("digest")),
)

/** Locks the row, where there are rows to lock, for whoever else uses it at the same time. */
const useLog = statement<OfLog & { at: number }>((builder, at) =>
  builder
    .updateTable("event_logs")
    .set({ used_at: at("at") })
    .where("tenant", "=", at("tenant"))
    .where("digest", "=", at("digest")),
)

const insertLog = statement<OfLog & { size: number; at: number; log: Uint8Array }>((builder, at) =>
  builder
    .insertInto("event_logs")
    .values({
      tenant: at("tenant"),
      digest: at("digest"),
      size: at("size"),
      used_at: at("at"),
      log: at("log"),
    })
    .onConflict((conflict) => conflict.doNothing()),
)

const deleteLog = statement<OfLog>((builder, at) =>
  builder.deleteFrom("event_logs").where("tenant", "=", at("tenant")).where("digest", "=", at("digest")),
)

const selectTotal = statement<{ tenant: string }>((builder, at) =>
  builder
    .selectFrom("event_logs")
    .select((of) => [
      of.fn.countAll().as("logs"),
      sql<number>`cast(coalesce(sum(size), 0) AS bigint)`.as("bytes"),
    ])
    .where("tenant", "=", at("tenant")),
)

const OLDEST = 100
const selectOldest = statement<{ tenant: string }>((builder, at) =>
  builder
    .selectFrom("event_logs")
    .select(["digest", "size"])
    .where("tenant", "=", at("tenant"))
    .orderBy("used_at")
    .orderBy("digest")
    .limit(OLDEST),
)

const useLink = statement<OfLink & { at: number }>((builder, at) =>
  builder
    .updateTable("device_event_logs")
    .set({ used_at: at("at") })
    .where("tenant", "=", at("tenant"))
    .where("device", "=", at("device"))
    .where("ak_name", "=", at("ak_name"))
    .where("digest", "=", at("digest")),
)

/** Nothing for a device that is not there any more. */
const insertLink = statement<OfLink & { at: number }>((builder, at) =>
  builder
    .insertInto("device_event_logs")
    .columns(["tenant", "device", "ak_name", "digest", "used_at"])
    .expression((of) =>
      of
        .selectFrom("devices")
        .select(["tenant", "id", "ak_name", at("digest").as("digest"), at("at").as("used_at")])
        .where("tenant", "=", at("tenant"))
        .where("id", "=", at("device"))
        .where("ak_name", "=", at("ak_name"))
        .$narrowType<{ ak_name: Uint8Array }>(),
    ),
)

const selectLinks = statement<OfDevice>((builder, at) =>
  builder
    .selectFrom("device_event_logs as link")
    .leftJoin("event_logs as kept", (join) =>
      join.onRef("kept.tenant", "=", "link.tenant").onRef("kept.digest", "=", "link.digest"),
    )
    .select((of) => ["link.ak_name", "link.digest", of.fn.coalesce("kept.size", of.lit(0)).as("size")])
    .where("link.tenant", "=", at("tenant"))
    .where("link.device", "=", at("device"))
    .orderBy("link.used_at", "desc")
    .orderBy("link.digest"),
)

const deleteLink = statement<OfLink>((builder, at) =>
  builder
    .deleteFrom("device_event_logs")
    .where("tenant", "=", at("tenant"))
    .where("device", "=", at("device"))
    .where("ak_name", "=", at("ak_name"))
    .where("digest", "=", at("digest")),
)

/** What the logs of a tenant come to. */
interface Total {
  logs: number
  bytes: number
  /** What was added since they were counted. */
  readonly added: { logs: number; bytes: number }
}

/** What the logs of tenants come to, as far as that is known. */
export type Totals = ReadonlyMap<string, Total>

/**
 * How much of the bounds may be added until all is counted anew: to count ten thousand logs takes SQLite half a millisecond, and
 * PostgreSQL up to ten. What others add meanwhile is not known: each of several processes may go beyond the bounds by so much.
 */
const UNCOUNTED = 0.01
/** Tenants whose totals are known; all are forgotten when there are more. */
const TOTALS_MAX = 1000

/**
 * Keeps logs of devices, or notes that they were used again, in one transaction. What was not used for longest gives way.
 *
 * @param known What came of it the last time, if that was stored.
 * @returns What the logs of tenants come to now, once it is stored.
 */
export function* keepLogs(shown: readonly ShownNow[], bounds: LogBounds, known: Totals): Work<Totals> {
  const totals = recall(known, bounds)
  for (const one of shown) yield* keepLog(one, bounds, totals)
  return totals
}

/** Copies of what need not be counted anew: the work may be undone, or done over. */
const recall = (known: Totals, bounds: LogBounds): Map<string, Total> => {
  const totals = new Map<string, Total>()
  if (known.size > TOTALS_MAX) return totals
  for (const [tenant, { logs, bytes, added }] of known)
    if (added.logs + 1 <= UNCOUNTED * bounds.logs && added.bytes + 1 <= UNCOUNTED * bounds.bytes)
      totals.set(tenant, { logs, bytes, added: { ...added } })
  return totals
}

function* keepLog(shown: ShownNow, bounds: LogBounds, totals: Map<string, Total>): Work<void> {
  const { tenant, device, ak_name, digest, at, log } = shown
  if ((yield* changesOf(useLog({ tenant, digest, at }))) === 0) {
    const total = totals.get(tenant) ?? (yield* totalOf(tenant))
    totals.set(tenant, total)
    yield* makeRoom(tenant, log.length, bounds, total)
    const added = yield* changesOf(insertLog({ tenant, digest, size: log.length, at, log }))
    total.logs += added
    total.bytes += added * log.length
    total.added.logs += added
    total.added.bytes += added * log.length
  }
  const link = { tenant, device, ak_name, digest, at }
  if ((yield* changesOf(useLink(link))) > 0) return
  yield* ask(insertLink(link))
  yield* trimDevice(tenant, device, bounds)
}

/** Forgets a log that is not what its digest says. */
export const dropLog = (tenant: string, digest: Uint8Array): Ask => deleteLog({ tenant, digest })

function* totalOf(tenant: string): Work<Total> {
  const row = yield* rowOf(selectTotal({ tenant }))
  const added = { logs: 0, bytes: 0 }
  return row === undefined
    ? { logs: 0, bytes: 0, added }
    : { logs: integer(row, "logs"), bytes: integer(row, "bytes"), added }
}

function* makeRoom(tenant: string, size: number, bounds: LogBounds, total: Total): Work<void> {
  const isFull = (): boolean =>
    total.logs > 0 && (total.logs + 1 > bounds.logs || total.bytes + size > bounds.bytes)
  while (isFull()) {
    const rows = yield* rowsOf(selectOldest({ tenant }))
    // Others have forgotten them since they were counted.
    if (rows.length === 0) Object.assign(total, { logs: 0, bytes: 0 })
    for (const row of rows) {
      if (!isFull()) return
      yield* ask(deleteLog({ tenant, digest: blob(row, "digest") }))
      total.logs -= 1
      total.bytes -= integer(row, "size")
    }
  }
}

function* trimDevice(tenant: string, device: string, bounds: LogBounds): Work<void> {
  let logs = 0
  let bytes = 0
  const isOver = (row: Row): boolean => {
    logs += 1
    bytes += integer(row, "size")
    return logs > 1 && (logs > bounds.deviceLogs || bytes > bounds.deviceBytes)
  }
  for (const row of (yield* rowsOf(selectLinks({ tenant, device }))).filter(isOver))
    yield* ask(deleteLink({ tenant, device, ak_name: blob(row, "ak_name"), digest: blob(row, "digest") }))
}
