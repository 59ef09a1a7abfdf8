import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { Commit } from "../../src/service/ports.ts"
import { DeviceMemory } from "../../src/store/held-devices.ts"
import { createChainWriter } from "../../src/store/journal-append.ts"
import { commitGroup } from "../../src/store/journal-commit.ts"
import { createSqliteStore } from "../../src/store/sqlite.ts"
import { openSqlite, sqliteDatabase } from "../../src/store/sqlite-database.ts"
import type { Work } from "../../src/store/statement.ts"
import type { Store } from "../../src/store/store.ts"
import { forgetUndone } from "../../src/store/undone.ts"
import { openEmptySqlite } from "../support/database.ts"
import {
  newAct,
  newAnchor,
  newCommit,
  newCounters,
  newDevice,
  newPolicy,
  newRecord,
  trustOf,
} from "../support/ports/samples.ts"
import { scratch } from "./folder.ts"

const test = suite("DeviceMemory")
const { path } = scratch(test)
const opened: { close(): unknown }[] = []
test.after(async () => {
  for (const one of opened) await one.close()
})

/** A connection that writes groups and remembers devices, and the store of another one on the same file. */
const beside = (memory = new DeviceMemory()) => {
  const at = path()
  const store = createSqliteStore(openEmptySqlite(at))
  const file = openSqlite(at)
  const chains = createChainWriter("local")
  const engine = sqliteDatabase(file)
  opened.push(engine, store)
  /** How often a device was read. */
  const count = { reads: 0 }
  const counted = function* <T>(work: Work<T>): Work<T> {
    let step = work.next([])
    while (step.done !== true) {
      for (const { text } of step.value)
        if (text.build("sqlite")?.sql.includes('from "devices"') === true) count.reads += 1
      step = work.next(yield step.value)
    }
    return step.value
  }
  const database = forgetUndone(engine, chains, memory)
  const codes = async (
    ...commits: readonly (readonly [tenant: string, commit: Commit] | Commit)[]
  ): Promise<readonly (string | undefined)[]> => {
    const group = commits.map((one) => {
      const [tenant, commit] = "device" in one ? ["default", one] : one
      return { record: newRecord(commit.device, { tenant }), commit }
    })
    const refusals = await database.write(() => counted(commitGroup(chains, group, memory)))
    return refusals.map((refusal) => refusal?.code)
  }
  return { file, store, codes, count }
}
const atClock = (clockMs: bigint, change: Partial<Commit> = {}): Commit =>
  newCommit({ counters: newCounters({ clockMs }), ...change })

test("reads a device once while nobody else writes, and holds commits against what was written last", async () => {
  const { store, codes, count } = beside()
  for (const id of ["device-1", "device-2"])
    await store.registry.registerDevice(newDevice(id), newAct("register-device"))
  assert.equal(await codes(atClock(10n, { known: false }), atClock(11n)), [undefined, undefined])
  assert.equal(await codes(atClock(12n), atClock(13n, { device: "device-2", known: false })), [
    undefined,
    undefined,
  ])
  assert.equal(await codes(atClock(14n), atClock(15n, { device: "device-2" })), [undefined, undefined])
  assert.is(count.reads, 2)
  const earlier = newCommit({ counters: newCounters({ resetCount: 4 }) })
  assert.equal(await codes(earlier), ["SNAPSHOT_MOVED"])
  assert.is((await store.registry.device("default", "device-1")).counters?.clockMs, 14n)
  assert.is((await store.registry.device("default", "device-2")).counters?.clockMs, 15n)
})

test("asks for a device that is not there every time", async () => {
  const { codes, count } = beside()
  for (let i = 0; i < 3; i += 1) assert.equal(await codes(atClock(1n)), ["SNAPSHOT_MOVED"])
  assert.is(count.reads, 3)
})

test("takes no device for one of another tenant whose names spell alike", async () => {
  const { store, codes } = beside()
  const [first, second] = [newDevice("bc", { tenant: "a" }), newDevice("c", { tenant: "ab" })]
  await store.registry.registerDevice(first, newAct("register-device"))
  await store.registry.registerDevice(second, newAct("register-device"))
  await store.devices.change("ab", "c", 1, { state: "suspended" }, newAct("suspend-device"))
  assert.equal(await codes(["a", atClock(1n, { device: "bc" })], ["ab", atClock(1n, { device: "c" })]), [
    undefined,
    "SNAPSHOT_MOVED",
  ])
})

