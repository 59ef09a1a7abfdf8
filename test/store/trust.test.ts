import { DatabaseSync } from "node:sqlite"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { utf8 } from "../../src/bytes.ts"
import type { TrustStore } from "../../src/service/ports.ts"
import { createSqliteStore, openSqliteStore } from "../../src/store/sqlite.ts"
import { openSqlite } from "../../src/store/sqlite-database.ts"
import { TRUST_BOUNDS } from "../../src/store/trust-state.ts"
import { rejectsCode, throwsCode } from "../support/assert.ts"
import { pendingConformance } from "../support/ports/pending.ts"
import {
  digestOf,
  idOf,
  NOON,
  newAct,
  newAnchor,
  newCommit,
  newCrl,
  newDevice,
  newEk,
  newIntermediate,
  newRecord,
  trustOf,
} from "../support/ports/samples.ts"
import { trustConformance, viewOf } from "../support/ports/trust.ts"
import { scratch } from "./folder.ts"

const test = suite("createSqliteTrust")
const { path, store, quick } = scratch(test)

trustConformance(test, "sqlite", quick)
pendingConformance(test, "sqlite", quick)

const TWO_OF_EACH = {
  anchors: [newAnchor("a"), newAnchor("b")],
  intermediates: [newIntermediate("a"), newIntermediate("b")],
  crls: [newCrl("a", 1), newCrl("b", 1)],
  eks: [newEk("a"), newEk("b")],
}

test("keeps everything over a restart", async () => {
  const file = path()
  const first = openSqliteStore(file)
  await first.trust.importTrust("default", TWO_OF_EACH, newAct("import-trust"))
  await first.trust.notePending("default", { id: idOf("x"), issuer: "CN=x", chain: [digestOf("x")] }, NOON)
  const look = async (trust: TrustStore) => [
    await viewOf(trust),
    await trust.pendingIssuer("default", idOf("x")),
  ]
  const before = await look(first.trust)
  first.close()
  const second = openSqliteStore(file)
  assert.equal(await look(second.trust), before)
  second.close()
})

test("shows S-09 two handles on one file the same generation, and lets neither commit under an older one", async () => {
  const file = path()
  const [one, two] = [openSqliteStore(file), openSqliteStore(file)]
  const { akName } = await one.registry.registerDevice(newDevice("device-1"), newAct("register-device"))
  for (const [i, writer] of [one, two, one, two].entries()) {
    const before = await one.registry.snapshotFor("default", akName)
    await writer.trust.importTrust(
      "default",
      trustOf({ anchors: [newAnchor(`${i}`)] }),
      newAct("import-trust"),
    )
    for (const { trust, registry, journal } of [one, two]) {
      const { generation, anchors } = await trust.trustState("default")
      assert.equal([generation, anchors], [i + 1, i + 1])
      assert.is((await trust.trust("default")).generation, i + 1)
      assert.is((await registry.snapshotFor("default", akName)).trustGeneration, i + 1)
      const revisions = { device: 1, policy: undefined, trust: before.trustGeneration }
      const commit = newCommit({ revisions, known: false })
      await rejectsCode(() => journal.append(newRecord("device-1"), commit), "SNAPSHOT_MOVED")
    }
  }
  const records = await one.journal.records("default")
  assert.not.ok(records.some(({ act }) => act === "verify"))
  one.close()
  two.close()
})

test("refuses S-04 an import that another handle on the file has overtaken", async () => {
  const file = path()
  const [one, two] = [openSqliteStore(file), openSqliteStore(file)]
  const { generation } = await one.trust.importTrust("default", TWO_OF_EACH, newAct("import-trust"))
  const [newer, older] = [trustOf({ crls: [newCrl("a", 3)] }), trustOf({ crls: [newCrl("a", 2)] })]
  await two.trust.importTrust("default", newer, newAct("import-trust"), generation)
  await rejectsCode(
    () => one.trust.importTrust("default", older, newAct("import-trust"), generation),
    "SNAPSHOT_MOVED",
  )
  assert.is((await one.trust.trust("default")).crls[0]?.id, idOf("crl a 3"))
  one.close()
  two.close()
})

