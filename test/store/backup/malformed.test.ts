import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex, utf8 } from "../../../src/bytes.ts"
import { verifyBackup } from "../../../src/store/backup/read.ts"
import { createSqliteStore } from "../../../src/store/sqlite.ts"
import { sqliteDatabase } from "../../../src/store/sqlite-database.ts"
import { rejectsCode, throwsCode } from "../../support/assert.ts"
import {
  type BackedUp,
  backUp,
  type Lines,
  restoreLines,
  sealed,
  verifyJournalOf,
} from "../../support/backup.ts"
import { fillStore } from "../../support/ports/backup.ts"
import { digestOf } from "../../support/ports/samples.ts"
import { testSigner } from "../../support/signer.ts"
import { scratch } from "../folder.ts"

const test = suite("readBackup")
const { file } = scratch(test)

const create = (): BackedUp => {
  const opened = file()
  return { database: sqliteDatabase(opened), store: createSqliteStore(opened) }
}
const before = create()
await fillStore(before.store)
await verifyJournalOf(before.store, testSigner()) // with checkpoints
const LINES = await backUp(before)

const SCHEMA: Readonly<Record<string, readonly string[]>> = JSON.parse(LINES[0] ?? "{}").schema
const tableOf = (line: string): unknown => JSON.parse(line)[0]
/** The number of the first line of a table, from 0, or of a later one. */
const lineOf = (table: string, which = 0): number => {
  const found = LINES.flatMap((line, i) => (i > 0 && tableOf(line) === table ? [i] : []))[which]
  if (found === undefined) throw new TypeError(`no line of ${table}`)
  return found
}
/** The lines with another value of a column in a row, and an end that goes with it. */
const altered = (field: string, value: unknown, which = 0): Lines => {
  const [table = "", column = ""] = field.split(".")
  const at = lineOf(table, which)
  const row: unknown[] = JSON.parse(LINES[at] ?? "[]")
  row[(SCHEMA[table]?.indexOf(column) ?? -1) + 1] = value
  return sealed(LINES.with(at, JSON.stringify(row)))
}
const header = (change: object): Lines =>
  sealed(LINES.with(0, JSON.stringify({ ...JSON.parse(LINES[0] ?? "{}"), ...change })))
const inserted = (at: number, line: string): Lines => sealed(LINES.toSpliced(at, 0, line))
const without = (at: number): Lines => sealed(LINES.toSpliced(at, 1))
const end = (change: (end: Record<string, Record<string, unknown>>) => object): Lines =>
  LINES.with(-1, JSON.stringify(change(JSON.parse(LINES.at(-1) ?? "{}"))))
const swapped = (table: string): Lines => {
  const [a, b] = [lineOf(table), lineOf(table, 1)]
  return sealed(LINES.with(a, LINES[b] ?? "").with(b, LINES[a] ?? ""))
}
const policy = lineOf("policies")
const doubled = (at: number): Lines => inserted(at, LINES[at] ?? "")

