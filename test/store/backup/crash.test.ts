import { spawnSync } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { openSqliteAlone, openSqliteToRead } from "../../../src/store/backup/open-sqlite.ts"
import { openSqliteStore } from "../../../src/store/sqlite.ts"
import { openSqlite } from "../../../src/store/sqlite-database.ts"
import { createStore } from "../../../src/store/store.ts"
import { rejectsCode, throwsCode } from "../../support/assert.ts"
import { backUp, type Lines, restoreLines } from "../../support/backup.ts"
import { fillStore } from "../../support/ports/backup.ts"
import { newAct, newDevice, newPolicy } from "../../support/ports/samples.ts"
import { needs } from "../../support/postgres.ts"
import { usePostgresStore } from "../../support/postgres-store.ts"
import { damage, scratch } from "../folder.ts"

const test = suite("a restore that is killed")
const { path } = scratch(test)
const { database, server } = usePostgresStore(test)

const dieRestoring = (store: string, lines: Lines, row: number): void => {
  const folder = dirname(path())
  mkdirSync(folder)
  const file = join(folder, "backup.jsonl")
  writeFileSync(file, lines.map((line) => `${line}\n`).join(""))
  const { signal, stderr } = spawnSync(
    process.execPath,
    ["test/store/backup/dying-restore.ts", store, file, String(row)],
    { encoding: "utf8" },
  )
  assert.is(signal, "SIGKILL", stderr)
}

const readBack = async (file: string): Promise<Lines> => {
  const read = openSqliteToRead(file)
  const lines = await backUp({ database: read })
  await read.close()
  return lines
}

test("leaves a store in a file as it was, wherever it is killed, and the next one goes through", async () => {
  const file = path()
  const store = openSqliteStore(file)
  await fillStore(store)
  const lines = await readBack(file)
  await store.registry.registerDevice(newDevice("device-5"), newAct("register-device"))
  await store.close()
  const kept = await readBack(file)
  const rows = lines.length - 2
  for (const row of [1, Math.floor(rows / 2), rows]) {
    dieRestoring(file, lines, row)
    assert.equal(await readBack(file), kept, `killed at row ${row} of ${rows}`)
  }
  const alone = openSqliteAlone(file)
  assert.is((await restoreLines({ database: alone }, lines, { replace: true })).removed, 1)
  await alone.close()
})

needs("postgres", test)(
  "leaves a store in PostgreSQL as it was where it is killed at its last row",
  async () => {
    const opened = await database()
    const store = createStore(opened, { writer: "writer" })
    await fillStore(store)
    const lines = await backUp({ database: opened })
    await store.registry.setPolicy(newPolicy("base", "document 3"), newAct("set-policy"))
    const kept = await backUp({ database: opened })
    dieRestoring(server.url(), lines, lines.length - 2)
    assert.equal(await backUp({ database: opened }), kept)
    await restoreLines({ database: opened }, lines, { replace: true })
  },
)

test("is refused where a server has the file open, and keeps servers out", () => {
  const file = path()
  const served = openSqlite(file)
  throwsCode(() => openSqliteAlone(file), "REGISTRY")
  served.close()
  const alone = openSqliteAlone(file)
  throwsCode(() => openSqlite(file), "REGISTRY")
  void alone.close()
  openSqlite(file).close()
})

test("reads a store that is served, and none that is not there or of another version", async () => {
  const file = path()
  const store = openSqliteStore(file)
  await fillStore(store)
  assert.ok((await readBack(file)).length > 10)
  await store.registry.setPolicy(newPolicy("base", "document 3"), newAct("set-policy"))
  await store.close()
  damage(file, "PRAGMA user_version = 3")
  throwsCode(() => openSqliteToRead(file), "REGISTRY")
  throwsCode(() => openSqliteToRead(path()), "REGISTRY")
})

test("cannot write to a store that is open to be read", async () => {
  const file = path()
  openSqlite(file).close()
  const read = openSqliteToRead(file)
  await rejectsCode(() => restoreLines({ database: read }, []), "BACKUP")
  const lines = await backUp({ database: read })
  await rejectsCode(() => restoreLines({ database: read }, lines), "REGISTRY")
  await read.close()
})

test.run()
