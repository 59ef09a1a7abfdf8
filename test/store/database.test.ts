import { mkdirSync, statSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { SCHEMA_VERSION } from "../../src/store/schema-sqlite.ts"
import { createSqliteStore, openSqliteStore } from "../../src/store/sqlite.ts"
import { openSqlite } from "../../src/store/sqlite-database.ts"
import { TABLE_NAMES } from "../../src/store/tables.ts"
import { throwsCode } from "../support/assert.ts"
import { newRecord } from "../support/ports/samples.ts"
import { scratch } from "./folder.ts"

const test = suite("openSqlite")
const { path } = scratch(test)
const modeOf = (file: string): string => (statSync(file).mode & 0o777).toString(8)

test("makes folder and files that only their owner can read", async () => {
  const file = path()
  const { journal, close } = openSqliteStore(file)
  await journal.append(newRecord("device-1"))
  assert.equal([dirname(file), file, `${file}-wal`, `${file}-shm`].map(modeOf), ["700", "600", "600", "600"])
  close()
})

test("takes a file that others could read away from them", () => {
  const file = path()
  mkdirSync(dirname(file))
  writeFileSync(file, "", { mode: 0o644 })
  openSqlite(file).close()
  assert.is(modeOf(file), "600")
})

test("opens its own file again without a change", () => {
  const file = path()
  openSqlite(file).close()
  const schemaOf = (): unknown => {
    const database = openSqlite(file)
    const rows = database.prepare("SELECT * FROM sqlite_schema ORDER BY name").all()
    database.close()
    return rows
  }
  assert.equal(schemaOf(), schemaOf())
})

test("keeps the tenant first in every key, and every table strict", () => {
  const database = openSqlite(path())
  const tables = database.prepare("SELECT name, strict FROM pragma_table_list WHERE schema = 'main'").all()
  const own = tables.filter(({ name }) => !String(name).startsWith("sqlite_"))
  assert.is(own.length, TABLE_NAMES.length)
  for (const { name, strict } of own) {
    assert.is(strict, 1, String(name))
    const keys = database
      .prepare(
        `SELECT c.name FROM pragma_index_list(?) l JOIN pragma_index_info(l.name) c ON c.seqno = 0
         WHERE l."unique" = 1`,
      )
      .all(String(name))
    assert.ok(keys.length > 0, String(name))
    const first = OF_ALL_TENANTS[String(name)] ?? ["tenant"]
    for (const key of keys) assert.ok(first.includes(String(key["name"])), String(name))
  }
  database.close()
})

/** The secret of an enrollment token tells its tenant; the service has its keys for all of them. */
const OF_ALL_TENANTS: Readonly<Record<string, readonly string[]>> = {
  enrollment_tokens: ["tenant", "secret_digest"],
  service_keys: ["name"],
  store_epoch: ["name"],
}

const schemaVersions: [what: string, version: number][] = [
  ["the next schema", SCHEMA_VERSION + 1],
  ["a much later schema", 2 ** 31 - 1],
  ["a negative schema", -1],
]
for (const [what, version] of schemaVersions)
  test(`refuses S-03 a file of ${what}, and leaves it as it is`, () => {
    const file = path()
    openSqlite(file).close()
    const other = new DatabaseSync(file)
    other.exec(`PRAGMA user_version = ${version}`)
    other.close()
    throwsCode(() => openSqlite(file), "REGISTRY")
    const again = new DatabaseSync(file)
    assert.is(again.prepare("PRAGMA user_version").get()?.["user_version"], version)
    again.close()
  })

test("refuses S-03 a file of a later schema without any table", () => {
  const file = path()
  mkdirSync(dirname(file))
  const other = new DatabaseSync(file)
  other.exec(`PRAGMA user_version = ${SCHEMA_VERSION + 1}`)
  other.close()
  throwsCode(() => openSqlite(file), "REGISTRY")
})

test("refuses the database of another program", () => {
  const file = path()
  mkdirSync(dirname(file))
  const other = new DatabaseSync(file)
  other.exec("CREATE TABLE notes (id INTEGER PRIMARY KEY)")
  other.close()
  throwsCode(() => openSqlite(file), "REGISTRY")
})

test("refuses another program's database of the same schema version", () => {
  const file = path()
  mkdirSync(dirname(file))
  const other = new DatabaseSync(file)
  other.exec(`CREATE TABLE notes (id INTEGER PRIMARY KEY); PRAGMA user_version = ${SCHEMA_VERSION}`)
  other.close()
  throwsCode(() => openSqliteStore(file), "REGISTRY")
})

const unusable: [what: string, make: (file: string) => void][] = [
  [
    "a file that is no database",
    (file) => writeFileSync(file, "not a database, but long enough ".repeat(200)),
  ],
  ["a folder in place of the file", (file) => mkdirSync(file)],
]
for (const [what, make] of unusable)
  test(`refuses ${what}`, () => {
    const file = path()
    mkdirSync(dirname(file))
    make(file)
    throwsCode(() => openSqlite(file), "REGISTRY")
  })

test("refuses a file where there can be no folder", () => {
  const file = path()
  mkdirSync(dirname(dirname(file)), { recursive: true })
  writeFileSync(dirname(file), "")
  throwsCode(() => openSqlite(file), "REGISTRY")
})

test("refuses a database whose tables are gone", () => {
  const database = openSqlite(path())
  database.exec("DROP TABLE counters")
  throwsCode(() => createSqliteStore(database), "REGISTRY")
  database.close()
})

test.run()
