import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex } from "../../../src/bytes.ts"
import { openPostgresLink } from "../../../src/store/engine/postgres.ts"
import { refusalOf } from "../../../src/store/engine/postgres-sql.ts"
import { rejectsCode, throwsCode } from "../../support/assert.ts"
import { type Fleet, openFleet, openReplica, useEngineServer, waitUntil } from "../../support/engines.ts"
import { handedOut, newValue, singleUseConformance } from "../../support/ports/single-use.ts"
import { createPostgres, DURABLE, type PostgresServer } from "../../support/postgres.ts"
import { isThere, needs } from "../../support/prerequisites.ts"

const test = suite("openPostgresLink")
const { server, onServer } = useEngineServer(test, "postgres")
const onPostgres = needs("postgres", test)
const now = (): Date => new Date()
const OPTIONS = { schema: "assay_engine", spentMax: 1_000_000 }
let schemas = 0
/** A schema for a test alone, in the suite's own database. */
const newSchema = (): string => `engine_${schemas++}`

let fleet: Fleet | undefined
test.before(async () => {
  if (isThere("postgres")) fleet = await openFleet(server)
})
test.after(() => fleet?.close())
singleUseConformance(onServer, "postgres", async (body) => {
  if (fleet !== undefined) await body(fleet.singleUse, now())
})

/** Whether a replica starts on a server, and then ends. */
const starts = async (url: string): Promise<void> => {
  const engine = await openReplica(server, { link: openPostgresLink(url, OPTIONS) })
  await engine.close()
}

onPostgres(
  "refuses S-02 to start on a server that forgets what it acknowledged when it loses its power",
  async () => {
    const quick = createPostgres({ isInMemory: true })
    try {
      await quick.start()
      assert.is((await rejectsCode(() => starts(quick.url()), "INPUT")).location, "engine: fsync")
    } finally {
      await quick.stop()
    }
  },
)

onServer("refuses S-02 to start by a role whose commits are not durable", async () => {
  await query("CREATE ROLE lax SUPERUSER LOGIN; ALTER ROLE lax SET synchronous_commit = off")
  const lax = server.url.replace("user=assay", "user=lax")
  assert.is((await rejectsCode(() => starts(lax), "INPUT")).location, "engine: synchronous_commit")
})

onServer("refuses S-02 to start on a standby, which may not have heard", async () => {
  const standby = createPostgres({ standbyOf: postgres(), settings: DURABLE, isInMemory: true })
  try {
    await standby.start()
    assert.is((await rejectsCode(() => starts(standby.url()), "INPUT")).location, "engine: standby")
  } finally {
    await standby.stop()
  }
})

const SOUND = {
  version: "130000",
  standby: "false",
  fsync: "on",
  full_page_writes: "on",
  synchronous_commit: "on",
}
const flawed: [what: string, facts: Readonly<Record<string, string>>][] = [
  ["a version before 13", { ...SOUND, version: "120022" }],
  ["a standby", { ...SOUND, standby: "true" }],
  ["a server without fsync", { ...SOUND, fsync: "off" }],
  ["a server whose commits are not durable", { ...SOUND, synchronous_commit: "off" }],
  ["a server that says nothing", {}],
]
for (const [what, facts] of flawed)
  test(`refuses S-02 ${what}`, () => assert.is(refusalOf(facts)?.code, "INPUT"))
for (const synchronous_commit of ["on", "local", "remote_write", "remote_apply"])
  test(`accepts commits that are ${synchronous_commit}`, () =>
    assert.is(refusalOf({ ...SOUND, synchronous_commit }), undefined))

for (const url of ["http://127.0.0.1:5432", "127.0.0.1", "", "mysql://127.0.0.1/assay"])
  test(`refuses ${JSON.stringify(url)} as the database's address`, () => {
    throwsCode(() => openPostgresLink(url, OPTIONS), "INPUT")
  })
for (const schema of ["", "Assay", 'a"; DROP SCHEMA public', "a.b", "1a", "a".repeat(64)])
  test(`refuses ${JSON.stringify(schema)} as a schema's name`, () => {
    throwsCode(() => openPostgresLink("postgres://127.0.0.1/assay", { ...OPTIONS, schema }), "INPUT")
  })

onServer("keeps to its schema, which a role of its own may own", async () => {
  await query("CREATE ROLE plain LOGIN; GRANT CREATE ON DATABASE postgres TO plain")
  const plain = server.url.replace("user=assay", "user=plain")
  const engine = await openReplica(server, { link: openPostgresLink(plain, { ...OPTIONS, schema: "own_1" }) })
  try {
    await engine.singleUse.spend(await handedOut(engine.singleUse, newValue(now()), now()), now())
    const tables = await query("SELECT DISTINCT schemaname FROM pg_tables WHERE tableowner = 'plain'")
    assert.equal(tables, [{ schemaname: "own_1" }])
  } finally {
    await engine.close()
  }
})

onServer("makes its tables once, however many replicas come at once", async () => {
  const options = { ...OPTIONS, schema: newSchema() }
  const engines = await Promise.all(
    Array.from({ length: 8 }, () => openReplica(server, { link: openPostgresLink(server.url, options) })),
  )
  for (const engine of engines) assert.is(engine.unready(), undefined)
  await Promise.all(engines.map((engine) => engine.close()))
})

