import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { openRedisLink, refusalOf } from "../../../src/store/engine/redis.ts"
import { rejectsCode, throwsCode } from "../../support/assert.ts"
import { type Fleet, openFleet, openReplica, useEngineServer, waitUntil } from "../../support/engines.ts"
import { handedOut, newValue, singleUseConformance } from "../../support/ports/single-use.ts"
import { isThere, needs } from "../../support/prerequisites.ts"
import { createRedis, type RedisServer } from "../../support/redis.ts"

const test = suite("openRedisLink")
const { server, onServer } = useEngineServer(test, "redis")
const onRedis = needs("redis", test)
const now = (): Date => new Date()

let fleet: Fleet | undefined
test.before(async () => {
  if (isThere("redis")) fleet = await openFleet(server)
})
test.after(() => fleet?.close())
singleUseConformance(onServer, "redis", async (body) => {
  if (fleet !== undefined) await body(fleet.singleUse, now())
})

/** Runs `act` with a server of its own. */
const withRedis = async (
  settings: Readonly<Record<string, string>>,
  act: (redis: RedisServer) => Promise<void>,
): Promise<void> => {
  const redis = createRedis({ settings })
  try {
    await redis.start()
    await act(redis)
  } finally {
    await redis.stop()
  }
}
/** Whether a replica starts on a server, and then ends. */
const starts = async (redis: RedisServer): Promise<void> => {
  const engine = await openReplica(server, { link: openRedisLink(redis.url) })
  await engine.close()
}

for (const policy of ["allkeys-lru", "volatile-ttl", "allkeys-random", "volatile-lfu"])
  onRedis(`refuses N-07 to start on a server that forgets by ${policy}`, () =>
    withRedis({ "maxmemory-policy": policy }, async (redis) => {
      await rejectsCode(() => starts(redis), "INPUT")
    }),
  )

onRedis("refuses S-02 to start on a server that is a replica", () =>
  withRedis({ replicaof: "127.0.0.1 1" }, async (redis) => {
    await rejectsCode(() => starts(redis), "INPUT")
  }),
)

onRedis("starts on a server as it comes", () => withRedis({}, starts))

const flawed: [what: string, facts: Readonly<Record<string, string>>][] = [
  ["a cluster", { mode: "cluster", role: "master", policy: "noeviction" }],
  ["a sentinel", { mode: "sentinel", role: "", policy: "noeviction" }],
  ["a replica", { mode: "standalone", role: "slave", policy: "noeviction" }],
  ["a server that forgets", { mode: "standalone", role: "master", policy: "allkeys-lru" }],
  ["a server that says nothing", {}],
]
for (const [what, facts] of flawed)
  test(`refuses S-02 ${what}`, () => assert.is(refusalOf(facts)?.code, "INPUT"))
test("accepts a server that keeps what it is told", () =>
  assert.is(refusalOf({ mode: "standalone", role: "master", policy: "noeviction" }), undefined))

for (const url of [
  "http://127.0.0.1:6379",
  "127.0.0.1:6379",
  "",
  "redis://127.0.0.1/0?commandTimeout=0",
  "redis:",
])
  test(`refuses ${JSON.stringify(url)} as the server's address`, () => {
    throwsCode(() => openRedisLink(url), "INPUT")
  })

onRedis(
  "refuses S-01 to go on with a server that is told to forget, and recovers once it is told not to",
  () =>
    withRedis({}, async (redis) => {
      const engine = await openReplica(server, { link: openRedisLink(redis.url) })
      try {
        await redis.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        await waitUntil(2000, () => engine.unready() !== undefined)
        await rejectsCode(() => engine.singleUse.seal(newValue(now())), "NONCE_STORE")
        await redis.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
        await waitUntil(2000, () => engine.unready() === undefined)
      } finally {
        await engine.close()
      }
    }),
)

onRedis("refuses N-07 to spend on a server that is full, and spends once there is room", () =>
  withRedis({}, async (redis) => {
    const engine = await openReplica(server, { link: openRedisLink(redis.url) })
    try {
      const value = await handedOut(engine.singleUse, newValue(now()), now())
      await redis.command("CONFIG", "SET", "maxmemory", "1")
      await rejectsCode(() => engine.singleUse.spend(value, now()), "CHALLENGES_FULL")
      await rejectsCode(() => engine.singleUse.attempt(value, now()), "CHALLENGES_FULL")
      await redis.command("CONFIG", "SET", "maxmemory", "0")
      await engine.singleUse.spend(value, now())
    } finally {
      await engine.close()
    }
  }),
)

