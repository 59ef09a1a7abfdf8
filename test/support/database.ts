/** Databases of tests, each in a file of its own. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import type { DatabaseSync } from "node:sqlite"
import { openSqlite } from "../../src/store/sqlite-database.ts"

let made: Uint8Array | undefined

/** The bytes of an empty database, made once: to make one takes longer than most tests. */
const empty = (): Uint8Array => {
  if (made === undefined) {
    const folder = mkdtempSync(join(tmpdir(), "assay-empty-"))
    const file = join(folder, "assay.db")
    openSqlite(file).close()
    made = readFileSync(file)
    rmSync(folder, { recursive: true })
  }
  return made
}

/** Opens a new database at `path`, as a server would find it after its first start, that does not wait for the disk. */
export const openEmptySqlite = (path: string): DatabaseSync => {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, empty(), { flag: "wx", mode: 0o600 })
  const file = openSqlite(path)
  file.exec("PRAGMA synchronous = OFF")
  return file
}