test("counts and lists pending issuers without their chains", async () => {
  const database = openSqlite(path())
  const { trust, close } = createSqliteStore(database)
  const chain = [digestOf("leaf")]
  for (let i = 0; i < 10; i++)
    await trust.notePending("default", { id: idOf(`${i}`), issuer: `CN=${i}`, chain }, NOON)
  database.exec("UPDATE pending_issuers SET chain = x'00'") // which nobody can read
  assert.equal(
    [(await trust.pendingIssuers("default")).length, await trust.countPending("default")],
    [10, 10],
  )
  await rejectsCode(() => trust.pendingIssuer("default", idOf("7")), "REGISTRY")
  close()
})

test("reads S-09 nothing of what another process has not committed, and all of what was before", async () => {
  const file = path()
  const { trust, close } = openSqliteStore(file)
  await trust.importTrust("default", TWO_OF_EACH, newAct("import-trust"))
  const before = await viewOf(trust)
  const other = new DatabaseSync(file)
  other.exec("BEGIN IMMEDIATE; DELETE FROM trust_anchors; DELETE FROM listed_eks")
  assert.equal(await viewOf(trust), before)
  await rejectsCode(
    () => trust.importTrust("default", trustOf({ eks: [newEk("c")] }), newAct("import-trust")),
    "REGISTRY",
  )
  await rejectsCode(() => trust.removeTrust("default", idOf("root a"), newAct("remove-trust")), "REGISTRY")
  other.close()
  assert.equal(await viewOf(trust), before)
  await trust.removeTrust("default", idOf("root a"), newAct("remove-trust"))
  close()
})

const issuer = { id: idOf("x"), issuer: "CN=x", chain: [] }
const noInstant = new Date(Number.NaN)
const failures: [what: string, act: (trust: TrustStore) => Promise<unknown>][] = [
  [
    "an import without an instant",
    (trust) =>
      trust.importTrust("default", trustOf({ eks: [newEk("c")] }), newAct("import-trust", { at: noInstant })),
  ],
  [
    "an import with a digest that is none",
    (trust) => {
      const eks = [newEk("c"), newEk("d", { digest: utf8("d") })]
      return trust.importTrust("default", { ...TWO_OF_EACH, eks }, newAct("import-trust"))
    },
  ],
  ["a note without an instant", (trust) => trust.notePending("default", issuer, noInstant)],
]
const readOnlyFailures: typeof failures = [
  [
    "an import",
    (trust) => trust.importTrust("default", trustOf({ anchors: [newAnchor("c")] }), newAct("import-trust")),
  ],
  ["a removal", (trust) => trust.removeTrust("default", idOf("root a"), newAct("remove-trust"))],
  ["a note", (trust) => trust.notePending("default", issuer, NOON)],
  ["a dismissal", (trust) => trust.dismissPending("default", idOf("kept"), newAct("dismiss-issuer"))],
]
for (const isReadOnly of [false, true])
  for (const [what, act] of isReadOnly ? readOnlyFailures : failures)
    test(`leaves all as it was when ${what} fails${isReadOnly ? " where it may only read" : ""}`, async () => {
      const database = openSqlite(path())
      const { trust, close } = createSqliteStore(database)
      await trust.importTrust("default", TWO_OF_EACH, newAct("import-trust"))
      await trust.notePending("default", { ...issuer, id: idOf("kept") }, NOON)
      const look = async () => [await viewOf(trust), await trust.pendingIssuers("default")]
      const before = await look()
      database.exec(`PRAGMA query_only = ${isReadOnly}`)
      await rejectsCode(() => act(trust), "REGISTRY")
      database.exec("PRAGMA query_only = OFF")
      assert.not(database.isTransaction)
      assert.equal(await look(), before)
      close()
    })

