import { sql } from "kysely"
import { Client } from "pg"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { AssayError } from "../../src/errors.ts"
import { CommitUnknown, isDuplicate } from "../../src/store/database.ts"
import { ask, askAll, rowOf, rowsOf, statement, type Work } from "../../src/store/statement.ts"
import { newAct, newPolicy } from "../support/ports/samples.ts"
import { needs } from "../support/postgres.ts"
import { usePostgresStore } from "../support/postgres-store.ts"

const test = suite("postgresDatabase")
const { server, store, database, query } = usePostgresStore(test)
const check = needs("postgres", test)

const put = statement<{ name: string; pem: Uint8Array }>((builder, at) =>
  builder.insertInto("service_keys").values({ name: at("name"), pem: at("pem") }),
)
const names = statement((builder) => builder.selectFrom("service_keys").select("name").orderBy("name"))
const one = statement<{ name: string }>((builder, at) =>
  builder.selectFrom("service_keys").selectAll().where("name", "=", at("name")),
)
const lock = statement<{ name: string }>((builder, at) =>
  builder.selectFrom("service_keys").select("pem").where("name", "=", at("name")).forUpdate(),
)
const sleep = statement<{ seconds: number }>((builder, at) => ({
  compile: () => sql`SELECT pg_sleep(${at("seconds")})`.compile(builder),
}))
const raise = statement<{ code: string }>((builder, at) => ({
  compile: () => sql`SELECT assay_raise(${at("code")})`.compile(builder),
}))
/** Raises an error of a class, and counts how often it was asked to, whatever becomes of the transaction. */
const RAISE = `CREATE SEQUENCE raised; CREATE FUNCTION assay_raise(code text) RETURNS bigint LANGUAGE plpgsql AS $$
  BEGIN
    IF nextval('raised') < 3 OR code = '57014' THEN RAISE EXCEPTION 'raised' USING ERRCODE = code; END IF;
    RETURN 0;
  END $$`

const BYTES = Uint8Array.of(0, 1, 0xfe, 0xff, 0x5c)
const insert = (name: string) => put({ name, pem: BYTES })
const keys = async (): Promise<readonly unknown[]> =>
  (await query("SELECT name FROM service_keys ORDER BY name")).map(({ name }) => name)
const failureOf = (failing: Promise<unknown>): Promise<unknown> =>
  failing.then(
    () => assert.unreachable("it did not fail"),
    (error: unknown) => error,
  )

check("writes all of it when the work ends, and gives bytes and numbers back as they were", async () => {
  const db = await database()
  const value = await db.write(function* () {
    yield* askAll([insert("a"), insert("b")])
    const row = yield* rowOf(one({ name: "b" }))
    return row?.["pem"]
  })
  assert.equal(value, BYTES)
  assert.equal(await keys(), ["a", "b"])
  const { rows } = await db.ask(one({ name: "a" }))
  assert.equal(rows, [{ name: "a", pem: BYTES }])
})

check("undoes all of it when the work throws", async () => {
  const db = await database()
  const thrown = new AssayError("ETAG", "another revision")
  const failure = await failureOf(
    db.write(function* () {
      yield* askAll([insert("a"), insert("b")])
      throw thrown
    }),
  )
  assert.is(failure, thrown)
  assert.equal(await keys(), [])
})

check("undoes all of it when a statement fails, and tells of that one", async () => {
  const db = await database()
  await db.write(() => ask(insert("a")))
  const failure = await failureOf(
    db.write(() => askAll([insert("b"), insert("a"), insert("c"), insert("d")])),
  )
  assert.ok(isDuplicate(failure), String(failure))
  assert.equal(await keys(), ["a"])
})

check("commits nothing of work that does not mind a statement that failed", async () => {
  const db = await database()
  await db.write(() => ask(insert("a")))
  const failure = await failureOf(
    db.write(function* () {
      yield* ask(insert("b"))
      try {
        yield* ask(insert("a"))
      } catch {
        return
      }
    }),
  )
  assert.match(String(failure), /ROLLBACK/)
  assert.equal(await keys(), ["a"])
})

check("writes nothing where only reading was asked for", async () => {
  const db = await database()
  for (const act of [
    () => db.ask(insert("a")),
    () => db.read(() => ask(insert("a"))),
    () => db.read(() => ask(lock({ name: "a" }))),
  ])
    assert.match(String(await failureOf(act())), /read-only transaction/)
  assert.equal(await keys(), [])
})

check("reads one state, whatever is committed meanwhile", async () => {
  const db = await database()
  const seen = await db.read(function* (): Work<readonly number[]> {
    const before = (yield* rowsOf(names({}))).length
    const written = db.write(() => ask(insert("a")))
    yield* ask(sleep({ seconds: 0.1 }))
    const after = (yield* rowsOf(names({}))).length
    void written
    return [before, after]
  })
  assert.equal(seen, [0, 0])
  assert.equal(await keys(), ["a"])
})

