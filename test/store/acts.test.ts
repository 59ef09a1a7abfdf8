import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex } from "../../src/bytes.ts"
import { createSqliteStore } from "../../src/store/sqlite.ts"
import { openSqlite } from "../../src/store/sqlite-database.ts"
import { TABLE_NAMES } from "../../src/store/tables.ts"
import { rejectsCode } from "../support/assert.ts"
import { ACTS, actsConformance, prepareActs } from "../support/ports/acts.ts"
import { newAct, newDevice, newPolicy } from "../support/ports/samples.ts"
import { scratch } from "./folder.ts"

const test = suite("createAdminister")
const { path, quick } = scratch(test)

actsConformance(test, "sqlite", quick)

/** A store without a word to the disk, and its file. */
const opened = () => {
  const file = openSqlite(path())
  file.exec("PRAGMA synchronous = OFF")
  const everything = (): string =>
    JSON.stringify(
      TABLE_NAMES.map((table) => [table, file.prepare(`SELECT * FROM ${table}`).all()]),
      (_, value: unknown) => (value instanceof Uint8Array ? toHex(value) : value),
    )
  return { file, everything, ...createSqliteStore(file) }
}

const obstacles: [what: string, sql: string, code: "JOURNAL" | "REGISTRY"][] = [
  [
    "the journal takes no record",
    "CREATE TRIGGER x BEFORE INSERT ON journal BEGIN SELECT raise(ABORT, 'no'); END",
    "JOURNAL",
  ],
  [
    "the tenant's revision cannot move",
    "CREATE TRIGGER x BEFORE UPDATE ON tenants BEGIN SELECT raise(ABORT, 'no'); END",
    "REGISTRY",
  ],
]
for (const { what, act, run } of ACTS)
  for (const [obstacle, sql, code] of obstacles)
    test(`refuses S-07 ${what} where ${obstacle}, and leaves all as it was`, async () => {
      const { file, everything, close, ...store } = opened()
      await prepareActs(store)
      const before = everything()
      file.exec(sql)
      await rejectsCode(() => run(store, newAct(act)), code)
      assert.not(file.isTransaction)
      assert.is(everything(), before)
      file.exec("DROP TRIGGER x")
      await run(store, newAct(act))
      await close()
    })

test("keeps P-06 revisions from going back, and what only grows from being taken away", async () => {
  const { file, close, ...store } = opened()
  await prepareActs(store)
  await store.registry.setPolicy(newPolicy("base", "two"), newAct("set-policy"))
  await store.devices.remove("default", "device-1", undefined, newAct("delete-device"))
  for (const sql of [
    "UPDATE policies SET revision = 1",
    "UPDATE policies SET tenant = 'other'",
    "DELETE FROM policies",
    "UPDATE tenants SET revision = 1",
    "UPDATE tenants SET tenant = 'other', revision = 99",
    "DELETE FROM tenants",
    "INSERT OR REPLACE INTO tenants VALUES ('default', 1)",
    "DELETE FROM removed_devices",
    "UPDATE removed_devices SET id = 'another'",
    "DELETE FROM revocations",
    "UPDATE revocations SET from_revision = 99",
    "INSERT OR REPLACE INTO revocations SELECT tenant, sequence, device, 99, at FROM revocations",
    "INSERT INTO revocations SELECT tenant, 1, 'another', 1, 1 FROM revocations",
  ])
    assert.throws(() => file.exec(sql), /comes back|never given again|never taken back|next revocation/, sql)
  await rejectsCode(
    () => store.registry.registerDevice(newDevice("device-1"), newAct("register-device")),
    "DEVICE_EXISTS",
  )
  await close()
})

test.run()
