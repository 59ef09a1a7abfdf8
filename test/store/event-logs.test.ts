import { setTimeout as sleep } from "node:timers/promises"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { Database } from "../../src/store/database.ts"
import type { LogBounds } from "../../src/store/event-log-statements.ts"
import { createKeepLogs } from "../../src/store/event-logs.ts"
import { createSqliteStore } from "../../src/store/sqlite.ts"
import { openSqlite, sqliteDatabase } from "../../src/store/sqlite-database.ts"
import { rejectsCode } from "../support/assert.ts"
import { openEmptySqlite } from "../support/database.ts"
import { eventLogsConformance, sampleLog } from "../support/ports/event-logs.ts"
import { digestOf, NOON, newAct, newDevice } from "../support/ports/samples.ts"
import { scratch } from "./folder.ts"

const test = suite("createStoredLogs")
const { file, path, quick } = scratch(test)

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

/** Keeps logs in a database that others keep logs in too, and says how often it has counted them. */
const keeper = (path: string, bounds: Partial<LogBounds>) => {
  const engine = sqliteDatabase(openSqlite(path))
  let counted = 0
  let isFull = false
  const write: Database["write"] = (work) =>
    engine.write(function* () {
      const steps = work()
      for (let step = steps.next(); ; ) {
        if (step.done === true) {
          if (isFull) throw new Error("disk full")
          return step.value
        }
        counted += step.value.filter(({ text }) => text.build("sqlite")?.sql.includes("count(*)")).length
        step = steps.next(yield step.value)
      }
    })
  const keep = createKeepLogs({ write })
  const all = { logs: 1e9, bytes: 1e12, deviceLogs: 1e9, deviceBytes: 1e12, ...bounds }
  const links = { tenant: "default", device: "a", ak_name: owner.akName }
  return {
    keep: (i: number) => {
      const { bytes, digest } = sampleLog(`log ${i}`)
      return keep([{ ...links, digest, log: bytes, at: NOON.getTime() + i }], all)
    },
    fill: (full: boolean): void => {
      isFull = full
    },
    counted: () => counted,
    close: () => engine.close(),
  }
}
const shared = async () => {
  const place = path()
  const database = openEmptySqlite(place)
  await createSqliteStore(database).registry.registerDevice(newDevice("a"), newAct("register-device"))
  const kept = (): number => Number(database.prepare("SELECT count(*) AS n FROM event_logs").get()?.["n"])
  return { place, database, kept }
}

for (const [what, bounds] of [
  ["logs", { logs: 1000 }],
  ["bytes", { bytes: 100_000 }],
] as const)
  test(`counts the logs of a tenant once for each hundredth of the ${what} that it may have`, async () => {
    const { place, database } = await shared()
    const one = keeper(place, bounds)
    for (let i = 0; i < 30; i++) await one.keep(i)
    assert.is(one.counted(), 3)
    await one.keep(29)
    assert.is(one.counted(), 3, "what is known adds nothing")
    await one.close()
    database.close()
  })
for (const [what, bounds] of [
  ["logs", { logs: 200 }],
  ["bytes", { bytes: 20_000 }],
] as const)
  test(`C-06 keeps hardly more ${what} of a tenant than it may, where several keep them`, async () => {
    const { place, database, kept } = await shared()
    const all = [keeper(place, bounds), keeper(place, bounds), keeper(place, bounds)]
    for (let i = 0; i < 300; i++) {
      await all[i % 3]?.keep(i)
      assert.ok(kept() <= 200 + 3 * 2, `${kept()} logs`)
    }
    assert.ok(kept() >= 200 - 3 * 2, `${kept()} logs`)
    for (const one of all) await one.close()
    database.close()
  })
test("C-06 counts anew after what could not be written", async () => {
  const { place, database, kept } = await shared()
  const one = keeper(place, { logs: 1000 })
  await one.keep(0)
  one.fill(true)
  await one.keep(1).catch(() => {})
  one.fill(false)
  await one.keep(2)
  assert.equal([kept(), one.counted()], [2, 2])
  await one.close()
  database.close()
})
test("finds nothing to forget where others have forgotten all", async () => {
  const { place, database, kept } = await shared()
  const one = keeper(place, { logs: 1000 })
  database.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
    INSERT INTO event_logs SELECT 'default', randomblob(32), 1, i, x'00' FROM n`)
  await one.keep(1000)
  database.exec("DELETE FROM event_logs")
  await one.keep(1001)
  assert.equal([kept(), one.counted()], [1, 1])
  await one.close()
  database.close()
})

test.run()
