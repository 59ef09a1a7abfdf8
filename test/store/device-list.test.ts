import type { DatabaseSync } from "node:sqlite"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { DeviceFilter, DeviceQuery } from "../../src/service/ports.ts"
import { listAsks, WALK_MAX } from "../../src/store/device-list.ts"
import { createSqliteStore } from "../../src/store/sqlite.ts"
import { openSqlite } from "../../src/store/sqlite-database.ts"
import { type Ask, parametersOf } from "../../src/store/statement.ts"
import { NOON, newAct, newDevice } from "../support/ports/samples.ts"
import { scratch } from "./folder.ts"

const test = suite("listDevices")
const { path } = scratch(test)

/** How SQLite would answer. */
const planOf = (file: DatabaseSync, { text, values }: Ask): readonly string[] => {
  const compiled = text.build("sqlite")
  assert.ok(compiled)
  const plan = file.prepare(`EXPLAIN QUERY PLAN ${compiled.sql}`).all(...parametersOf(compiled, values))
  return plan.map((row) => String(row["detail"]))
}

/** How what was walked over is fetched. */
const FETCH = "SEARCH d USING INDEX sqlite_autoindex_devices_1 (tenant=? AND id=?)"
const BY_ID = /devices USING COVERING INDEX sqlite_autoindex_devices_1 /
const cursor = { id: "d-5", createdAt: NOON }
const filters: readonly (readonly [filter: DeviceFilter, byId: RegExp, byCreation: RegExp])[] = [
  [{}, BY_ID, /COVERING INDEX devices_created /],
  [{ state: "active" }, BY_ID, /COVERING INDEX devices_created /],
  [{ state: "suspended" }, /COVERING INDEX devices_state /, /COVERING INDEX devices_state_created /],
  [{ group: "g" }, /COVERING INDEX devices_group /, /COVERING INDEX devices_group_created /],
  [{ group: "" }, BY_ID, /COVERING INDEX devices_created /],
  [{ policy: "p" }, /COVERING INDEX devices_policy /, /COVERING INDEX devices_policy_created /],
  [
    { label: { key: "k", value: "v" } },
    /device_labels USING PRIMARY KEY/,
    /COVERING INDEX device_labels_created /,
  ],
  [{ idPrefix: "d-" }, BY_ID, /COVERING INDEX devices_created /],
  [{ silentSince: NOON }, BY_ID, /COVERING INDEX devices_created /],
  [{ seenSince: NOON }, BY_ID, /COVERING INDEX devices_created /],
  [
    { group: "g", policy: "p", state: "revoked" },
    /COVERING INDEX devices_state /,
    /COVERING INDEX devices_state_created /,
  ],
  [
    { label: { key: "k", value: "v" }, seenSince: NOON, idPrefix: "d" },
    /device_labels USING PRIMARY KEY/,
    /COVERING INDEX device_labels_created /,
  ],
]

test("walks over an index in its order, and scans no table, whatever is filtered by", async () => {
  const file = openSqlite(path())
  for (const [filter, ...indexes] of filters)
    for (const [i, order] of (["id", "created"] as const).entries())
      for (const descending of [false, true])
        for (const after of [undefined, cursor]) {
          const query: DeviceQuery = { filter, order, descending, after, max: 100 }
          const what = JSON.stringify(query)
          for (const ask of listAsks("default", query)) {
            const plan = planOf(file, ask)
            assert.not.ok(
              plan.some((line) => /\bSCAN\b(?! CONSTANT)/.test(line)),
              `${what}: ${plan.join("; ")}`,
            )
            const index = indexes[i] ?? /^$/
            assert.ok(
              plan.some((line) => index.test(line)),
              `${what}: ${plan.join("; ")}`,
            )
          }
          const [page, last] = listAsks("default", query)
          assert.ok(planOf(file, page).includes(FETCH), `${what} fetches otherwise: ${planOf(file, page)}`)
          assert.not.ok(
            planOf(file, last).some((line) => /TEMP B-TREE/.test(line)),
            `${what} is sorted`,
          )
        }
  file.close()
})

test("ends a page where the walk ends, and goes on from there", async () => {
  const file = openSqlite(path())
  file.exec("PRAGMA synchronous = OFF")
  const { devices, close } = createSqliteStore(file)
  const { tenant: _, ...described } = newDevice("")
  const count = WALK_MAX + 10
  for (let i = 0; i < count; i += 1000)
    await devices.import(
      "default",
      Array.from({ length: Math.min(1000, count - i) }, (_, k) => {
        const id = `d-${String(i + k).padStart(6, "0")}`
        const state = i + k >= WALK_MAX ? "suspended" : "active"
        const { akName, akPublic } = newDevice(id)
        return { ...described, id, akName, akPublic, state, policy: undefined, counters: undefined } as const
      }),
      newAct("import-devices"),
    )
  const query = { order: "id", descending: false, after: undefined, max: 1000 } as const
  const first = await devices.list("default", { ...query, filter: { silentSince: NOON, state: "active" } })
  assert.is(first.devices.length, 1000)
  const rare = { filter: { seenSince: NOON }, ...query }
  const none = await devices.list("default", rare)
  assert.equal(none, { devices: [], next: { id: "d-001999", createdAt: NOON } })
  assert.equal(await devices.list("default", { ...rare, after: none.next }), { devices: [], next: undefined })
  const late = { ...query, filter: { idPrefix: "d-0020" }, order: "created" } as const
  const before = await devices.list("default", late)
  assert.equal([before.devices.length, before.next?.id], [0, "d-001999"])
  assert.is((await devices.list("default", { ...late, after: before.next })).devices.length, 10)
  await close()
})

test.run()
