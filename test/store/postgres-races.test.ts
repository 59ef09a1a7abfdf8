/** Several replicas on one PostgreSQL: of what excludes each other one thing happens, and what was decided on holds. */
import { Client } from "pg"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { AssayError } from "../../src/errors.ts"
import type { Store } from "../../src/store/store.ts"
import { rejectsCode } from "../support/assert.ts"
import {
  digestOf,
  NOON,
  newAct,
  newAnchor,
  newCommit,
  newCounters,
  newCrl,
  newDevice,
  newPolicy,
  newRecord,
  trustOf,
} from "../support/ports/samples.ts"
import { needs } from "../support/postgres.ts"
import { SCHEMA, usePostgresStore } from "../support/postgres-store.ts"

const test = suite("replicas on PostgreSQL")
const { server, replicas, query } = usePostgresStore(test)
const check = needs("postgres", test)

const outcomeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => "done",
    (error: unknown) => (error instanceof AssayError ? error.code : String(error)),
  )

/** What became of racing calls: how often each ended how. */
const outcomesOf = async (calls: readonly Promise<unknown>[]): Promise<Readonly<Record<string, number>>> => {
  const counts: Record<string, number> = {}
  for (const how of await Promise.all(calls.map(outcomeOf))) counts[how] = (counts[how] ?? 0) + 1
  return counts
}

/** Calls by all replicas at once, `n` by each. */
const race = (
  stores: readonly Store[],
  n: number,
  act: (store: Store, i: number) => Promise<unknown>,
): Promise<Readonly<Record<string, number>>> =>
  outcomesOf(stores.flatMap((one, s) => Array.from({ length: n }, (_, i) => act(one, s * n + i))))

const racing: [what: string, fresh: (i: number) => ReturnType<typeof newDevice>][] = [
  ["one id", (i) => newDevice("device-1", { akName: digestOf(`ak ${i}`) })],
  ["one attestation key", (i) => newDevice(`device-${i}`, { akName: digestOf("ak") })],
  ["one endorsement key", (i) => newDevice(`device-${i}`, { ek: digestOf("ek") })],
  ["one device", () => newDevice("device-1")],
]
for (const [what, fresh] of racing)
  check(`registers of many that race for ${what} exactly one`, async () => {
    const stores = await replicas()
    const outcomes = await race(stores, 8, (one, i) =>
      one.registry.registerDevice(fresh(i), newAct("register-device")),
    )
    assert.equal(outcomes, { done: 1, DEVICE_EXISTS: 23 })
    assert.equal(await query("SELECT count(*)::int AS n FROM devices"), [{ n: 1 }])
    assert.equal(await query("SELECT count(*)::int AS n FROM journal"), [{ n: 1 }])
    assert.equal(await query("SELECT revision FROM tenants"), [{ revision: "1" }])
  })

check("counts revisions of a policy without a gap, whoever sets them", async () => {
  const stores = await replicas()
  const outcomes = await race(stores, 10, (one, i) =>
    one.registry.setPolicy(newPolicy("base", `document ${i}`), newAct("set-policy")),
  )
  assert.equal(outcomes, { done: 30 })
  assert.equal(await query("SELECT max(revision)::int AS last, count(*)::int AS n FROM policy_documents"), [
    { last: 30, n: 30 },
  ])
  assert.equal(await query("SELECT revision FROM tenants"), [{ revision: "30" }])
})

check("lets S-04 one of racing imports that were compared with the same trust pass", async () => {
  const stores = await replicas()
  const { generation } = await stores[0].trust.trustState("default")
  const outcomes = await race(stores, 3, (one, i) =>
    one.trust.importTrust("default", trustOf({ crls: [newCrl("a", i)] }), newAct("import-trust"), generation),
  )
  assert.equal(outcomes, { done: 1, SNAPSHOT_MOVED: 8 })
  assert.is((await stores[1].trust.trustState("default")).generation, 1)
})

check("counts the records of each writer without a gap, and orders them all", async () => {
  const stores = await replicas()
  for (let round = 0; round < 3; round++)
    await race(stores, 20, (one, i) => one.journal.append(newRecord(`device-${i}`)))
  const rows = await query("SELECT writer, sequence::int FROM journal ORDER BY writer, sequence")
  const writers = [...new Set(rows.map(({ writer }) => writer))]
  assert.is(writers.length, 3)
  assert.equal(
    rows.map(({ sequence }) => sequence),
    writers.flatMap(() => Array.from({ length: 60 }, (_, i) => i + 1)),
  )
  const records = await stores[2].journal.records("default", { limit: 1000 })
  assert.is(records.length, 180)
})

