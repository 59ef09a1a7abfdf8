/**
 * What an attestation costs three replicas, nginx, PostgreSQL and Redis: `node loadtest/replicas.ts [--calls N] [--rounds N] [--warm N]`.
 * `docs/scaling.md` reckons with what it prints.
 *
 * Everything runs on this machine, with who calls: calls a second say what all of it does together, and CPU time what each
 * part of it needs. Rounds make so many challenges, then show evidence for each, then do both in one; the log of an
 * attestation is named, not shown, as when a device attests again. PostgreSQL writes to the disk. Every call has to end in
 * a session of its own, and the journal has to have as many records more, or the run fails. CPU time is in steps of 10 ms.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { availableParallelism, loadavg, tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { fromBinary } from "@bufbuild/protobuf"
import type { AttestationClient } from "../src/client/attestation.ts"
import { challengeParts } from "../src/device/attester.ts"
import { type CreateChallengeResponse, VerifyRequestSchema } from "../src/gen/assay/v1/attestation_pb.ts"
import { type BehindNginx, letIn, startBehindNginx } from "../test/e2e/behind-nginx.ts"
import { sessionOf } from "../test/e2e/server.ts"
import { createPostgres, DURABLE } from "../test/support/postgres.ts"
import { createRedis } from "../test/support/redis.ts"
import { cpuMs } from "./cpu.ts"
import { AUDIENCE, answer, createDevice, policyFor } from "./fleet.ts"
import { median } from "./statistics.ts"

const { values } = parseArgs({
  options: {
    calls: { type: "string", default: "3000" },
    rounds: { type: "string", default: "5" },
    warm: { type: "string", default: "15000" },
    "in-flight": { type: "string", default: "48" },
  },
})
const calls = Number(values.calls)
const rounds = Number(values.rounds)
const warm = Number(values.warm)
const inFlight = Number(values["in-flight"])
const CLIENTS = 6
const FLEET = 32

const postgres = createPostgres({ settings: { ...DURABLE, shared_buffers: "128MB", max_wal_size: "1GB" } })
const redis = createRedis()
const folder = mkdtempSync(join(tmpdir(), "assay-load-"))

/** Runs `act` for each of so many, `inFlight` at a time, in their order. */
const each = async <T>(count: number, act: (index: number) => Promise<T>): Promise<T[]> => {
  const results: T[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    for (let i = next++; i < count; i = next++) results[i] = await act(i)
  }
  await Promise.all(Array.from({ length: inFlight }, worker))
  return results
}

/** Everything that is counted, since whenever. */
type Counters = Readonly<Record<string, number>>

const redisInfo = async (section: string, name: RegExp): Promise<number> =>
  Number(name.exec(String(await redis.command("INFO", section)))?.[1] ?? 0)

const countersOf = async ({ replicas, nginx }: BehindNginx, url: string): Promise<Counters> => {
  const postmaster = Number(
    readFileSync(join(postgres.socketFolder, "data", "postmaster.pid"), "utf8").split("\n")[0],
  )
  // A statistics process tells of a transaction up to a second late.
  await new Promise((resolve) => setTimeout(resolve, 1100))
  const [row = {}] = await postgres.query(
    `SELECT xact_commit AS transactions, tup_inserted AS inserted, tup_updated AS updated,
       pg_current_wal_lsn() - '0/0' AS wal, (SELECT count(*) FROM assay.journal WHERE act = 'verify') AS records
     FROM pg_stat_database WHERE datname = current_database()`,
    url,
  )
  return {
    ...Object.fromEntries(
      replicas.map(({ child }, i) => [`replica ${i + 1}, CPU µs`, 1000 * cpuMs(child.pid ?? 0)]),
    ),
    "nginx, CPU µs": 1000 * cpuMs(nginx),
    "PostgreSQL, CPU µs": 1000 * cpuMs(postmaster),
    "Redis, CPU µs": 1000 * cpuMs(await redisInfo("server", /process_id:(\d+)/)),
    "Redis, memory bytes": await redisInfo("memory", /used_memory:(\d+)/),
    "Redis, scripts run": await redisInfo("commandstats", /cmdstat_evalsha:calls=(\d+)/),
    "PostgreSQL, transactions": Number(row["transactions"]),
    "PostgreSQL, rows inserted": Number(row["inserted"]),
    "PostgreSQL, rows updated": Number(row["updated"]),
    "PostgreSQL, WAL bytes": Number(row["wal"]),
    "journal records": Number(row["records"]),
  }
}

