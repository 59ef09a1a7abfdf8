/**
 * A process that asks for Verify, so much at a time or so much a second: each caller is one, for none is to wait for another. It
 * may have several credentials, each on connections of its own.
 */
import { connect } from "node:http2"
import { AttestationService } from "../src/gen/assay/v1/attestation_pb.ts"
import { pathOf } from "../src/rpc.ts"
import { framed, HEADERS } from "./caller.ts"
import { offer } from "./child.ts"

const CONNECTIONS_MIN = 8
const IN_FLIGHT = 128
const OK = "0"
const PERMISSION_DENIED = "7"
const RESOURCE_EXHAUSTED = "8"

/** How the calls of a stretch of time ended. */
class Tally {
  asked = 0
  ok = 0
  /** By who may not speak for the device. */
  denied = 0
  other = 0
  /** Refusals that do not say when to come again. */
  mute = 0
  readonly refusedMs: number[] = []
  readonly okMs: number[] = []

  add(status: string | undefined, details: string, ms: number): void {
    if (status === OK) {
      this.ok++
      this.okMs.push(ms)
    } else if (status === RESOURCE_EXHAUSTED) {
      this.refusedMs.push(ms)
      if (!Buffer.from(details, "base64").includes("google.rpc.RetryInfo")) this.mute++
    } else if (status === PERMISSION_DENIED) this.denied++
    else this.other++
  }
}

/** Several connections. */
const createAsker = (address: string, credentials: readonly string[], requests: readonly Buffer[]) => {
  const callers = Array.from({ length: Math.max(CONNECTIONS_MIN, credentials.length) }, (_, i) => ({
    session: connect(`http://${address}`, { maxSessionMemory: 1000 }),
    headers: {
      ...HEADERS,
      "grpc-timeout": "5000m",
      authorization: `Bearer ${credentials[i % credentials.length]}`,
      ":path": pathOf(AttestationService.method.verify),
    },
  }))
  for (const { session } of callers) session.on("error", () => {})
  let next = 0
  const ask = (tally: Tally): Promise<void> =>
    new Promise((resolve) => {
      const i = next++
      const start = performance.now()
      tally.asked++
      const caller = callers[i % callers.length]
      if (caller === undefined) throw new Error("no connection")
      const stream = caller.session.request(caller.headers)
      let status: string | undefined
      let details = ""
      const note = (given: Readonly<Record<string, unknown>>): void => {
        if (given["grpc-status"] === undefined) return
        status = String(given["grpc-status"])
        details = String(given["grpc-status-details-bin"] ?? "")
      }
      stream.on("response", note)
      stream.on("trailers", note)
      stream.on("error", () => {}) // close follows
      stream.on("close", () => {
        tally.add(status, details, performance.now() - start)
        resolve()
      })
      stream.resume()
      stream.end(requests[i % requests.length])
    })
  return { ask, close: () => callers.forEach(({ session }) => void session.destroy()) }
}
type Asker = ReturnType<typeof createAsker>

/** As much as is answered, always so many at a time. */
const closedLoop = async (asker: Asker, forSeconds: number): Promise<Tally> => {
  const tally = new Tally()
  const end = performance.now() + forSeconds * 1000
  const worker = async (): Promise<void> => {
    while (performance.now() < end) await asker.ask(tally)
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker))
  return tally
}

/** So many a second, whatever becomes of them. */
const openLoop = async (asker: Asker, perSecond: number, forSeconds: number): Promise<Tally> => {
  const tally = new Tally()
  const start = performance.now()
  const open = new Set<Promise<void>>()
  let elapsed = 0
  while (elapsed < forSeconds) {
    for (let due = Math.floor(elapsed * perSecond) - tally.asked; due > 0; due--) {
      const one = asker.ask(tally).then(() => void open.delete(one))
      open.add(one)
    }
    await new Promise((resolve) => setTimeout(resolve, 2))
    elapsed = (performance.now() - start) / 1000
  }
  await Promise.all(open)
  return tally
}

/** What became of the calls of a stretch of time. Times are in ms, half of the calls and 99 of 100. */
export interface Outcome {
  readonly asked: number
  readonly ok: number
  readonly refused: number
  readonly denied: number
  readonly other: number
  readonly mute: number
  readonly okMs: readonly [number, number]
  readonly refusedMs: readonly [number, number]
}

const quantiles = (times: readonly number[]): readonly [number, number] => {
  const sorted = times.toSorted((a, b) => a - b)
  const at = (part: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0
  return [at(0.5), at(0.99)]
}
const outcomeOf = ({ asked, ok, denied, other, mute, okMs, refusedMs }: Tally): Outcome => ({
  asked,
  ok,
  denied,
  refused: refusedMs.length,
  other,
  mute,
  okMs: quantiles(okMs),
  refusedMs: quantiles(refusedMs),
})

let asker: Asker | undefined
const connected = (): Asker => {
  if (asker === undefined) throw new Error("not connected")
  return asker
}

const functions = {
  connect: (address: string, credentials: readonly string[], requests: readonly string[]): void => {
    asker = createAsker(
      address,
      credentials,
      requests.map((request) => framed(Buffer.from(request, "base64"))),
    )
  },
  closed: async (forSeconds: number) => outcomeOf(await closedLoop(connected(), forSeconds)),
  open: async (perSecond: number, forSeconds: number) =>
    outcomeOf(await openLoop(connected(), perSecond, forSeconds)),
}
export type AskerFunctions = typeof functions

offer(functions, async () => asker?.close())
