import { Client } from "pg"
import { AssayError } from "../errors.ts"
import { FACTS, factsFrom, flawOf, reasonOf } from "./postgres-server.ts"
import { ROW_TYPES } from "./postgres-types.ts"
import type { SchemaStep } from "./schema-postgres-parts.ts"

/** For a server that does not answer. */
const CONNECT_MS = 5000
/** For another replica that makes the tables, or still writes to those of before. */
const LOCK_MS = 60_000

/**
 * Makes the schema and its tables where they are not there, and brings those of an earlier version up to date, in one
 * transaction: it is of one version or of the other, wherever that ends. Of replicas that start together one does it, and
 * the others wait. Who still writes for an earlier version is waited for, and refused afterwards.
 *
 * The role needs to own the schema, or to be able to make it.
 *
 * @param schema In quotes.
 * @param steps What makes each version out of the one before; how many there are is the version.
 * @throws {AssayError} INPUT for a server that forgets what it acknowledges, may not have heard of it, or does not keep
 *   text as UTF-8; REGISTRY if it cannot be reached, or if the schema is another program's, or of a later version.
 */
export async function migratePostgres(
  url: string,
  schema: string,
  steps: readonly SchemaStep[],
): Promise<void> {
  const client = new Client({
    connectionString: url,
    connectionTimeoutMillis: CONNECT_MS,
    application_name: "assay-migration",
    types: ROW_TYPES,
  })
  client.on("error", () => {}) // whoever waits for an answer is told
  try {
    await client.connect()
    await client.query("SET statement_timeout = 0; SET default_transaction_read_only = off")
    await checkServer(client)
    await migrate(client, schema, steps)
  } catch (cause) {
    if (cause instanceof AssayError) throw cause
    throw new AssayError("REGISTRY", `the database cannot be opened: ${reasonOf(cause)}`, {
      location: "store.url",
      cause,
    })
  } finally {
    await client.end()
  }
}

const checkServer = async (client: Client): Promise<void> => {
  const { rows } = await client.query(`SELECT ${FACTS}, current_setting('server_encoding') AS encoding`)
  const facts = factsFrom(rows[0])
  const flaw =
    flawOf(facts) ??
    (facts["encoding"] === "UTF8"
      ? undefined
      : {
          setting: "encoding",
          expected: "UTF8",
          actual: facts["encoding"] ?? "",
          why: "this database cannot keep every text: make one with ENCODING 'UTF8'",
        })
  if (flaw === undefined) return
  const { setting, expected, actual, why } = flaw
  throw new AssayError("INPUT", why, { location: `store: ${setting}`, expected, actual })
}

const migrate = async (client: Client, name: string, steps: readonly SchemaStep[]): Promise<void> => {
  if ((await checkedVersion(client, name, steps.length)) === steps.length) return
  await client.query("BEGIN ISOLATION LEVEL READ COMMITTED")
  await client.query(`SET LOCAL lock_timeout = ${LOCK_MS}`)
  await client.query("SELECT pg_advisory_xact_lock(hashtextextended($1, 2))", [name])
  const version = await checkedVersion(client, name, steps.length) // again: another replica may have been faster
  if (version < steps.length) {
    if (version === 0) await makeSchema(client, name)
    await client.query(`SET LOCAL search_path = ${name}, pg_temp`)
    // Every transaction of a replica reads it: those that are under way end first, and later ones find the new version.
    await client.query("LOCK TABLE schema_version IN ACCESS EXCLUSIVE MODE")
    for (const step of steps.slice(version)) await step(client)
    await client.query("UPDATE schema_version SET version = $1", [steps.length])
  }
  await client.query("COMMIT")
}

/** The version of the schema, at most `latest`; 0 of an empty one, and of none. */
const checkedVersion = async (client: Client, name: string, latest: number): Promise<number> => {
  const { rows: relations } = await client.query<{ relname: string }>(
    "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace($1)",
    [name],
  )
  if (relations.length === 0) return 0
  if (!relations.some(({ relname }) => relname === "schema_version"))
    throw new AssayError("REGISTRY", "the schema belongs to another program: choose another one", {
      location: "store.schema",
    })
  const { rows } = await client.query<{ version: number }>(`SELECT version FROM ${name}.schema_version`)
  const version = rows[0]?.version ?? 0
  if (version < 1 || version > latest)
    throw new AssayError("REGISTRY", "the schema was written by another version of Assay: use that one", {
      location: "store.schema",
      expected: `schema ${latest}`,
      actual: `schema ${version}`,
    })
  return version
}

const makeSchema = async (client: Client, name: string): Promise<void> => {
  // Whoever owns the schema need not be one who can make schemas.
  const { rows } = await client.query("SELECT to_regnamespace($1) IS NULL AS is_missing", [name])
  if (rows[0]?.is_missing === true) await client.query(`CREATE SCHEMA ${name}`)
  await client.query(
    `CREATE TABLE ${name}.schema_version (single boolean PRIMARY KEY DEFAULT true CHECK (single), version integer NOT NULL);
     INSERT INTO ${name}.schema_version (version) VALUES (0)`,
  )
}