check("adds of racing checkpoints one, and lets of racing prunings one begin the chain anew", async () => {
  const stores = await replicas()
  const [{ archive, journal }] = stores
  for (let i = 0; i < 5; i++) await journal.append(newRecord(`device-${i}`))
  const writer = await archive.writer()
  for (const number of [1, 2]) {
    const checkpoint = { number, sequence: 2 * number, at: NOON, newestAt: NOON }
    const added = await Promise.all(
      stores.map((one, i) =>
        one.archive.addCheckpoint("default", writer, { ...checkpoint, compact: `${i}` }),
      ),
    )
    assert.equal(added.filter(Boolean).length, 1)
  }
  const prune = newRecord("", { act: "prune-journal" })
  const outcomes = await race(stores, 2, (one, i) =>
    one.archive.begin("default", [], [{ writer, number: 1 + (i % 2) }], prune),
  )
  assert.equal(outcomes, { done: 1, SNAPSHOT_MOVED: 5 })
  await Promise.all(stores.map((one) => one.archive.sweep("default", 100)))
  const [chain] = await archive.chains("default")
  assert.is(
    (await archive.records("default", writer, 0, 10))[0]?.sequence,
    1 + (chain?.anchor?.sequence ?? 0),
  )
})

check("never rewinds counters, whichever replica hears of a later boot first", async () => {
  const stores = await replicas()
  await stores[0].registry.registerDevice(newDevice("device-1"), newAct("register-device"))
  const boot = (resetCount: number) => newCommit({ counters: newCounters({ resetCount }), known: true })
  const outcomes = await race(stores, 20, (one, i) => one.journal.append(newRecord("device-1"), boot(59 - i)))
  assert.equal(Object.keys(outcomes).sort(), ["SNAPSHOT_MOVED", "done"])
  assert.is((await stores[0].registry.device("default", "device-1")).counters?.resetCount, 59)
})

check("believes of two first answers from different boots one", async () => {
  const stores = await replicas()
  await stores[0].registry.registerDevice(newDevice("device-1"), newAct("register-device"))
  const first = (resetCount: number) => newCommit({ counters: newCounters({ resetCount }), known: false })
  const outcomes = await race(stores, 1, (one, i) => one.journal.append(newRecord("device-1"), first(i)))
  assert.equal(outcomes, { done: 1, SNAPSHOT_MOVED: 2 })
})

/** A transaction of another replica that has not ended yet. */
const holding = async (
  sql: string,
  during: (end: () => Promise<unknown>) => Promise<void>,
): Promise<void> => {
  const client = new Client({ connectionString: server.url() })
  await client.connect()
  try {
    await client.query(`SET search_path = ${SCHEMA}; BEGIN; ${sql}`)
    await during(() => client.query("COMMIT"))
  } finally {
    await client.end()
  }
}
const CLOSED = "SELECT pg_advisory_xact_lock(hashtextextended('default', 0))"
const soon = (ms = 150): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const underWay: [what: string, sql: string][] = [
  ["the device", "UPDATE devices SET revision = 2"],
  ["its policy", "UPDATE policies SET revision = 2"],
  ["its default policy", "UPDATE default_policies SET policy = 'other'"],
  ["its group's policy", "INSERT INTO group_policies VALUES ('default', 'lab', 'other')"],
  ["the trust", "UPDATE trust_state SET generation = 2"],
]
for (const [what, sql] of underWay)
  check(`refuses S-04 a commit while ${what} is changed, when the change is committed`, async () => {
    const [{ registry, journal, trust }] = await replicas()
    await registry.registerDevice(newDevice("device-1", { group: "lab" }), newAct("register-device"))
    for (const name of ["base", "other"])
      await registry.setPolicy(newPolicy(name, "one"), newAct("set-policy"))
    await registry.assignPolicy("default", "base", { kind: "default" }, newAct("assign-policy"))
    await trust.importTrust("default", trustOf({ anchors: [newAnchor("a")] }), newAct("import-trust"))
    const revisions = { device: 1, policy: { name: "base", revision: 1 }, trust: 1 }
    const commit = newCommit({ revisions, known: true })
    await journal.append(newRecord("device-1"), commit)
    await holding(`${CLOSED}; ${sql}`, async (end) => {
      const appended = outcomeOf(journal.append(newRecord("device-1"), commit))
      assert.is(await Promise.race([appended, soon()]), undefined)
      await end()
      assert.is(await appended, "SNAPSHOT_MOVED")
    })
  })

const LATER = `SELECT pg_advisory_xact_lock_shared(hashtextextended('default', 0));
  SELECT id FROM devices FOR NO KEY UPDATE;
  INSERT INTO counters VALUES ('default', 'device-1', '\\x00000000000003e8', 9, 0, 1, NULL, 1)`
