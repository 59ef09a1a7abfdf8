/** How a table of a backup is read and written. */

import { type RawBuilder, sql } from "kysely"
import { devicesIn } from "../device-statements.ts"
import type { Row } from "../row.ts"
import { type Ask, type Place, statement, type Value, type Values } from "../statement.ts"
import type { Tables } from "../tables.ts"
import type { ColumnType } from "./columns.ts"

/** A table as it is backed up. */
export interface BackupTable {
  readonly name: BackupTableName
  readonly columns: readonly (readonly [name: string, type: ColumnType])[]
  /** What rows are ordered by, and only one has. */
  readonly key: readonly string[]
  /** The next rows in that order after this one; the first ones without it. */
  readonly page: (after: Row | undefined) => Ask
  /** One row, if there are any. */
  readonly some: () => Ask
}

/** One that rows of a backup are written to as they are. */
export interface PlainTable extends BackupTable {
  readonly insert: (row: Row) => Ask
  /** Puts a row in the place of the one that has its key. */
  readonly update: (row: Row) => Ask
  readonly remove: (row: Row) => Ask
}

/** Of each column what it holds. */
export type Columns<T extends keyof Tables> = Readonly<Record<keyof Tables[T] & string, ColumnType>>

/** Rows that are read at a time, unless they are large. */
export const ROWS_MAX = 500

const valuesOf = (row: Row, names: readonly string[]): Values =>
  Object.fromEntries(
    names.map((name): [string, Value] => {
      const value = row[name]
      if (value === null || typeof value === "string" || typeof value === "number") return [name, value]
      if (value instanceof Uint8Array) return [name, value]
      throw new TypeError(`no value for ${name}`)
    }),
  )

const listOf = (names: readonly string[]): RawBuilder<unknown> => sql.join(names.map((name) => sql.ref(name)))
const placesOf = (names: readonly string[], at: Place<Values>): RawBuilder<unknown> =>
  sql.join(names.map((name) => at(name)))
const matches = (names: readonly string[], at: Place<Values>): RawBuilder<unknown> =>
  sql`(${listOf(names)}) = (${placesOf(names, at)})`

const someOf = (table: BackupTableName): ((values: Values) => Ask) =>
  statement<Values>((builder) => ({
    compile: () => sql`SELECT 1 AS one FROM ${sql.table(table)} LIMIT 1`.compile(builder),
  }))

/** A table of these columns, whose rows are ordered by `key`. */
export const define = <T extends keyof Tables & BackupTableName>(
  name: T,
  spec: Columns<T>,
  key: readonly (keyof Tables[T] & string)[],
  rowsMax = ROWS_MAX,
): PlainTable => {
  const columns: readonly (readonly [string, ColumnType])[] = Object.entries<ColumnType>(spec)
  // The engine gives positions itself, in the order in which records are added.
  const names = columns.map(([column]) => column).filter((column) => column !== "position")
  const all = listOf(columns.map(([column]) => column))
  const rest = names.filter((column) => !key.some((one) => one === column))
  const table = sql.table(name)
  const order = listOf(key)

  const first = statement<Values>((builder) => ({
    compile: () =>
      sql`SELECT ${all} FROM ${table} ORDER BY ${order} LIMIT ${sql.lit(rowsMax)}`.compile(builder),
  }))
  const next = statement<Values>((builder, at) => ({
    compile: () =>
      sql`SELECT ${all} FROM ${table} WHERE (${order}) > (${placesOf(key, at)})
          ORDER BY ${order} LIMIT ${sql.lit(rowsMax)}`.compile(builder),
  }))
  const one = someOf(name)
  const insert = statement<Values>((builder, at) => ({
    compile: () =>
      sql`INSERT INTO ${table} (${listOf(names)}) VALUES (${placesOf(names, at)})`.compile(builder),
  }))
  const update = statement<Values>((builder, at) => ({
    compile: () =>
      sql`UPDATE ${table} SET ${sql.join(rest.map((column) => sql`${sql.ref(column)} = ${at(column)}`))}
          WHERE ${matches(key, at)}`.compile(builder),
  }))
  const remove = statement<Values>((builder, at) => ({
    compile: () => sql`DELETE FROM ${table} WHERE ${matches(key, at)}`.compile(builder),
  }))
  return {
    name,
    columns,
    key,
    some: () => one({}),
    page: (after) => (after === undefined ? first({}) : next(valuesOf(after, key))),
    insert: (row) => insert(valuesOf(row, names)),
    update: (row) => update(valuesOf(row, names)),
    remove: (row) => remove(valuesOf(row, key)),
  }
}

/** Devices with their counters and their last results: one line tells all of a device. Labels stand in its row. */
export const defineDevices = (
  spec: Columns<"devices"> & Readonly<Record<MovementColumn, ColumnType>>,
  rowsMax: number,
): BackupTable => {
  const first = statement<Values>((builder) =>
    devicesIn(builder).orderBy("d.tenant").orderBy("d.id").limit(rowsMax),
  )
  const next = statement<Values>((builder, at) =>
    devicesIn(builder)
      .where(sql<boolean>`(d.tenant, d.id) > (${at("tenant")}, ${at("id")})`)
      .orderBy("d.tenant")
      .orderBy("d.id")
      .limit(rowsMax),
  )
  const key = ["tenant", "id"]
  const one = someOf("devices")
  return {
    name: "devices",
    columns: Object.entries<ColumnType>(spec),
    key,
    some: () => one({}),
    page: (after) => (after === undefined ? first({}) : next(valuesOf(after, key))),
  }
}

/** What `devicesIn` joins to a device. */
type MovementColumn =
  | Exclude<keyof Tables["counters"], "tenant" | "device">
  | Exclude<keyof Tables["results"], "tenant" | "device" | "at">
  | "result_at"

/** Tables whose rows are told elsewhere, logs that devices show again when they are asked for them, and the keys of this server. */
type NotBackedUp =
  | "device_labels"
  | "counters"
  | "results"
  | "event_logs"
  | "device_event_logs"
  | "service_keys"

/** The name of a table of a backup. */
export type BackupTableName = Exclude<keyof Tables, NotBackedUp>
