/** Real PostgreSQL servers for tests, each with its data and its socket in a folder of its own. */
import { execFileSync } from "node:child_process"
import { existsSync, mkdtempSync, rmSync, statfsSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { Client } from "pg"
import type { Test } from "uvu"
import { keep } from "./kept.ts"
import { isThere, postgresPrograms } from "./prerequisites.ts"
import { privileges, type ServerProcess, startProcess } from "./server-process.ts"

export { needs } from "./prerequisites.ts"

/** PostgreSQL refuses to run as root; its package made this user. */
const SYSTEM_USER = "postgres"
const SUPERUSER = "assay"

/** Settings of the server, as in postgresql.conf. */
export type PostgresSettings = Readonly<Record<string, string>>

/** What a server needs, and its log. */
const DATA_BYTES = 1024 * 1024 * 1024

const memoryFolder = (): string => {
  try {
    const { bavail, bsize } = statfsSync("/dev/shm")
    return bavail * bsize > DATA_BYTES ? "/dev/shm" : tmpdir()
  } catch {
    return tmpdir()
  }
}

/** What tests need of most servers: small, quick, and without a word to the disk. */
const QUICK: PostgresSettings = {
  fsync: "off",
  full_page_writes: "off",
  synchronous_commit: "off",
}

/** What a server that must not forget has. */
export const DURABLE: PostgresSettings = { fsync: "on", full_page_writes: "on", synchronous_commit: "on" }

/** A PostgreSQL server of a test. */
export interface PostgresServer {
  /** The folder of its socket. */
  readonly socketFolder: string
  /** Where a database of this server is reached, by a Unix socket. Without a name, the one that is always there. */
  url(database?: string): string
  /** Makes an empty database that nobody else uses, and gives its URL. */
  createDatabase(): Promise<string>
  /** Runs SQL in the database that is always there, or in that of a URL, past Assay. Gives the rows. */
  query(sql: string, url?: string): Promise<readonly Readonly<Record<string, unknown>>[]>
  /** Starts it, the first time with new data, then with what is there. Resolves when it answers queries. */
  start(settings?: PostgresSettings): Promise<void>
  /** As by a power cut that spares the disk: SIGKILL for every process of it. */
  kill(): Promise<void>
  /** Every process of it stops: connections stay, and nobody answers. */
  pause(): void
  resume(): void
  /** Ends it and removes its data. */
  stop(): Promise<void>
}

/** Runs a program as whoever owns the data. */
const asOwner = (...command: readonly string[]): void => {
  execFileSync("setpriv", [...privileges(SYSTEM_USER), "--pdeathsig", "KILL", ...command], {
    stdio: ["ignore", "ignore", "pipe"],
    cwd: "/",
  })
}

/** Where the data of a server that has never been started is kept, for all that are to come: initdb takes most of a second. */
const emptyCluster = (programs: string): string => {
  const kept = resolve(".cache", `initdb${programs.replaceAll("/", "-")}-${statSync(programs).mtimeMs}`)
  if (existsSync(kept)) return kept
  const folder = mkdtempSync(join(tmpdir(), "assay-initdb-"))
  try {
    if (process.getuid?.() === 0) execFileSync("chown", [`${SYSTEM_USER}:`, folder])
    const made = join(folder, "data")
    const settings = ["--auth=trust", "--no-sync", "--no-locale", "--encoding=UTF8"]
    asOwner(join(programs, "initdb"), "-D", made, "-U", SUPERUSER, ...settings)
    keep(made, kept, (from, to) => execFileSync("cp", ["-a", from, to]))
    return kept
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/**
 * A server that is not started yet.
 *
 * @param options.settings Beside those that make it quick; `DURABLE` has it keep its word.
 * @param options.standbyOf Its data is a copy of that server's, which it then follows.
 * @param options.isInMemory Its disk is memory, if there is enough of it: what is told to it takes no time.
 */
export const createPostgres = (
  options: {
    readonly settings?: PostgresSettings
    readonly standbyOf?: PostgresServer
    readonly isInMemory?: boolean
  } = {},
): PostgresServer => {
  const programs = postgresPrograms() ?? ""
  const folder = mkdtempSync(join(options.isInMemory === true ? memoryFolder() : tmpdir(), "assay-pg-"))
  const data = join(folder, "data")
  let running: ServerProcess | undefined
  let hasData = false
  let databases = 0

  const makeData = (): void => {
    if (process.getuid?.() === 0) execFileSync("chown", [`${SYSTEM_USER}:`, folder])
    if (options.standbyOf === undefined)
      execFileSync("cp", ["-a", "--reflink=auto", emptyCluster(programs), data])
    else
      asOwner(
        join(programs, "pg_basebackup"),
        "-D",
        data,
        "-d",
        options.standbyOf.url(),
        "-R",
        "-c",
        "fast",
        "-X",
        "stream",
        "--no-sync",
      )
    hasData = true
  }
  const url = (database = "postgres"): string =>
    `postgresql:///${database}?host=${encodeURIComponent(folder)}&user=${SUPERUSER}`

  const server: PostgresServer = {
    socketFolder: folder,
    url,
    async createDatabase() {
      const name = `test${databases++}`
      await server.query(`CREATE DATABASE ${name}`)
      return url(name)
    },
    async query(sql, at = url()) {
      const client = new Client({ connectionString: at })
      client.on("error", () => {}) // whoever waits for an answer is told
      await client.connect()
      try {
        const { rows } = await client.query<Record<string, unknown>>(sql)
        return rows
      } finally {
        await client.end()
      }
    },
    async start(settings = {}) {
      if (!hasData) makeData()
      const all = Object.entries({
        ...QUICK,
        listen_addresses: "",
        unix_socket_directories: folder,
        shared_buffers: "8MB",
        // In its folder, so that a server that was killed leaves nothing behind.
        dynamic_shared_memory_type: "mmap",
        max_wal_size: "64MB",
        logging_collector: "off",
        ...options.settings,
        ...settings,
      })
      running = await startProcess(
        [
          join(programs, "postgres"),
          "-D",
          data,
          ...all.flatMap(([name, value]) => ["-c", `${name}=${value}`]),
        ],
        { user: SYSTEM_USER, answers: () => server.query("SELECT 1") },
      )
    },
    async kill() {
      await running?.kill()
    },
    pause: () => running?.pause(),
    resume: () => running?.resume(),
    async stop() {
      await running?.end("SIGQUIT")
      rmSync(folder, { recursive: true, force: true })
    },
  }
  return server
}

/** A server for all tests of a suite, started before the first of them, if PostgreSQL is installed. */
export const usePostgres = (
  test: Pick<Test, "before" | "after">,
  options: { readonly settings?: PostgresSettings; readonly isInMemory?: boolean } = {},
): PostgresServer => {
  const server = createPostgres(options)
  test.before(async () => {
    if (isThere("postgres")) await server.start()
  })
  test.after(() => server.stop())
  return server
}