const refused: [what: string, location: RegExp, lines: Lines][] = [
  ["an empty file", /^line 1$/, []],
  ["a file without its end", new RegExp(`^line ${LINES.length}$`), LINES.slice(0, -1)],
  ["a file that is only its first line", /^line 2$/, LINES.slice(0, 1)],
  ["a line behind the end", new RegExp(`^line ${LINES.length + 1}$`), [...LINES, LINES.at(-2) ?? ""]],
  [
    "an end that counts another number of rows",
    /, end$/,
    end((one) => ({ ...one, rows: { ...one["rows"], devices: 9 } })),
  ],
  ["an end that counts other devices of a tenant", /, end$/, end((one) => ({ ...one, tenants: {} }))],
  ["an end with another digest", /, end$/, end((one) => ({ ...one, sha256: "00".repeat(32) }))],
  ["an end with a member more", /, end$/, end((one) => ({ ...one, more: 1 }))],
  [
    "a row that was changed under the old end",
    /, end$/,
    [...altered("tenants.revision", 99).slice(0, -1), LINES.at(-1) ?? ""],
  ],
  ["a row that is missing under the old end", /, end$/, LINES.toSpliced(lineOf("group_policies"), 1)],
  ["a first line of something else", /^line 1, header$/, header({ kind: "journal" })],
  ["a later version", /^line 1, header$/, header({ version: 2 })],
  [
    "a schema with a column more",
    /^line 1, header$/,
    header({ schema: { ...SCHEMA, tenants: ["tenant", "revision", "more"] } }),
  ],
  ["a first line with a member more", /^line 1, header$/, header({ more: 1 })],
  [
    "a first line with a member twice",
    /^line 1$/,
    sealed(LINES.with(0, (LINES[0] ?? "").replace('"version":1', '"version":1,"version":1'))),
  ],
  ["a first line of another number of tenants", /, end$/, header({ tenants: 2 })],
  ["a first line without an instant", /^line 1, header$/, header({ at: "yesterday" })],
  [
    "a table that nobody knows",
    new RegExp(`^line ${policy + 1}$`),
    inserted(policy, '["service_keys","k","AA"]'),
  ],
  [
    "a table in the wrong place",
    new RegExp(`^line ${policy + 1}, tenants$`),
    inserted(policy, LINES[lineOf("tenants")] ?? "").with(lineOf("tenants"), LINES[policy] ?? ""),
  ],
  [
    "a column too many",
    new RegExp(`^line ${policy + 1}, policies$`),
    sealed(LINES.with(policy, '["policies","default","base",2,0]')),
  ],
  [
    "a column too few",
    new RegExp(`^line ${policy + 1}, policies$`),
    sealed(LINES.with(policy, '["policies","default","base"]')),
  ],
  ["a line that is no JSON", new RegExp(`^line ${policy + 1}$`), LINES.with(policy, "policies")],
  [
    "a line in another spelling",
    new RegExp(`^line ${policy + 1}$`),
    sealed(LINES.with(policy, '["policies","default","base", 2]')),
  ],
  ["a line that is a number", new RegExp(`^line ${policy + 1}$`), LINES.with(policy, "7")],
  ["a number out of bounds", /policies\.revision$/, altered("policies.revision", 0)],
  [
    "a revision that could not move on",
    /tenants\.revision$/,
    altered("tenants.revision", Number.MAX_SAFE_INTEGER),
  ],
  ["a number with a fraction", /devices\.created_at$/, altered("devices.created_at", 1.5)],
  ["a number for a text", /policies\.name$/, altered("policies.name", 7)],
  ["a text where bytes belong", /devices\.digest$/, altered("devices.digest", "not base64url!")],
  [
    "bytes in another spelling",
    /devices\.digest$/,
    altered("devices.digest", `${Buffer.alloc(32).toString("base64url").slice(0, -1)}B`),
  ],
  ["bytes of another size", /listed_eks\.digest$/, altered("listed_eks.digest", "AAAA")],
  ["null where something belongs", /devices\.state$/, altered("devices.state", null)],
  ["an object in a row", /devices\.labels$/, altered("devices.labels", {})],
  ["a state that nobody knows", /devices\.state$/, altered("devices.state", "trusted")],
  ["an act that nobody knows", /journal\.act$/, altered("journal.act", "be-root")],
  ["a text with a zero in it", /devices\.claimed_name$/, altered("devices.claimed_name", "a\0")],
  ["a text too long", /devices\.claimed_name$/, altered("devices.claimed_name", "a".repeat(4097))],
  ["a key twice", /devices\.tenant\+id$/, doubled(lineOf("devices"))],
  ["keys in another order", /devices\.tenant\+id$/, swapped("devices")],
  ["a device that was changed", /devices$/, altered("devices.device_group", "roof")],
  ["counters in part", /devices$/, altered("devices.reset_count", null)],
  ["a result in part", /devices$/, altered("devices.tier", null)],
  ["a permit in part", /devices$/, altered("devices.permit_expires_at", 7)],
  [
    "a permit's key in part",
    /devices$/,
    altered("devices.permit_ak", Buffer.alloc(34, 7).toString("base64url")),
  ],
  [
    "labels of an enrollment token that are none",
    /enrollment_tokens$/,
    altered("enrollment_tokens.labels", "{}"),
  ],
  [
    "more uses of an enrollment token than it has",
    /enrollment_tokens$/,
    altered("enrollment_tokens.uses", 3),
  ],
  [
    "a policy document that was changed",
    /policy_documents$/,
    altered("policy_documents.document", "document 0"),
  ],
  ["a policy without its latest document", /end$/, without(lineOf("policy_documents", 1))],
  ["a document of a policy that is not there", /end$/, without(policy)],
  ["an anchor whose settings were changed", /trust_anchors$/, altered("trust_anchors.revocation", "off")],
  ["a certificate that is another", /trust_anchors$/, altered("trust_anchors.certificate", "AAAA")],
  ["a revocation list that is another", /trust_crls$/, altered("trust_crls.crl", "AAAA")],
  ["an anchor less than were counted", /trust_state$/, without(lineOf("trust_anchors"))],
  ["a listed key less than were counted", /trust_state$/, without(lineOf("listed_eks"))],
  ["trust that nobody counted", /end$/, without(lineOf("trust_state"))],
  ["a record that was changed", /journal$/, altered("journal.outcome", "affirming")],
  ["a record less", /journal$/, without(lineOf("journal", 3))],
  ["a last record less", /end$/, without(LINES.length - 2)],
  ["a record of a chain without a head", /journal_checkpoints$/, without(lineOf("journal_heads"))],
  [
    "a head of other records",
    /end$/,
    altered("journal_heads.hash", Buffer.from(digestOf("other")).toString("base64url")),
  ],
  ["a checkpoint of another record", /journal_checkpoints$/, altered("journal_checkpoints.sequence", 3)],
  ["a checkpoint that is none", /journal_checkpoints$/, altered("journal_checkpoints.compact", "a.b.c")],
  [
    "an anchor of a checkpoint that is not there",
    /journal_anchors$/,
    inserted(lineOf("journal"), '["journal_anchors","default","local",2,3]'),
  ],
]
for (const [what, location, lines] of refused)
  test(`refuses ${what}, and says where`, () => {
    const error = throwsCode(() => verifyBackup(lines.map(utf8)), "BACKUP")
    assert.match(error.location ?? "", location)
  })

