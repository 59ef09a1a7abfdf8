/** What only grows, or only moves on, is kept by PostgreSQL itself, whoever writes. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { rejectsCode } from "../support/assert.ts"
import {
  digestOf,
  newAct,
  newAnchor,
  newCommit,
  newDevice,
  newPolicy,
  newRecord,
  trustOf,
} from "../support/ports/samples.ts"
import { needs } from "../support/postgres.ts"
import { usePostgresStore } from "../support/postgres-store.ts"

const test = suite("tables in PostgreSQL")
const { store, query, damage } = usePostgresStore(test)
const check = needs("postgres", test)

const rejects = async (sql: string, reason: RegExp): Promise<void> => {
  const message = await query(sql).then(
    () => "nothing",
    (error: unknown) => String(error),
  )
  assert.match(message, reason, sql)
}

const HASH = `'\\x${"00".repeat(32)}'`
const RECORD = "tenant, writer, sequence, at, caller, act, device, outcome, codes, evidence_digest, hash"
const RECORDED = `1, 'c', 'verify', 'd', 'affirming', '[]', '', ${HASH}`
const kept: [what: string, reason: RegExp, sqls: readonly string[]][] = [
  [
    "the journal",
    /append-only|next record|duplicate|non-DEFAULT/,
    [
      "DELETE FROM journal WHERE writer = 'w' AND sequence = 3",
      "UPDATE journal SET outcome = 'affirming'",
      "UPDATE journal SET sequence = 9 WHERE sequence = 2",
      "DELETE FROM journal",
      "DELETE FROM journal WHERE sequence = 2",
      "TRUNCATE journal",
      `INSERT INTO journal (${RECORD}) VALUES ('default', 'w', 1, ${RECORDED})
         ON CONFLICT (tenant, writer, sequence) DO UPDATE SET outcome = 'affirming'`,
      `INSERT INTO journal (${RECORD}) VALUES ('default', 'w', 5, ${RECORDED})`,
      `INSERT INTO journal (${RECORD}) VALUES ('default', 'w', 0, ${RECORDED})`,
      `INSERT INTO journal (${RECORD}) VALUES ('default', 'other', 2, ${RECORDED})`,
      `INSERT INTO journal (position, ${RECORD}) VALUES (1, 'default', 'other', 1, ${RECORDED})`,
    ],
  ],
  [
    "documents of policies",
    /never changes|later revision|duplicate/,
    [
      "UPDATE policy_documents SET document = 'two'",
      "DELETE FROM policy_documents",
      "TRUNCATE policy_documents",
      `INSERT INTO policy_documents VALUES ('default', 'base', 1, 'two', '\\x${"00".repeat(32)}')
         ON CONFLICT (tenant, name, revision) DO UPDATE SET document = 'two'`,
      `INSERT INTO policy_documents VALUES ('default', 'base', 2, 'again', ${HASH})`,
      `INSERT INTO policy_documents VALUES ('default', 'base', 1, 'again', ${HASH})`,
    ],
  ],
  [
    "revisions",
    /never comes back|duplicate/,
    [
      "UPDATE tenants SET revision = 1",
      "UPDATE tenants SET revision = revision",
      "UPDATE tenants SET tenant = 'other', revision = revision + 1",
      "DELETE FROM tenants",
      "TRUNCATE tenants",
      "INSERT INTO tenants VALUES ('default', 1)",
      "UPDATE policies SET revision = revision - 1",
      "UPDATE policies SET name = 'other', revision = revision + 1",
      "DELETE FROM policies",
      "TRUNCATE policies CASCADE",
    ],
  ],
  [
    "generations of trust",
    /never comes back|duplicate/,
    [
      "UPDATE trust_state SET generation = 1",
      "UPDATE trust_state SET anchors = 0",
      "UPDATE trust_state SET tenant = 'other', generation = generation + 1",
      "DELETE FROM trust_state",
      "TRUNCATE trust_state",
    ],
  ],
  [
    "what the journal's chains stand on",
    /never goes back|never changes|never comes back|next checkpoint|duplicate/,
    [
      "DELETE FROM journal_heads",
      "UPDATE journal_heads SET sequence = 1",
      "UPDATE journal_heads SET writer = 'other', sequence = 99",
      "TRUNCATE journal_heads CASCADE",
      "UPDATE journal_checkpoints SET compact = 'x'",
      "DELETE FROM journal_checkpoints WHERE number = 2",
      "DELETE FROM journal_checkpoints WHERE number = 3",
      "TRUNCATE journal_checkpoints CASCADE",
      "INSERT INTO journal_checkpoints VALUES ('default', 'w', 2, 9, 'x', 0, 0)",
      "INSERT INTO journal_checkpoints VALUES ('default', 'w', 4, 2, 'x', 0, 0)",
      "DELETE FROM journal_anchors",
      "UPDATE journal_anchors SET number = 1, sequence = 1",
      "UPDATE journal_anchors SET number = 3, sequence = 1",
      "UPDATE journal_anchors SET writer = 'other', number = 3, sequence = 3",
      "TRUNCATE journal_anchors",
      "UPDATE store_epoch SET epoch = 0",
      "DELETE FROM store_epoch",
      "TRUNCATE store_epoch",
    ],
  ],
  [
    "ids that were given, and what was revoked",
    /given again|taken back|next revocation|duplicate/,
    [
      "UPDATE removed_devices SET id = 'other'",
      "DELETE FROM removed_devices",
      "TRUNCATE removed_devices",
      "UPDATE revocations SET from_revision = 1",
      "DELETE FROM revocations",
      "TRUNCATE revocations",
      "INSERT INTO revocations VALUES ('default', 4, 'device-2', 2, 1)",
      "INSERT INTO revocations VALUES ('default', 5, 'device-1', 2, 1)",
    ],
  ],
]
const KEPT = [
  "journal",
  "journal_heads",
  "journal_checkpoints",
  "journal_anchors",
  "store_epoch",
  "policy_documents",
  "tenants",
  "policies",
  "trust_state",
  "removed_devices",
  "revocations",
]
for (const [what, reason, sqls] of kept)
  check(`refuses S-03 to take back ${what}, and keeps what is there`, async () => {
    const { registry, trust, journal } = await store()
    await registry.registerDevice(newDevice("device-1"), newAct("register-device"))
    for (const document of ["one", "two"])
      await registry.setPolicy(newPolicy("base", document), newAct("set-policy"))
    await trust.importTrust("default", trustOf({ anchors: [newAnchor("a")] }), newAct("import-trust"))
    await query(`
      INSERT INTO removed_devices VALUES ('default', 'device-0', 1);
      INSERT INTO revocations VALUES ('default', 5, 'device-1', 2, 1);
      INSERT INTO journal (${RECORD}) VALUES ${[1, 2, 3].map((n) => `('default', 'w', ${n}, ${RECORDED})`).join()};
      INSERT INTO journal_heads VALUES ('default', 'w', 3, ${HASH}, 1);
      INSERT INTO journal_checkpoints VALUES ${[1, 2, 3].map((n) => `('default', 'w', ${n}, ${n}, 'x', 0, 0)`).join()};
      INSERT INTO journal_anchors VALUES ('default', 'w', 2, 2)`)
    const look = async () =>
      Promise.all(KEPT.map((table) => query(`SELECT t::text FROM ${table} AS t ORDER BY 1`)))
    const before = await look()
    for (const sql of sqls) await rejects(sql, reason)
    assert.equal(await look(), before)
    assert.ok((await journal.records("default")).length > 0)
  })

const damages: [what: string, sql: string][] = [
  ["a changed document", "UPDATE policy_documents SET document = 'anything goes'"],
  [
    "a flipped bit in a document's digest",
    "UPDATE policy_documents SET digest = set_bit(digest, 9, 1 - get_bit(digest, 9))",
  ],
  ["a revision without its document", "UPDATE policies SET revision = 2"],
  [
    "a flipped bit in a device's key",
    "UPDATE devices SET ak_public = set_bit(ak_public, 3, 1 - get_bit(ak_public, 3))",
  ],
  ["a device in another state", "UPDATE devices SET state = 'revoked'"],
  ["a label that its device never had", 'UPDATE devices SET labels = \'[["a","b"]]\''],
  ["a firmware version cut short", "UPDATE counters SET firmware_version = '\\x00'"],
  ["a clock that is no number", "UPDATE counters SET clock_ms = ''"],
  ["a count beyond what a number holds", "UPDATE policies SET revision = 9007199254740993"],
]
for (const [what, sql] of damages)
  check(`refuses S-03 to judge by ${what}`, async () => {
    const { registry, journal } = await store()
    const { akName } = await registry.registerDevice(newDevice("device-1"), newAct("register-device"))
    await registry.setPolicy(newPolicy("base", "one"), newAct("set-policy"))
    await registry.assignPolicy("default", "base", { kind: "default" }, newAct("assign-policy"))
    const revisions = { device: 1, policy: { name: "base", revision: 1 }, trust: undefined }
    await journal.append(newRecord("device-1"), newCommit({ revisions, known: false }))
    await registry.snapshotFor("default", akName)
    await damage(`ALTER TABLE counters DROP CONSTRAINT IF EXISTS counters_clock_ms_check,
      DROP CONSTRAINT IF EXISTS counters_firmware_version_check; ${sql}`)
    await rejectsCode(() => registry.snapshotFor("default", akName), "REGISTRY")
  })

const trustDamages: [what: string, sql: string][] = [
  ["an anchor that is gone", "DELETE FROM trust_anchors"],
  [
    "a flipped bit in an anchor",
    "UPDATE trust_anchors SET certificate = set_bit(certificate, 7, 1 - get_bit(certificate, 7))",
  ],
  ["an anchor that is for something else", "UPDATE trust_anchors SET purpose = 'ak'"],
  ["an anchor of another tenant", "UPDATE trust_anchors SET tenant = 'other'"],
  ["trust that was never counted", "DELETE FROM trust_state"],
]
for (const [what, sql] of trustDamages)
  check(`refuses S-03 to trust ${what}`, async () => {
    const { trust } = await store()
    await trust.importTrust("default", trustOf({ anchors: [newAnchor("a")] }), newAct("import-trust"))
    await trust.trust("default")
    await damage(sql)
    await rejectsCode(() => trust.trust("default"), "REGISTRY")
  })

check("refuses S-03 a document that its digest does not name, and stores nothing", async () => {
  const { registry } = await store()
  await rejectsCode(
    () => registry.setPolicy({ ...newPolicy("base", "one"), digest: digestOf("two") }, newAct("set-policy")),
    "REGISTRY",
  )
  await rejectsCode(() => registry.policy("default", "base"), "POLICY_NOT_FOUND")
  assert.equal(await query("SELECT count(*)::int AS n FROM journal"), [{ n: 0 }])
})

test.run()