test("refuses S-07 an import when the disk is full, and keeps what was there", async () => {
  const database = openSqlite(path())
  const { trust, close } = createSqliteStore(database)
  await trust.importTrust("default", TWO_OF_EACH, newAct("import-trust"))
  const before = await viewOf(trust)
  database.exec("PRAGMA max_page_count = 1") // which SQLite takes as: no page more than now
  const eks = Array.from({ length: 5000 }, (_, i) => newEk(`${i}`))
  const error = await rejectsCode(
    () => trust.importTrust("default", trustOf({ eks }), newAct("import-trust")),
    "REGISTRY",
  )
  assert.match(String(error.cause), /full/)
  assert.not(database.isTransaction)
  assert.equal(await viewOf(trust), before)
  close()
})

test("refuses to bring a generation back", async () => {
  const database = openSqlite(path())
  const { trust, close } = createSqliteStore(database)
  await trust.importTrust("default", TWO_OF_EACH, newAct("import-trust"))
  await trust.removeTrust("default", idOf("root a"), newAct("remove-trust"))
  for (const sql of [
    "UPDATE trust_state SET generation = 1",
    "UPDATE trust_state SET anchors = 0",
    "UPDATE trust_state SET generation = 9, tenant = 'other'",
    "DELETE FROM trust_state",
    "INSERT OR REPLACE INTO trust_state VALUES ('default', 1, 0, 0, 0, 0, 0)",
  ])
    assert.throws(() => database.exec(sql), /never comes back/, sql)
  assert.equal(await trust.trustState("default"), {
    generation: 2,
    anchors: 1,
    intermediates: 2,
    crls: 2,
    eks: 2,
  })
  close()
})

/** Milliseconds of processor that `act` takes: those of the clock depend on who else is busy. */
const costMs = async (act: () => Promise<void>): Promise<number> => {
  const before = process.cpuUsage()
  await act()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}

test("imports a hundred thousand listed keys at once, and finds each at once", async () => {
  const { trust } = store()
  const eks = Array.from({ length: 100_000 }, (_, i) => newEk(`${i}`))
  const importMs = await costMs(async () => {
    assert.is((await trust.importTrust("default", trustOf({ eks }), newAct("import-trust"))).added, 100_000)
  })
  assert.ok(importMs < 2000, `${importMs} ms`)
  const lookupMs = await costMs(async () => {
    for (const { digest, label } of eks.slice(0, 1000))
      assert.is((await trust.listedEk("default", digest))?.label, label)
  })
  assert.ok(lookupMs < 500, `${lookupMs} ms`)
})

test("has room for what the issue names", () => {
  assert.equal(TRUST_BOUNDS, {
    anchors: 10_000,
    intermediates: 20_000,
    crls: 10_000,
    crlBytes: 268_435_456,
    eks: 5_000_000,
  })
})

test("refuses a database whose trust is gone", () => {
  const database = openSqlite(path())
  database.exec("DROP TABLE trust_anchors")
  throwsCode(() => createSqliteStore(database), "REGISTRY")
  database.close()
})

test("refuses everything once it is closed", async () => {
  const { trust, close } = openSqliteStore(path())
  await close()
  for (const ask of [
    () => trust.trustState("default"),
    () => trust.trust("default"),
    () => trust.importTrust("default", TWO_OF_EACH, newAct("import-trust")),
    () => trust.removeTrust("default", idOf("root a"), newAct("remove-trust")),
    () => trust.listedEk("default", digestOf("ek a")),
    () => trust.listedEks("default", undefined, 1),
    () => trust.pendingIssuers("default"),
    () => trust.pendingIssuer("default", idOf("x")),
    () => trust.countPending("default"),
  ])
    await rejectsCode(ask, "REGISTRY")
})

test.run()
