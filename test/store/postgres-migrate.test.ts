import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex } from "../../src/bytes.ts"
import { openPostgresDatabase, openPostgresStore } from "../../src/store/postgres.ts"
import { migratePostgres } from "../../src/store/postgres-migrate.ts"
import { POSTGRES_STEPS } from "../../src/store/schema-postgres.ts"
import { sqlStep } from "../../src/store/schema-postgres-parts.ts"
import { openSqlite } from "../../src/store/sqlite-database.ts"
import { rowsOf, statement } from "../../src/store/statement.ts"
import { TABLE_NAMES } from "../../src/store/tables.ts"
import { createJournalVerifier } from "../../src/verification/journal/verify.ts"
import { rejectsCode } from "../support/assert.ts"
import { verifyBy } from "../support/journal.ts"
import { digestOf, NOON, newAct, newPolicy, newRecord } from "../support/ports/samples.ts"
import { DURABLE, needs, usePostgres } from "../support/postgres.ts"
import { scratch } from "./folder.ts"
import { checkReleased, releasedDevice } from "./released-device.ts"

const test = suite("migratePostgres")
const server = usePostgres(test, { settings: DURABLE, isInMemory: true })
const check = needs("postgres", test)
const { path } = scratch(test)

/** A version of something else than Assay's own tables: one row, then a column more. */
const OLD = sqlStep(
  "CREATE TABLE notes (id integer PRIMARY KEY, note text NOT NULL); INSERT INTO notes VALUES (1, 'kept')",
)
const NEW = sqlStep("ALTER TABLE notes ADD COLUMN length integer; UPDATE notes SET length = length(note)")

const versionAt = async (url: string): Promise<unknown> =>
  (await server.query("SELECT version FROM assay.schema_version", url))[0]?.["version"]

check("makes its tables once, however many replicas come at once", async () => {
  const url = await server.createDatabase()
  const opened = await Promise.all(
    Array.from({ length: 6 }, () => openPostgresDatabase({ url, schema: "assay" })),
  )
  for (const database of opened) assert.is(await database.unready(), undefined)
  await Promise.all(opened.map((database) => database.close()))
  assert.is(await versionAt(url), POSTGRES_STEPS.length)
})

check("leaves what is of its version as it is", async () => {
  const url = await server.createDatabase()
  const look = () => server.query("SELECT oid, relname, xmin FROM pg_class ORDER BY oid", url)
  await migratePostgres(url, '"assay"', POSTGRES_STEPS)
  const before = await look()
  await migratePostgres(url, '"assay"', POSTGRES_STEPS)
  assert.equal(await look(), before)
})

check("brings an older schema up to date, with what is in it", async () => {
  const url = await server.createDatabase()
  await migratePostgres(url, '"assay"', [OLD])
  assert.is(await versionAt(url), 1)
  await migratePostgres(url, '"assay"', [OLD, NEW])
  assert.is(await versionAt(url), 2)
  assert.equal(await server.query("SELECT * FROM assay.notes", url), [{ id: 1, note: "kept", length: 4 }])
  await rejectsCode(() => migratePostgres(url, '"assay"', [OLD]), "REGISTRY")
})

check("upgrades S-09 all of it or nothing", async () => {
  const url = await server.createDatabase()
  await migratePostgres(url, '"assay"', [OLD])
  await rejectsCode(() => migratePostgres(url, '"assay"', [OLD, NEW, sqlStep("SELECT 1 / 0")]), "REGISTRY")
  assert.is(await versionAt(url), 1)
  assert.equal(await server.query("SELECT * FROM assay.notes", url), [{ id: 1, note: "kept" }])
  await migratePostgres(url, '"assay"', [OLD, NEW])
  assert.is(await versionAt(url), 2)
})

check("lets S-09 a replica of an earlier version end what it writes, and no more", async () => {
  const url = await server.createDatabase()
  const old = await openPostgresDatabase({ url, schema: "assay" })
  let upgraded = false
  let upgrade: Promise<void> | undefined
  const now = statement((builder) => builder.selectFrom("tenants").select("tenant"))
  await old.write(function* () {
    yield* rowsOf(now({}))
    upgrade = migratePostgres(url, '"assay"', [
      ...POSTGRES_STEPS,
      sqlStep("CREATE TABLE later (a integer)"),
    ]).then(() => {
      upgraded = true
    })
    yield* rowsOf(SLEEP({}))
    assert.not(upgraded)
  })
  await upgrade
  assert.match(String(await old.unready()), /of version \d, and not of/)
  for (const refused of [
    () => old.write(() => rowsOf(now({}))),
    () => old.read(() => rowsOf(now({}))),
    () => old.ask(now({})),
  ]) {
    const error = await refused().then(
      () => undefined,
      (cause: unknown) => cause,
    )
    assert.match(String(error), /of version \d, and not of/)
  }
  await old.close()
})

const SLEEP = statement((builder) =>
  builder.selectNoFrom((of) => of.fn("pg_sleep", [of.lit(0.3)]).as("slept")),
)

