import { DatabaseSync } from "node:sqlite"
import { AssayError } from "../../errors.ts"
import type { Database } from "../database.ts"
import { integer } from "../row.ts"
import { SCHEMA_VERSION } from "../schema-sqlite.ts"
import { openSqlite, sqliteDatabase } from "../sqlite-database.ts"

/**
 * The embedded store at `path`, to be read: whoever serves it goes on, and nothing of it is changed or brought up to date.
 *
 * @throws {AssayError} REGISTRY if it is not there, or of another schema than this version's.
 */
export const openSqliteToRead = (path: string): Database => {
  try {
    const file = new DatabaseSync(path, { readOnly: true, defensive: true, timeout: 1000 })
    try {
      const version = integer(file.prepare("PRAGMA user_version").get() ?? {}, "user_version")
      if (version !== SCHEMA_VERSION)
        throw new AssayError("REGISTRY", "the store was written by another version of Assay: use that one", {
          location: path,
          expected: `schema ${SCHEMA_VERSION}`,
          actual: `schema ${version}`,
        })
      return sqliteDatabase(file)
    } catch (error) {
      file.close()
      throw error
    }
  } catch (cause) {
    if (cause instanceof AssayError) throw cause
    throw new AssayError("REGISTRY", "there is no store that can be read", { location: path, cause })
  }
}

/**
 * The embedded store at `path`, as `openSqlite` opens or makes it, and kept from everybody else until it is closed.
 *
 * @throws {AssayError} REGISTRY, also if anybody has it open.
 */
export const openSqliteAlone = (path: string): Database => sqliteDatabase(openSqlite(path, { alone: true }))
