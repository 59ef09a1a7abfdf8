import { AssayError } from "../errors.ts"
import type { Counters, DeviceRecord, LastResult } from "../service/ports.ts"
import { counterColumns } from "./counters.ts"
import { isDuplicate } from "./database.ts"
import { type DeviceKept, deviceColumns, deviceFrom } from "./device-row.ts"
import { instantColumn } from "./row.ts"
import { type Ask, ask, askAll, changesOf, type Place, rowOf, statement, type Work } from "./statement.ts"
import type { Builder, DeviceTable } from "./tables.ts"

/** What moves of devices `d` as they attest: the counters `c` and the last result `r`, where there are any. */
export const movingIn = (builder: Builder) =>
  builder
    .selectFrom("devices as d")
    .leftJoin("counters as c", (join) =>
      join.onRef("c.tenant", "=", "d.tenant").onRef("c.device", "=", "d.id"),
    )
    .leftJoin("results as r", (join) =>
      join.onRef("r.tenant", "=", "d.tenant").onRef("r.device", "=", "d.id"),
    )
    .select([
      "c.clock_ms",
      "c.reset_count",
      "c.restart_count",
      "c.safe",
      "c.firmware_version",
      "c.recorded_at",
    ])
    .select(["r.at as result_at", "r.tier", "r.code", "r.admitted_at"])

/** Devices `d`, each with what moves of it. */
export const devicesIn = (builder: Builder) => movingIn(builder).selectAll("d")

export const selectDevice = statement<{ tenant: string; id: string }>((builder, at) =>
  devicesIn(builder).where("d.tenant", "=", at("tenant")).where("d.id", "=", at("id")),
)

/** @throws {AssayError} DEVICE_NOT_FOUND. */
export function* deviceOf(tenant: string, id: string): Work<DeviceRecord> {
  const row = yield* rowOf(selectDevice({ tenant, id }))
  if (row === undefined) throw deviceNotFound(id)
  return deviceFrom(row)
}

export const deviceNotFound = (which: string): AssayError =>
  new AssayError("DEVICE_NOT_FOUND", `there is no device ${which}`)

export const deviceExists = (location?: string): AssayError =>
  new AssayError(
    "DEVICE_EXISTS",
    "a device with this id or with one of these keys is there already",
    location === undefined ? {} : { location },
  )

/** For the id of a device that was removed: what is recorded of that one would be taken for the other's. */
export const deviceRemoved = (location?: string): AssayError =>
  new AssayError(
    "DEVICE_EXISTS",
    "a device with this id was deleted, and no id is given twice: choose another",
    location === undefined ? {} : { location },
  )

type DeviceValues = { [Column in keyof DeviceTable]: DeviceTable[Column] }

const placed = (at: Place<DeviceValues>) => ({
  tenant: at("tenant"),
  id: at("id"),
  revision: at("revision"),
  state: at("state"),
  device_group: at("device_group"),
  policy: at("policy"),
  created_at: at("created_at"),
  ak_name: at("ak_name"),
  ek: at("ek"),
  binding: at("binding"),
  token: at("token"),
  permit_kind: at("permit_kind"),
  permit_ek: at("permit_ek"),
  permit_expires_at: at("permit_expires_at"),
  claimed_name: at("claimed_name"),
  labels: at("labels"),
  digest: at("digest"),
  qualified_name: at("qualified_name"),
  ak_public: at("ak_public"),
  ek_digest: at("ek_digest"),
  ek_certificate_chain: at("ek_certificate_chain"),
  ak_certificate_chain: at("ak_certificate_chain"),
  permit_ak: at("permit_ak"),
})

/** Adds a device, unless one has its id or one of its keys. */
export const insertRow = statement<DeviceValues>((builder, at) =>
  builder
    .insertInto("devices")
    .values(placed(at))
    .onConflict((conflict) => conflict.doNothing()),
)

const updateRow = statement<DeviceValues>((builder, at) => {
  const { tenant, id, ...rest } = placed(at)
  return builder.updateTable("devices").set(rest).where("tenant", "=", tenant).where("id", "=", id)
})

export const selectRemoved = statement<{ tenant: string; id: string }>((builder, at) =>
  builder
    .selectFrom("removed_devices")
    .select("id")
    .where("tenant", "=", at("tenant"))
    .where("id", "=", at("id")),
)

type Label = { tenant: string; device: string; key: string; value: string; created_at: number }

const insertLabel = statement<Label>((builder, at) =>
  builder.insertInto("device_labels").values({
    tenant: at("tenant"),
    device: at("device"),
    key: at("key"),
    value: at("value"),
    created_at: at("created_at"),
  }),
)

