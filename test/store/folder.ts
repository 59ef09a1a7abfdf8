import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import type { Test } from "uvu"
import type { LogOptions } from "../../src/store/event-logs.ts"
import { createSqliteStore, openSqliteStore } from "../../src/store/sqlite.ts"
import type { Store } from "../../src/store/store.ts"
import type { TrustOptions } from "../../src/store/trust.ts"
import { openEmptySqlite } from "../support/database.ts"

/** Places for databases, and stores in them, that are gone after the suite's last test. */
export interface Scratch {
  readonly path: () => string
  readonly store: () => Store
  /** A store that does not wait for the disk, for suites whose tests are many. */
  readonly quick: (trust?: TrustOptions, logs?: LogOptions) => Store
  /** The file of one. It is closed with the suite. */
  readonly file: () => DatabaseSync
}

export const scratch = (test: Pick<Test, "after">): Scratch => {
  const folder = mkdtempSync(join(tmpdir(), "assay-store-"))
  const stores: Store[] = []
  let count = 0
  const path = (): string => join(folder, `${count++}`, "assay.db")
  const files: DatabaseSync[] = []
  const file = (): DatabaseSync => {
    const opened = openEmptySqlite(path())
    files.push(opened)
    return opened
  }
  test.after(() => {
    for (const store of stores) store.close()
    for (const opened of files) if (opened.isOpen) opened.close()
    rmSync(folder, { recursive: true, force: true })
  })
  return {
    path,
    file,
    quick: (trust = {}, logs = {}) => {
      const store = createSqliteStore(file(), { trust, logs })
      stores.push(store)
      return store
    },
    store: () => {
      const store = openSqliteStore(path())
      stores.push(store)
      return store
    },
  }
}

/** Does `sql` to the file beside the store, past its checks. */
export const damage = (file: string, sql: string): void => {
  const intruder = new DatabaseSync(file)
  intruder.exec(`PRAGMA ignore_check_constraints = ON; ${sql}`)
  intruder.close()
}
