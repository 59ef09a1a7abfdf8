/**
 * How long calls take, and how late the event loop is. Each round first asks as much as is answered, with so many calls in
 * flight, which is the capacity, and watches the server's event loop meanwhile; then it offers 70 % of that, evenly and
 * without waiting for answers, and counts each call's latency from when it was due. Every call brings a fresh challenge
 * and a quote by a P-256 key over it, made in advance. Who calls shares the machine with the server.
 */
import { join } from "node:path"
import { answer, createDevice } from "./fleet.ts"
import { type Call, offerLoad, type Statuses } from "./open-loop.ts"
import type { Amount, PartResult } from "./part.ts"
import { withFolder } from "./servers.ts"
import { spreadOf } from "./statistics.ts"
import { register, startTarget, type Target } from "./target.ts"
import { differences, NO_COUNTS, plus } from "./tokens.ts"

const PART_OF_CAPACITY = 0.7
const FLEET = 16
const WARM_ROUNDS = 3
/** Calls of a round for each that others take: a percentile of 99 needs many. */
const CALLS_EACH = 3
/** Offered before, as a part of that, and not counted: a load that goes on finds no server that has waited for a second. */
const RUN_IN = 1 / 3

/** Measures it. */
export const measureLatency = ({ calls, rounds, inFlight }: Amount): Promise<PartResult> =>
  withFolder(async (folder, cleanup) => {
    const target = await startTarget(join(folder, "data"), cleanup)
    const fleet = Array.from({ length: FLEET }, () => createDevice("p256"))
    await register(target, fleet)
    const prepare = async (count: number): Promise<readonly Uint8Array[]> =>
      Promise.all(
        (await target.challenges(count)).map((challenge, i) => {
          const device = fleet[i % FLEET]
          if (device === undefined) throw new TypeError("a fleet has devices")
          return answer(device, challenge, "none")
        }),
      )
    const count = CALLS_EACH * calls
    const figures: {
      capacity: number
      p50Ms: number
      p99Ms: number
      loopP99Ms: number
      loopMaxMs: number
    }[] = []
    let counts = NO_COUNTS
    for (let round = -WARM_ROUNDS; round < rounds; round++) {
      const full = await atFullLoad(target, await prepare(count), inFlight)
      const requests = await prepare(Math.ceil(count * (1 + RUN_IN)))
      const offered = await atPart(target, requests, count, PART_OF_CAPACITY * full.capacity)
      counts = plus(plus(counts, full.counts), offered.counts)
      const { p50Ms, p99Ms } = offered
      const { capacity, loop } = full
      if (round >= 0) figures.push({ capacity, p50Ms, p99Ms, loopP99Ms: loop.p99Ms, loopMaxMs: loop.maxMs })
    }
    return {
      figures: {
        latency: spreadOf(figures, ({ p99Ms }) => p99Ms),
        loopDelay: spreadOf(figures, ({ loopP99Ms }) => loopP99Ms),
      },
      details: { inFlight, rounds: figures, counts },
      differences: differences("latency", counts),
    }
  })

const atFullLoad = (target: Target, requests: readonly Uint8Array[], inFlight: number) =>
  target.counted(async () => {
    await target.child.ask("watchLoop")
    const start = performance.now()
    const answers = await target.caller.callAll(requests, inFlight)
    const capacity = (1000 * requests.length) / (performance.now() - start)
    return { answers, capacity, loop: await target.child.ask("loopDelay") }
  })

/** Offers all of them, and times the last `count`. */
const atPart = (target: Target, requests: readonly Uint8Array[], count: number, perSecond: number) =>
  target.counted(async () => {
    const answers: Awaited<ReturnType<Target["caller"]["callAll"]>>[number][] = []
    const statuses: Statuses = new Map()
    let next = 0
    const call: Call = async () => {
      const [answered] = await target.caller.callAll(requests.slice(next, ++next), 1)
      if (answered !== undefined) answers.push(answered)
      return answered?.status
    }
    const durationMs = (calls: number): number => (1000 * calls) / perSecond
    await offerLoad(call, perSecond, durationMs(requests.length - count), new Map())
    const step = await offerLoad(call, perSecond, durationMs(count), statuses)
    return { answers, ...step }
  })
