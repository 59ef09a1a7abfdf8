import { mkdirSync } from "node:fs"
import { dirname } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex } from "../../src/bytes.ts"
import { SCHEMA_STEPS, SCHEMA_VERSION, VERSION_1 } from "../../src/store/schema-sqlite.ts"
import { createSqliteStore, openSqliteStore } from "../../src/store/sqlite.ts"
import { openSqlite } from "../../src/store/sqlite-database.ts"
import { createJournalVerifier } from "../../src/verification/journal/verify.ts"
import { rejectsCode, throwsCode } from "../support/assert.ts"
import { verifyBy } from "../support/journal.ts"
import {
  digestOf,
  NO_ENDORSEMENT,
  newAct,
  newAnchor,
  newCommit,
  newCounters,
  newDevice,
  newRecord,
  trustOf,
} from "../support/ports/samples.ts"
import { scratch } from "./folder.ts"
import { checkReleased, releasedDevice } from "./released-device.ts"
import { SCHEMA_1 } from "./schema-1.ts"

const test = suite("openSqlite of version 1")
const { path } = scratch(test)

const hex = (text: string): string => toHex(digestOf(text))

/** What a version 1 in use left: two devices, one with counters and a policy of its own, three records. */
const ROWS = `
INSERT INTO policies VALUES ('default', 'base', 2), ('default', 'own', 1), ('other', 'base', 1);
INSERT INTO policy_documents VALUES
  ('default', 'base', 1, 'one', x'${hex("one")}'), ('default', 'base', 2, 'two', x'${hex("two")}'),
  ('default', 'own', 1, 'mine', x'${hex("mine")}'), ('other', 'base', 1, 'theirs', x'${hex("theirs")}');
INSERT INTO default_policies VALUES ('default', 'base');
INSERT INTO devices VALUES
  ('default', 'device-1', x'0123', x'${hex("name of device-1")}', x'${hex("q")}', 'own', 2, 1000),
  ('default', 'device-2', x'4567', x'${hex("name of device-2")}', NULL, NULL, 1, 2000),
  ('other', 'device-1', x'89ab', x'${hex("name of device-1")}', NULL, NULL, 1, 3000);
INSERT INTO counters VALUES
  ('default', 'device-1', x'ffffffffffffffff', 5, 2, 1, x'2019102300163636', 4000);
INSERT INTO journal VALUES
  ('default', 1, 1000, 'operator', 'register-device', 'device-1', 'done', '[]', x'01', NULL, 1, NULL, NULL, NULL),
  ('default', 2, 4000, 'gateway', 'verify', 'device-1', 'affirming', '["A","B"]', x'02', x'${hex("mine")}', 2, 'own', 1,
   'token-1'),
  ('other', 1, 3000, 'operator', 'register-device', 'device-1', 'done', '[]', x'03', NULL, 1, NULL, NULL, NULL);
`

/** A file of version 1, changed by `sql`. */
const oldFile = (sql = ROWS): string => {
  const file = path()
  mkdirSync(dirname(file))
  const database = new DatabaseSync(file)
  database.exec(`PRAGMA journal_mode = WAL; ${SCHEMA_1} ${sql}`)
  database.close()
  return file
}

/** What makes the schema, without the order in which it was made. */
const schemaOf = (database: DatabaseSync): unknown =>
  database.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name").all()

const versionOf = (database: DatabaseSync): unknown =>
  database.prepare("PRAGMA user_version").get()?.["user_version"]

test("keeps the released text of version 1", () => {
  assert.is(`${VERSION_1}PRAGMA user_version = 1;\n`, SCHEMA_1)
})

test("makes of it what a new file has", () => {
  const [upgraded, fresh] = [openSqlite(oldFile()), openSqlite(path())]
  assert.equal(schemaOf(upgraded), schemaOf(fresh))
  assert.equal([versionOf(upgraded), versionOf(fresh)], [SCHEMA_VERSION, SCHEMA_VERSION])
  assert.equal(
    upgraded.prepare("PRAGMA integrity_check").all(),
    fresh.prepare("PRAGMA integrity_check").all(),
  )
  assert.equal(upgraded.prepare("PRAGMA foreign_key_check").all(), [])
  upgraded.close()
  fresh.close()
})

