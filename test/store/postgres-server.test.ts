import { suite } from "uvu"
import * as assert from "uvu/assert"
import { openPostgresStore } from "../../src/store/postgres.ts"
import { flawOf } from "../../src/store/postgres-server.ts"
import { rejectsCode } from "../support/assert.ts"
import { newAct, newDevice } from "../support/ports/samples.ts"
import { createPostgres, DURABLE, needs, type PostgresServer, usePostgres } from "../support/postgres.ts"

const test = suite("a PostgreSQL server")
const server = usePostgres(test, { settings: DURABLE, isInMemory: true })
const check = needs("postgres", test)

const SOUND = {
  version: "130000",
  standby: "false",
  fsync: "on",
  full_page_writes: "on",
  synchronous_commit: "on",
}
test("is relied on if it keeps what it acknowledged", () => {
  for (const synchronous_commit of ["on", "local", "remote_write", "remote_apply"])
    assert.is(flawOf({ ...SOUND, synchronous_commit }), undefined)
})

const flawed: [what: string, setting: string, facts: Readonly<Record<string, string>>][] = [
  ["a version before 13", "version", { ...SOUND, version: "120022" }],
  ["a standby", "standby", { ...SOUND, standby: "true" }],
  ["a server without fsync", "fsync", { ...SOUND, fsync: "off" }],
  ["a server that may tear pages", "full_page_writes", { ...SOUND, full_page_writes: "off" }],
  ["commits that are not durable", "synchronous_commit", { ...SOUND, synchronous_commit: "off" }],
  ["commits of a kind that nobody knows", "synchronous_commit", { ...SOUND, synchronous_commit: "maybe" }],
  ["a server that tells nothing", "version", {}],
]
for (const [what, setting, facts] of flawed)
  test(`refuses S-02 ${what}`, () => assert.is(flawOf(facts)?.setting, setting))

const open = async (url: string, schema = "assay"): Promise<void> =>
  (await openPostgresStore({ url, schema, writer: "a" })).close()

check("refuses S-03 to start on a server that forgets, or tears", async () => {
  const other = createPostgres({ isInMemory: true })
  try {
    for (const setting of ["fsync", "full_page_writes", "synchronous_commit"]) {
      await other.start({ ...DURABLE, [setting]: "off" })
      const error = await rejectsCode(() => open(other.url()), "INPUT")
      assert.is(error.location, `store: ${setting}`)
      await other.kill()
    }
    await other.start(DURABLE)
    await open(other.url())
  } finally {
    await other.stop()
  }
})

check("refuses S-03 to start on a standby", async () => {
  let standby: PostgresServer | undefined
  try {
    standby = createPostgres({ standbyOf: server, settings: DURABLE, isInMemory: true })
    await standby.start()
    const error = await rejectsCode(() => open(standby?.url() ?? ""), "INPUT")
    assert.is(error.location, "store: standby")
  } finally {
    await standby?.stop()
  }
})

check("refuses to start on a database that cannot keep every text", async () => {
  await server.query("CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0")
  const error = await rejectsCode(() => open(server.url("ascii")), "INPUT")
  assert.is(error.location, "store: encoding")
})

for (const url of ["http://127.0.0.1:5432", "127.0.0.1", "", "mysql://127.0.0.1/assay"])
  test(`refuses ${JSON.stringify(url)} as the database's address`, async () => {
    await rejectsCode(() => open(url), "INPUT")
  })
for (const schema of ["", "Assay", 'a"; DROP SCHEMA public', "a.b", "1a", "a".repeat(64)])
  test(`refuses ${JSON.stringify(schema)} as a schema's name`, async () => {
    await rejectsCode(() => open("postgres://127.0.0.1/assay", schema), "INPUT")
  })

const unreachable: [what: string, url: (server: PostgresServer) => string][] = [
  ["a server that is not there", () => "postgres://127.0.0.1:1/assay"],
  ["a socket that is not there", () => "postgres:///assay?host=/nowhere"],
  ["a host that is not there", () => "postgres://assay.invalid/assay"],
  ["a database that is not there", ({ url }) => url("nothing")],
  ["a role that is not there", ({ url }) => url().replace("user=assay", "user=nobody")],
]
for (const [what, url] of unreachable)
  check(`refuses S-03 to start with ${what}, and says why`, async () => {
    const { message } = await rejectsCode(() => open(url(server)), "REGISTRY")
    assert.match(message, /cannot be opened: .*(REFUSED|ENOENT|ENOTFOUND|EAI_AGAIN|does not exist)/)
  })

check("repeats no password, whatever goes wrong", async () => {
  const url = server.url("nothing").replace("postgresql:///", "postgresql://assay:hunter2@localhost/")
  const error = await rejectsCode(() => open(url), "REGISTRY")
  assert.not.match(`${error.message} ${error.stack} ${String(error.cause)}`, /hunter2/)
})

check("needs nothing of what its database or its role are set to", async () => {
  const url = await server.createDatabase()
  const name = new URL(url).pathname.slice(1)
  for (const setting of [
    "default_transaction_read_only = on",
    "default_transaction_isolation = 'serializable'",
    "statement_timeout = 20", // the first statement, which sets ours, has to end within it
    "bytea_output = 'escape'",
    "search_path = public",
    "DateStyle = 'German'",
  ])
    await server.query(`ALTER DATABASE ${name} SET ${setting}`)
  const { registry, close } = await openPostgresStore({ url, schema: "assay", writer: "a" })
  const device = await registry.registerDevice(newDevice("device-1"), newAct("register-device"))
  assert.equal((await registry.device("default", "device-1")).akName, device.akName)
  await close()
})

test.run()
