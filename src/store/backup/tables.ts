/** The tables of a backup: their columns, the order of their rows, and statements that read and write them. */

import { type RawBuilder, sql } from "kysely"
import { JOURNAL_ACTS } from "../../service/ports.ts"
import { devicesIn } from "../device-statements.ts"
import type { Row } from "../row.ts"
import { type Ask, type Place, statement, type Value, type Values } from "../statement.ts"
import type { Tables } from "../tables.ts"
import { bytes, type ColumnType, instant, integer, oneOf, optional, revision, text } from "./columns.ts"

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

type Columns<T extends keyof Tables> = Readonly<Record<keyof Tables[T] & string, ColumnType>>

const ROWS_MAX = 500

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

const define = <T extends keyof Tables & BackupTableName>(
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
const defineDevices = (
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

/** Tables whose rows are told elsewhere, and the keys of this server. */
type NotBackedUp = "device_labels" | "counters" | "results" | "service_keys"

/** The name of a table of a backup. */
export type BackupTableName = Exclude<keyof Tables, NotBackedUp>

const COUNT_MAX = 4_294_967_295
const DIGEST_BYTES = 32
const CERTIFICATE_BYTES_MAX = 64 * 1024
/** A chain may have several certificates. */
const CHAIN_BYTES_MAX = 1024 * 1024
const DOCUMENT_BYTES_MAX = 1024 * 1024
const CRL_BYTES_MAX = 64 * 1024 * 1024
const LABELS_BYTES_MAX = 64 * 1024
const KEY_BYTES_MAX = 16 * 1024
const HASH_BYTES_MAX = 66

const digest = bytes(DIGEST_BYTES)
const flag = integer(0, 1)
const name = text(255, 1)
const OF_TENANT = { tenant: name } as const
const OF_CHAIN = { tenant: name, writer: name } as const

const DEVICE = {
  ...OF_TENANT,
  id: name,
  revision: revision(),
  state: oneOf("pending", "active", "suspended", "revoked", "retired"),
  device_group: text(),
  policy: optional(name),
  created_at: instant,
  ak_name: optional(bytes(1, HASH_BYTES_MAX)),
  ek: optional(digest),
  binding: oneOf("activation", "certificate", "operator"),
  token: optional(name),
  permit_kind: optional(oneOf("re-enrollment", "ak-rotation", "board-swap")),
  permit_ek: optional(digest),
  permit_expires_at: optional(instant),
  claimed_name: text(),
  labels: text(LABELS_BYTES_MAX),
  digest,
  qualified_name: optional(bytes(0, HASH_BYTES_MAX)),
  ak_public: bytes(0, KEY_BYTES_MAX),
  ek_digest: optional(digest),
  ek_certificate_chain: optional(bytes(1, CHAIN_BYTES_MAX)),
  ak_certificate_chain: optional(bytes(1, CHAIN_BYTES_MAX)),
} as const satisfies Columns<"devices">

/** Devices without what is joined to them, to write. */
export const DEVICE_ROWS = define("devices", DEVICE, ["tenant", "id"])

/** Everything that a registry and a journal are made of, in an order in which it can be restored. Keys stay out. */
export const BACKUP_TABLES = {
  store_epoch: define("store_epoch", { name: oneOf("restored"), epoch: revision(0) }, ["name"]),
  tenants: define("tenants", { ...OF_TENANT, revision: revision() }, ["tenant"]),
  policies: define("policies", { ...OF_TENANT, name, revision: revision() }, ["tenant", "name"]),
  policy_documents: define(
    "policy_documents",
    { ...OF_TENANT, name, revision: revision(), document: text(DOCUMENT_BYTES_MAX), digest },
    ["tenant", "name", "revision"],
    50,
  ),
  default_policies: define("default_policies", { ...OF_TENANT, policy: name }, ["tenant"]),
  group_policies: define("group_policies", { ...OF_TENANT, device_group: name, policy: name }, [
    "tenant",
    "device_group",
  ]),
  removed_devices: define("removed_devices", { ...OF_TENANT, id: name, removed_at: instant }, [
    "tenant",
    "id",
  ]),
  revocations: define(
    "revocations",
    { ...OF_TENANT, sequence: revision(), device: name, from_revision: revision(), at: instant },
    ["tenant", "sequence", "device"],
  ),
  devices: defineDevices(
    {
      ...DEVICE,
      clock_ms: optional(bytes(8)),
      reset_count: optional(integer(0, COUNT_MAX)),
      restart_count: optional(integer(0, COUNT_MAX)),
      safe: optional(flag),
      firmware_version: optional(bytes(8)),
      recorded_at: optional(instant),
      result_at: optional(instant),
      tier: optional(text()),
      code: optional(text()),
      admitted_at: optional(instant),
    },
    ROWS_MAX,
  ),
  enrollment_tokens: define(
    "enrollment_tokens",
    {
      ...OF_TENANT,
      id: name,
      secret_digest: digest,
      uses_max: integer(1),
      uses: integer(0),
      created_at: instant,
      expires_at: instant,
      revoked: flag,
      device_group: text(),
      labels: text(LABELS_BYTES_MAX),
    },
    ["tenant", "id"],
  ),
  trust_anchors: define(
    "trust_anchors",
    {
      ...OF_TENANT,
      id: digest,
      certificate: bytes(1, CERTIFICATE_BYTES_MAX),
      label: text(),
      purpose: oneOf("ek", "ak", "any"),
      revocation: oneOf("require", "when-published", "off"),
      provenance: text(),
      added_at: instant,
      digest,
    },
    ["tenant", "id"],
    100,
  ),
  trust_intermediates: define(
    "trust_intermediates",
    {
      ...OF_TENANT,
      id: digest,
      certificate: bytes(1, CERTIFICATE_BYTES_MAX),
      source: text(),
      added_at: instant,
    },
    ["tenant", "id"],
    100,
  ),
  // One of them may have 32 MiB.
  trust_crls: define(
    "trust_crls",
    { ...OF_TENANT, source: text(), id: digest, added_at: instant, crl: bytes(1, CRL_BYTES_MAX) },
    ["tenant", "source"],
    1,
  ),
  listed_eks: define("listed_eks", { ...OF_TENANT, digest, label: text(), added_at: instant }, [
    "tenant",
    "digest",
  ]),
  pending_issuers: define(
    "pending_issuers",
    {
      ...OF_TENANT,
      id: digest,
      issuer: text(LABELS_BYTES_MAX),
      first_seen_at: instant,
      last_seen_at: instant,
      count: integer(1),
      chain: optional(bytes(1, CHAIN_BYTES_MAX)),
    },
    ["tenant", "id"],
    50,
  ),
  trust_state: define(
    "trust_state",
    {
      ...OF_TENANT,
      generation: revision(),
      anchors: integer(),
      intermediates: integer(),
      crls: integer(),
      crl_bytes: integer(),
      eks: integer(),
    },
    ["tenant"],
  ),
  journal_heads: define(
    "journal_heads",
    { ...OF_CHAIN, sequence: revision(0), hash: digest, newest_at: instant },
    ["tenant", "writer"],
  ),
  journal_checkpoints: define(
    "journal_checkpoints",
    {
      ...OF_CHAIN,
      number: revision(),
      sequence: revision(),
      compact: text(16 * 1024, 1),
      at: instant,
      newest_at: instant,
    },
    ["tenant", "writer", "number"],
  ),
  journal_anchors: define("journal_anchors", { ...OF_CHAIN, number: revision(), sequence: revision() }, [
    "tenant",
    "writer",
  ]),
  journal: define(
    "journal",
    {
      position: revision(),
      ...OF_CHAIN,
      sequence: revision(),
      at: instant,
      caller: text(),
      act: oneOf(...JOURNAL_ACTS),
      device: text(),
      outcome: text(),
      codes: text(LABELS_BYTES_MAX),
      evidence_digest: bytes(0, HASH_BYTES_MAX),
      policy_digest: optional(bytes(0, HASH_BYTES_MAX)),
      device_revision: optional(revision(0)),
      policy_name: optional(text()),
      policy_revision: optional(revision(0)),
      token_id: optional(text()),
      trust_generation: optional(revision(0)),
      hash: digest,
    },
    ["tenant", "position"],
  ),
} as const satisfies Readonly<Record<BackupTableName, BackupTable>>

/** All of them in their order. */
export const BACKUP_ORDER: readonly BackupTable[] = Object.values(BACKUP_TABLES)
