import type { DatabaseSync } from "node:sqlite"
import { storeError } from "./database.ts"
import { LOCAL_WRITER } from "./schema-sqlite-3.ts"
import { openSqlite, sqliteDatabase } from "./sqlite-database.ts"
import { createStore, type Store } from "./store.ts"
import type { TrustOptions } from "./trust.ts"

/**
 * Opens the embedded store at `path`; see `openSqlite` for the file itself.
 *
 * @throws {AssayError} REGISTRY.
 */
export const openSqliteStore = (path: string): Store => createSqliteStore(openSqlite(path))

/**
 * The store over a file that `openSqlite` opened.
 *
 * @throws {AssayError} REGISTRY if its tables are not those of the schema.
 */
export function createSqliteStore(
  file: DatabaseSync,
  options: { readonly trust?: TrustOptions } = {},
): Store {
  try {
    const store = createStore(sqliteDatabase(file), { writer: LOCAL_WRITER, ...options })
    // Builds and prepares what every verification asks, so that the first one need not wait for it.
    void store.registry.snapshotFor("", new Uint8Array()).catch(() => {})
    return store
  } catch (cause) {
    throw storeError("REGISTRY", cause)
  }
}
