import { chmodSync, closeSync, existsSync, mkdirSync, openSync } from "node:fs"
import { dirname } from "node:path"
import { DatabaseSync, type StatementSync } from "node:sqlite"
import { AssayError } from "../errors.ts"
import type { Database } from "./database.ts"
import { integer, type Row, text } from "./row.ts"
import { SCHEMA_STEPS, SCHEMA_VERSION } from "./schema-sqlite.ts"
import { type Answer, type Ask, parametersOf, type Text, type Value, type Work } from "./statement.ts"
import { TABLE_NAMES } from "./tables.ts"
import { type TakeTurns, Turns } from "./turns.ts"

/** How long a write waits for another process that holds the file. Calls block the event loop, so not long. */
const BUSY_TIMEOUT_MS = 200
const SQLITE_BUSY = 5
/**
 * The write-ahead log goes into the file when it has as many pages, 32 MiB: under load the same pages are written again and
 * again, and each is copied once for all of that. Measured: a third of what a record of the journal costs.
 */
const CHECKPOINT_PAGES = 8000
/** What a connection may remember of the file. */
const CACHE_KIB = 8192

/**
 * Opens the one file of the embedded store, and makes it, its tables and its folder where they are not there. The
 * file is readable by its owner alone (0600), as is a folder made for it (0700).
 *
 * Every commit is synchronized to the disk before it returns (WAL with `synchronous` FULL). A file of an earlier schema
 * is brought up to date in one transaction: it is of one version or of the other, wherever that ends.
 *
 * @param options.alone Whether nobody else may have it open, until it is closed.
 * @throws {AssayError} REGISTRY if the file cannot be opened, is not Assay's, or has a schema later than this code.
 */
export function openSqlite(path: string, { alone = false }: { readonly alone?: boolean } = {}): DatabaseSync {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    if (!existsSync(path)) closeSync(openSync(path, "ax", 0o600))
    chmodSync(path, 0o600)
    const file = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS, defensive: true })
    try {
      // In a write-ahead log's way of locking, everybody who has the file open is in the way of this.
      if (alone) file.exec("PRAGMA locking_mode = EXCLUSIVE")
      prepareFile(file)
    } catch (error) {
      file.close()
      throw error
    }
    return file
  } catch (cause) {
    if (cause instanceof AssayError) throw cause
    const isInUse = alone && cause instanceof Error && "errcode" in cause && cause.errcode === SQLITE_BUSY
    if (isInUse)
      throw new AssayError("REGISTRY", "a server, or another command, has the database open: stop it first", {
        location: path,
        cause,
      })
    throw new AssayError("REGISTRY", "the database file cannot be opened: see to it and to its folder", {
      location: path,
      cause,
    })
  }
}

function prepareFile(file: DatabaseSync): void {
  const version = checkedVersion(file)
  const mode = text(only(file, "PRAGMA journal_mode = WAL"), "journal_mode")
  if (mode !== "wal")
    throw new AssayError("REGISTRY", "the database cannot keep a write-ahead log where its file is", {
      expected: "wal",
      actual: mode,
    })
  file.exec("PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF")
  file.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}; PRAGMA cache_size = -${CACHE_KIB}`)
  // Who only opens the file need not wait for those who write to it.
  if (version < SCHEMA_VERSION) upgrade(file)
  file.exec("PRAGMA foreign_keys = ON")
}

/** Makes the tables, or brings them up to date. */
function upgrade(file: DatabaseSync): void {
  // Tables that others refer to are made anew by some steps. What then refers to nothing is found before the end.
  file.exec("PRAGMA foreign_keys = OFF")
  within(file, "BEGIN IMMEDIATE", () => {
    const version = checkedVersion(file) // again: another process may have been faster
    if (version === SCHEMA_VERSION) return
    for (const step of SCHEMA_STEPS.slice(version)) step(file)
    if (file.prepare("PRAGMA foreign_key_check").get() !== undefined)
      throw new Error("a row refers to one that is not there")
    file.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`)
  })
}