test("keeps its devices, counters and policies", async () => {
  const { registry, close } = openSqliteStore(oldFile())
  const { device, policy, trustGeneration, anchors } = await registry.snapshotFor(
    "default",
    digestOf("name of device-1"),
  )
  assert.equal(device, {
    tenant: "default",
    id: "device-1",
    akPublic: Uint8Array.of(0x01, 0x23),
    akName: digestOf("name of device-1"),
    qualifiedName: digestOf("q"),
    ek: undefined,
    binding: "operator",
    endorsement: NO_ENDORSEMENT,
    group: "",
    labels: new Map(),
    claimedName: "",
    state: "active",
    policy: "own",
    revision: 2,
    createdAt: new Date(1000),
    token: undefined,
    permit: undefined,
    lastResult: undefined,
    counters: newCounters({ clockMs: 2n ** 64n - 1n, recordedAt: new Date(4000) }),
  })
  assert.equal([policy?.document, trustGeneration, anchors], ["mine", 0, 0])
  const second = await registry.snapshotFor("default", digestOf("name of device-2"))
  assert.equal(
    [second.device.id, second.device.counters, second.policy?.revision],
    ["device-2", undefined, 2],
  )
  assert.is((await registry.snapshotFor("other", digestOf("name of device-1"))).policy, undefined)
  assert.is((await registry.policy("other", "base")).document, "theirs")
  close()
})

test("chains its records as they are found, and goes on in their chains", async () => {
  const { journal, archive, close } = openSqliteStore(oldFile())
  await journal.append(newRecord("device-1"))
  for (const [tenant, count] of [
    ["default", 3],
    ["other", 1],
  ] as const) {
    const [chain] = await archive.chains(tenant)
    const writer = chain?.writer ?? ""
    const records = await archive.records(tenant, writer, 0, 10)
    const verifier = createJournalVerifier({ tenant, issuer: undefined, verify: verifyBy(), heads: [] })
    for (const record of records) verifier.take({ kind: "record", ...record })
    assert.equal(
      verifier.end().chains.map(({ first, last }) => [first, last]),
      [[1, count]],
    )
    assert.equal(
      [chain?.head.sequence, toHex(chain?.head.hash ?? digestOf(""))],
      [count, toHex(records.at(-1)?.hash ?? digestOf(""))],
    )
  }
  assert.equal((await archive.chains("default"))[0]?.newestAt, newRecord("").at)
  assert.equal((await archive.chains("other"))[0]?.newestAt, new Date(3000))
  close()
})

test("keeps its journal, and goes on in it", async () => {
  const { registry, trust, journal, close } = openSqliteStore(oldFile())
  const records = await journal.records("default")
  assert.equal(
    records.map(({ act, device, codes, revisions, tokenId }) => [act, device, codes, revisions, tokenId]),
    [
      ["register-device", "device-1", [], { device: 1, policy: undefined, trust: undefined }, undefined],
      [
        "verify",
        "device-1",
        ["A", "B"],
        { device: 2, policy: { name: "own", revision: 1 }, trust: undefined },
        "token-1",
      ],
    ],
  )
  await trust.importTrust("default", trustOf({ anchors: [newAnchor("a")] }), newAct("import-trust"))
  const revisions = { device: 2, policy: { name: "own", revision: 1 }, trust: 1 }
  const later = newCounters({ resetCount: 6 })
  const commit = newCommit({ revisions, counters: later })
  await journal.append(newRecord("device-1", { revisions }), commit)
  assert.is((await journal.records("default")).at(-1)?.revisions?.trust, 1)
  assert.equal((await registry.device("default", "device-1")).counters, later)
  assert.is((await journal.records("other")).length, 1)
  close()
})

test("takes new devices beside the old ones", async () => {
  const { registry, close } = openSqliteStore(oldFile())
  const endorsement = { ...NO_ENDORSEMENT, akCertificateChain: [digestOf("leaf")] }
  await registry.registerDevice(newDevice("device-3", { endorsement }), newAct("register-device"))
  await rejectsCode(
    () => registry.registerDevice(newDevice("device-2"), newAct("register-device")),
    "DEVICE_EXISTS",
  )
  assert.equal((await registry.device("default", "device-3")).endorsement, endorsement)
  close()
})

