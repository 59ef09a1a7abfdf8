import { spawn } from "node:child_process"
import { statSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toBase64Url, toHex } from "../../src/bytes.ts"
import { AssayError } from "../../src/errors.ts"
import { createSqliteStore, openSqliteStore } from "../../src/store/sqlite.ts"
import { openSqlite } from "../../src/store/sqlite-database.ts"
import { rejectsCode } from "../support/assert.ts"
import { journalConformance } from "../support/ports/journal.ts"
import { newAct, newCommit, newDevice, newRecord } from "../support/ports/samples.ts"
import { scratch } from "./folder.ts"

const test = suite("createSqliteJournal")
const { path, store, quick } = scratch(test)

journalConformance(test, "sqlite", quick)

/** How many records another handle, and so anybody after a crash, sees in the file. */
const inFile = (file: string): number => {
  const reader = new DatabaseSync(file)
  const row = reader.prepare("SELECT count(*) AS n FROM journal").get()
  reader.close()
  return Number(row?.["n"])
}

test("resolves only when the record is in the file", async () => {
  const file = path()
  const { journal, close } = openSqliteStore(file)
  const appended = journal.append(newRecord("device-1"))
  assert.is(inFile(file), 0)
  await appended
  assert.is(inFile(file), 1)
  close()
})

test("writes all records of one turn in one transaction", async () => {
  const file = path()
  const { journal, close } = openSqliteStore(file)
  const logBytes = (): number => statSync(`${file}-wal`).size
  const before = logBytes()
  await Promise.all(
    Array.from({ length: 200 }, async (_, i) => {
      await journal.append(newRecord(`device-${i}`))
      assert.is(inFile(file), 200)
    }),
  )
  // Each transaction logs at least one page of 4 KiB.
  assert.ok(logBytes() - before < 100 * 4096, `${logBytes() - before} bytes`)
  close()
})

test("synchronizes with the disk at every commit", () => {
  const database = openSqlite(path())
  const setting = (name: string): unknown => Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0]
  assert.equal([setting("journal_mode"), setting("synchronous"), setting("foreign_keys")], ["wal", 2, 1])
  database.close()
})

test("writes what waits when it is closed", async () => {
  const file = path()
  const { journal, close } = openSqliteStore(file)
  const appended = [journal.append(newRecord("device-1")), journal.append(newRecord("device-2"))]
  const closed = close()
  await Promise.all(appended)
  await closed
  assert.is(inFile(file), 2)
  await rejectsCode(() => journal.append(newRecord("device-3")), "JOURNAL")
  await rejectsCode(() => journal.records("default"), "JOURNAL")
})

test("refuses to change, delete, replace or leave out a record", async () => {
  const database = openSqlite(path())
  const { journal, close } = createSqliteStore(database)
  for (const id of ["device-1", "device-2"]) await journal.append(newRecord(id))
  const columns = "tenant, writer, sequence, at, caller, act, device, outcome, codes, evidence_digest"
  const values = "1, 'c', 'verify', 'd', 'affirming', '[]', x''"
  for (const sql of [
    "UPDATE journal SET outcome = 'affirming'",
    "UPDATE journal SET sequence = 9 WHERE sequence = 2",
    "DELETE FROM journal",
    "DELETE FROM journal WHERE sequence = 2",
    `INSERT OR REPLACE INTO journal (${columns}) VALUES ('default', 'local', 1, ${values})`,
    `REPLACE INTO journal (${columns}) VALUES ('default', 'local', 2, ${values})`,
    `INSERT INTO journal (${columns}) VALUES ('default', 'local', 4, ${values})`,
    `INSERT INTO journal (${columns}) VALUES ('default', 'local', 0, ${values})`,
    `INSERT INTO journal (${columns}) VALUES ('default', 'another', 2, ${values})`,
    `INSERT OR REPLACE INTO journal (position, ${columns}) VALUES (1, 'default', 'local', 3, ${values})`,
  ])
    assert.throws(() => database.exec(sql), /append-only|next record/, sql)
  assert.equal(
    (await journal.records("default")).map(({ device }) => device),
    ["device-1", "device-2"],
  )
  close()
})

test("counts the records of each tenant without a gap, whatever is refused between", async () => {
  const database = openSqlite(path())
  const { journal, registry, close } = createSqliteStore(database)
  await registry.registerDevice(newDevice("device-1"), newAct("register-device"))
  const moved = newCommit({ revisions: { device: 9, policy: undefined, trust: undefined } })
  await Promise.allSettled([
    journal.append(newRecord("device-1")),
    journal.append(newRecord("device-1"), moved),
    journal.append(newRecord("device-1", { tenant: "other" })),
    journal.append(newRecord("device-1")),
  ])
  const rows = database.prepare("SELECT tenant, sequence FROM journal ORDER BY tenant, sequence").all()
  assert.equal(
    rows.map((row) => `${row["tenant"]} ${row["sequence"]}`),
    ["default 1", "default 2", "default 3", "other 1"],
  )
  close()
})

