/** Engines for tests: on real servers that can be killed and stopped, with several replicas on one server. */
import { basename, dirname, join } from "node:path"
import type { uvu } from "uvu"
import { createRandom } from "../../src/keys/random.ts"
import type { SingleUse } from "../../src/service/ports.ts"
import type { Engine } from "../../src/store/engine/engine.ts"
import { createKeyRecords } from "../../src/store/engine/key-record.ts"
import type { EngineLink } from "../../src/store/engine/link.ts"
import { openPostgresLink } from "../../src/store/engine/postgres.ts"
import { openRedisLink } from "../../src/store/engine/redis.ts"
import { createSharedEngine, type SharedOptions } from "../../src/store/engine/shared.ts"
import { createPostgres, DURABLE, type PostgresServer, type PostgresSettings } from "./postgres.ts"
import { isThere, needs } from "./prerequisites.ts"
import { createRedis, type RedisSettings } from "./redis.ts"

/** What a store for replicas runs on. */
export type StoreKind = "redis" | "postgres"

/** A server that is the store of engines. */
export interface EngineServer {
  readonly kind: StoreKind
  readonly url: string
  /** Its socket: the folder and the name. */
  readonly socket: readonly [folder: string, name: string]
  /** Where a socket of that name in another folder is reached. */
  urlAt(folder: string): string
  /** Settings of the server's own, of its kind. */
  start(settings?: RedisSettings | PostgresSettings): Promise<void>
  kill(): Promise<void>
  pause(): void
  resume(): void
  stop(): Promise<void>
  /** A link of a replica, to this server or to whatever stands between. */
  link(url?: string, options?: { readonly spentMax?: number }): EngineLink
  /** What there is in the store, as text: to look for what must not be there. */
  dump(): Promise<string>
  /** The server itself, of its kind. */
  readonly postgres?: PostgresServer
  /** Removes all that engines have stored, as an operator can. */
  wipe(): Promise<void>
}

/** A server that keeps what it acknowledged, if its kind can, and is not started yet. */
export const createEngineServer = (kind: StoreKind): EngineServer =>
  kind === "redis" ? redisServer() : postgresServer()

const redisServer = (): EngineServer => {
  const { url, command, ...server } = createRedis()
  return {
    ...server,
    kind: "redis",
    url,
    socket: [dirname(server.socket), basename(server.socket)],
    urlAt: (folder) => `unix:${join(folder, basename(server.socket))}`,
    link: (at = url) => openRedisLink(at),
    async dump() {
      const keys = (await command("KEYS", "*")) as readonly string[]
      const values = await Promise.all(
        keys.map(async (key) =>
          (await command("TYPE", key)) === "hash" ? command("HGETALL", key) : command("GET", key),
        ),
      )
      return JSON.stringify([keys, values])
    },
    wipe: async () => void (await command("FLUSHALL")),
  }
}

const postgresServer = (): EngineServer => {
  const postgres = createPostgres({ settings: DURABLE, isInMemory: true })
  const { query, ...server } = postgres
  return {
    ...server,
    postgres,
    kind: "postgres",
    url: server.url(),
    socket: [server.socketFolder, ".s.PGSQL.5432"],
    urlAt: (folder) =>
      server.url().replaceAll(encodeURIComponent(server.socketFolder), encodeURIComponent(folder)),
    link: (at = server.url(), { spentMax = 1_000_000 } = {}) =>
      openPostgresLink(at, { schema: "assay_engine", spentMax }),
    async dump() {
      const tables = ["shared_key", "spent", "counted", "state"]
      const rows = await Promise.all(
        tables.map((table) => query(`SELECT t::text FROM assay_engine.${table} AS t`)),
      )
      return JSON.stringify(rows)
    },
    wipe: async () => void (await query("DROP SCHEMA assay_engine CASCADE")),
  }
}

/** Of one passphrase, which is stretched once for all replicas of a process. */
const RECORDS = createKeyRecords("correct horse battery staple", createRandom())

/** What replicas of a test share but for what is told. */
export const openReplica = (
  server: EngineServer,
  options: Partial<SharedOptions> & { readonly link?: EngineLink } = {},
): Promise<Engine> =>
  createSharedEngine(options.link ?? server.link(), {
    random: createRandom(),
    clock: { now: () => new Date() },
    records: RECORDS,
    clockBoundMs: 5000,
    checkClock: () => {},
    ...options,
  })

/** Replicas of which each call goes to the next one. */
export interface Fleet {
  readonly engines: readonly Engine[]
  readonly singleUse: SingleUse
  close(): Promise<void>
}

/** So many replicas on a server. */
export const openFleet = async (server: EngineServer, size = 3): Promise<Fleet> => {
  const engines = await Promise.all(Array.from({ length: size }, () => openReplica(server)))
  let calls = 0
  const next = (): SingleUse => {
    const engine = engines[calls++ % size]
    if (engine === undefined) throw new TypeError("a fleet has a replica")
    return engine.singleUse
  }
  return {
    engines,
    singleUse: {
      seal: (value) => next().seal(value),
      open: (purpose, sealed, at) => next().open(purpose, sealed, at),
      attempt: (value, at) => next().attempt(value, at),
      count: (tenant, id, until, at) => next().count(tenant, id, until, at),
      spend: (value, at) => next().spend(value, at),
    },
    close: async () => void (await Promise.all(engines.map((engine) => engine.close()))),
  }
}

/** A server for all tests of a suite, and what makes tests of those that need it. */
export const useEngineServer = <T>(
  test: uvu.Test<T>,
  kind: StoreKind,
): { readonly server: EngineServer; readonly onServer: ReturnType<typeof needs<T>> } => {
  const server = createEngineServer(kind)
  test.before(async () => {
    if (isThere(kind)) await server.start()
  })
  test.after(() => server.stop())
  return { server, onServer: needs(kind, test) }
}

/** Waits until `holds`, for at most `ms`. Gives how long it took. */
export const waitUntil = async (ms: number, holds: () => boolean | Promise<boolean>): Promise<number> => {
  const start = performance.now()
  while (!(await holds())) {
    if (performance.now() - start > ms) throw new Error(`it does not hold after ${ms} ms`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return performance.now() - start
}
