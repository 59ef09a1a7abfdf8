/** The servers that other tests rely on do what they are there for. */
import { existsSync } from "node:fs"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { createPostgres, DURABLE, needs, usePostgres } from "./postgres.ts"
import { createRedis, KEEPING, useRedis } from "./redis.ts"

const test = suite("servers of tests")
const postgres = usePostgres(test, { settings: DURABLE, isInMemory: true })
const redis = useRedis(test)
const onPostgres = needs("postgres", test)
const onRedis = needs("redis", test)

onPostgres("PostgreSQL gives every test a database of its own", async () => {
  const [a, b] = [await postgres.createDatabase(), await postgres.createDatabase()]
  await postgres.query("CREATE TABLE t (n int)", a)
  await postgres.query("CREATE TABLE t (n int)", b)
  assert.equal(await postgres.query("SELECT count(*)::int AS n FROM t", b), [{ n: 0 }])
})

onPostgres("PostgreSQL keeps what it acknowledged when it is killed", async () => {
  await postgres.query("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")
  await postgres.kill()
  let refused = false
  await postgres.query("SELECT 1").catch(() => {
    refused = true
  })
  assert.ok(refused)
  await postgres.start({ application_name: "again" })
  assert.equal(await postgres.query("SELECT n FROM kept"), [{ n: 7 }])
})

onPostgres("PostgreSQL answers nobody while it is paused, and everybody after", async () => {
  postgres.pause()
  let answered = false
  const waiting = postgres.query("SELECT 1").then(() => {
    answered = true
  })
  await new Promise((resolve) => setTimeout(resolve, 100))
  assert.not(answered)
  postgres.resume()
  await waiting
})

onPostgres("PostgreSQL is followed by a standby", async () => {
  const standby = createPostgres({ standbyOf: postgres, isInMemory: true })
  try {
    await standby.start()
    assert.equal(await standby.query("SELECT pg_is_in_recovery() AS standby"), [{ standby: true }])
  } finally {
    await standby.stop()
  }
  assert.not(existsSync(standby.socketFolder))
})

onRedis("Redis keeps what it acknowledged when it is killed, if it is to", async () => {
  const server = createRedis({ settings: KEEPING })
  try {
    await server.start()
    await server.command("SET", "a", "1")
    await server.kill()
    await server.start()
    assert.is(await server.command("GET", "a"), "1")
  } finally {
    await server.stop()
  }
})

onRedis("Redis answers nobody while it is paused, and everybody after", async () => {
  redis.pause()
  let answered = false
  const waiting = redis.command("PING").then(() => {
    answered = true
  })
  await new Promise((resolve) => setTimeout(resolve, 100))
  assert.not(answered)
  redis.resume()
  await waiting
})

test.run()