test("accepts a backup, and an end that is made anew for it", () => {
  const summary = verifyBackup(LINES.map(utf8))
  assert.equal(summary.rows["devices"], 3)
  assert.equal(sealed(LINES), LINES)
  assert.is(summary.sha256.length, 64)
})

test("says which version and which schema a backup has to have", () => {
  for (const [change, expected] of [
    [{ version: 2 }, /of version 1/],
    [{ schema: {} }, /tables and columns/],
  ] as const) {
    const error = throwsCode(() => verifyBackup(header(change).map(utf8)), "BACKUP")
    assert.match(error.expected ?? "", expected)
  }
})

test("refuses what is not UTF-8", () => {
  const lines = LINES.map(utf8)
  const broken = lines.with(policy, Uint8Array.of(0x5b, 0x22, 0xff, 0x22, 0x5d))
  throwsCode(() => verifyBackup(broken), "BACKUP")
})

test("changes nothing for a backup whose last line is not right", async () => {
  const after = create()
  const kept = await backUp(after)
  const lines = end((one) => ({ ...one, sha256: toHex(digestOf("x")) }))
  await rejectsCode(() => restoreLines(after, lines), "BACKUP")
  assert.equal(await backUp(after), kept)
})

test("changes nothing for a file that is changed between the two times that it is read", async () => {
  const after = create()
  const kept = await backUp(after)
  let times = 0
  const other = header({ build: "9.9.9" })
  await rejectsCode(
    () =>
      restoreLines(after, LINES, {
        lines: () => {
          times += 1
          return (times === 1 ? LINES : other).map(utf8)
        },
      }),
    "BACKUP",
  )
  assert.equal([times, await backUp(after)], [2, kept])
})

test("refuses another backup than the one that was asked for", async () => {
  const after = create()
  await rejectsCode(() => restoreLines(after, LINES, { sha256: "00".repeat(32) }), "RESTORE")
  await restoreLines(after, LINES, { sha256: verifyBackup(LINES.map(utf8)).sha256 })
})

const strangers: [what: string, lines: Lines][] = [
  ["a group's policy that is not there", altered("group_policies.policy", "other")],
  [
    "two tokens of one secret",
    altered("enrollment_tokens.secret_digest", Buffer.from(digestOf("token-2")).toString("base64url")),
  ],
  ["a revocation of later than its tenant", altered("revocations.sequence", 1_000_000)],
]
for (const [what, lines] of strangers)
  test(`changes nothing for a backup with ${what}`, async () => {
    const after = create()
    const kept = await backUp(after)
    await rejectsCode(() => restoreLines(after, lines), "RESTORE")
    assert.equal(await backUp(after), kept)
  })

test("makes no backup of a store that is damaged", async () => {
  const opened = file()
  const under = { database: sqliteDatabase(opened), store: createSqliteStore(opened) }
  await fillStore(under.store)
  opened.exec("UPDATE devices SET device_group = 'roof' WHERE id = 'device-2'")
  await rejectsCode(() => backUp(under), "REGISTRY")
})

test.run()
