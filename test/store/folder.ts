import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import type { Test } from "uvu"
import { openSqliteStore } from "../../src/store/sqlite.ts"
import type { Store } from "../../src/store/store.ts"

/** Places for databases, and stores in them, that are gone after the suite's last test. */
export const scratch = (test: Test): { readonly path: () => string; readonly store: () => Store } => {
  const folder = mkdtempSync(join(tmpdir(), "assay-store-"))
  const stores: Store[] = []
  let count = 0
  const path = (): string => join(folder, `${count++}`, "assay.db")
  test.after(() => {
    for (const store of stores) store.close()
    rmSync(folder, { recursive: true, force: true })
  })
  return {
    path,
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
