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
}

/**
 * Keeps logs of devices, or notes that they were used again, in one transaction. What was not used for longest gives way. What the
 * logs of a tenant come to is asked once: they are counted for it, up to ten thousand.
 */
export function* keepLogs(shown: readonly ShownNow[], bounds: LogBounds): Work<void> {
  const totals = new Map<string, Total>()
  for (const one of shown) yield* keepLog(one, bounds, totals)
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
  return row === undefined
    ? { logs: 0, bytes: 0 }
    : { logs: integer(row, "logs"), bytes: integer(row, "bytes") }
}

function* makeRoom(tenant: string, size: number, bounds: LogBounds, total: Total): Work<void> {
  const isFull = (): boolean =>
    total.logs > 0 && (total.logs + 1 > bounds.logs || total.bytes + size > bounds.bytes)
  while (isFull())
    for (const row of yield* rowsOf(selectOldest({ tenant }))) {
      if (!isFull()) return
      yield* ask(deleteLog({ tenant, digest: blob(row, "digest") }))
      total.logs -= 1
      total.bytes -= integer(row, "size")
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
