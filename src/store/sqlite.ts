import type { DatabaseSync } from "node:sqlite"
import { storeError } from "./database.ts"
import type { LogOptions } from "./event-logs.ts"
import type { ThreadStart } from "./journal-message.ts"
import { type JournalThread, startJournalThread } from "./journal-thread.ts"
import { LOCAL_WRITER } from "./schema-sqlite-3.ts"
import { openSqlite, sqliteDatabase, turnsOfFile } from "./sqlite-database.ts"
import { createStore, type Store } from "./store.ts"
import type { TrustOptions } from "./trust.ts"
import type { TakeTurns } from "./turns.ts"

/**
 * Opens the embedded store at `path`; see `openSqlite` for the file itself.
 *
 * @throws {AssayError} REGISTRY.
 */
export const openSqliteStore = (path: string): Store => createSqliteStore(openSqlite(path))

/** Where one of several processes stands that write to one file. */
export interface StorePlace {
  /** What its chains of the journal are called; no other process has the same. */
  readonly writer: string
  /** Its turns to write, among all of them. */
  readonly turns: TakeTurns
}

/**
 * Opens the embedded store at `path` for a service: a thread of its own writes the journal, and what is large, so that
 * the event loop does not wait for the disk. Other administrative changes are written by this thread, in turns with the other one.
 *
 * @param startThread What starts that thread.
 * @param place Of a worker: the name of its chains, and its turns at the file that it shares with the others.
 * @throws {AssayError} REGISTRY.
 */
export function openServedStore(
  path: string,
  startThread: (start: ThreadStart) => JournalThread = startJournalThread,
  place: Partial<StorePlace> = {},
): Store {
  const { writer = LOCAL_WRITER, turns = turnsOfFile() } = place
  const file = openSqlite(path)
  const started = startThread({ path, writer })
  const thread = inTurns(started, turns)
  try {
    return prepared(file, createStore(sqliteDatabase(file, turns), { writer, thread }))
  } catch (cause) {
    void started.close()
    throw storeError("REGISTRY", cause)
  }
}

/** The thread, each write of which takes its turn. */
const inTurns = ({ commit, large, close }: JournalThread, turns: TakeTurns): JournalThread => ({
  commit: (group) => turns.take(() => commit(group)),
  ...(large && {
    large: {
      ...large,
      keepLogs: (notes, bounds) => turns.take(() => large.keepLogs(notes, bounds)),
      importTrust: (task) => turns.take(() => large.importTrust(task)),
    },
  }),
  close,
})

/**
 * The store over a file that `openSqlite` opened.
 *
 * @throws {AssayError} REGISTRY if its tables are not those of the schema.
 */
export function createSqliteStore(
  file: DatabaseSync,
  options: { readonly trust?: TrustOptions; readonly logs?: LogOptions } = {},
): Store {
  try {
    return prepared(file, createStore(sqliteDatabase(file), { writer: LOCAL_WRITER, ...options }))
  } catch (cause) {
    throw storeError("REGISTRY", cause)
  }
}

/**
 * Builds and prepares what every verification asks, and asks it of some device that is there, so that the first one need
 * not wait until all of that has been read and compiled.
 */
const prepared = (file: DatabaseSync, store: Store): Store => {
  const { tenant = "", ak_name: name } =
    file.prepare("SELECT tenant, ak_name FROM devices WHERE ak_name IS NOT NULL LIMIT 1").get() ?? {}
  const akName = name instanceof Uint8Array ? name : new Uint8Array()
  void store.registry.snapshotFor(String(tenant), akName).catch(() => {})
  return store
}
