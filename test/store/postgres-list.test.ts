/** How PostgreSQL answers lists, with a fleet that it has looked over. */
import { Client } from "pg"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { DeviceFilter, DeviceQuery } from "../../src/service/ports.ts"
import { listAsks, WALK_MAX } from "../../src/store/device-list.ts"
import { type Ask, parametersOf } from "../../src/store/statement.ts"
import { NOON, newAct, newDevice } from "../support/ports/samples.ts"
import { needs } from "../support/postgres.ts"
import { SCHEMA, usePostgresStore } from "../support/postgres-store.ts"

const test = suite("listDevices on PostgreSQL")
const { server, store, query } = usePostgresStore(test)
const check = needs("postgres", test)

/** Twice what one page may look at. */
const FLEET = 2 * WALK_MAX
const filters: readonly DeviceFilter[] = [
  {},
  { state: "active" },
  { state: "suspended" },
  { group: "group-1" },
  { group: "" },
  { policy: "p" },
  { label: { key: "rack", value: "7" } },
  { idPrefix: "d-1" },
  { silentSince: NOON },
  { seenSince: NOON },
  { group: "group-1", state: "suspended", label: { key: "rack", value: "7" } },
]

/** How many rows each scan of a plan has read: those that it gave, and those that a filter threw away. */
const readsIn = (plan: string): readonly number[] =>
  plan
    .split("->")
    .filter((node) => /Scan/.test(node))
    .map((node) => {
      const [, rows = "", loops = ""] = /actual rows=(\d+) loops=(\d+)/.exec(node) ?? ["", "0", "0"]
      const [, removed = "0"] = /Rows Removed by [A-Za-z ]+: (\d+)/.exec(node) ?? []
      return (Number(rows) + Number(removed)) * Number(loops)
    })

check("reads no more of any table than the walk of a page, whatever is filtered by", async () => {
  const { devices } = await store()
  const { tenant: _, ...described } = newDevice("")
  for (let i = 0; i < FLEET; i += 1000)
    await devices.import(
      "default",
      Array.from({ length: 1000 }, (_, k) => {
        const n = i + k
        const { akName, akPublic } = newDevice(`d-${n}`)
        return {
          ...described,
          id: `d-${n}`,
          akName,
          akPublic,
          state: n % 100 === 0 ? "suspended" : "active",
          group: n % 4 === 0 ? "" : `group-${n % 4}`,
          labels: new Map([["rack", String(n % 20)]]),
          createdAt: new Date(NOON.getTime() + ((n * 7919) % FLEET) * 1000),
          policy: undefined,
          counters: undefined,
        } as const
      }),
      newAct("import-devices"),
    )
  await query(
    `INSERT INTO results SELECT tenant, id, 1, 'affirming', NULL, 1 FROM devices;
     INSERT INTO counters SELECT tenant, id, '\\x0000000000000001', 1, 1, 1, NULL, 1 FROM devices`,
  )
  const client = new Client({ connectionString: server.url() })
  await client.connect()
  try {
    await client.query(`SET search_path = ${SCHEMA}; SET enable_seqscan = off; ANALYZE`)
    const planOf = async ({ text, values }: Ask): Promise<string> => {
      const compiled = text.build("postgres")
      assert.ok(compiled)
      const { rows } = await client.query<Record<string, string>>(
        `EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) ${compiled.sql}`,
        parametersOf(compiled, values),
      )
      return rows.map((row) => row["QUERY PLAN"]).join("\n")
    }
    for (const filter of filters)
      for (const order of ["id", "created"] as const)
        for (const after of [undefined, { id: "d-2000", createdAt: NOON }]) {
          const asked: DeviceQuery = { filter, order, descending: true, after, max: 50 }
          for (const ask of listAsks("default", asked)) {
            const plan = await planOf(ask)
            const most = Math.max(...readsIn(plan))
            assert.ok(most <= WALK_MAX, `${JSON.stringify(asked)} reads ${most} rows:\n${plan}`)
          }
        }
  } finally {
    await client.end()
  }
})

test.run()
