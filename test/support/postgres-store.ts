/** Stores in PostgreSQL for tests: one server and one schema for a suite, emptied before each store is opened. */
import { Client } from "pg"
import type { Test } from "uvu"
import type { Database } from "../../src/store/database.ts"
import type { LogOptions } from "../../src/store/event-logs.ts"
import { openPostgresDatabase } from "../../src/store/postgres.ts"
import { createStore, type Store } from "../../src/store/store.ts"
import { TABLE_NAMES } from "../../src/store/tables.ts"
import type { TrustOptions } from "../../src/store/trust.ts"
import { DURABLE, type PostgresServer, usePostgres } from "./postgres.ts"

/** The schema of stores in tests. */
export const SCHEMA = "assay"

/** A server with a schema in it. */
export interface PostgresUnderTest {
  readonly server: PostgresServer
  /** The emptied database. It ends with the suite, as do all stores. */
  readonly database: () => Promise<Database>
  /** An empty store. */
  readonly store: (trust?: TrustOptions, logs?: LogOptions) => Promise<Store>
  /** Three replicas of an empty store, with connections of their own. */
  readonly replicas: () => Promise<readonly [Store, Store, Store]>
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

/** Removes all rows, but for the one that is always there. */
const EMPTY = TABLE_NAMES.map((table) =>
  table === "store_epoch" ? `UPDATE ${table} SET epoch = 0` : `DELETE FROM ${table}`,
).join(";")

const connect = async (url: string): Promise<Client> => {
  const client = new Client({ connectionString: url })
  await client.connect()
  return client
}

/** A server for all tests of a suite, if PostgreSQL is installed, and stores on it. */
export const usePostgresStore = (test: Pick<Test, "before" | "after">): PostgresUnderTest => {
  const open = (): Promise<Database> => openPostgresDatabase({ url: server.url(), schema: SCHEMA })
  let databases: Promise<readonly [Database, Database, Database]> | undefined
  let wiping: Promise<Client> | undefined
  // Registered before the server, and so closed before it ends.
  test.after(async () => {
    for (const database of (await databases) ?? []) await database.close()
    await (await wiping)?.end()
  })
  const server = usePostgres(test, { settings: DURABLE, isInMemory: true })
  let writers = 0
  const storeIn = (database: Database, trust: TrustOptions = {}, logs: LogOptions = {}): Store => {
    writers += 1
    return createStore(database, { writer: `writer-${writers}`, trust, logs })
  }
  /** Three databases with connections of their own. */
  const emptied = async (): Promise<readonly [Database, Database, Database]> => {
    databases ??= (async () => [await open(), await open(), await open()] as const)()
    const opened = await databases
    wiping ??= connect(server.url() + options(IN_SCHEMA, UNGUARDED))
    await (await wiping).query(EMPTY)
    return opened
  }
  return {
    server,
    database: async () => (await emptied())[0],
    store: async (trust, logs) => storeIn((await emptied())[0], trust, logs),
    async replicas() {
      const [first, second, third] = await emptied()
      return [storeIn(first), storeIn(second), storeIn(third)]
    },
    query: (sql) => server.query(sql, server.url() + options(IN_SCHEMA)),
    damage: async (sql) => void (await server.query(sql, server.url() + options(IN_SCHEMA, UNGUARDED))),
  }
}
