/**
 * Lists of devices, in pages by keyset. What narrows a list most, and has an index in both orders, drives the walk; what
 * else there is to hold is looked at on the way. So that a rare thing in a large fleet costs a call no more than `WALK_MAX`
 * entries of an index, the walk of one page ends there, and the page tells where.
 */

import { type RawBuilder, sql } from "kysely"
import type { DeviceCursor, DeviceFilter, DevicePage, DeviceQuery } from "../service/ports.ts"
import { deviceFrom } from "./device-row.ts"
import { devicesIn } from "./device-statements.ts"
import { instant, instantColumn, text } from "./row.ts"
import { type Ask, type Place, rowOf, rowsOf, statement, type Work } from "./statement.ts"

/** A page has no more, whatever is asked for. */
const PAGE_MAX = 1000

/** Entries of an index that one page walks over at most, if not all of the filter is in it. */
export const WALK_MAX = 2000

type Driver = "label" | "group" | "policy" | "state" | "all"

/** What makes one statement differ from another. */
interface Shape {
  readonly driver: Driver
  readonly order: DeviceQuery["order"]
  readonly descending: boolean
  readonly continues: boolean
  /** Parts of the filter that the walk's index does not have. */
  readonly rest: readonly (keyof DeviceFilter)[]
  readonly prefixed: boolean
}

/** The values of every shape; each uses those that it names. */
type ListValues = {
  tenant: string
  state: string
  group: string
  policy: string
  key: string
  value: string
  prefix: string
  prefixEnd: string
  silentSince: number
  seenSince: number
  afterId: string
  afterCreated: number
  walk: number
  max: number
}

const shapeOf = ({ filter, order, descending, after }: DeviceQuery): Shape => {
  const driver = driverOf(filter)
  const prefixed = filter.idPrefix !== undefined && order === "id"
  const rest = FILTERS.filter(
    (part) => filter[part] !== undefined && part !== driver && !(part === "idPrefix" && prefixed),
  )
  return { driver, order, descending, continues: after !== undefined, rest, prefixed }
}

const FILTERS: readonly (keyof DeviceFilter)[] = [
  "state",
  "group",
  "policy",
  "label",
  "idPrefix",
  "silentSince",
  "seenSince",
]

/** What few devices have, first. The indexes leave out what most are: active, and in no group. */
const driverOf = ({ label, group, policy, state }: DeviceFilter): Driver => {
  if (state !== undefined && state !== "active") return "state"
  if (label !== undefined) return "label"
  if (group !== undefined && group !== "") return "group"
  return policy === undefined ? "all" : "policy"
}

/** What the index of a driver holds. What it leaves out is said in so many words: the engines do not read parameters. */
const driven = (driver: Driver, at: Place<ListValues>): RawBuilder<unknown> => {
  switch (driver) {
    case "label":
      return sql`AND key = ${at("key")} AND value = ${at("value")}`
    case "group":
      return sql`AND device_group <> '' AND device_group = ${at("group")}`
    case "policy":
      return sql`AND policy IS NOT NULL AND policy = ${at("policy")}`
    case "state":
      return sql`AND state <> 'active' AND state = ${at("state")}`
    case "all":
      return sql``
  }
}

/** The walk: ids behind the cursor and in order, of indexes alone. `bounds` says how many, from where. */
const walk = (
  { driver, order, descending, continues, prefixed }: Shape,
  at: Place<ListValues>,
  bounds: RawBuilder<unknown>,
): RawBuilder<string> => {
  const isLabel = driver === "label"
  const id = sql.ref(isLabel ? "device" : "id")
  const table = sql.table(isLabel ? "device_labels" : "devices")
  const direction = sql.raw(descending ? "DESC" : "ASC")
  const beyond = sql.raw(descending ? "<" : ">")
  const behind =
    order === "id"
      ? sql`AND ${id} ${beyond} ${at("afterId")}`
      : sql`AND (created_at, ${id}) ${beyond} (${at("afterCreated")}, ${at("afterId")})`
  return sql<string>`SELECT ${id} FROM ${table}
    WHERE tenant = ${at("tenant")} ${driven(driver, at)} ${continues ? behind : sql``}
    ${prefixed ? sql`AND ${id} >= ${at("prefix")} AND ${id} < ${at("prefixEnd")}` : sql``}
    ORDER BY ${order === "id" ? sql`` : sql`created_at ${direction}, `}${id} ${direction} ${bounds}`
}