test("refuses a record that cannot be stored without touching the others", async () => {
  const { journal } = store()
  const outcomes = await Promise.allSettled([
    journal.append(newRecord("device-1")),
    journal.append(newRecord("device-2", { at: new Date(Number.NaN) })),
    journal.append(newRecord("device-3")),
  ])
  assert.equal(
    outcomes.map(({ status }) => status),
    ["fulfilled", "rejected", "fulfilled"],
  )
  assert.is((await journal.records("default")).length, 2)
})

test("refuses every waiting record while another process holds the file, each with an error of its own", async () => {
  const file = path()
  const { journal, close } = openSqliteStore(file)
  const other = new DatabaseSync(file)
  other.exec("BEGIN IMMEDIATE")
  const outcomes = await Promise.allSettled(["a", "b", "c"].map((id) => journal.append(newRecord(id))))
  const errors = outcomes.map((outcome) => (outcome.status === "rejected" ? outcome.reason : undefined))
  for (const error of errors) {
    assert.instance(error, AssayError)
    assert.is(error.code, "JOURNAL")
  }
  assert.is(new Set(errors).size, 3)
  other.exec("ROLLBACK")
  other.close()
  assert.is(inFile(file), 0)
  await journal.append(newRecord("a"))
  assert.is(inFile(file), 1)
  close()
})

test("refuses where it may only read, and goes on when it may write", async () => {
  const database = openSqlite(path())
  const { journal, close } = createSqliteStore(database)
  database.exec("PRAGMA query_only = ON")
  await rejectsCode(() => journal.append(newRecord("device-1")), "JOURNAL")
  database.exec("PRAGMA query_only = OFF")
  await journal.append(newRecord("device-1"))
  assert.is((await journal.records("default")).length, 1)
  close()
})

test("refuses S-07 when the disk is full: no record, and no counters either", async () => {
  const database = openSqlite(path())
  const { journal, registry, close } = createSqliteStore(database)
  await registry.registerDevice(newDevice("device-1"), newAct("register-device"))
  database.exec("PRAGMA max_page_count = 1") // which SQLite takes as: no page more than now
  const large = { codes: ["x".repeat(100_000)] }
  const commit = newCommit({ known: false })
  const error = await rejectsCode(() => journal.append(newRecord("device-1", large), commit), "JOURNAL")
  assert.match(String(error.cause), /full/)
  assert.not(database.isTransaction)
  assert.is((await journal.records("default")).length, 1)
  assert.is((await registry.device("default", "device-1")).counters, undefined)
  database.exec("PRAGMA max_page_count = 100000")
  await journal.append(newRecord("device-1", large), commit)
  assert.is((await journal.records("default")).length, 2)
  close()
})

test("keeps S-07 every record that was told to be written when the process is killed", async () => {
  const file = path()
  const child = spawn(process.execPath, [`${import.meta.dirname}/endless-writer.ts`, file], {
    stdio: ["ignore", "pipe", "inherit"],
  })
  const ended = new Promise((resolve) => child.on("close", resolve))
  let told = ""
  for await (const chunk of child.stdout) {
    told += chunk
    if (told.length > 500) child.kill("SIGKILL")
  }
  await ended
  const { journal, close } = openSqliteStore(file)
  const kept = await journal.records("default", { limit: 1000 })
  // Each mark was printed after its append resolved.
  assert.ok(kept.length >= told.length, `${kept.length} kept, ${told.length} told`)
  kept.forEach(({ device }, i) => void assert.is(device, `device-${i}`))
  close()
})

test("gives at most a thousand records, and at least one", async () => {
  const { journal } = store()
  await Promise.all(Array.from({ length: 1100 }, (_, i) => journal.append(newRecord(`device-${i}`))))
  assert.is((await journal.records("default")).length, 100)
  assert.is((await journal.records("default", { limit: 1_000_000 })).length, 1000)
  assert.is((await journal.records("default", { limit: 0 })).length, 1)
  assert.is((await journal.records("default", { limit: -1 })).length, 1)
})

test("has U6 no column for a token, a nonce or a key, and no secret in its errors", async () => {
  const database = openSqlite(path())
  const { journal, close } = createSqliteStore(database)
  const columns = database.prepare("PRAGMA table_info(journal)").all()
  assert.equal(
    columns.map((column) => column["name"]),
    [
      "position",
      "tenant",
      "writer",
      "sequence",
      "at",
      "caller",
      "act",
      "device",
      "outcome",
      "codes",
      "evidence_digest",
      "policy_digest",
      "device_revision",
      "policy_name",
      "policy_revision",
      "token_id",
      "trust_generation",
      "hash",
    ],
  )
  const record = newRecord("device-1", { at: new Date(Number.NaN) })
  const error = await rejectsCode(() => journal.append(record), "JOURNAL")
  for (const part of [toHex(record.evidenceDigest), toBase64Url(record.evidenceDigest)])
    assert.not.match(`${error.message} ${error.cause}`, part)
  close()
})

test.run()