/** What each call of `act` came to. */
const windowOf = async <T>(
  stage: BehindNginx,
  url: string,
  act: () => Promise<T>,
): Promise<readonly [result: T, each: Counters]> => {
  const before = await countersOf(stage, url)
  const start = performance.now()
  const result = await act()
  const perSecond = (1000 * calls) / (performance.now() - start)
  const after = await countersOf(stage, url)
  const spent = Object.entries(after).map(([name, value]): readonly [string, number] => [
    name,
    (value - (before[name] ?? 0)) / calls,
  ])
  const together = spent
    .filter(([name]) => name.startsWith("replica"))
    .reduce((sum, [, value]) => sum + value, 0)
  return [
    result,
    { "calls a second": perSecond, "replicas together, CPU µs": together, ...Object.fromEntries(spent) },
  ]
}

const print = (title: string, windows: readonly Counters[]): void => {
  console.log(`\n${title}: median (least to most) of ${windows.length} rounds, for one call`)
  for (const name of Object.keys(windows[0] ?? {})) {
    const all = windows.map((window) => window[name] ?? 0)
    const [middle, least, most] = [median(all), Math.min(...all), Math.max(...all)].map((value) =>
      value >= 10 ? value.toFixed(0) : value.toFixed(3),
    )
    console.log(`  ${name.padEnd(28)}${String(middle).padStart(10)}   (${least} to ${most})`)
  }
}

const run = async (): Promise<void> => {
  await postgres.start()
  await redis.start()
  const url = await postgres.createDatabase()
  const stage = await startBehindNginx(folder, { store: url, engine: redis.url })
  try {
    const devices = Array.from({ length: FLEET }, () => createDevice("p256"))
    const [first = createDevice("p256")] = devices
    await letIn(stage, devices, policyFor(first))
    const clients = Array.from({ length: CLIENTS }, () => stage.client())
    const clientOf = (i: number): AttestationClient => clients[i % CLIENTS] ?? stage.client()
    const challenge = (i: number) => clientOf(i).createChallenge({ audience: AUDIENCE })
    const requestFor = async (made: CreateChallengeResponse, i: number, log: "sent" | "named") =>
      fromBinary(VerifyRequestSchema, await answer(devices[i % FLEET] ?? first, challengeParts(made), log))
    const tokenOf = async (request: Awaited<ReturnType<typeof requestFor>>, i: number): Promise<string> => {
      const token = sessionOf(await clientOf(i).verify(request))
      if (token === undefined) throw new Error(`call ${i} ended without a session`)
      return token
    }
    // Every log is shown before it is named; the compiler goes on making calls cheaper for some thousands of each replica.
    for (const [count, log] of [
      [calls, "sent"],
      [warm, "named"],
    ] as const)
      await each(count, async (i) => tokenOf(await requestFor(await challenge(i), i, log), i))
    const challenges: Counters[] = []
    const verifications: Counters[] = []
    const attestations: Counters[] = []
    for (let round = 0; round < rounds; round++) {
      const [made, forChallenge] = await windowOf(stage, url, () => each(calls, challenge))
      const requests: Awaited<ReturnType<typeof requestFor>>[] = []
      for (const [i, one] of made.entries()) requests.push(await requestFor(one, i, "named"))
      const [tokens, forVerify] = await windowOf(stage, url, () =>
        each(calls, (i) => tokenOf(requests[i] ?? missing(), i)),
      )
      const [others, forBoth] = await windowOf(stage, url, () =>
        each(calls, async (i) => tokenOf(await requestFor(await challenge(i), i, "named"), i)),
      )
      const recorded = forVerify["journal records"] === 1 && forBoth["journal records"] === 1
      if (new Set([...tokens, ...others]).size !== 2 * calls || !recorded)
        throw new Error("not every call ended in a session of its own and in a record")
      challenges.push(forChallenge)
      verifications.push(forVerify)
      attestations.push(forBoth)
    }
    console.log(
      `${calls} calls a round, ${inFlight} at a time; ${availableParallelism()} cores, load ${loadavg()[0]}`,
    )
    print("CreateChallenge", challenges)
    print("Verify", verifications)
    print("Both, with the quote made between", attestations)
    await printSizes(url)
    const [{ connections } = {}] = await postgres.query(
      "SELECT count(*) AS connections FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
      url,
    )
    const onRedis = (await redisInfo("clients", /connected_clients:(\d+)/)) - 1
    console.log(`Connections of three replicas: ${connections} to PostgreSQL, ${onRedis} to Redis`)
  } finally {
    await stage.stop()
  }
}

const missing = (): never => {
  throw new TypeError("there is a request for each call")
}

/** What a record takes on the disk, with its indexes, after everything above. */
const printSizes = async (url: string): Promise<void> => {
  const [row = {}] = await postgres.query(
    `SELECT count(*) AS records, pg_table_size('assay.journal') / count(*) AS rows,
       pg_indexes_size('assay.journal') / count(*) AS indexes FROM assay.journal`,
    url,
  )
  console.log(
    `\nJournal: ${row["records"]} records, each ${row["rows"]} bytes and ${row["indexes"]} of indexes`,
  )
}

try {
  await run()
} finally {
  await redis.stop()
  await postgres.stop()
  rmSync(folder, { recursive: true, force: true })
}