const refused: [what: string, sql: string][] = [
  ["a later schema", `UPDATE assay.schema_version SET version = ${POSTGRES_STEPS.length + 1}`],
  ["a much later schema", "UPDATE assay.schema_version SET version = 2147483647"],
  ["a schema of version 0", "UPDATE assay.schema_version SET version = 0"],
  ["a negative version", "UPDATE assay.schema_version SET version = -1"],
  ["a schema that does not tell its version", "DELETE FROM assay.schema_version"],
  ["a schema that has lost its version", "DROP TABLE assay.schema_version"],
]
for (const [what, sql] of refused)
  check(`refuses S-03 ${what}, and leaves it as it is`, async () => {
    const url = await server.createDatabase()
    await migratePostgres(url, '"assay"', POSTGRES_STEPS)
    await server.query(sql, url)
    const look = () => server.query("SELECT oid, relname FROM pg_class ORDER BY oid", url)
    const before = await look()
    const error = await rejectsCode(() => openPostgresDatabase({ url, schema: "assay" }), "REGISTRY")
    assert.is(error.location, "store.schema")
    assert.equal(await look(), before)
  })

check("refuses the schema of another program", async () => {
  const url = await server.createDatabase()
  await server.query("CREATE SCHEMA assay; CREATE TABLE assay.notes (id integer)", url)
  const error = await rejectsCode(() => openPostgresDatabase({ url, schema: "assay" }), "REGISTRY")
  assert.is(error.location, "store.schema")
})

check("keeps to its schema, which a role of its own may own", async () => {
  const url = await server.createDatabase()
  await server.query("CREATE ROLE plain LOGIN; CREATE SCHEMA own_1 AUTHORIZATION plain", url)
  const plain = url.replace("user=assay", "user=plain")
  const database = await openPostgresDatabase({ url: plain, schema: "own_1" })
  assert.is(await database.unready(), undefined)
  await database.close()
  const tables = await server.query(
    "SELECT schemaname, count(*)::int AS n FROM pg_tables WHERE tableowner = 'plain' GROUP BY schemaname",
    url,
  )
  assert.equal(tables, [{ schemaname: "own_1", n: TABLE_NAMES.length + 1 }])
  await rejectsCode(() => openPostgresDatabase({ url: plain, schema: "other" }), "REGISTRY")
})

/** What a version 1 in use left: a policy, and records of three chains. */
const ROWS_1 = `
  INSERT INTO tenants VALUES ('default', 2);
  INSERT INTO policies VALUES ('default', 'base', 1);
  INSERT INTO policy_documents VALUES ('default', 'base', 1, 'one', '\\x${toHex(digestOf("one"))}');
  INSERT INTO journal (tenant, writer, sequence, at, caller, act, device, outcome, codes, evidence_digest, policy_digest,
    device_revision, policy_name, policy_revision, token_id, trust_generation)
  SELECT tenant, writer, n, 5000 - n, 'gateway', 'verify', 'device-1', 'affirming', '["A","B"]', '\\x01', NULL, 2, 'base', 1,
    'token', 3 FROM (VALUES ('default', 'a', 1200), ('default', 'b', 1), ('other', 'a', 1000)) AS t (tenant, writer, last),
    generate_series(1, last) AS n;
  INSERT INTO journal_heads SELECT tenant, writer, max(sequence) FROM journal GROUP BY tenant, writer`

check("chains what a schema of version 1 recorded, as it is found, and goes on behind it", async () => {
  const url = await server.createDatabase()
  await migratePostgres(url, '"assay"', POSTGRES_STEPS.slice(0, 1))
  await server.query(`SET search_path = assay; ${ROWS_1}`, url)
  const { archive, journal, registry, close } = await openPostgresStore({ url, schema: "assay", writer: "a" })
  await journal.append(newRecord("device-1"))
  await registry.setPolicy(newPolicy("base", "two"), newAct("set-policy"))
  const counts: [string, string, number, number][] = []
  for (const tenant of ["default", "other"]) {
    const verifier = createJournalVerifier({ tenant, issuer: undefined, verify: verifyBy(), heads: [] })
    for (const { writer, head, newestAt } of await archive.chains(tenant)) {
      counts.push([tenant, writer, head.sequence, newestAt.getTime()])
      for (let after = 0; after < head.sequence; after += 1000)
        for (const record of await archive.records(tenant, writer, after, 1000))
          verifier.take({ kind: "record", ...record })
    }
    await verifier.end()
  }
  assert.equal(counts, [
    ["default", "a", 1202, NOON.getTime()],
    ["default", "b", 1, 4999],
    ["other", "a", 1000, 4999],
  ])
  assert.is((await registry.policy("default", "base")).revision, 2)
  await close()
})

check("keeps the devices of version 2 with the digests that they have", async () => {
  const url = await server.createDatabase()
  await migratePostgres(url, '"assay"', POSTGRES_STEPS.slice(0, 2))
  await server.query(`SET search_path = assay; ${releasedDevice((hex) => `'\\x${hex}'`)}`, url)
  const store = await openPostgresStore({ url, schema: "assay", writer: "a" })
  await checkReleased(store)
  await store.close()
})

