/**
 * What a record of the journal costs: CPU time of the process, the time until it is durable, and how long the event loop
 * stands still meanwhile. `node loadtest/journal.ts`; with `--thread main`, written by the thread that asks, as it was once.
 *
 * Each append brings what Verify brings: the commit of one device's counters and result. So many are in flight at a time;
 * each one that is answered is followed by the next. The file is on the disk that `--folder` is on.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { parseArgs } from "node:util"
import { openServedStore, openSqliteStore } from "../src/store/sqlite.ts"
import { newAct, newCounters, newDevice, newRecord } from "../test/support/ports/samples.ts"

const { values } = parseArgs({
  options: {
    appends: { type: "string", default: "20000" },
    rounds: { type: "string", default: "5" },
    "in-flight": { type: "string", default: "1,16,64,256" },
    thread: { type: "string", default: "own" },
    folder: { type: "string", default: tmpdir() },
  },
})
const DEVICES = 100
const WARM = 2000

const folder = mkdtempSync(join(values.folder, "assay-journal-"))
const open = values.thread === "own" ? openServedStore : openSqliteStore
const store = open(join(folder, "assay.db"))
for (let i = 0; i < DEVICES; i += 1)
  await store.registry.registerDevice(newDevice(`device-${i}`), newAct("register-device"))

let clockMs = 1000n
const append = async (i: number): Promise<void> => {
  const device = `device-${i % DEVICES}`
  clockMs += 1n
  const at = new Date()
  await store.journal.append(
    newRecord(device, { at, codes: ["AK_BINDING_UNPROVEN"], tokenId: `token-${i}` }),
    {
      device,
      revisions: { device: 1, policy: undefined, trust: undefined },
      counters: newCounters({ clockMs, recordedAt: at }),
      result: { at, tier: "affirming", code: undefined, admitted: true },
      known: true,
      remembered: undefined,
      freshSince: new Date(0),
    },
  )
}

const quantile = (sorted: readonly number[], q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0

const round = async (appends: number, inFlight: number) => {
  const latencies: number[] = []
  let next = 0
  const caller = async (): Promise<void> => {
    while (next < appends) {
      const start = performance.now()
      await append(next++)
      latencies.push(performance.now() - start)
    }
  }
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const cpu = process.cpuUsage()
  const start = performance.now()
  await Promise.all(Array.from({ length: inFlight }, caller))
  const seconds = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(cpu)
  delay.disable()
  latencies.sort((a, b) => a - b)
  return {
    perSecond: appends / seconds,
    cpuUs: (user + system) / appends,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    loopP99: delay.percentile(99) / 1e6,
    loopMax: delay.max / 1e6,
  }
}

const median = (values: readonly number[]): number =>
  quantile(
    [...values].sort((a, b) => a - b),
    0.5,
  )

try {
  await round(WARM, 64)
  const rows: Record<string, string | number>[] = []
  for (const inFlight of String(values["in-flight"]).split(",").map(Number)) {
    const rounds: Awaited<ReturnType<typeof round>>[] = []
    const appends = Math.min(Number(values.appends), inFlight * 2000)
    for (let i = 0; i < Number(values.rounds); i += 1) rounds.push(await round(appends, inFlight))
    const of = (key: keyof (typeof rounds)[number]): number => median(rounds.map((one) => one[key]))
    rows.push({
      "in flight": inFlight,
      "appends/s": Math.round(of("perSecond")),
      "CPU µs": Math.round(of("cpuUs") * 10) / 10,
      "least CPU µs": Math.round(Math.min(...rounds.map(({ cpuUs }) => cpuUs)) * 10) / 10,
      "p50 ms": of("p50").toFixed(2),
      "p99 ms": of("p99").toFixed(2),
      "loop p99 ms": of("loopP99").toFixed(2),
      "loop max ms": of("loopMax").toFixed(2),
    })
  }
  console.table(rows)
} finally {
  await store.close()
  rmSync(folder, { recursive: true })
}
