/** Stores in PostgreSQL for tests: one server and one schema for a suite, emptied before each store is opened. */
import { Client } from "pg"
import type { Test } from "uvu"
import type { Database } from "../../src/store/database.ts"
import { openPostgresDatabase, openPostgresStore } from "../../src/store/postgres.ts"
import { createStore, type Store } from "../../src/store/store.ts"
import { TABLE_NAMES } from "../../src/store/tables.ts"
import type { TrustOptions } from "../../src/store/trust.ts"
import { DURABLE, type PostgresServer, usePostgres } from "./postgres.ts"
import { isThere } from "./prerequisites.ts"

/** The schema of stores in tests. */
export const SCHEMA = "assay"

/** A server with a schema in it. */
export interface PostgresUnderTest {
  readonly server: PostgresServer
  /** What all stores of the suite are in. */
  readonly database: () => Database
  /** An empty store. It ends with the suite. */
  readonly store: (options?: TrustOptions) => Promise<Store>
  /** Another replica of the store that was opened last, with connections of its own. It ends with the suite. */
  readonly replica: () => Promise<Store>
  /** Runs SQL in the schema, past the store. */
  readonly query: (sql: string) => Promise<readonly Readonly<Record<string, unknown>>[]>
  /** The same, past triggers and references too. */
  readonly damage: (sql: string) => Promise<void>
}

/** For a URL: what a connection is set to. */
const options = (...settings: readonly string[]): string =>
  `&options=${encodeURIComponent(settings.map((setting) => `-c ${setting}`).join(" "))}`
const IN_SCHEMA = `search_path=${SCHEMA}`
const UNGUARDED = "session_replication_role=replica"

const connect = async (url: string): Promise<Client> => {
  const client = new Client({ connectionString: url })
  await client.connect()
  return client
}

/** A server for all tests of a suite, if PostgreSQL is installed, and stores on it. */
export const usePostgresStore = (test: Pick<Test, "before" | "after">): PostgresUnderTest => {
  let database: Database | undefined
  const replicas: Store[] = []
  let wiping: Promise<Client> | undefined
  // Registered before the server, and so closed before it ends.
  test.after(async () => {
    await Promise.all([database, ...replicas].map((open) => open?.close()))
    await (await wiping)?.end()
  })
  const server = usePostgres(test, { settings: DURABLE, isInMemory: true })
  test.before(async () => {
    if (isThere("postgres")) database = await openPostgresDatabase({ url: server.url(), schema: SCHEMA })
  })
  const opened = (): Database => {
    if (database === undefined) throw new TypeError("a store is opened within a test")
    return database
  }
  const query = (sql: string) => server.query(sql, server.url() + options(IN_SCHEMA))
  const damage = async (sql: string): Promise<void> =>
    void (await server.query(sql, server.url() + options(IN_SCHEMA, UNGUARDED)))
  let stores = 0
  return {
    server,
    database: opened,
    async store(trust = {}) {
      wiping ??= connect(server.url() + options(IN_SCHEMA, UNGUARDED))
      await (await wiping).query(TABLE_NAMES.map((table) => `DELETE FROM ${table}`).join(";"))
      stores += 1
      return createStore(opened(), { writer: `writer-${stores}`, trust })
    },
    async replica() {
      stores += 1
      const writer = `writer-${stores}`
      const opened = await openPostgresStore({ url: server.url(), schema: SCHEMA, writer })
      replicas.push(opened)
      return opened
    },
    query,
    damage,
  }
}
