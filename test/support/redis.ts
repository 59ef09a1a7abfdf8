/** Real Redis servers for tests, each with its data and its socket in a folder of its own. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Redis } from "ioredis"
import type { uvu } from "uvu"
import { isThere } from "./prerequisites.ts"
import { type ServerProcess, startProcess } from "./server-process.ts"

export { needs } from "./prerequisites.ts"

/** Settings of the server, as in redis.conf. */
export type RedisSettings = Readonly<Record<string, string>>

/** A server that survives being killed with all that it has acknowledged. */
export const KEEPING: RedisSettings = { appendonly: "yes", appendfsync: "always" }

/** A Redis server of a test. It forgets everything when it ends, unless its settings say otherwise. */
export interface RedisServer {
  /** Where it is reached, by a Unix socket. */
  readonly url: string
  readonly socket: string
  /** Runs one command, past Assay. */
  command(name: string, ...args: readonly string[]): Promise<unknown>
  /** Starts it with whatever data is there. Resolves when it answers. */
  start(settings?: RedisSettings): Promise<void>
  /** SIGKILL. */
  kill(): Promise<void>
  /** It stops: connections stay, and nobody answers. */
  pause(): void
  resume(): void
  /** Ends it and removes its data. */
  stop(): Promise<void>
}

/** A server that is not started yet. */
export const createRedis = (options: { readonly settings?: RedisSettings } = {}): RedisServer => {
  const folder = mkdtempSync(join(tmpdir(), "assay-redis-"))
  const socket = join(folder, "redis.sock")
  let running: ServerProcess | undefined

  const server: RedisServer = {
    url: `unix:${socket}`,
    socket,
    async command(name, ...args) {
      const client = new Redis(socket, { lazyConnect: true, retryStrategy: null })
      client.on("error", () => {}) // whoever waits for an answer is told
      try {
        await client.connect()
        return await client.call(name, ...args)
      } finally {
        client.disconnect()
      }
    },
    async start(settings = {}) {
      const all = Object.entries({
        port: "0",
        unixsocket: socket,
        dir: folder,
        save: "",
        ...options.settings,
        ...settings,
      })
      running = await startProcess(
        ["redis-server", ...all.flatMap(([name, value]) => [`--${name}`, value])],
        { answers: () => server.command("PING") },
      )
    },
    async kill() {
      await running?.kill()
    },
    pause: () => running?.pause(),
    resume: () => running?.resume(),
    async stop() {
      await running?.kill() // it may wait for a disk that it cannot write to
      rmSync(folder, { recursive: true, force: true })
    },
  }
  return server
}

/** A server for all tests of a suite, started before the first of them, if Redis is installed. */
export const useRedis = <T>(
  test: uvu.Test<T>,
  options: { readonly settings?: RedisSettings } = {},
): RedisServer => {
  const server = createRedis(options)
  test.before(async () => {
    if (isThere("redis")) await server.start()
  })
  test.after(() => server.stop())
  return server
}
