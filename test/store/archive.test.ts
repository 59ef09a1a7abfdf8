import { DatabaseSync } from "node:sqlite"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { selectDeviceStretch } from "../../src/store/archive-statements.ts"
import { createSqliteStore, openSqliteStore } from "../../src/store/sqlite.ts"
import { openSqlite } from "../../src/store/sqlite-database.ts"
import { parametersOf } from "../../src/store/statement.ts"
import { createJournalVerifier } from "../../src/verification/journal/verify.ts"
import { rejectsCode } from "../support/assert.ts"
import { verifyBy } from "../support/journal.ts"
import { archiveConformance } from "../support/ports/archive.ts"
import { afterNoon, newAct, newCommit, newDevice, newPolicy, newRecord } from "../support/ports/samples.ts"
import { damage, scratch } from "./folder.ts"

const test = suite("createArchive")
const { path, store } = scratch(test)

archiveConformance(test, "sqlite", () => {
  const { journal, archive } = store()
  return { archive, append: (record) => journal.append(record) }
})

type Store = ReturnType<typeof openSqliteStore>
const verified = async ({ archive }: Store, tenant = "default") => {
  const verifier = createJournalVerifier({ tenant, issuer: undefined, verify: verifyBy(), heads: [] })
  for (const { writer } of await archive.chains(tenant))
    for (let after = 0, more = true; more; ) {
      const records = await archive.records(tenant, writer, after, 1000)
      for (const record of records) verifier.take({ kind: "record", ...record })
      after += records.length
      more = records.length > 0
    }
  return verifier.end()
}

test("chains acts and decisions alike, over several lives of a process", async () => {
  const file = path()
  for (let life = 0; life < 3; life += 1) {
    const open = openSqliteStore(file)
    await open.registry.registerDevice(newDevice(`device-${life}`), newAct("register-device"))
    await open.registry.setPolicy(newPolicy("base", `document ${life}`), newAct("set-policy"))
    await Promise.all(
      Array.from({ length: 10 }, () =>
        open.journal.append(
          newRecord(`device-${life}`),
          newCommit({ device: `device-${life}`, known: false }),
        ),
      ),
    )
    assert.is((await verified(open)).records, 12 * (life + 1))
    await open.close()
  }
})

test("leaves no gap where a record of a group is refused", async () => {
  const open = store()
  await Promise.allSettled([
    open.journal.append(newRecord("device-1")),
    open.journal.append(newRecord("device-2"), newCommit()),
    open.journal.append(newRecord("device-3", { at: new Date(Number.NaN) })),
    open.journal.append(newRecord("device-\ud800")),
    open.journal.append(newRecord("device-4")),
  ])
  assert.is((await verified(open)).records, 2)
})

test("keeps two processes in one chain, one after another", async () => {
  const file = path()
  const [one, other] = [openSqliteStore(file), openSqliteStore(file)]
  for (let i = 0; i < 5; i += 1) {
    await one.journal.append(newRecord("device-1"))
    await other.journal.append(newRecord("device-2"))
  }
  const { chains, records } = await verified(one)
  assert.equal([chains.length, records], [1, 10])
  await one.close()
  await other.close()
})

const rewrites: [what: string, sql: string][] = [
  ["the last record written anew", "UPDATE journal_heads SET hash = zeroblob(32)"],
  ["records cut off", "UPDATE journal_heads SET sequence = 2"],
  ["all records cut off", "UPDATE journal_heads SET sequence = 0, hash = zeroblob(32)"],
]
for (const [what, sql] of rewrites)
  test(`writes nothing behind a chain with ${what} while it runs`, async () => {
    const file = path()
    const open = openSqliteStore(file)
    await open.registry.registerDevice(newDevice("device-1"), newAct("register-device"))
    for (let i = 0; i < 3; i += 1) await open.journal.append(newRecord("device-1"))
    damage(file, `DROP TRIGGER journal_heads_update; ${sql}`)
    const error = await rejectsCode(() => open.journal.append(newRecord("device-1")), "JOURNAL")
    assert.match(String(error.cause), /not the one that was written/)
    await open.close()
  })

