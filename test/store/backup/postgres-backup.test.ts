import { suite } from "uvu"
import * as assert from "uvu/assert"
import { createLocalNudges, watchChanges } from "../../../src/store/changes.ts"
import { openPostgresDatabase } from "../../../src/store/postgres.ts"
import { createSqliteStore } from "../../../src/store/sqlite.ts"
import { sqliteDatabase } from "../../../src/store/sqlite-database.ts"
import { createStore } from "../../../src/store/store.ts"
import { throwsCode } from "../../support/assert.ts"
import { backUp, restoreLines, rowsIn, verifyJournalOf } from "../../support/backup.ts"
import { backupConformance, fillStore } from "../../support/ports/backup.ts"
import { needs } from "../../support/postgres.ts"
import { SCHEMA, usePostgresStore } from "../../support/postgres-store.ts"
import { testSigner } from "../../support/signer.ts"
import { scratch } from "../folder.ts"

const test = suite("restoreBackup in PostgreSQL")
const { database, replicas, server } = usePostgresStore(test)
let writers = 0

const check = needs("postgres", test)
backupConformance(check, "postgres", async () => {
  const opened = await database()
  writers += 1
  return { database: opened, store: createStore(opened, { writer: `writer-${writers}` }) }
})
const { file } = scratch(test)

check("moves a store from a file to PostgreSQL and back", async () => {
  const opened = file()
  const under = { database: sqliteDatabase(opened), store: createSqliteStore(opened) }
  await fillStore(under.store)
  const there = { database: await database() }
  await restoreLines(there, await backUp(under))
  const lines = await backUp(there)
  const back = file()
  const again = { database: sqliteDatabase(back), store: createSqliteStore(back) }
  await restoreLines(again, lines)
  const device = await again.store.registry.device("default", "device-1")
  assert.equal([device.revision, [...device.labels], device.counters?.resetCount], [3, [["site", "oslo"]], 7])
  const { chains, records } = await verifyJournalOf(again.store, testSigner())
  assert.equal(
    chains.map(({ writer }) => writer),
    ["local", "restore.1", "restore.2"],
  )
  assert.is(records, rowsIn(lines, "journal").length + 1)
})

check("is seen by a replica, which confirms nothing any more", async () => {
  const [one, other] = await replicas()
  await fillStore(one)
  const changes = watchChanges(other.revisions, createLocalNudges())
  try {
    await changes.look()
    changes.confirmed()
    const beside = await openPostgresDatabase({ url: server.url(), schema: SCHEMA })
    await restoreLines({ database: beside }, await backUp({ database: beside }), { replace: true })
    await beside.close()
    await changes.look()
    throwsCode(() => changes.confirmed(), "REVISION_UNCONFIRMED")
  } finally {
    await changes.close()
  }
})

test.run()
