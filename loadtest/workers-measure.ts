/**
 * What a Verify call costs a server of two workers, against one process that does everything, in CPU time of all processes
 * together.
 *
 * Windows of three kinds take turns: one process; two workers whose evidence comes back on the connection that its challenge
 * was made on, as a gateway's does; and two workers of which each is shown what the other has made, so that every call has
 * another process spend its challenge. Each server has four connections and writes its journal to the disk. Challenges and
 * quotes are made before a window. CPU time is what the system has counted for the processes, in steps of 10 ms.
 */
import { join } from "node:path"
import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import { toHex } from "../src/bytes.ts"
import { challengeParts } from "../src/device/attester.ts"
import type { SoftwareDevice } from "../src/device/software.ts"
import {
  AttestationService,
  CreateChallengeRequestSchema,
  type CreateChallengeResponse,
  CreateChallengeResponseSchema,
} from "../src/gen/assay/v1/attestation_pb.ts"
import { pathOf } from "../src/rpc.ts"
import { type Caller, createCaller } from "./caller.ts"
import { cpuMs } from "./cpu.ts"
import { AUDIENCE, answer, createDevice } from "./fleet.ts"
import type { Amount, PartResult } from "./part.ts"
import { withFolder } from "./servers.ts"
import { median, spreadOf } from "./statistics.ts"
import { type Cleanup, register, startTarget, type Target } from "./target.ts"
import { type Counts, differences, NO_COUNTS, plus } from "./tokens.ts"

const CONNECTIONS = 4
/** The steps are those of each process, of what it did itself and what the kernel did for it: a window is as long as makes little of them. */
const WINDOW_TIMES = 4
/** Each worker has a compiler of its own, and half of the calls of two kinds: each process has had as many calls as the other. */
const WARM_ROUNDS = 3
const FLEET = 16

const VERIFY = pathOf(AttestationService.method.verify)
const CREATE = pathOf(AttestationService.method.createChallenge)
const WANTED = toBinary(
  CreateChallengeRequestSchema,
  create(CreateChallengeRequestSchema, { audience: AUDIENCE }),
)

/** A server, and its connections, with the process that serves each by the key that it seals with. */
interface Measured {
  readonly target: Target
  readonly callers: readonly { readonly caller: Caller; readonly maker: string }[]
  readonly pid: number
}

/** How calls are made. */
interface Kind {
  readonly kind: string
  readonly server: Measured
  readonly isCrossed: boolean
}

/** One round: µs of CPU time for one call, and calls a second. */
interface Round {
  readonly microseconds: number
  readonly callsPerSecond: number
  readonly counts: Counts
}

const challengeOf = async (caller: Caller): Promise<CreateChallengeResponse> => {
  const [answered] = await caller.callAll([WANTED], 1, CREATE)
  return fromBinary(CreateChallengeResponseSchema, answered?.message ?? new Uint8Array())
}

const startServer = async (
  folder: string,
  workers: number,
  fleet: readonly SoftwareDevice[],
  cleanup: Cleanup,
): Promise<Measured> => {
  const target = await startTarget(join(folder, `data-${workers}`), cleanup, { workers })
  await register(target, fleet)
  const callers = []
  for (let i = 0; i < CONNECTIONS; i++) {
    const caller = createCaller(target.address, VERIFY, target.credential)
    cleanup.push(() => caller.close())
    callers.push({ caller, maker: toHex((await challengeOf(caller)).challenge.slice(0, 8)) })
  }
  return { target, callers, pid: await target.child.ask("pid") }
}

const roundOf = async (
  { server: { target, callers, pid }, isCrossed }: Kind,
  fleet: readonly SoftwareDevice[],
  { calls, inFlight }: Pick<Amount, "calls" | "inFlight">,
): Promise<Round> => {
  const share = Math.ceil(calls / CONNECTIONS)
  const prepared = await Promise.all(
    callers.map(async ({ caller, maker }) => {
      const other = callers.find((one) => one.maker !== maker)
      const wanted = Array.from({ length: share }, () => WANTED)
      const maybeOther = isCrossed && other !== undefined ? other.caller : caller
      const answers = await maybeOther.callAll(wanted, inFlight, CREATE)
      const requests: Uint8Array[] = []
      for (const [i, { message }] of answers.entries()) {
        const device = fleet[i % fleet.length]
        const parts = challengeParts(fromBinary(CreateChallengeResponseSchema, message))
        if (device !== undefined) requests.push(await answer(device, parts, "none"))
      }
      return { caller, requests }
    }),
  )
  const { spent, took, counts } = await target.counted(async () => {
    const [cpu, start] = [cpuMs(pid), performance.now()]
    const each = Math.max(1, Math.floor(inFlight / CONNECTIONS))
    const answers = await Promise.all(prepared.map(({ caller, requests }) => caller.callAll(requests, each)))
    return { answers: answers.flat(), spent: cpuMs(pid) - cpu, took: performance.now() - start }
  })
  const all = share * CONNECTIONS
  return { microseconds: (1000 * spent) / all, callsPerSecond: (1000 * all) / took, counts }
}

/** Measures it. The figure is that of two workers, each shown its own. */
export const measureWorkers = (amount: Pick<Amount, "calls" | "rounds" | "inFlight">): Promise<PartResult> =>
  withFolder(async (folder, cleanup) => {
    const fleet = Array.from({ length: FLEET }, () => createDevice("p256"))
    const one = await startServer(folder, 1, fleet, cleanup)
    const two = await startServer(folder, 2, fleet, cleanup)
    if (new Set(two.callers.map(({ maker }) => maker)).size !== 2)
      throw new Error("one worker serves all connections")
    const kinds: readonly Kind[] = [
      { kind: "one process", server: one, isCrossed: false },
      { kind: "two workers", server: two, isCrossed: false },
      { kind: "two workers, crossed", server: two, isCrossed: true },
    ]
    const rounds = kinds.map((): Round[] => [])
    let counts = NO_COUNTS
    const window = { ...amount, calls: amount.calls * WINDOW_TIMES }
    for (let round = -WARM_ROUNDS; round < amount.rounds; round++)
      for (const [i, kind] of kinds.entries()) {
        const done = await roundOf(kind, fleet, window)
        counts = plus(counts, done.counts)
        if (round >= 0) rounds[i]?.push(done)
      }
    const [base = []] = rounds
    // Round by round, so that whatever else the machine does meets both alike.
    const ratiosOf = (own: readonly Round[]) =>
      own.map(({ microseconds }, i) => microseconds / (base[i]?.microseconds ?? Number.NaN))
    const report = kinds.map(({ kind }, i) => {
      const own = rounds[i] ?? []
      return {
        kind,
        microseconds: Math.round(median(own.map(({ microseconds }) => microseconds))),
        ratio: spreadOf(ratiosOf(own), (ratio) => ratio),
        callsPerSecond: Math.round(median(own.map(({ callsPerSecond }) => callsPerSecond))),
      }
    })
    const [, together] = report
    return {
      figures: together === undefined ? {} : { workers: together.ratio },
      details: { calls: window.calls, inFlight: amount.inFlight, report, counts },
      differences: differences("workers", counts),
    }
  })