check("refuses S-04 a commit while another replica commits a later boot of the device", async () => {
  const [{ registry, journal }] = await replicas()
  await registry.registerDevice(newDevice("device-1"), newAct("register-device"))
  await registry.registerDevice(newDevice("device-2"), newAct("register-device"))
  await holding(LATER, async (end) => {
    const appended = outcomeOf(journal.append(newRecord("device-1"), newCommit({ known: true })))
    assert.is(await Promise.race([appended, soon()]), undefined)
    await end()
    assert.is(await appended, "SNAPSHOT_MOVED")
  })
  assert.is((await registry.device("default", "device-1")).counters?.resetCount, 9)
})

check("changes S-04 nothing of a tenant between the look and the commit of another replica", async () => {
  const [{ registry }] = await replicas()
  await holding("SELECT pg_advisory_xact_lock_shared(hashtextextended('default', 0))", async (end) => {
    const changed = outcomeOf(registry.setPolicy(newPolicy("base", "one"), newAct("set-policy")))
    await registry.setPolicy(newPolicy("base", "one", "other"), newAct("set-policy"))
    assert.is(await Promise.race([changed, soon()]), undefined)
    await end()
    assert.is(await changed, "done")
  })
})

check("gives up on who holds what it needs, writes nothing, and is ready again by itself", async () => {
  const [{ registry, journal, unready }] = await replicas()
  await registry.registerDevice(newDevice("device-1"), newAct("register-device"))
  await holding(CLOSED, async () => {
    const start = performance.now()
    await Promise.all([
      rejectsCode(() => registry.setPolicy(newPolicy("base", "one"), newAct("set-policy")), "REGISTRY"),
      rejectsCode(() => journal.append(newRecord("device-1"), newCommit({ known: false })), "JOURNAL"),
    ])
    assert.ok(performance.now() - start < 3000)
    await registry.device("default", "device-1") // readers wait for nobody
  })
  assert.equal(await query("SELECT count(*)::int AS n FROM policies"), [{ n: 0 }])
  assert.is((await registry.device("default", "device-1")).counters, undefined)
  assert.match(String(await unready()), /journal cannot be written/)
  for (let i = 0; (await unready()) !== undefined; i += 1) {
    assert.ok(i < 200)
    await soon()
  }
  assert.equal(await query("SELECT count(*)::int AS n FROM service_keys"), [{ n: 0 }])
})

check(
  "keeps readers and other tenants' verifications going, however many changes wait for each other",
  async () => {
    const [{ registry, journal }] = await replicas()
    await registry.registerDevice(newDevice("device-1", { tenant: "other" }), newAct("register-device"))
    await holding("SELECT pg_advisory_xact_lock(hashtextextended('default', 0))", async (end) => {
      const changes = Array.from({ length: 40 }, (_, i) =>
        outcomeOf(registry.setPolicy(newPolicy(`p-${i}`, "one"), newAct("set-policy"))),
      )
      await soon()
      const start = performance.now()
      assert.is((await registry.device("other", "device-1")).revision, 1)
      assert.ok(performance.now() - start < 700, `a reader waited ${performance.now() - start} ms`)
      await journal.append(newRecord("device-1", { tenant: "other" }), newCommit({ known: false }))
      assert.ok(performance.now() - start < 1000, `a verification waited ${performance.now() - start} ms`)
      await end()
      assert.equal(new Set(await Promise.all(changes)), new Set(["done"]))
    })
  },
)

check("shows S-09 all replicas the same generation, and lets none commit under an older one", async () => {
  const stores = await replicas()
  const { akName } = await stores[0].registry.registerDevice(newDevice("device-1"), newAct("register-device"))
  for (const [i, writer] of stores.entries()) {
    const before = await stores[0].registry.snapshotFor("default", akName)
    await writer.trust.importTrust(
      "default",
      trustOf({ anchors: [newAnchor(`${i}`)] }),
      newAct("import-trust"),
    )
    for (const { trust, registry, journal } of stores) {
      assert.is((await trust.trust("default")).generation, i + 1)
      assert.is((await registry.snapshotFor("default", akName)).trustGeneration, i + 1)
      const revisions = { device: 1, policy: undefined, trust: before.trustGeneration }
      const commit = newCommit({ revisions, known: false })
      await rejectsCode(() => journal.append(newRecord("device-1"), commit), "SNAPSHOT_MOVED")
    }
  }
  const records = await stores[0].journal.records("default")
  assert.not.ok(records.some(({ act }) => act === "verify"))
})

test.run()
