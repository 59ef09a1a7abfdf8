import { chmodSync, closeSync, existsSync, mkdirSync, openSync } from "node:fs"
import { dirname } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { AssayError, type Code } from "../errors.ts"
import { integer, type Row, text } from "./row.ts"
import { SCHEMA, SCHEMA_VERSION } from "./schema.ts"

/** How long a write waits for another process that holds the file. Calls block the event loop, so not long. */
const BUSY_TIMEOUT_MS = 200

/**
 * Opens the one file of the embedded store, and makes it, its tables and its folder where they are not there. The
 * file is readable by its owner alone (0600), as is a folder made for it (0700).
 *
 * Every commit is synchronized to the disk before it returns (WAL with `synchronous` FULL).
 *
 * @throws {AssayError} REGISTRY if the file cannot be opened, is not Assay's, or has a schema later than this code.
 */
export function openDatabase(path: string): DatabaseSync {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    if (!existsSync(path)) closeSync(openSync(path, "ax", 0o600))
    chmodSync(path, 0o600)
    const database = new DatabaseSync(path, {
      timeout: BUSY_TIMEOUT_MS,
      enableForeignKeyConstraints: true,
      defensive: true,
    })
    try {
      prepareDatabase(database)
    } catch (error) {
      database.close()
      throw error
    }
    return database
  } catch (cause) {
    if (cause instanceof AssayError) throw cause
    throw new AssayError("REGISTRY", "the database file cannot be opened: see to it and to its folder", {
      location: path,
      cause,
    })
  }
}

function prepareDatabase(database: DatabaseSync): void {
  checkVersion(database)
  const mode = text(only(database, "PRAGMA journal_mode = WAL"), "journal_mode")
  if (mode !== "wal")
    throw new AssayError("REGISTRY", "the database cannot keep a write-ahead log where its file is", {
      expected: "wal",
      actual: mode,
    })
  database.exec("PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF")
  transaction(database, () => {
    if (checkVersion(database) === "current") return
    database.exec(SCHEMA)
    database.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`)
  })
}

function checkVersion(database: DatabaseSync): "current" | "empty" {
  const version = integer(only(database, "PRAGMA user_version"), "user_version")
  if (version === SCHEMA_VERSION) return "current"
  if (version !== 0)
    throw new AssayError("REGISTRY", "the database was written by another version of Assay: use that one", {
      expected: `schema ${SCHEMA_VERSION}`,
      actual: `schema ${version}`,
    })
  if (integer(only(database, "SELECT count(*) AS objects FROM sqlite_schema"), "objects") !== 0)
    throw new AssayError("REGISTRY", "the database belongs to another program: choose another file")
  return "empty"
}

/** Runs `act` in one transaction that holds the right to write from its start. Whatever `act` throws undoes it. */
export function transaction<T>(database: DatabaseSync, act: () => T): T {
  database.exec("BEGIN IMMEDIATE")
  try {
    const result = act()
    database.exec("COMMIT")
    return result
  } catch (error) {
    // SQLite has undone it already after some errors, a full disk among them.
    if (database.isTransaction) database.exec("ROLLBACK")
    throw error
  }
}

const MESSAGE = {
  REGISTRY: "the registry cannot be read or written",
  JOURNAL: "the journal cannot be read or written",
} as const satisfies Partial<Record<Code, string>>

/** `cause` as it may leave the store: as it is if it is an answer, else as REGISTRY or JOURNAL that keeps it. */
export const storeError = (code: keyof typeof MESSAGE, cause: unknown): AssayError =>
  cause instanceof AssayError ? cause : new AssayError(code, MESSAGE[code], { cause })

const only = (database: DatabaseSync, sql: string): Row => {
  const row = database.prepare(sql).get()
  if (row === undefined) throw new Error(`no answer to ${sql}`)
  return row
}
