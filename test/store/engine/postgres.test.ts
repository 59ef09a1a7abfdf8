import { suite } from "uvu"
import * as assert from "uvu/assert"
import { openPostgresLink } from "../../../src/store/engine/postgres.ts"
import { refusalOf } from "../../../src/store/engine/postgres-sql.ts"
import { rejectsCode, throwsCode } from "../../support/assert.ts"
import { type Fleet, openFleet, openReplica, useEngineServer, waitUntil } from "../../support/engines.ts"
import { handedOut, newValue, singleUseConformance } from "../../support/ports/single-use.ts"
import {
  createPostgres,
  DURABLE,
  type PostgresServer,
  type PostgresSettings,
} from "../../support/postgres.ts"
import { isThere, needs } from "../../support/prerequisites.ts"

const test = suite("openPostgresLink")
const { server, onServer } = useEngineServer(test, "postgres")
const onPostgres = needs("postgres", test)
const now = (): Date => new Date()
const OPTIONS = { schema: "assay_engine", spentMax: 1_000_000 }

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

const forgetful: [what: string, settings: PostgresSettings][] = [
  ["fsync is off", { ...DURABLE, fsync: "off" }],
  ["synchronous_commit is off", { ...DURABLE, synchronous_commit: "off" }],
]
onPostgres(
  "refuses S-02 to start on a server that forgets what it acknowledged, or may not have heard",
  async () => {
    const other = createPostgres()
    let standby: PostgresServer | undefined
    try {
      for (const [what, settings] of forgetful) {
        await other.start(settings)
        const error = await rejectsCode(() => starts(other.url()), "INPUT")
        assert.ok(error.location?.endsWith(what.split(" ")[0] ?? ""), what)
        await other.kill()
      }
      await other.start(DURABLE)
      await starts(other.url())
      standby = createPostgres({ standbyOf: other, settings: DURABLE })
      await standby.start()
      const error = await rejectsCode(() => starts(standby?.url() ?? ""), "INPUT")
      assert.is(error.location, "engine: standby")
    } finally {
      await standby?.stop()
      await other.stop()
    }
  },
)

const SOUND = { version: "130000", standby: "false", fsync: "on", synchronous_commit: "on" }
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
  const url = await createDatabase()
  await query(`CREATE ROLE plain LOGIN; GRANT CREATE ON DATABASE ${databaseOf(url)} TO plain`)
  const plain = url.replace("user=assay", "user=plain")
  const engine = await openReplica(server, { link: openPostgresLink(plain, { ...OPTIONS, schema: "own_1" }) })
  try {
    await engine.singleUse.spend(await handedOut(engine.singleUse, newValue(now()), now()), now())
    const tables = await query("SELECT DISTINCT schemaname FROM pg_tables WHERE tableowner = 'plain'", url)
    assert.equal(tables, [{ schemaname: "own_1" }])
  } finally {
    await engine.close()
  }
})

onServer("makes its tables once, however many replicas come at once", async () => {
  const url = await createDatabase()
  const engines = await Promise.all(
    Array.from({ length: 8 }, () => openReplica(server, { link: openPostgresLink(url, OPTIONS) })),
  )
  for (const engine of engines) assert.is(engine.unready(), undefined)
  await Promise.all(engines.map((engine) => engine.close()))
})

onServer("refuses N-07 to spend more than it may remember, and spends once there is room", async () => {
  const url = await createDatabase()
  const link = openPostgresLink(url, { ...OPTIONS, spentMax: 3 })
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
    await query("UPDATE assay_engine.spent SET remembered_until = now() - interval '1 second'", url)
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
  const url = await createDatabase()
  const link = openPostgresLink(url, OPTIONS)
  const engine = await openReplica(server, { link })
  const count = async (): Promise<unknown> =>
    (await query("SELECT count(*)::int AS n FROM assay_engine.spent", url))[0]
  try {
    const value = await handedOut(engine.singleUse, newValue(now()), now())
    await engine.singleUse.spend(value, now())
    await link.tend(0, new Date(Date.now() + 3_600_000))
    assert.equal(await count(), { n: 1 }, "ours is ahead")
    // As if the server's clock, and ours, had been an hour ahead for a while.
    await query("UPDATE assay_engine.spent SET remembered_until = remembered_until - interval '1 hour'", url)
    await link.tend(0, new Date(Date.now() - 7_200_000))
    assert.equal(await count(), { n: 1 }, "ours is behind")
    await link.tend(0, now())
    assert.equal(await count(), { n: 0 })
    await query(
      "UPDATE assay_engine.state SET forgotten_through = forgotten_through + interval '1 hour'",
      url,
    )
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

onPostgres("refuses S-02 after a failover what its new primary never heard of", async () => {
  const primary = createPostgres({ settings: DURABLE })
  let standby: PostgresServer | undefined
  try {
    await primary.start()
    const before = await openReplica(server, { link: openPostgresLink(primary.url(), OPTIONS) })
    const value = await handedOut(before.singleUse, newValue(now()), now())
    standby = createPostgres({ standbyOf: primary, settings: DURABLE })
    await standby.start({ primary_conninfo: "" }) // it hears nothing from now on
    await before.singleUse.spend(value, now())
    await before.close()
    await primary.kill()
    await standby.query("SELECT pg_promote()")
    const after = await openReplica(server, { link: openPostgresLink(standby.url(), OPTIONS) })
    try {
      const forgotten = await standby.query("SELECT count(*)::int AS n FROM assay_engine.spent")
      assert.equal(forgotten, [{ n: 0 }])
      await rejectsCode(() => after.singleUse.spend(value, now()), "NONCE_FENCED")
      const next = await handedOut(after.singleUse, newValue(now()), now())
      assert.is(next.origin.fence.split("/")[1], "00000002", "the timeline")
      await after.singleUse.spend(next, now())
    } finally {
      await after.close()
    }
  } finally {
    await standby?.stop()
    await primary.stop()
  }
})

onServer("refuses S-02 what was sealed on another timeline of the same server", async () => {
  const url = await createDatabase()
  const link = openPostgresLink(url, OPTIONS)
  const engine = await openReplica(server, { link })
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

const databaseOf = (url: string): string => new URL(url).pathname.slice(1)
const query = (sql: string, url?: string) => postgres().query(sql, url)
const createDatabase = (): Promise<string> => postgres().createDatabase()
const postgres = (): PostgresServer => {
  if (server.postgres === undefined) throw new TypeError("the suite's server is PostgreSQL")
  return server.postgres
}

test.run()