const changes: [what: string, change: (store: Store) => Promise<unknown>][] = [
  [
    "a device was suspended",
    ({ devices }) =>
      devices.change("default", "device-1", 1, { state: "suspended" }, newAct("suspend-device")),
  ],
  [
    "a device was removed",
    ({ devices }) => devices.remove("default", "device-1", 1, newAct("delete-device")),
  ],
  [
    "its policy has another revision",
    ({ registry }) => registry.setPolicy(newPolicy("base", "two"), newAct("set-policy")),
  ],
  [
    "another policy is assigned",
    async ({ registry }) => {
      await registry.setPolicy(newPolicy("other", "one"), newAct("set-policy"))
      await registry.assignPolicy("default", "other", { kind: "default" }, newAct("assign-policy"))
    },
  ],
  [
    "an anchor was imported",
    ({ trust }) =>
      trust.importTrust("default", trustOf({ anchors: [newAnchor("a")] }), newAct("import-trust")),
  ],
  [
    "it has answered from a later boot",
    ({ journal }) =>
      journal.append(
        newRecord("device-1"),
        newCommit({ revisions, counters: newCounters({ resetCount: 6, clockMs: 1n }) }),
      ),
  ],
]
const revisions = { device: 1, policy: { name: "base", revision: 1 }, trust: 0 }
for (const [what, change] of changes)
  test(`refuses S-04 a commit on a remembered device if meanwhile, by another connection, ${what}`, async () => {
    const { store, codes } = beside()
    await store.registry.registerDevice(newDevice("device-1"), newAct("register-device"))
    await store.registry.setPolicy(newPolicy("base", "one"), newAct("set-policy"))
    await store.registry.assignPolicy("default", "base", { kind: "default" }, newAct("assign-policy"))
    assert.equal(await codes(atClock(10n, { revisions, known: false })), [undefined])
    assert.equal(await codes(atClock(11n, { revisions })), [undefined])
    await change(store)
    assert.equal(await codes(atClock(12n, { revisions })), ["SNAPSHOT_MOVED"])
  })

/** What fails in a transaction of the connection itself, which moves no version. */
const failures: [what: string, sql: string][] = [
  [
    "a statement of it",
    `CREATE TEMP TRIGGER failing BEFORE UPDATE ON journal_heads
     BEGIN SELECT raise(ABORT, 'failed'); END`,
  ],
  [
    "its commit",
    `PRAGMA foreign_keys = ON; CREATE TEMP TABLE parents (id INTEGER PRIMARY KEY);
     CREATE TEMP TABLE children (id INTEGER REFERENCES parents DEFERRABLE INITIALLY DEFERRED);
     CREATE TEMP TRIGGER failing AFTER UPDATE ON journal_heads BEGIN INSERT INTO children VALUES (1); END`,
  ],
]
for (const [what, sql] of failures)
  test(`S-04 believes nothing of a transaction that was undone because ${what} failed`, async () => {
    const { file, store, codes } = beside()
    await store.registry.registerDevice(newDevice("device-1"), newAct("register-device"))
    assert.equal(await codes(atClock(10n, { known: false })), [undefined])
    file.exec(sql)
    const later = newCommit({ counters: newCounters({ resetCount: 6, clockMs: 1n }) })
    assert.is(await codes(later).then(String, () => "failed"), "failed")
    file.exec("DROP TRIGGER failing")
    assert.equal(await codes(atClock(11n)), [undefined])
    assert.is((await store.registry.device("default", "device-1")).counters?.clockMs, 11n)
  })

test("forgets all devices when there are too many, and takes their commits", async () => {
  const { store, codes, count } = beside(new DeviceMemory(3))
  const ids = ["device-1", "device-2", "device-3", "device-4"]
  for (const id of ids) await store.registry.registerDevice(newDevice(id), newAct("register-device"))
  const round = (clockMs: bigint, known: boolean, devices = ids) =>
    codes(...devices.map((device) => atClock(clockMs, { device, known })))
  assert.equal(await round(1n, false), [undefined, undefined, undefined, undefined])
  assert.equal(await round(2n, true, ids.slice(0, 2)), [undefined, undefined])
  assert.is(count.reads, 4 + 2)
  assert.equal(await round(3n, true, ids.slice(0, 2)), [undefined, undefined])
  assert.is(count.reads, 4 + 2)
})

test.run()
