import { setTimeout as sleep } from "node:timers/promises"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { createSqliteStore } from "../../src/store/sqlite.ts"
import { rejectsCode } from "../support/assert.ts"
import { eventLogsConformance, sampleLog } from "../support/ports/event-logs.ts"
import { digestOf, NOON, newAct, newDevice } from "../support/ports/samples.ts"
import { scratch } from "./folder.ts"

const test = suite("createStoredLogs")
const { file, quick } = scratch(test)

eventLogsConformance(test, "sqlite", (options) => quick({}, options))

const owner = { tenant: "default", device: "a", akName: digestOf("name of a") }
const log = sampleLog("one")

/** A store on a database, and one that knows only what is written. */
const opened = async (delayMs = 60_000) => {
  const database = file()
  const store = createSqliteStore(database, { logs: { delayMs } })
  await store.registry.registerDevice(newDevice("a"), newAct("register-device"))
  return { ...store, database, reader: createSqliteStore(database).logs }
}

test("writes by itself, and a while later", async () => {
  const { logs, reader } = await opened(1)
  logs.note(owner, log, NOON)
  assert.is(await reader.shown(owner, log.digest), undefined)
  for (let i = 0; i < 100 && (await reader.shown(owner, log.digest)) === undefined; i++) await sleep(5)
  assert.equal(await reader.shown(owner, log.digest), NOON)
  assert.equal(await reader.log("default", log.digest), log.bytes)
})

test("writes what waits before it closes", async () => {
  const { logs, journal, reader } = await opened()
  logs.note(owner, log, NOON)
  await journal.flush()
  assert.is(await reader.shown(owner, log.digest), undefined)
  await logs.flush()
  assert.equal(await reader.shown(owner, log.digest), NOON)
})

for (const [name, sql] of [
  ["a byte changed", "UPDATE event_logs SET log = CAST(x'00' || substr(log, 2) AS BLOB)"],
  ["a byte less", "UPDATE event_logs SET log = substr(log, 2)"],
  ["a byte more", "UPDATE event_logs SET log = CAST(log || x'00' AS BLOB)"],
  [
    "another's bytes",
    `UPDATE event_logs SET log = x'${Buffer.from(sampleLog("two").bytes).toString("hex")}'`,
  ],
  ["no bytes", "UPDATE event_logs SET log = x''"],
] as const)
  test(`gives S-09 no log that was altered, with ${name}, and has it shown again`, async () => {
    const { logs, database } = await opened()
    logs.note(owner, log, NOON)
    await logs.flush()
    database.exec(sql)
    assert.is(await logs.log("default", log.digest), undefined)
    assert.is(database.prepare("SELECT count(*) AS n FROM event_logs").get()?.["n"], 0)
    logs.note(owner, log, NOON)
    await logs.flush()
    assert.equal(await logs.log("default", log.digest), log.bytes)
  })

test("loses a note that cannot be written, and says so; what cannot be read is REGISTRY", async () => {
  const { logs, database } = await opened()
  database.exec("DROP TABLE event_logs")
  logs.note(owner, log, NOON)
  await logs.flush()
  assert.is(logs.dropped, 1)
  await rejectsCode(() => logs.log("default", log.digest), "REGISTRY")
  assert.is(await logs.shown(owner, log.digest), undefined)
})

test.run()
