/**
 * What becomes of a server of which more is asked than it can answer: `node loadtest/overload.ts [--seconds N] [--times N]`.
 *
 * First as much is asked as it answers, which is its capacity; then twice as much, whether it answers or not; then one caller goes on
 * like that while another asks for a fifth of the capacity. Each request is a Verify over a nonce of its own device, and is answered with a
 * result or refused. It ends with status 1 when less than 90 % of the capacity is answered, when the modest caller gets less
 * than 90 % of what it asked for, when a refusal does not say when to come again, or when memory grows by more than a half.
 */
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs"
import { connect } from "node:http2"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { parseArgs } from "node:util"
import { toBinary } from "@bufbuild/protobuf"
import { createAdminClient } from "../src/client/admin.ts"
import { AttestationService, VerifyRequestSchema } from "../src/gen/assay/v1/attestation_pb.ts"
import { pathOf } from "../src/rpc.ts"
import type { AssayFunctions } from "./assay-server.ts"
import { framed, HEADERS } from "./caller.ts"
import { startChild } from "./child.ts"
import { createDevice, policyFor } from "./fleet.ts"

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "60" }, times: { type: "string", default: "2" } },
})
const seconds = Number(values.seconds)
const times = Number(values.times)
const DEVICES = 16
const CONNECTIONS = 8
const IN_FLIGHT = 128
const GOODPUT_MIN = 0.9
const GROWTH_MAX = 1.5
/** For the memory that a busy server settles at. */
const WARM_SECONDS = 5
const OK = "0"
const RESOURCE_EXHAUSTED = "8"

/** How the calls of a stretch of time ended. */
class Tally {
  asked = 0
  ok = 0
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
    } else this.other++
  }
}

/** Several connections of one caller. */
const createAsker = (address: string, credential: string, requests: readonly Buffer[]) => {
  const sessions = Array.from({ length: CONNECTIONS }, () => connect(`http://${address}`))
  for (const session of sessions) session.on("error", () => {})
  const headers = {
    ...HEADERS,
    "grpc-timeout": "5000m",
    authorization: `Bearer ${credential}`,
    ":path": pathOf(AttestationService.method.verify),
  }
  let next = 0
  const ask = (tally: Tally): Promise<void> =>
    new Promise((resolve) => {
      const i = next++
      const start = performance.now()
      tally.asked++
      const stream = sessions[i % CONNECTIONS]?.request(headers)
      if (stream === undefined) throw new Error("no connection")
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
  return { ask, close: () => sessions.forEach((session) => void session.destroy()) }
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

const residentMiB = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024
const quantile = (sorted: readonly number[], part: number): string =>
  (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0).toFixed(1)
const percent = (part: number): string => `${(100 * part).toFixed(1)} %`

const folder = mkdtempSync(join(tmpdir(), "assay-overload-"))
const log = openSync(join(folder, "server.log"), "w")
const child = startChild<AssayFunctions>(join(import.meta.dirname, "assay-server.ts"), [
  "ignore",
  log,
  "inherit",
  "ipc",
])
const failures: string[] = []
const expect = (holds: boolean, what: string): void => {
  if (!holds) failures.push(what)
}
try {
  const data = join(folder, "data")
  const { address, admin, credential } = await child.ask("start", data)
  const pid = await child.ask("pid")
  const operator = createAdminClient(admin)
  const requests: Buffer[] = []
  for (let i = 0; i < DEVICES; i++) {
    const device = createDevice("rsa-2048")
    await operator.registerDevice({
      id: `device-${i}`,
      akPublic: device.akPublic,
      qualifiedName: device.qualifiedName,
    })
    if (i === 0) {
      await operator.setPolicy(policyFor(device))
      await operator.assignPolicy({ policy: "load" })
    }
    const request = await device.answerNonce("default", new Uint8Array(32).fill(i))
    requests.push(framed(toBinary(VerifyRequestSchema, request)))
  }
  operator.close()
  const greedy = createAsker(address, credential, requests)
  const second = readFileSync(join(dirname(admin.replace("unix:", "")), "backend.credential"), "utf8").trim()

  await closedLoop(greedy, WARM_SECONDS)
  const stretch = Math.max(3, Math.min(10, seconds / 3))
  const full = await closedLoop(greedy, stretch)
  const capacity = full.ok / stretch
  process.stdout.write(
    `capacity ${capacity.toFixed(0)}/s, p99 ${quantile(
      full.okMs.sort((a, b) => a - b),
      0.99,
    )} ms\n`,
  )

  await openLoop(greedy, times * capacity, WARM_SECONDS)
  const before = residentMiB(pid)
  const over = await openLoop(greedy, times * capacity, seconds)
  const after = residentMiB(pid)
  const goodput = over.ok / seconds / capacity
  over.refusedMs.sort((a, b) => a - b)
  over.okMs.sort((a, b) => a - b)
  process.stdout.write(
    `${times} times as much asked: ${over.asked}, answered ${over.ok} (${percent(goodput)} of capacity), refused ${over.refusedMs.length}, other ${over.other}\n` +
      `refusals p50 ${quantile(over.refusedMs, 0.5)} ms, p99 ${quantile(over.refusedMs, 0.99)} ms; answers p50 ${quantile(over.okMs, 0.5)} ms, p99 ${quantile(over.okMs, 0.99)} ms\n` +
      `resident ${before.toFixed(0)} MiB before, ${after.toFixed(0)} MiB after\n`,
  )
  expect(goodput >= GOODPUT_MIN, `goodput ${percent(goodput)}`)
  expect(over.refusedMs.length > 0, "nothing was refused")
  expect(over.mute === 0, `${over.mute} refusals without RetryInfo`)
  expect(after <= before * GROWTH_MAX, `memory grew from ${before.toFixed(0)} to ${after.toFixed(0)} MiB`)

  // Now, for a connection on which nobody has called is soon closed.
  const modest = createAsker(address, second, requests)
  const [, fair] = await Promise.all([
    openLoop(greedy, times * capacity, stretch),
    openLoop(modest, capacity / 5, stretch),
  ])
  const share = fair.ok / fair.asked
  process.stdout.write(
    `beside it, a caller that asks for a fifth: ${fair.asked}, answered ${fair.ok} (${percent(share)})\n`,
  )
  expect(share >= GOODPUT_MIN, `the modest caller got ${percent(share)}`)
  for (const one of [greedy, modest]) one.close()
} finally {
  await child.stop()
  closeSync(log)
  rmSync(folder, { recursive: true, force: true })
}
for (const one of failures) process.stderr.write(`${one}\n`)
process.exitCode = failures.length === 0 ? 0 : 1
