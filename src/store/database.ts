import { chmodSync, closeSync, existsSync, mkdirSync, openSync } from "node:fs"
import { dirname } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { AssayError, type Code } from "../errors.ts"
import { integer, type Row, text } from "./row.ts"
import { SCHEMA_STEPS, SCHEMA_VERSION } from "./schema.ts"

/** How long a write waits for another process that holds the file. Calls block the event loop, so not long. */
const BUSY_TIMEOUT_MS = 200

/**
 * Opens the one file of the embedded store, and makes it, its tables and its folder where they are not there. The
 * file is readable by its owner alone (0600), as is a folder made for it (0700).
 *
 * Every commit is synchronized to the disk before it returns (WAL with `synchronous` FULL). A file of an earlier schema
 * is brought up to date in one transaction: it is of one version or of the other, wherever that ends.
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
  checkedVersion(database)
  const mode = text(only(database, "PRAGMA journal_mode = WAL"), "journal_mode")
  if (mode !== "wal")
    throw new AssayError("REGISTRY", "the database cannot keep a write-ahead log where its file is", {
      expected: "wal",
      actual: mode,
    })
  database.exec("PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF")
  transaction(database, () => {
    const version = checkedVersion(database) // again: another process may have been faster
    if (version === SCHEMA_VERSION) return
    for (const step of SCHEMA_STEPS.slice(version)) database.exec(step)
    database.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`)
  })
}

/** The version of the schema in the file; 0 of an empty one. */
function checkedVersion(database: DatabaseSync): number {
  const version = integer(only(database, "PRAGMA user_version"), "user_version")
  if (version < 0 || version > SCHEMA_VERSION)
    throw new AssayError("REGISTRY", "the database was written by another version of Assay: use that one", {
      expected: `schema ${SCHEMA_VERSION}`,
      actual: `schema ${version}`,
    })
  const isAlien =
    version === 0 && integer(only(database, "SELECT count(*) AS objects FROM sqlite_schema"), "objects") !== 0
  if (isAlien)
    throw new AssayError("REGISTRY", "the database belongs to another program: choose another file")
  return version
}

/** Runs `act` in one transaction that holds the right to write from its start. Whatever `act` throws undoes it. */
export const transaction = <T>(database: DatabaseSync, act: () => T): T =>
  within(database, "BEGIN IMMEDIATE", act)

/** Runs `act`, which only reads, on one state of the database, whatever other processes write meanwhile. */
export const readTransaction = <T>(database: DatabaseSync, act: () => T): T => within(database, "BEGIN", act)

function within<T>(database: DatabaseSync, begin: string, act: () => T): T {
  database.exec(begin)
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

/** What `act` gives; whatever it throws leaves as an answer or as REGISTRY. */
export const guard = <T>(act: () => T): T => {
  try {
    return act()
  } catch (cause) {
    throw storeError("REGISTRY", cause)
  }
}

const only = (database: DatabaseSync, sql: string): Row => {
  const row = database.prepare(sql).get()
  if (row === undefined) throw new Error(`no answer to ${sql}`)
  return row
}