const gaps: [what: string, sql: string][] = [
  ["a gap in the journal", "DELETE FROM journal WHERE tenant = 'default' AND sequence = 7"],
  ["a chain whose beginning is gone", "DELETE FROM journal WHERE tenant = 'other' AND sequence = 1"],
  ["an end that its head does not know", "UPDATE journal_heads SET sequence = 3"],
]
for (const [what, sql] of gaps)
  check(`refuses S-09 to upgrade a schema with ${what}, and leaves it as it is`, async () => {
    const url = await server.createDatabase()
    await migratePostgres(url, '"assay"', POSTGRES_STEPS.slice(0, 1))
    await server.query(
      `SET search_path = assay; ${ROWS_1}; SET session_replication_role = replica; ${sql}`,
      url,
    )
    await rejectsCode(() => openPostgresDatabase({ url, schema: "assay" }), "REGISTRY")
    assert.is(await versionAt(url), 1)
  })

const COLUMNS = `SELECT table_name, column_name, is_nullable, data_type, collation_name
  FROM information_schema.columns WHERE table_schema = 'assay' AND table_name <> 'schema_version'
  ORDER BY table_name, column_name`

check("has the columns that SQLite has, and text by its bytes", async () => {
  const url = await server.createDatabase()
  await migratePostgres(url, '"assay"', POSTGRES_STEPS)
  const columns = await server.query(COLUMNS, url)
  for (const column of columns)
    if (column["data_type"] === "text")
      assert.is(column["collation_name"], "C", `${column["table_name"]}.${column["column_name"]}`)
  const file = openSqlite(path())
  const theirs = file
    .prepare(
      `SELECT m.name AS t, c.name AS c, c."notnull" OR m.name || '.' || c.name = 'journal.position' AS n, c.type AS y
       FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' ORDER BY m.name, c.name`,
    )
    .all()
  file.close()
  const TYPES: Readonly<Record<string, string>> = {
    text: "TEXT",
    bytea: "BLOB",
    bigint: "INTEGER",
    smallint: "INTEGER",
  }
  assert.equal(
    columns.map((column) => [
      column["table_name"],
      column["column_name"],
      column["is_nullable"] === "NO" ? 1 : 0,
      TYPES[String(column["data_type"])],
    ]),
    theirs.map((column) => [column["t"], column["c"], column["n"], column["y"]]),
  )
})

/** Keys and indexes: the table, whether each row is the only one, and the columns in their order. */
const INDEXES = `SELECT c.relname || CASE WHEN i.indisunique THEN ' unique' ELSE '' END || ' (' || (
    SELECT string_agg(a.attname, ', ' ORDER BY k.n) FROM unnest(i.indkey) WITH ORDINALITY AS k (attnum, n)
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.attnum) || ')'
    || CASE WHEN i.indpred IS NULL THEN '' ELSE ' partial' END AS index
  FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid JOIN pg_namespace AS s ON s.oid = c.relnamespace
  WHERE s.nspname = 'assay' AND c.relkind = 'r' AND c.relname <> 'schema_version'`

/** The secret of an enrollment token tells its tenant; keys and the epoch are the service's. */
const OF_ALL_TENANTS = [
  "enrollment_tokens unique (secret_digest)",
  "service_keys unique (name)",
  "store_epoch unique (name)",
]
check("has the keys and indexes that SQLite has, the tenant first in each", async () => {
  const url = await server.createDatabase()
  await migratePostgres(url, '"assay"', POSTGRES_STEPS)
  const ours = (await server.query(INDEXES, url)).map(({ index }) => String(index)).sort()
  const file = openSqlite(path())
  const theirs = file
    .prepare(
      `SELECT m.name || CASE WHEN l."unique" THEN ' unique' ELSE '' END || ' (' ||
         (SELECT group_concat(name, ', ') FROM (SELECT name FROM pragma_index_info(l.name) ORDER BY seqno)) || ')' ||
         CASE WHEN l.partial THEN ' partial' ELSE '' END AS "index"
       FROM sqlite_schema m JOIN pragma_index_list(m.name) l WHERE m.type = 'table'`,
    )
    .all()
    .map((row) => String(row["index"]))
    .sort()
  file.close()
  // The position of a record is the key of the whole file there, and that of a tenant's records here; the index by device is in
  // stretches there, whose expression is no column.
  const ELSE: ReadonlyMap<string, string> = new Map([
    ["journal (tenant, position)", "journal unique (tenant, position)"],
    ["journal (tenant, device)", "journal (tenant, device, position) partial"],
  ])
  for (const index of ELSE.keys()) assert.ok(theirs.includes(index), index)
  assert.equal(ours, theirs.map((index) => ELSE.get(index) ?? index).sort())
  for (const index of ours) {
    if (!OF_ALL_TENANTS.includes(index)) assert.match(index, /\(tenant[,)]/)
  }
})

test.run()