/** The version of the schema in the file; 0 of an empty one. */
function checkedVersion(file: DatabaseSync): number {
  const version = integer(only(file, "PRAGMA user_version"), "user_version")
  if (version < 0 || version > SCHEMA_VERSION)
    throw new AssayError("REGISTRY", "the database was written by another version of Assay: use that one", {
      expected: `schema ${SCHEMA_VERSION}`,
      actual: `schema ${version}`,
    })
  const isAlien =
    version === 0 && integer(only(file, "SELECT count(*) AS objects FROM sqlite_schema"), "objects") !== 0
  if (isAlien)
    throw new AssayError("REGISTRY", "the database belongs to another program: choose another file")
  return version
}

const only = (file: DatabaseSync, sql: string): Row => {
  const row = file.prepare(sql).get()
  if (row === undefined) throw new Error(`no answer to ${sql}`)
  return row
}

/** Runs `act` in one transaction. Whatever it throws undoes it. */
function within<T>(file: DatabaseSync, begin: string, act: () => T): T {
  file.exec(begin)
  try {
    const result = act()
    file.exec("COMMIT")
    return result
  } catch (error) {
    // SQLite has undone it already after some errors, a full disk among them.
    if (file.isTransaction) file.exec("ROLLBACK")
    throw error
  }
}

interface Prepared {
  readonly run: (values: Ask["values"]) => Answer
}

/** For a turn to write: as long as the journal's thread is waited for. */
const PATIENCE_MS = 5000

/** Turns at the one right to write to a file, among the connections of a process: nobody's event loop waits for it. */
export const turnsOfFile = (): Turns => new Turns(1, PATIENCE_MS)

/**
 * The database in a file that `openSqlite` opened. Whatever is asked of it is done before the call returns, although what
 * it returns is a promise: nothing can come between two statements of one transaction. Only a write waits, while somebody
 * else who takes the same turns holds the right to write.
 *
 * @throws {Error} if a table of the schema is not there.
 */
export function sqliteDatabase(file: DatabaseSync, turns: TakeTurns = turnsOfFile()): Database {
  for (const table of TABLE_NAMES) file.prepare(`SELECT 1 FROM ${table} LIMIT 0`)
  const prepared = new Map<Text, Prepared>()
  const answer = ({ text, values }: Ask): Answer => {
    let found = prepared.get(text)
    if (found === undefined) {
      found = prepare(file, text)
      prepared.set(text, found)
    }
    return found.run(values)
  }
  const run = <T>(begin: string, work: () => Work<T>): T =>
    within(file, begin, () => toEnd(work(), (asks) => asks.map(answer)))

  return {
    dialect: "sqlite",
    ask: async (one) => answer(one),
    read: async (work) => run("BEGIN", work),
    write: (work) => turns.take(async () => run("BEGIN IMMEDIATE", work)),
    async unready() {
      try {
        file.prepare("SELECT 1 FROM journal LIMIT 1").get()
        return undefined
      } catch {
        return "the database cannot be read"
      }
    },
    async close() {
      if (file.isOpen) file.close()
    },
  }
}

const NOTHING: Prepared = { run: () => ({ rows: [], changes: 0 }) }

const prepare = (file: DatabaseSync, text: Text): Prepared => {
  const compiled = text.build("sqlite")
  if (compiled === undefined) return NOTHING
  const statement = file.prepare(compiled.sql)
  const run = statement.columns().length > 0 ? reader : writer
  return { run: (values) => run(statement, parametersOf(compiled, values)) }
}

const reader = (statement: StatementSync, parameters: readonly Value[]): Answer => {
  const rows = statement.all(...parameters)
  return { rows, changes: rows.length }
}

const writer = (statement: StatementSync, parameters: readonly Value[]): Answer => ({
  rows: [],
  changes: Number(statement.run(...parameters).changes),
})

/** Does work to its end. What `answer` throws is thrown at the ask that it is about. */
const toEnd = <T>(work: Work<T>, answer: (asks: readonly Ask[]) => readonly Answer[]): T => {
  let step = work.next([])
  while (step.done !== true) {
    let answers: readonly Answer[]
    try {
      answers = answer(step.value)
    } catch (error) {
      step = work.throw(error)
      continue
    }
    step = work.next(answers)
  }
  return step.value
}