onRedis("refuses S-01 to spend while nothing can be written to the disk, and spends once it can", () => {
  const folder = mkdtempSync(join(tmpdir(), "assay-redis-disk-"))
  return withRedis({ dir: folder, save: "1 1000000" }, async (redis) => {
    const engine = await openReplica(server, { link: openRedisLink(redis.url) })
    try {
      const value = await handedOut(engine.singleUse, newValue(now()), now())
      rmSync(folder, { recursive: true })
      await redis.command("BGSAVE")
      await waitUntil(3000, async () =>
        String(await redis.command("INFO", "persistence")).includes("rdb_last_bgsave_status:err"),
      )
      await rejectsCode(() => engine.singleUse.spend(value, now()), "NONCE_STORE")
      await redis.command("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")
      await waitUntil(3000, () => engine.unready() === undefined)
      await engine.singleUse.spend(value, now())
    } finally {
      await engine.close()
    }
  })
})

onRedis("remembers what was spent for longer than it lives, and not for ever", () =>
  withRedis({}, async (redis) => {
    const engine = await openReplica(server, { link: openRedisLink(redis.url) })
    try {
      const value = newValue(now())
      await engine.singleUse.spend(await handedOut(engine.singleUse, value, now()), now())
      const [key] = (await redis.command("KEYS", "assay:v1:default:challenge-spend:*")) as string[]
      const left = Number(await redis.command("PTTL", key ?? ""))
      assert.ok(left > 85_000 && left <= 90_000, `${left} ms`)
    } finally {
      await engine.close()
    }
  }),
)

onServer("refuses S-06 what was sealed before the server's clock was turned back", async () => {
  const redis = createRedis()
  await redis.start()
  const engine = await openReplica(server, { link: openRedisLink(redis.url) })
  try {
    const value = await handedOut(engine.singleUse, newValue(now()), now())
    await engine.singleUse.spend(value, now())
    // As if its clock had been an hour ahead, and all that was spent forgotten by it.
    await redis.command("SET", "assay:v1::clock", String(Date.now() + 3_600_000))
    const [key] = (await redis.command("KEYS", "assay:v1:default:challenge-spend:*")) as string[]
    await redis.command("DEL", key ?? "")
    await rejectsCode(() => engine.singleUse.spend(value, now()), ["NONCE_FENCED", "NONCE_STORE"])
    await waitUntil(3000, () => engine.unready() === undefined)
    await rejectsCode(() => engine.singleUse.spend(value, now()), "NONCE_FENCED")
    await waitUntil(3000, async () => {
      const next = await handedOut(engine.singleUse, newValue(now()), now()).catch(() => undefined)
      return (
        next !== undefined &&
        (await engine.singleUse.spend(next, now()).then(
          () => true,
          () => false,
        ))
      )
    })
  } finally {
    await engine.close()
    await redis.stop()
  }
})

const freePort = (): Promise<string> =>
  new Promise((found) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const address = probe.address()
      probe.close(() => found(typeof address === "object" && address !== null ? String(address.port) : ""))
    })
  })

onRedis(
  "refuses S-02 after a failover what its new master never heard of, and what its old one heard before",
  async () => {
    const port = await freePort()
    await withRedis({ port, bind: "127.0.0.1", "repl-diskless-sync-delay": "0" }, (old) =>
      withRedis({ replicaof: `127.0.0.1 ${port}`, "repl-diskless-sync-delay": "0" }, async (next) => {
        const before = await openReplica(server, { link: openRedisLink(old.url) })
        const value = await handedOut(before.singleUse, newValue(now()), now())
        await waitUntil(5000, async () =>
          String(await next.command("INFO", "replication")).includes("master_link_status:up"),
        )
        await next.command("REPLICAOF", "NO", "ONE")
        await before.singleUse.spend(value, now()) // by a master that is none any more
        const after = await openReplica(server, { link: openRedisLink(next.url) })
        try {
          await rejectsCode(() => after.singleUse.spend(value, now()), "NONCE_FENCED")
          // The old master comes to follow the new one, forgets what it alone knew, and becomes master again.
          const nextPort = await freePort()
          await next.command("CONFIG", "SET", "port", nextPort)
          await old.command("REPLICAOF", "127.0.0.1", nextPort)
          await waitUntil(8000, async () =>
            String(await old.command("INFO", "replication")).includes("master_link_status:up"),
          )
          await waitUntil(3000, () => before.unready() !== undefined)
          await old.command("REPLICAOF", "NO", "ONE")
          await waitUntil(3000, () => before.unready() === undefined)
          await rejectsCode(() => before.singleUse.spend(value, now()), "NONCE_FENCED")
        } finally {
          await Promise.all([before.close(), after.close()])
        }
      }),
    )
  },
)

test.run()