test("goes on behind what another process wrote meanwhile, and behind what was undone", async () => {
  const file = path()
  const open = openSqliteStore(file)
  await open.journal.append(newRecord("device-1"))
  const other = new DatabaseSync(file)
  other.exec("BEGIN IMMEDIATE")
  await rejectsCode(() => open.journal.append(newRecord("device-2")), "JOURNAL")
  other.exec("ROLLBACK")
  other.close()
  await open.journal.append(newRecord("device-3"))
  assert.is((await verified(open)).records, 2)
  await open.close()
})

const forbidden: [what: string, sql: string][] = [
  ["a record below no beginning", "DELETE FROM journal WHERE sequence = 5"],
  ["a record at the end", "DELETE FROM journal WHERE sequence = 12"],
  ["a checkpoint that a chain begins with", "DELETE FROM journal_checkpoints WHERE number = 1"],
  ["a later checkpoint", "DELETE FROM journal_checkpoints WHERE number = 2"],
  ["a beginning", "DELETE FROM journal_anchors"],
  ["a head", "DELETE FROM journal_heads"],
  ["a head's past", "UPDATE journal_heads SET sequence = 4"],
  ["a checkpoint's text", "UPDATE journal_checkpoints SET compact = 'x'"],
  ["a beginning's place, backwards", "UPDATE journal_anchors SET number = 0, sequence = 0"],
  ["a checkpoint's number", "INSERT INTO journal_checkpoints VALUES ('default', 'local', 1, 4, 'x', 0, 0)"],
  [
    "the order of checkpoints",
    "INSERT INTO journal_checkpoints VALUES ('default', 'local', 9, 4, 'x', 0, 0)",
  ],
  [
    "a checkpoint, by replacing it",
    "INSERT OR REPLACE INTO journal_checkpoints VALUES ('default', 'local', 2, 8, 'x', 0, 0)",
  ],
  ["the epoch, backwards", "UPDATE store_epoch SET epoch = 0"],
  ["the epoch, by taking it away", "DELETE FROM store_epoch"],
]
for (const [what, sql] of forbidden)
  test(`lets nobody change or remove ${what}`, async () => {
    const database = openSqlite(path())
    const { journal, archive, close } = createSqliteStore(database)
    for (let i = 0; i < 12; i += 1) await journal.append(newRecord(`device-${i}`, { at: afterNoon(i) }))
    for (const [i, sequence] of [4, 8].entries())
      await archive.addCheckpoint("default", "local", {
        number: i + 1,
        sequence,
        compact: "x",
        at: afterNoon(0),
        newestAt: afterNoon(0),
      })
    await archive.begin(
      "default",
      [],
      [{ writer: "local", number: 1 }],
      newRecord("", { act: "prune-journal" }),
    )
    while ((await archive.sweep("default", 1000)) > 0);
    assert.throws(() => database.exec(sql), /append-only|never|next|constraint/i)
    await close()
  })

test("lets a chain go on behind what was removed altogether, and nowhere else", async () => {
  const database = openSqlite(path())
  const { journal, close } = createSqliteStore(database)
  for (let i = 0; i < 5; i += 1) await journal.append(newRecord(`device-${i}`))
  database.exec(`
    INSERT INTO journal_checkpoints VALUES ('default', 'local', 1, 5, 'x', 0, 0);
    INSERT INTO journal_anchors VALUES ('default', 'local', 1, 5);
    DELETE FROM journal`)
  const record = `SELECT NULL, 'default', 'local', ?, 0, 'gateway', 'verify', 'device-1', 'affirming', '[]', x'',
    NULL, NULL, NULL, NULL, NULL, NULL, zeroblob(32)`
  for (const sequence of [0, 1, 5, 7])
    assert.throws(() => database.prepare(`INSERT INTO journal ${record}`).run(sequence), /next record/)
  await journal.append(newRecord("device-6"))
  assert.is(database.prepare("SELECT max(sequence) AS last FROM journal").get()?.["last"], 6)
  await close()
})

test("looks through no more than so much for one page, and goes on from there", async () => {
  const { journal, archive } = store()
  await journal.append(newRecord("first", { act: "suspend-device" }))
  await Promise.all(Array.from({ length: 6000 }, (_, i) => journal.append(newRecord(`device-${i}`))))
  const first = await archive.list("default", { act: "suspend-device" }, undefined, 10)
  assert.equal(first.records, [])
  const second = await archive.list("default", { act: "suspend-device" }, first.next, 10)
  assert.equal(
    second.records.map(({ content }) => content.device),
    ["first"],
  )
  assert.is(second.next, undefined)
})

