/** What the engine says to PostgreSQL: its tables, its statements, and what it asks of a server. */

import type { PoolClient } from "pg"
import { AssayError } from "../../errors.ts"
import { FACTS, type Facts, flawOf, quotedSchema } from "../postgres-server.ts"

/** Held while the tables are made: the letters of "assay" and a number for this use. Every replica takes the same. */
const MIGRATION_LOCK = "'assay-engine'"

/** The statements of an engine whose tables are in one schema. */
export type Statements = ReturnType<typeof statementsFor>

/** The identifier in quotes. @throws {AssayError} INPUT for one that would need more than that. */
const quoted = (schema: string): string => {
  const name = quotedSchema(schema)
  if (name !== undefined) return name
  throw new AssayError("INPUT", "a schema is named in lowercase letters, digits and underscores", {
    location: "engine.schema",
    actual: schema,
  })
}

/**
 * Which server this is: its cluster, which a copy shares; its timeline, which a promotion or a recovery to a point in time
 * changes; its start, which changes where a disk or a snapshot was put back. A standby has no position to write at.
 */
const FENCE = `CASE WHEN pg_is_in_recovery() THEN '' ELSE
  (SELECT system_identifier FROM pg_control_system())
  || '/' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)
  || '/' || extract(epoch FROM pg_postmaster_start_time()) END`

const NOW_MS = "floor(extract(epoch FROM clock_timestamp()) * 1000)"

/** Makes the tables, if they are not there. Whoever comes second waits, and finds them. */
export const migrate = async (client: PoolClient, schema: string): Promise<void> => {
  const name = quoted(schema)
  const { rows } = await client.query("SELECT to_regclass($1) IS NOT NULL AS is_there", [`${name}.state`])
  if (rows[0]?.is_there === true) return
  await client.query("BEGIN")
  await client.query(`SELECT pg_advisory_xact_lock(hashtext(${MIGRATION_LOCK}))`)
  await client.query(`CREATE SCHEMA IF NOT EXISTS ${name}`)
  await client.query(tables(name))
  await client.query("COMMIT")
}

const tables = (schema: string): string => `
CREATE TABLE IF NOT EXISTS ${schema}.shared_key (
  use text NOT NULL, period bigint NOT NULL, record bytea NOT NULL, PRIMARY KEY (use, period));
CREATE TABLE IF NOT EXISTS ${schema}.spent (
  tenant text NOT NULL, what text NOT NULL, id bytea NOT NULL, remembered_until timestamptz NOT NULL,
  PRIMARY KEY (tenant, what, id));
CREATE INDEX IF NOT EXISTS spent_remembered_until ON ${schema}.spent (remembered_until);
CREATE TABLE IF NOT EXISTS ${schema}.counted (
  tenant text NOT NULL, what text NOT NULL, id bytea NOT NULL, uses integer NOT NULL,
  remembered_until timestamptz NOT NULL, PRIMARY KEY (tenant, what, id));
CREATE INDEX IF NOT EXISTS counted_remembered_until ON ${schema}.counted (remembered_until);
CREATE TABLE IF NOT EXISTS ${schema}.state (
  single boolean PRIMARY KEY DEFAULT true CHECK (single), forgotten_through timestamptz NOT NULL);
INSERT INTO ${schema}.state (forgotten_through) VALUES ('-infinity') ON CONFLICT DO NOTHING`

/** The statements for tables in `schema`. @throws {AssayError} INPUT as the schema's name. */
export const statementsFor = (schema: string) => {
  const name = quoted(schema)
  /**
   * Whether the value was sealed under the server that this is, by a key that is still there, and whether its time is
   * over: by the clock, or because what expires then may have been forgotten by a clock that was ahead.
   */
  const standing = (fence: string, key: string): string => `
    SELECT ${fence} IS NOT DISTINCT FROM (${FENCE})
        AND EXISTS (SELECT FROM ${name}.shared_key WHERE use = 'sealing' AND substr(record, 17, 8) = ${key}) AS is_held,
      $4::timestamptz <= clock_timestamp() OR $4 <= (SELECT forgotten_through FROM ${name}.state) AS is_over`
  const forget = (table: string): string => `
    WITH gone AS (
      DELETE FROM ${name}.${table} WHERE ctid IN (
        SELECT ctid FROM ${name}.${table} WHERE remembered_until < least(clock_timestamp(), $1)
        ORDER BY remembered_until LIMIT $2 FOR UPDATE SKIP LOCKED)
      RETURNING remembered_until)
    UPDATE ${name}.state SET forgotten_through = latest
    FROM (SELECT max(remembered_until) AS latest FROM gone) AS past WHERE latest > forgotten_through`
  return {
    facts: `
      SELECT ${FACTS}, ${NOW_MS} AS now_ms, ${FENCE} AS fence`,
    keys: `SELECT use, period, record FROM ${name}.shared_key`,
    claim: `INSERT INTO ${name}.shared_key (use, period, record) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
    /** $1 tenant, $2 what, $3 id, $4 until when it is remembered, $5 fence, $6 id of the sealing key. */
    spend: `
      WITH standing AS MATERIALIZED (${standing("$5::text", "$6::bytea")}),
      used AS (
        INSERT INTO ${name}.spent (tenant, what, id, remembered_until)
        SELECT $1, $2, $3, $4 FROM standing WHERE is_held AND NOT is_over
        ON CONFLICT DO NOTHING RETURNING 1 AS uses)
      SELECT is_held, is_over, (SELECT uses FROM used) AS uses, ${NOW_MS} AS now_ms FROM standing`,
    /** As `spend`; what was not sealed has neither fence nor key. */
    count: `
      WITH sealed AS MATERIALIZED (${standing("$5::text", "$6::bytea")}),
      standing AS MATERIALIZED (SELECT $5::text IS NULL OR is_held AS is_held, is_over FROM sealed),
      used AS (
        INSERT INTO ${name}.counted (tenant, what, id, uses, remembered_until)
        SELECT $1, $2, $3, 1, $4 FROM standing WHERE is_held AND NOT is_over
        ON CONFLICT (tenant, what, id) DO UPDATE SET uses = counted.uses + 1 RETURNING uses)
      SELECT is_held, is_over, (SELECT uses FROM used) AS uses, ${NOW_MS} AS now_ms FROM standing`,
    forgetKeys: `DELETE FROM ${name}.shared_key WHERE period < $1`,
    /** $1 the time by our own clock, $2 rows at most. What either clock says to be over is not yet what both say. */
    forgetSpent: forget("spent"),
    forgetCounted: forget("counted"),
    /** $1 how many of each there may be. */
    size: `
      SELECT (SELECT count(*) FROM ${name}.spent) >= $1 OR (SELECT count(*) FROM ${name}.counted) >= $1 AS is_full`,
  }
}

/** Why a server is not to be relied on, if it is not. */
export const refusalOf = (facts: Facts): AssayError | undefined => {
  const flaw = flawOf(facts)
  if (flaw === undefined) return undefined
  const { setting, expected, actual, why } = flaw
  return new AssayError("INPUT", why, { location: `engine: ${setting}`, expected, actual })
}