onServer("refuses N-07 to spend more than it may remember, and spends once there is room", async () => {
  const schema = newSchema()
  const link = openPostgresLink(server.url, { schema, spentMax: 3 })
  const engine = await openReplica(server, { link })
  try {
    const spend = async (): Promise<void> =>
      engine.singleUse.spend(await handedOut(engine.singleUse, newValue(now()), now()), now())
    for (let i = 0; i < 3; i++) await spend()
    await link.tend(0, now())
    await waitUntil(2000, () =>
      spend().then(
        () => false,
        (error) => error.code === "CHALLENGES_FULL",
      ),
    )
    await query(`UPDATE ${schema}.spent SET remembered_until = now() - interval '1 second'`)
    await link.tend(0, now())
    await waitUntil(2000, () =>
      spend().then(
        () => true,
        () => false,
      ),
    )
  } finally {
    await engine.close()
  }
})

onServer("removes what is over by both clocks, and refuses S-06 what it may have removed", async () => {
  const schema = newSchema()
  const link = openPostgresLink(server.url, { ...OPTIONS, schema })
  const engine = await openReplica(server, { link })
  const count = async (): Promise<unknown> =>
    (await query(`SELECT count(*)::int AS n FROM ${schema}.spent`))[0]
  try {
    const value = await handedOut(engine.singleUse, newValue(now()), now())
    await engine.singleUse.spend(value, now())
    await link.tend(0, new Date(Date.now() + 3_600_000))
    assert.equal(await count(), { n: 1 }, "ours is ahead")
    // As if the server's clock, and ours, had been an hour ahead for a while.
    await query(`UPDATE ${schema}.spent SET remembered_until = remembered_until - interval '1 hour'`)
    await link.tend(0, new Date(Date.now() - 7_200_000))
    assert.equal(await count(), { n: 1 }, "ours is behind")
    await link.tend(0, now())
    assert.equal(await count(), { n: 0 })
    await query(`UPDATE ${schema}.state SET forgotten_through = forgotten_through + interval '1 hour'`)
    await rejectsCode(() => engine.singleUse.spend(value, now()), "NONCE_EXPIRED")
    await rejectsCode(() => engine.singleUse.attempt(value, now()), "NONCE_EXPIRED")
    await engine.singleUse.spend(
      await handedOut(
        engine.singleUse,
        newValue(now(), { expiresAt: new Date(Date.now() + 120_000) }),
        now(),
      ),
      now(),
    )
  } finally {
    await engine.close()
  }
})

onServer("refuses S-02 what was sealed on another timeline of the same server", async () => {
  const engine = await openReplica(server)
  try {
    const value = await handedOut(engine.singleUse, newValue(now()), now())
    const [cluster, timeline, start] = value.origin.fence.split("/")
    for (const fence of [
      `${cluster}/00000002/${start}`,
      `1/${timeline}/${start}`,
      `${cluster}/${timeline}/1`,
      "",
    ])
      await rejectsCode(
        () => engine.singleUse.spend({ ...value, origin: { ...value.origin, fence } }, now()),
        "NONCE_FENCED",
      )
    await engine.singleUse.spend(value, now())
  } finally {
    await engine.close()
  }
})

onServer("refuses S-01 to spend while the disk is full, and spends once there is room", async () => {
  const schema = newSchema()
  const engine = await openReplica(server, { link: openPostgresLink(server.url, { ...OPTIONS, schema }) })
  try {
    const value = await handedOut(engine.singleUse, newValue(now()), now())
    await query(`
      CREATE FUNCTION ${schema}.full() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'disk_full', MESSAGE = 'No space left on device'; END $$;
      CREATE TRIGGER disk BEFORE INSERT ON ${schema}.spent FOR EACH ROW EXECUTE FUNCTION ${schema}.full()`)
    const error = await rejectsCode(() => engine.singleUse.spend(value, now()), "NONCE_STORE")
    assert.match(error.cause instanceof Error ? error.cause.message : "", /No space left/)
    assert.not.match(error.message, /No space left/)
    await query(`DROP TRIGGER disk ON ${schema}.spent`)
    await engine.singleUse.spend(value, now())
  } finally {
    await engine.close()
  }
})

onServer("refuses S-02 after a failover what its new primary never heard of", async () => {
  const before = await openReplica(server)
  const value = await handedOut(before.singleUse, newValue(now()), now())
  const standby = createPostgres({ standbyOf: postgres(), settings: DURABLE, isInMemory: true })
  try {
    await standby.start({ primary_conninfo: "" }) // it hears nothing from now on
    await before.singleUse.spend(value, now())
    await before.close()
    await server.kill()
    await standby.query("SELECT pg_promote()")
    const after = await openReplica(server, { link: openPostgresLink(standby.url(), OPTIONS) })
    try {
      const spent = `SELECT count(*)::int AS n FROM assay_engine.spent WHERE id = '\\x${toHex(value.id)}'`
      assert.equal(await standby.query(spent), [{ n: 0 }])
      await rejectsCode(() => after.singleUse.spend(value, now()), "NONCE_FENCED")
      const next = await handedOut(after.singleUse, newValue(now()), now())
      assert.is(next.origin.fence.split("/")[1], "00000002", "the timeline")
      await after.singleUse.spend(next, now())
    } finally {
      await after.close()
    }
  } finally {
    await standby.stop()
  }
})

const query = (sql: string) => postgres().query(sql)
const postgres = (): PostgresServer => {
  if (server.postgres === undefined) throw new TypeError("the suite's server is PostgreSQL")
  return server.postgres
}

test.run()
