/**
 * What a Verify call costs a server of two workers, against one process that does everything, in CPU time of all processes
 * together: `node loadtest/workers.ts [--calls N] [--rounds N]`. It ends with status 1 when two workers cost more than 1.1 times
 * as much.
 *
 * Windows of three kinds take turns: one process; two workers whose evidence comes back on the connection that its challenge
 * was made on, as a gateway's does; and two workers of which each is shown what the other has made, so that every call has
 * another process spend its challenge. Each server has four connections and writes its journal to the disk. Challenges and quotes are
 * made before a window. Every call has to end in a session of its own and in a record, or the run fails. CPU time is what
 * the system has counted for the processes, in steps of 10 ms.
 */
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs"
import { loadavg, tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { parseArgs } from "node:util"
import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import { toHex } from "../src/bytes.ts"
import { createAdminClient } from "../src/client/admin.ts"
import { challengeParts } from "../src/device/attester.ts"
import type { SoftwareDevice } from "../src/device/software.ts"
import {
  AttestationService,
  CreateChallengeRequestSchema,
  type CreateChallengeResponse,
  CreateChallengeResponseSchema,
} from "../src/gen/assay/v1/attestation_pb.ts"
import { pathOf } from "../src/rpc.ts"
import type { AssayFunctions } from "./assay-server.ts"
import { type Caller, createCaller } from "./caller.ts"
import { startChild } from "./child.ts"
import { cpuMs } from "./cpu.ts"
import { AUDIENCE, answer, createDevice, policyFor } from "./fleet.ts"
import { sessionTokenOf } from "./messages.ts"
import { median } from "./statistics.ts"

const { values } = parseArgs({
  options: {
    calls: { type: "string", default: "2000" },
    rounds: { type: "string", default: "5" },
    "in-flight": { type: "string", default: "256" },
  },
})
const calls = Number(values.calls)
const rounds = Number(values.rounds)
const inFlight = Number(values["in-flight"])
const RATIO_MAX = 1.1
const CONNECTIONS = 4
const WARM_ROUNDS = 4
const FLEET = 16

const VERIFY = pathOf(AttestationService.method.verify)
const CREATE = pathOf(AttestationService.method.createChallenge)
const WANTED = toBinary(
  CreateChallengeRequestSchema,
  create(CreateChallengeRequestSchema, { audience: AUDIENCE }),
)

/** A server that is measured. */
interface Measured {
  /** Connections, with the process that serves each by the key that it seals with. */
  readonly callers: readonly { readonly caller: Caller; readonly maker: string }[]
  readonly pid: number
  readonly records: () => number
}

const cleanup: (() => void | Promise<void>)[] = []

const challengeOf = async (caller: Caller): Promise<CreateChallengeResponse> => {
  const [answered] = await caller.callAll([WANTED], 1, CREATE)
  return fromBinary(CreateChallengeResponseSchema, answered?.message ?? new Uint8Array())
}

const startServer = async (
  folder: string,
  log: number,
  workers: number,
  fleet: readonly SoftwareDevice[],
): Promise<Measured> => {
  const child = startChild<AssayFunctions>(join(import.meta.dirname, "assay-server.ts"), [
    "ignore",
    log,
    "inherit",
    "ipc",
  ])
  cleanup.push(() => child.stop())
  const data = join(folder, `data-${workers}`)
  const { address, admin, credential } = await child.ask("start", data, workers)
  const operator = createAdminClient(admin)
  for (const [i, { akPublic, qualifiedName }] of fleet.entries())
    await operator.registerDevice({ id: `device-${i}`, akPublic, qualifiedName })
  const [first] = fleet
  if (first !== undefined) await operator.setPolicy(policyFor(first))
  await operator.assignPolicy({ policy: "load" })
  operator.close()
  const callers = []
  for (let i = 0; i < CONNECTIONS; i++) {
    const caller = createCaller(address, VERIFY, credential)
    cleanup.push(() => caller.close())
    callers.push({ caller, maker: toHex((await challengeOf(caller)).challenge.slice(0, 8)) })
  }
  const database = new DatabaseSync(join(data, "assay.db"), { readOnly: true })
  cleanup.push(() => database.close())
  const count = database.prepare("SELECT count(*) AS records FROM journal WHERE act = 'verify'")
  return { callers, pid: await child.ask("pid"), records: () => Number(count.get()?.["records"]) }
}

/** µs of CPU time for one call, and calls a second. */
const roundOf = async (
  server: Measured,
  fleet: readonly SoftwareDevice[],
  isCrossed: boolean,
): Promise<readonly [microseconds: number, perSecond: number]> => {
  const { callers, pid, records } = server
  const share = calls / CONNECTIONS
  const prepared = await Promise.all(
    callers.map(async ({ caller, maker }) => {
      const other = callers.find((one) => one.maker !== maker)
      const answers = await (isCrossed && other !== undefined ? other.caller : caller).callAll(
        Array.from({ length: share }, () => WANTED),
        inFlight,
        CREATE,
      )
      const requests: Uint8Array[] = []
      for (const [i, { message }] of answers.entries()) {
        const device = fleet[i % fleet.length]
        const parts = challengeParts(fromBinary(CreateChallengeResponseSchema, message))
        if (device !== undefined) requests.push(await answer(device, parts, "none"))
      }
      return { caller, requests }
    }),
  )
  const before = records()
  const [cpu, start] = [cpuMs(pid), performance.now()]
  const answers = await Promise.all(
    prepared.map(({ caller, requests }) => caller.callAll(requests, inFlight / CONNECTIONS)),
  )
  const [spent, took] = [cpuMs(pid) - cpu, performance.now() - start]
  const sessions = new Set(answers.flat().map(sessionTokenOf)).size
  if (sessions !== calls || records() - before !== calls)
    throw new Error(`${calls} calls, but ${sessions} sessions and ${records() - before} records`)
  return [(1000 * spent) / calls, (1000 * calls) / took]
}

const folder = mkdtempSync(join(tmpdir(), "assay-workers-bench-"))
try {
  const log = openSync(join(folder, "server.log"), "w")
  cleanup.push(() => closeSync(log))
  const fleet = Array.from({ length: FLEET }, () => createDevice("p256"))
  const one = await startServer(folder, log, 1, fleet)
  const two = await startServer(folder, log, 2, fleet)
  if (new Set(two.callers.map(({ maker }) => maker)).size !== 2)
    throw new Error("one worker serves all connections")
  const kinds = [
    { kind: "one process", server: one, isCrossed: false, figures: [] as number[], rates: [] as number[] },
    { kind: "two workers", server: two, isCrossed: false, figures: [] as number[], rates: [] as number[] },
    {
      kind: "two workers, crossed",
      server: two,
      isCrossed: true,
      figures: [] as number[],
      rates: [] as number[],
    },
  ]
  // Each worker has a compiler of its own, and only half of the calls.
  for (let round = 0; round < WARM_ROUNDS; round++)
    for (const { server, isCrossed } of kinds) await roundOf(server, fleet, isCrossed)
  for (let round = 0; round < rounds; round++)
    for (const { server, isCrossed, figures, rates } of kinds) {
      const [microseconds, perSecond] = await roundOf(server, fleet, isCrossed)
      figures.push(microseconds)
      rates.push(perSecond)
    }
  const [base] = kinds
  const report = kinds.map(({ kind, figures, rates }) => ({
    kind,
    microseconds: Math.round(median(figures)),
    // Round by round, so that whatever else the machine does meets both alike.
    ratio: Number(median(figures.map((figure, i) => figure / (base?.figures[i] ?? Number.NaN))).toFixed(3)),
    callsPerSecond: Math.round(median(rates)),
  }))
  process.stdout.write(
    `${JSON.stringify({ calls, rounds, inFlight, loadAverage: loadavg()[0], report }, undefined, 2)}\n`,
  )
  if ((report[1]?.ratio ?? Number.NaN) > RATIO_MAX) process.exitCode = 1
} finally {
  for (const close of cleanup.reverse()) await close()
  rmSync(folder, { recursive: true, force: true })
}
