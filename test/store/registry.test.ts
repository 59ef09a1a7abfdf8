import { DatabaseSync } from "node:sqlite"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { createSqliteStore, openSqliteStore } from "../../src/store/sqlite.ts"
import { openSqlite } from "../../src/store/sqlite-database.ts"
import { rejectsCode } from "../support/assert.ts"
import { registryConformance } from "../support/ports/registry.ts"
import {
  digestOf,
  newAct,
  newCommit,
  newDevice,
  newPolicy,
  newRecord,
  plainDevice,
} from "../support/ports/samples.ts"
import { scratch } from "./folder.ts"

const test = suite("createSqliteRegistry")
const { path, store, quick } = scratch(test)

registryConformance(test, "sqlite", () => quick().registry)

test("keeps everything over a restart", async () => {
  const file = path()
  const first = openSqliteStore(file)
  const device = await first.registry.registerDevice(newDevice("device-1"), newAct("register-device"))
  await first.registry.setPolicy(newPolicy("base", "one"), newAct("set-policy"))
  await first.registry.assignPolicy("default", "base", { kind: "default" }, newAct("assign-policy"))
  first.close()
  const second = openSqliteStore(file)
  const snapshot = await second.registry.snapshotFor("default", device.akName)
  assert.equal(plainDevice(snapshot.device), plainDevice(device))
  assert.is(snapshot.policy?.document, "one")
  second.close()
})

test("refuses S-03 a document that its digest does not name, and stores nothing", async () => {
  const { registry } = store()
  await rejectsCode(
    () => registry.setPolicy({ ...newPolicy("base", "one"), digest: digestOf("two") }, newAct("set-policy")),
    "REGISTRY",
  )
  await rejectsCode(() => registry.policy("default", "base"), "POLICY_NOT_FOUND")
})

const damages: [what: string, sql: string][] = [
  ["a changed document", "UPDATE policy_documents SET document = 'anything goes'"],
  ["a changed digest", "UPDATE policy_documents SET digest = zeroblob(32)"],
  ["a revision without its document", "UPDATE policies SET revision = 2"],
  ["a firmware version cut short", "UPDATE counters SET firmware_version = x'00'"],
  ["a clock that is no number", "UPDATE counters SET clock_ms = x''"],
]
for (const [what, sql] of damages)
  test(`refuses S-03 to judge by ${what}`, async () => {
    const file = path()
    const { registry, journal, close } = openSqliteStore(file)
    const { akName } = await registry.registerDevice(newDevice("device-1"), newAct("register-device"))
    await registry.setPolicy(newPolicy("base", "one"), newAct("set-policy"))
    await registry.assignPolicy("default", "base", { kind: "default" }, newAct("assign-policy"))
    const revisions = { device: 1, policy: { name: "base", revision: 1 }, trust: undefined }
    await journal.append(newRecord("device-1"), newCommit({ revisions, known: false }))
    const intruder = new DatabaseSync(file)
    intruder.exec("DROP TRIGGER policy_documents_update; PRAGMA ignore_check_constraints = ON")
    intruder.exec(sql)
    intruder.close()
    await rejectsCode(() => registry.snapshotFor("default", akName), "REGISTRY")
    close()
  })

test("refuses to change or delete a policy document", async () => {
  const file = path()
  const database = openSqlite(file)
  const { registry, close } = createSqliteStore(database)
  await registry.setPolicy(newPolicy("base", "one"), newAct("set-policy"))
  for (const sql of [
    "UPDATE policy_documents SET document = 'two'",
    "DELETE FROM policy_documents",
    "INSERT OR REPLACE INTO policy_documents VALUES ('default', 'base', 1, 'two', zeroblob(32))",
    "INSERT INTO policy_documents VALUES ('default', 'base', 0, 'none', zeroblob(32))",
  ])
    assert.throws(() => database.exec(sql), /never changes|later revision/)
  assert.is((await registry.policy("default", "base")).document, "one")
  close()
})

test("refuses while another process holds the file, and goes on when it is free", async () => {
  const file = path()
  const { registry, close } = openSqliteStore(file)
  const other = new DatabaseSync(file)
  other.exec("BEGIN IMMEDIATE")
  await rejectsCode(
    () => registry.registerDevice(newDevice("device-1"), newAct("register-device")),
    "REGISTRY",
  )
  await rejectsCode(() => registry.device("default", "device-1"), "DEVICE_NOT_FOUND")
  other.exec("ROLLBACK")
  other.close()
  assert.is((await registry.registerDevice(newDevice("device-1"), newAct("register-device"))).revision, 1)
  close()
})

test("refuses to write where it may only read, and undoes what it began", async () => {
  const database = openSqlite(path())
  const { registry, close } = createSqliteStore(database)
  await registry.setPolicy(newPolicy("base", "one"), newAct("set-policy"))
  database.exec("PRAGMA query_only = ON")
  await rejectsCode(() => registry.setPolicy(newPolicy("base", "two"), newAct("set-policy")), "REGISTRY")
  await rejectsCode(
    () => registry.registerDevice(newDevice("device-1"), newAct("register-device")),
    "REGISTRY",
  )
  await rejectsCode(
    () => registry.assignPolicy("default", "base", { kind: "default" }, newAct("assign-policy")),
    "REGISTRY",
  )
  assert.not(database.isTransaction)
  assert.is((await registry.policy("default", "base")).revision, 1)
  close()
})

test("refuses S-07 when the disk is full, and keeps what was there", async () => {
  const database = openSqlite(path())
  const { registry, close } = createSqliteStore(database)
  await registry.setPolicy(newPolicy("base", "one"), newAct("set-policy"))
  database.exec("PRAGMA max_page_count = 1") // which SQLite takes as: no page more than now
  const large = "x".repeat(100_000)
  const error = await rejectsCode(
    () => registry.setPolicy(newPolicy("base", large), newAct("set-policy")),
    "REGISTRY",
  )
  assert.match(String(error.cause), /full/)
  assert.not(database.isTransaction)
  assert.equal((await registry.policy("default", "base")).revision, 1)
  close()
})

test("refuses everything once it is closed", async () => {
  const { registry, close } = openSqliteStore(path())
  await close()
  await close()
  await rejectsCode(() => registry.device("default", "device-1"), "REGISTRY")
  await rejectsCode(
    () => registry.registerDevice(newDevice("device-1"), newAct("register-device")),
    "REGISTRY",
  )
  await rejectsCode(() => registry.setPolicy(newPolicy("base", "one"), newAct("set-policy")), "REGISTRY")
})

test.run()
