import { AssayError } from "../errors.ts"
import type { Database } from "./database.ts"
import { postgresDatabase } from "./postgres-database.ts"
import { migratePostgres } from "./postgres-migrate.ts"
import { createPool } from "./postgres-pool.ts"
import { quotedSchema } from "./postgres-server.ts"
import { POSTGRES_STEPS } from "./schema-postgres.ts"
import { createStore, type Store, type StoreOptions } from "./store.ts"

/** Where a store in PostgreSQL is. */
export interface PostgresOptions {
  /** `postgres://` or `postgresql://`. */
  readonly url: string
  /** Where the tables are; they, and it, are made if they are not there. */
  readonly schema: string
}

/**
 * Opens the database of a store that replicas share, and makes or upgrades its tables; see `migratePostgres`.
 *
 * @param options.asItIs Whether its tables stay as they are: of another version than this one's, they cannot be asked.
 * @throws {AssayError} INPUT for what is no address or no name of a schema, and for a server that is not to be relied on;
 *   REGISTRY.
 */
export async function openPostgresDatabase(
  { url, schema }: PostgresOptions,
  { asItIs = false }: { readonly asItIs?: boolean } = {},
): Promise<Database> {
  if (!/^postgres(ql)?:\/\//.test(url))
    throw new AssayError("INPUT", "PostgreSQL is reached by postgres:// or postgresql://", {
      location: "store.url",
    })
  const name = quotedSchema(schema)
  if (name === undefined)
    throw new AssayError("INPUT", "a schema is named in lowercase letters, digits and underscores", {
      location: "store.schema",
      actual: schema,
    })
  if (!asItIs) await migratePostgres(url, name, POSTGRES_STEPS)
  return postgresDatabase(createPool(url, name), POSTGRES_STEPS.length)
}

/** The store that replicas share. @throws {AssayError} as `openPostgresDatabase`. */
export const openPostgresStore = async ({
  url,
  schema,
  ...options
}: PostgresOptions & StoreOptions): Promise<Store> =>
  createStore(await openPostgresDatabase({ url, schema }), options)