/**
 * The rest is looked at for what was walked over, and must not tempt a planner to walk over something else: what is computed
 * has no index.
 */
const restOf = (part: keyof DeviceFilter, at: Place<ListValues>): RawBuilder<boolean> => {
  switch (part) {
    case "state":
      return sql`(d.state || '') = ${at("state")}`
    case "group":
      return sql`(d.device_group || '') = ${at("group")}`
    case "policy":
      return sql`(d.policy || '') = ${at("policy")}`
    case "label":
      return sql`EXISTS (SELECT 1 FROM device_labels l WHERE l.tenant = d.tenant AND l.key = ${at("key")}
        AND l.value = ${at("value")} AND l.device = d.id)`
    case "idPrefix":
      return sql`(d.id || '') >= ${at("prefix")} AND (d.id || '') < ${at("prefixEnd")}`
    case "silentSince":
      return sql`(r.admitted_at IS NULL OR r.admitted_at < ${at("silentSince")})`
    case "seenSince":
      return sql`r.admitted_at >= ${at("seenSince")}`
  }
}

interface Statements {
  readonly page: (values: ListValues) => Ask
  /** The last entry of a walk that does not go to the end. */
  readonly last: (values: ListValues) => Ask
}

const build = (shape: Shape): Statements => ({
  page: statement<ListValues>((builder, at, dialect) => {
    const walked = sql`(${walk(shape, at, sql`LIMIT ${at("walk")}`)})`
    // As an array it is there before the rest is planned around it: PostgreSQL would sooner read all devices of a tenant.
    const isWalked =
      dialect === "postgres" ? sql<boolean>`d.id = ANY(ARRAY${walked})` : sql<boolean>`d.id IN ${walked}`
    const direction = shape.descending ? "desc" : "asc"
    let query = devicesIn(builder).where("d.tenant", "=", at("tenant")).where(isWalked)
    for (const part of shape.rest) query = query.where(restOf(part, at))
    if (shape.order === "created") query = query.orderBy(sql`d.created_at + 0`, direction)
    return query.orderBy("d.id", direction).limit(at("max"))
  }),
  last: statement<ListValues>((builder, at) => {
    const end = sql<string>`(${walk(shape, at, sql`LIMIT 1 OFFSET ${at("walk")} - 1`)})`
    return builder
      .selectFrom("devices")
      .select(["id", "created_at"])
      .where("tenant", "=", at("tenant"))
      .where("id", "=", end)
  }),
})

const built = new Map<string, Statements>()

const statementsOf = (shape: Shape): Statements => {
  const key = JSON.stringify(shape)
  let found = built.get(key)
  if (found === undefined) {
    found = build(shape)
    built.set(key, found)
  }
  return found
}

/** What a query asks for, ready to be asked: for tests that look at the plans. */
export const listAsks = (tenant: string, query: DeviceQuery): readonly [page: Ask, last: Ask] => {
  const shape = shapeOf(query)
  const { filter, after } = query
  const max = Math.min(Math.max(1, query.max), PAGE_MAX)
  const values: ListValues = {
    tenant,
    state: filter.state ?? "",
    group: filter.group ?? "",
    policy: filter.policy ?? "",
    key: filter.label?.key ?? "",
    value: filter.label?.value ?? "",
    prefix: filter.idPrefix ?? "",
    prefixEnd: `${filter.idPrefix ?? ""}\u{10ffff}`,
    silentSince: filter.silentSince === undefined ? 0 : instantColumn(filter.silentSince),
    seenSince: filter.seenSince === undefined ? 0 : instantColumn(filter.seenSince),
    afterId: after?.id ?? "",
    afterCreated: after === undefined ? 0 : instantColumn(after.createdAt),
    walk: shape.rest.length === 0 ? max : WALK_MAX,
    max,
  }
  const { page, last } = statementsOf(shape)
  return [page(values), last(values)]
}

/** One page of a list. */
export function* listDevices(tenant: string, query: DeviceQuery): Work<DevicePage> {
  const [page, last] = listAsks(tenant, query)
  const devices = (yield* rowsOf(page)).map(deviceFrom)
  const final = devices.at(-1)
  if (final !== undefined && devices.length === page.values["max"]) return { devices, next: cursorOf(final) }
  const end = yield* rowOf(last)
  const next = end && { id: text(end, "id"), createdAt: instant(end, "created_at") }
  return { devices, next }
}

const cursorOf = ({ id, createdAt }: DeviceCursor): DeviceCursor => ({ id, createdAt })