check("waits for who holds what it locks, and sees what that one left", async () => {
  const db = await database()
  await db.write(() => ask(insert("a")))
  let order = ""
  const first = db.write(function* () {
    yield* ask(lock({ name: "a" }))
    order += "1 "
    yield* ask(sleep({ seconds: 0.2 }))
    yield* ask(insert("b"))
    order += "1 "
  })
  const second = db.write(function* () {
    yield* ask(sleep({ seconds: 0.05 }))
    yield* ask(lock({ name: "a" }))
    const { length } = yield* rowsOf(names({}))
    order += `2 sees ${length}`
  })
  await Promise.all([first, second])
  assert.is(order, "1 1 2 sees 2")
})

check("does S-03 over what waited in a circle", async () => {
  const db = await database()
  await db.write(() => askAll([insert("a"), insert("b")]))
  let attempts = 0
  const locking = (first: string, second: string, made: string) =>
    db.write(function* () {
      attempts += 1
      yield* ask(lock({ name: first }))
      yield* ask(sleep({ seconds: 0.1 }))
      yield* ask(lock({ name: second }))
      yield* ask(insert(made))
    })
  await Promise.all([locking("a", "b", "c"), locking("b", "a", "d")])
  assert.equal(await keys(), ["a", "b", "c", "d"])
  assert.ok(attempts > 2, `${attempts} attempts`)
})

check("does S-03 work over after a serialization failure, in full each time", async () => {
  const db = await database()
  await query(`DROP FUNCTION IF EXISTS assay_raise; DROP SEQUENCE IF EXISTS raised; ${RAISE}`)
  let attempts = 0
  await db.write(function* () {
    attempts += 1
    yield* ask(insert(`key-${attempts}`))
    yield* ask(raise({ code: "40001" }))
  })
  assert.is(attempts, 3)
  assert.equal(await keys(), ["key-3"])
})

check("does S-03 it a few times at most, also where the failure was wrapped", async () => {
  const db = await database()
  await query("DROP FUNCTION IF EXISTS assay_raise; DROP SEQUENCE IF EXISTS raised")
  await query(RAISE.replace("< 3", "< 300"))
  let attempts = 0
  const failure = await failureOf(
    db.write(function* () {
      attempts += 1
      yield* ask(insert("a"))
      try {
        yield* ask(raise({ code: "40P01" }))
      } catch (cause) {
        throw new AssayError("JOURNAL", "not written", { cause })
      }
    }),
  )
  assert.instance(failure, AssayError)
  assert.is(attempts, 4)
  assert.equal(await keys(), [])
})

check("does nothing over that only took too long", async () => {
  const db = await database()
  let attempts = 0
  const start = performance.now()
  const failure = await failureOf(
    db.write(function* () {
      attempts += 1
      yield* ask(insert("a"))
      yield* ask(sleep({ seconds: 5 }))
    }),
  )
  assert.match(String(failure), /statement timeout/)
  assert.ok(performance.now() - start < 2500)
  assert.is(attempts, 1)
  assert.not.instance(failure, CommitUnknown)
  assert.equal(await keys(), [])
})

check("asks many, together and at once, each for itself", async () => {
  const db = await database()
  const ids = Array.from({ length: 600 }, (_, i) => `key-${String(i).padStart(3, "0")}`)
  await db.write(() => askAll(ids.map(insert)))
  const found = await Promise.all(ids.map((name) => db.ask(one({ name }))))
  assert.equal(
    found.map(({ rows }) => rows[0]?.["name"]),
    ids,
  )
  const mixed = await Promise.allSettled([
    db.ask(one({ name: "key-000" })),
    db.ask(insert("z")),
    db.ask(one({ name: "key-001" })),
  ])
  assert.equal(
    mixed.map(({ status }) => status),
    ["fulfilled", "rejected", "fulfilled"],
  )
})

check("sends what is large in parts", async () => {
  const db = await database()
  const pem = new Uint8Array(700_000).fill(7)
  await db.write(() => askAll(Array.from({ length: 20 }, (_, i) => put({ name: `${i}`, pem }))))
  const [row] = await query("SELECT count(*)::int AS n, sum(length(pem))::int AS size FROM service_keys")
  assert.equal(row, { n: 20, size: 14_000_000 })
})

check("refuses a text that PostgreSQL cannot keep, and keeps every other", async () => {
  const db = await database()
  await failureOf(db.write(() => ask(insert("a\0b"))))
  for (const name of ["", "'; DROP TABLE devices; --", "ünï \u{1f511} \\x00 %s $1", "\u0001\ufffd"])
    await db.write(() => ask(insert(name)))
  assert.is((await keys()).length, 4)
})

check("tells every listener which tenant's revision moved, once that is committed", async () => {
  const { registry } = await store()
  const heard: unknown[] = []
  const client = new Client({ connectionString: server.url() })
  client.on("notification", ({ payload }) => heard.push(payload))
  await client.connect()
  await client.query("LISTEN assay_revision")
  await registry.setPolicy(newPolicy("base", "one"), newAct("set-policy"))
  await registry.setPolicy(newPolicy("base", "two", "other"), newAct("set-policy"))
  await failureOf(registry.assignPolicy("default", "nothing", { kind: "default" }, newAct("assign-policy")))
  await client.query("SELECT 1")
  await client.end()
  assert.equal(heard, ["default", "other"])
})

test.run()