/** Removes the labels of a device from those that devices are found by. */
export const deleteLabels = statement<{ tenant: string; device: string }>((builder, at) =>
  builder.deleteFrom("device_labels").where("tenant", "=", at("tenant")).where("device", "=", at("device")),
)

/** Adds the labels of a new device to those that devices are found by. */
export const insertLabels = ({ tenant, id, labels, createdAt }: DeviceKept): readonly Ask[] =>
  [...labels].map(([key, value]) =>
    insertLabel({ tenant, device: id, key, value, created_at: createdAt.getTime() }),
  )

/**
 * Adds a device, if its id and its keys are nobody's.
 *
 * @throws {AssayError} DEVICE_EXISTS.
 */
export function* insertDevice(device: DeviceKept): Work<void> {
  const { tenant, id } = device
  if ((yield* changesOf(insertRow(deviceColumns(device)))) === 0) throw deviceExists()
  // Asked behind the insertion, which waits for whoever is just removing a device of this id.
  if ((yield* rowOf(selectRemoved({ tenant, id }))) !== undefined) throw deviceRemoved()
  yield* askAll(insertLabels(device))
}

/** Puts a device in the place of the one that has its id. @throws {AssayError} DEVICE_EXISTS for keys of another. */
export function* replaceDevice(before: DeviceKept, device: DeviceKept): Work<void> {
  const columns = deviceColumns(device)
  try {
    yield* ask(updateRow(columns))
  } catch (cause) {
    throw isDuplicate(cause) ? deviceExists() : cause
  }
  if (columns.labels === deviceColumns(before).labels) return
  yield* ask(deleteLabels({ tenant: device.tenant, device: device.id }))
  yield* askAll(insertLabels(device))
}

type CounterValues = { tenant: string; device: string } & ReturnType<typeof counterColumns>

const upsertCounters = statement<CounterValues>((builder, at) => {
  const moving = {
    clock_ms: at("clock_ms"),
    reset_count: at("reset_count"),
    restart_count: at("restart_count"),
    safe: at("safe"),
    firmware_version: at("firmware_version"),
    recorded_at: at("recorded_at"),
  }
  return builder
    .insertInto("counters")
    .values({ tenant: at("tenant"), device: at("device"), ...moving })
    .onConflict((conflict) => conflict.columns(["tenant", "device"]).doUpdateSet(moving))
})

/** Sets the counters of a device. */
export const putCounters = (tenant: string, device: string, counters: Counters): Ask =>
  upsertCounters({ tenant, device, ...counterColumns(counters) })

const upsertResult = statement<{
  tenant: string
  device: string
  at: number
  tier: string
  code: string | null
  admitted_at: number | null
}>((builder, at) => {
  const moving = { at: at("at"), tier: at("tier"), code: at("code"), admitted_at: at("admitted_at") }
  return builder
    .insertInto("results")
    .values({ tenant: at("tenant"), device: at("device"), ...moving })
    .onConflict((conflict) => conflict.columns(["tenant", "device"]).doUpdateSet(moving))
})

/** Sets the last result of a device. */
export const putResult = (tenant: string, device: string, result: LastResult): Ask =>
  upsertResult({
    tenant,
    device,
    at: instantColumn(result.at),
    tier: result.tier,
    code: result.code ?? null,
    admitted_at: result.admittedAt === undefined ? null : instantColumn(result.admittedAt),
  })

export const dropCounters = statement<{ tenant: string; id: string }>((builder, at) =>
  builder.deleteFrom("counters").where("tenant", "=", at("tenant")).where("device", "=", at("id")),
)

const dropResult = statement<{ tenant: string; id: string }>((builder, at) =>
  builder.deleteFrom("results").where("tenant", "=", at("tenant")).where("device", "=", at("id")),
)

const dropRow = statement<{ tenant: string; id: string }>((builder, at) =>
  builder.deleteFrom("devices").where("tenant", "=", at("tenant")).where("id", "=", at("id")),
)

const insertRemoved = statement<{ tenant: string; id: string; at: number }>((builder, at) =>
  builder.insertInto("removed_devices").values({ tenant: at("tenant"), id: at("id"), removed_at: at("at") }),
)

/** Forgets a device, but for its id. */
export function* deleteDevice(tenant: string, id: string, at: Date): Work<void> {
  yield* askAll([
    insertRemoved({ tenant, id, at: instantColumn(at) }),
    deleteLabels({ tenant, device: id }),
    dropCounters({ tenant, id }),
    dropResult({ tenant, id }),
    dropRow({ tenant, id }),
  ])
}