const forbidden: [what: string, sql: string][] = [
  ["change a record", "UPDATE journal SET outcome = 'affirming'"],
  ["give an old record a generation", "UPDATE journal SET trust_generation = 1 WHERE sequence = 1"],
  ["delete a record", "DELETE FROM journal WHERE sequence = 2"],
  [
    "replace a record",
    `INSERT OR REPLACE INTO journal (tenant, sequence, at, caller, act, device, outcome, codes, evidence_digest)
     VALUES ('default', 2, 1, 'c', 'verify', 'd', 'affirming', '[]', x'')`,
  ],
  [
    "leave out a number",
    `INSERT INTO journal (tenant, sequence, at, caller, act, device, outcome, codes, evidence_digest)
     VALUES ('default', 4, 1, 'c', 'verify', 'd', 'affirming', '[]', x'')`,
  ],
  ["change a document", "UPDATE policy_documents SET document = 'anything goes'"],
  ["delete a document", "DELETE FROM policy_documents"],
]
test("refuses afterwards, as before, to change what only grows", () => {
  const database = openSqlite(oldFile())
  for (const [what, sql] of forbidden)
    assert.throws(() => database.exec(sql), /append-only|next record|never changes/, what)
  database.close()
})

test("keeps the devices of version 4 with the digests that they have", async () => {
  const file = path()
  mkdirSync(dirname(file))
  const database = new DatabaseSync(file)
  database.exec("PRAGMA journal_mode = WAL")
  for (const step of SCHEMA_STEPS.slice(0, 4)) step(database)
  database.exec(`${releasedDevice((hex) => `x'${hex}'`)}; PRAGMA user_version = 4`)
  database.close()
  const store = openSqliteStore(file)
  await checkReleased(store)
  store.close()
})

test("finds the records of a device that version 6 wrote, and goes on in their chain", async () => {
  const file = path()
  mkdirSync(dirname(file))
  const database = new DatabaseSync(file)
  database.exec("PRAGMA journal_mode = WAL")
  for (const step of SCHEMA_STEPS.slice(0, 6)) step(database)
  const head = new Uint8Array(32).fill(7)
  const insert = database.prepare(`INSERT INTO journal VALUES
    (NULL, 'default', 'local', ?, 0, 'c', 'verify', ?, 'affirming', '[]', x'', NULL, NULL, NULL, NULL, NULL, NULL, ?)`)
  for (let i = 1; i <= 1500; i += 1) insert.run(i, i % 500 === 0 ? "device-1" : "other", head)
  database.prepare("INSERT INTO journal_heads VALUES ('default', 'local', 1500, ?, 0)").run(head)
  database.exec("PRAGMA user_version = 6")
  database.close()
  const { journal, archive, close } = openSqliteStore(file)
  await journal.append(newRecord("device-1"))
  const { records } = await archive.list("default", { device: "device-1" }, undefined, 10)
  assert.equal(
    records.map(({ sequence }) => sequence),
    [1501, 1500, 1000, 500],
  )
  close()
})

test("upgrades an empty file of version 1, and a file once", async () => {
  const file = oldFile("")
  openSqlite(file).close()
  const database = openSqlite(file)
  assert.is(versionOf(database), SCHEMA_VERSION)
  assert.equal(await createSqliteStore(database).trust.trustState("default"), {
    generation: 0,
    anchors: 0,
    intermediates: 0,
    crls: 0,
    eks: 0,
  })
  database.close()
})

const halfway: [what: string, sql: string][] = [
  ["a table of the new version is there already", "CREATE TABLE pending_issuers (a)"],
  ["a column of the new version is there already", "ALTER TABLE journal ADD COLUMN trust_generation INTEGER"],
  ["a table of version 1 is gone", "DROP TABLE journal"],
]
for (const [what, sql] of halfway)
  test(`refuses S-09 to upgrade a file by half: ${what}`, () => {
    const file = oldFile(sql)
    const look = (): unknown => {
      const database = new DatabaseSync(file)
      const found = [versionOf(database), schemaOf(database)]
      database.close()
      return found
    }
    const before = look()
    throwsCode(() => openSqlite(file), "REGISTRY")
    assert.equal(look(), before)
  })

test("refuses S-09 to upgrade while another process writes, and does it afterwards", () => {
  const file = oldFile()
  const other = new DatabaseSync(file)
  other.exec("BEGIN IMMEDIATE")
  throwsCode(() => openSqlite(file), "REGISTRY")
  assert.is(versionOf(other), 1)
  other.exec("ROLLBACK")
  other.close()
  const database = openSqlite(file)
  assert.is(versionOf(database), SCHEMA_VERSION)
  database.close()
})

test.run()
