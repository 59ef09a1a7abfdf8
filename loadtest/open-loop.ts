/** Load that does not wait for the server: calls come when they come, as those of devices do, however long the others take. */
import { setTimeout } from "node:timers/promises"
import { percentile } from "./statistics.ts"

/** Makes a call, and gives its gRPC status, `0` for OK; nothing if it ended without one. Never throws. */
export type Call = () => Promise<string | undefined>

/** Calls by their status. */
export type Statuses = Map<string, number>

/** One load that was offered. */
export interface Step {
  readonly offeredPerSecond: number
  readonly calls: number
  /** From when each call was due, so that one that could not even be sent in time counts as late. */
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
}

const TICK_MS = 1

/** Counts one call. */
export const countStatus = (statuses: Statuses, status = "none"): void => {
  statuses.set(status, (statuses.get(status) ?? 0) + 1)
}

/** Calls a second that `inFlight` callers get through who each wait for their answer. */
export async function measureCapacity(
  call: Call,
  inFlight: number,
  durationMs: number,
  statuses: Statuses,
): Promise<number> {
  const start = performance.now()
  let calls = 0
  const caller = async (): Promise<void> => {
    while (performance.now() - start < durationMs) {
      countStatus(statuses, await call())
      calls++
    }
  }
  await Promise.all(Array.from({ length: inFlight }, caller))
  return (1000 * calls) / (performance.now() - start)
}

/** Offers `perSecond` calls for `durationMs`, evenly, and waits for the last of them. */
export async function offerLoad(
  call: Call,
  perSecond: number,
  durationMs: number,
  statuses: Statuses,
): Promise<Step> {
  const total = Math.max(1, Math.round((perSecond * durationMs) / 1000))
  const latencies: number[] = []
  const start = performance.now()
  const dueMs = (i: number): number => start + (1000 * i) / perSecond
  const callOne = async (i: number): Promise<void> => {
    countStatus(statuses, await call())
    latencies.push(performance.now() - dueMs(i))
  }
  const running: Promise<void>[] = []
  while (running.length < total) {
    while (running.length < total && dueMs(running.length) <= performance.now())
      running.push(callOne(running.length))
    await setTimeout(TICK_MS)
  }
  await Promise.all(running)
  const [p50Ms, p95Ms, p99Ms] = [50, 95, 99].map((percent) => percentile(latencies, percent))
  return {
    offeredPerSecond: perSecond,
    calls: total,
    p50Ms: p50Ms ?? Number.NaN,
    p95Ms: p95Ms ?? Number.NaN,
    p99Ms: p99Ms ?? Number.NaN,
  }
}