/** A store with records of its one chain, each of a device and at a position. */
const scattered = (...records: readonly (readonly [device: string, position: number])[]) => {
  const database = openSqlite(path())
  const insert = database.prepare(
    `INSERT INTO journal SELECT ?, 'default', 'local', 1 + coalesce(max(sequence), 0), 0, 'gateway', 'verify', ?,
       'affirming', '[]', x'', NULL, NULL, NULL, NULL, NULL, NULL, zeroblob(32) FROM journal`,
  )
  for (const [device, position] of records) insert.run(position, device)
  return { database, ...createSqliteStore(database) }
}
const positionsOf = ({ records }: { readonly records: readonly { readonly position: number }[] }) =>
  records.map(({ position }) => position)

test("finds the records of a device on both sides of where a stretch of its index ends", async () => {
  const places = [1, 2, 511, 512, 513, 1023, 1024, 1025, 5000]
  const { archive, close } = scattered(...places.map((at) => ["device-1", at] as const), ["other", 5001])
  const filter = { device: "device-1" }
  assert.equal(positionsOf(await archive.list("default", filter, undefined, 1000)), places.toReversed())
  for (const before of [1, 2, 511, 512, 513, 514, 1023, 1024, 1025, 1026, 6000]) {
    const page = await archive.list("default", filter, before, 2)
    assert.equal(
      positionsOf(page),
      places
        .filter((at) => at < before)
        .toReversed()
        .slice(0, 2),
    )
  }
  await close()
})

test("looks through no more than so much for one page of a device, and goes on from there", async () => {
  const { archive, close } = scattered(["rare", 1], ["rare", 600_000], ["other", 1_000_000])
  const filter = { device: "rare" }
  const first = await archive.list("default", filter, undefined, 10)
  assert.equal(positionsOf(first), [600_000])
  assert.ok(first.next !== undefined && first.next > 480_000 && first.next < 490_000)
  const second = await archive.list("default", filter, first.next, 10)
  assert.equal([positionsOf(second), second.next], [[1], undefined])
  await close()
})

test("looks for records of a device no further back than the oldest one that is kept", async () => {
  const { archive, close } = scattered(["other", 1_000_000_000], ["device-1", 1_000_000_001])
  const page = await archive.list("default", { device: "device-1" }, undefined, 10)
  assert.equal([positionsOf(page), page.next], [[1_000_000_001], undefined])
  await close()
})

test("finds the records of a device by its index, in their order", () => {
  const { database, close } = scattered()
  const { text, values } = selectDeviceStretch({ tenant: "default", device: "a", stretch: 1, before: 700 })
  const compiled = text.build("sqlite")
  assert.ok(compiled)
  const plan = database.prepare(`EXPLAIN QUERY PLAN ${compiled.sql}`).all(...parametersOf(compiled, values))
  const [step, ...others] = plan.map(({ detail }) => detail)
  assert.match(
    String(step),
    /USING INDEX journal_stretch \(tenant=\? AND <expr>=\? AND device=\? AND rowid<\?\)/,
  )
  assert.equal(others, [])
  close()
})

test("finds the beginning of a time span among many, without an index of instants", async () => {
  const { journal, archive } = store()
  const minute = (n: number): Date => afterNoon(n * 60_000)
  // As it comes from several calls at a time: up to some seconds out of order.
  const records = Array.from({ length: 3000 }, (_, i) =>
    newRecord(`device-${i}`, { at: new Date(minute(i).getTime() - (i % 7) * 1000) }),
  )
  for (const record of records) void journal.append(record)
  await journal.flush()
  for (const [since, until] of [
    [100, 110],
    [0, 1],
    [2990, 3010],
    [1500, 1500],
  ] as const) {
    const { records: found } = await archive.list(
      "default",
      { since: minute(since), until: minute(until) },
      undefined,
      1000,
    )
    const expected = records.filter(({ at }) => at >= minute(since) && at < minute(until))
    assert.equal(
      found.map(({ content }) => content.device).reverse(),
      expected.map(({ device }) => device),
    )
  }
})

test.run()
