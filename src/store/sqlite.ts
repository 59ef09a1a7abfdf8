import type { DatabaseSync } from "node:sqlite"
import type { Journal, Registry, TrustStore } from "../service/ports.ts"
import { openDatabase, storeError } from "./database.ts"
import { createSqliteJournal, type JournalReader } from "./journal.ts"
import { createSqliteRegistry } from "./registry.ts"
import { createSqliteTrust } from "./trust.ts"

/** Registry, trust and journal in one SQLite file, so that a decision and what it changes are one transaction. */
export interface SqliteStore {
  readonly registry: Registry
  readonly trust: TrustStore
  readonly journal: Journal & JournalReader
  /** Why it cannot be asked; nothing while it can. For readiness. */
  unready(): string | undefined
  /** Writes what waits in the journal and closes the file. Whatever is asked afterwards fails. */
  close(): void
}

/**
 * Opens the embedded store at `path`; see `openDatabase` for the file itself.
 *
 * @throws {AssayError} REGISTRY.
 */
export const openSqliteStore = (path: string): SqliteStore => createSqliteStore(openDatabase(path))

/**
 * The store over a database that `openDatabase` opened.
 *
 * @throws {AssayError} REGISTRY if its tables are not those of the schema.
 */
export function createSqliteStore(database: DatabaseSync): SqliteStore {
  try {
    const registry = createSqliteRegistry(database)
    const trust = createSqliteTrust(database)
    const journal = createSqliteJournal(database)
    return {
      registry,
      trust,
      journal,
      unready() {
        try {
          database.prepare("SELECT 1 FROM journal LIMIT 1").get()
          return undefined
        } catch {
          return "the database cannot be read"
        }
      },
      close() {
        journal.flush()
        if (database.isOpen) database.close()
      },
    }
  } catch (cause) {
    throw storeError("REGISTRY", cause)
  }
}
