/**
 * PostgreSQL as the store of an engine. What is spent is a row that there can be once. A commit that was acknowledged is
 * durable, so only a failover to a standby that had not heard, or a server that is put back, forgets: therefore each
 * value carries which server it was sealed under, its timeline and its start, and the statement that writes compares them.
 */

import { Pool, type PoolClient } from "pg"
import { AssayError } from "../../errors.ts"
import { type Facts, factsFrom, sqlStateOf } from "../postgres-server.ts"
import type { EngineLink, KeyRecord, KeyUse, Sight, Use, Verdict } from "./link.ts"
import { migrate, refusalOf, type Statements, statementsFor } from "./postgres-sql.ts"

/** Within this PostgreSQL answers, or is away. */
const TIMEOUT_MS = 1000
const CONNECTIONS_MAX = 8
/** Rows that one pass removes: a fraction of a second of work. */
const TEND_ROWS_MAX = 10_000
/** The relation or the schema is not there. */
const UNDEFINED = ["42P01", "3F000"]

/** What a link to PostgreSQL can be told. */
export interface PostgresOptions {
  /** Where the engine's tables are; made if they are not there. */
  readonly schema: string
  /** Spent values, and counts, that are remembered at most, each counted every few seconds. */
  readonly spentMax: number
}

/**
 * A link to the database at `url`, `postgres://` or `postgresql://`. It connects when it is asked something. The role
 * has to be the owner of the schema, or to be able to make it.
 *
 * @throws {AssayError} INPUT for another URL.
 */
export function openPostgresLink(url: string, { schema, spentMax }: PostgresOptions): EngineLink {
  const pool = createPool(url)
  const sql = statementsFor(schema)
  let isMigrated = false
  let isFull = false

  /** What `act` does with a connection. One on which something failed is not used again. */
  const connected = async <T>(act: (client: PoolClient) => Promise<T>): Promise<T> => {
    let client: PoolClient | undefined
    try {
      client = await pool.connect()
      const result = await act(client)
      client.release()
      return result
    } catch (error) {
      client?.release(true)
      if (UNDEFINED.includes(sqlStateOf(error))) isMigrated = false
      throw error instanceof AssayError ? error : away(error)
    }
  }

  return {
    name: "PostgreSQL",
    look: () =>
      connected(async (client) => {
        const facts = await factsOf(client, sql)
        const refusal = refusalOf(facts)
        if (refusal !== undefined) throw refusal
        if (!isMigrated) await migrate(client, schema)
        isMigrated = true
        const { rows } = await client.query(sql.keys)
        return { ...sightOf(facts), keys: rows.flatMap(recordOf), isFull }
      }),
    claim: ({ use, period, bytes }) =>
      connected(async (client) => {
        await client.query(sql.claim, [use, period, Buffer.from(bytes)])
      }),
    tend: (period, at) =>
      connected(async (client) => {
        await client.query(sql.forgetKeys, [period])
        await client.query(sql.forgetSpent, [at, TEND_ROWS_MAX])
        await client.query(sql.forgetCounted, [at, TEND_ROWS_MAX])
        const { rows } = await client.query(sql.size, [spentMax])
        isFull = rows[0]?.["is_full"] === true
      }),
    use: (use) =>
      connected((client) => (use.kind === "spend" ? spend(client, sql, use) : count(client, sql, use))),
    watch: () => {}, // whoever asks next finds out
    close: () => pool.end(),
  }
}

const createPool = (url: string): Pool => {
  if (!/^postgres(ql)?:\/\//.test(url))
    throw new AssayError("INPUT", "PostgreSQL is reached by postgres:// or postgresql://", {
      location: "engine.url",
    })
  const pool = new Pool({
    connectionString: url,
    max: CONNECTIONS_MAX,
    connectionTimeoutMillis: TIMEOUT_MS,
    query_timeout: TIMEOUT_MS,
    statement_timeout: TIMEOUT_MS,
    application_name: "assay-engine",
  })
  // A connection that breaks is replaced, whether it idles or not: whoever uses it is told by what fails.
  pool.on("error", () => {})
  pool.on("connect", (client) => client.on("error", () => {}))
  return pool
}

const spend = async (
  client: PoolClient,
  sql: Statements,
  { tenant, what, id, until, origin }: Use,
): Promise<Verdict> => {
  const { rows } = await client.query({
    name: "assay-spend",
    text: sql.spend,
    values: [tenant, what, Buffer.from(id), until, origin?.fence ?? "", Buffer.from(origin?.keyId ?? [])],
  })
  return verdictOf(rows[0])
}

const count = async (
  client: PoolClient,
  sql: Statements,
  { tenant, what, id, until, origin }: Use,
): Promise<Verdict> => {
  const { rows } = await client.query({
    name: "assay-count",
    text: sql.count,
    values: [
      tenant,
      what,
      Buffer.from(id),
      until,
      origin?.fence ?? null,
      origin === undefined ? null : Buffer.from(origin.keyId),
    ],
  })
  return verdictOf(rows[0])
}

type Row = Readonly<Record<string, unknown>>

const verdictOf = (row: Row | undefined): Verdict => {
  if (row?.["is_held"] !== true) return { kind: "fenced" }
  if (row["is_over"] !== false) return { kind: "over" }
  if (row["uses"] === null) return { kind: "spent" }
  return { kind: "used", uses: Number(row["uses"]), now: new Date(Number(row["now_ms"])) }
}

const factsOf = async (client: PoolClient, sql: Statements): Promise<Facts> => {
  const { rows } = await client.query<Row>(sql.facts)
  return factsFrom(rows[0])
}

const sightOf = (facts: Facts): Pick<Sight, "fence" | "now"> => ({
  fence: facts["fence"] ?? "",
  now: new Date(Number(facts["now_ms"])),
})

const USES: readonly KeyUse[] = ["sealing", "epoch"]

/** A row for a use that is none of ours is a later version's. */
const recordOf = (row: Row): KeyRecord[] => {
  const use = USES.find((known) => known === row["use"])
  const bytes = row["record"]
  return use === undefined || !(bytes instanceof Uint8Array)
    ? []
    : [{ use, period: Number(row["period"]), bytes: new Uint8Array(bytes) }]
}

/** That PostgreSQL gave no sure answer. */
const away = (cause: unknown): AssayError =>
  new AssayError("NONCE_STORE", "PostgreSQL, which remembers what was spent, gives no sure answer", { cause })
