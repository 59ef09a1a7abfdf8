/**
 * What becomes of a server of which more is asked than it can answer: `node loadtest/overload.ts [--seconds N] [--times N]`.
 *
 * First as much is asked as it answers, which is its capacity; then twice as much, whether it answers or not; then one caller goes on
 * like that while another asks for a fifth of the capacity. Each request is a Verify over a nonce of its own device, and is answered with a
 * result or refused. It ends with status 1 when less than 90 % of the capacity is answered, when the modest caller gets less
 * than 90 % of what it asked for, when a refusal does not say when to come again, or when memory grows by more than a half.
 *
 * Capacity is counted for each second of CPU time that the server was given: those who ask share the machine with it.
 */
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { parseArgs } from "node:util"
import { toBinary } from "@bufbuild/protobuf"
import { createAdminClient } from "../src/client/admin.ts"
import { tpmEvidence } from "../src/device/attester.ts"
import { VerifyRequestSchema } from "../src/gen/assay/v1/attestation_pb.ts"
import type { AskerFunctions } from "./asker.ts"
import type { AssayFunctions } from "./assay-server.ts"
import { type Child, type Cost, startChild } from "./child.ts"
import { createDevice, policyFor } from "./fleet.ts"

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "60" }, times: { type: "string", default: "2" } },
})
const seconds = Number(values.seconds)
const times = Number(values.times)
const DEVICES = 16
const GOODPUT_MIN = 0.9
const GROWTH_MAX = 1.5
/** For the memory that a busy server settles at. */
const WARM_SECONDS = 5

const residentMiB = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024
const percent = (part: number): string => `${(100 * part).toFixed(1)} %`
const milliseconds = ([half, most]: readonly [number, number]): string =>
  `p50 ${half.toFixed(1)} ms, p99 ${most.toFixed(1)} ms`
const cpuSeconds = ({ userMs, systemMs }: Cost): number => (userMs + systemMs) / 1000

const folder = mkdtempSync(join(tmpdir(), "assay-overload-"))
const log = openSync(join(folder, "server.log"), "w")
const children: { stop(): Promise<void> }[] = []
const assay = startChild<AssayFunctions>(join(import.meta.dirname, "assay-server.ts"), [
  "ignore",
  log,
  "inherit",
  "ipc",
])
children.push(assay)
const createAsker = async (address: string, credential: string, requests: readonly string[]) => {
  const child = startChild<AskerFunctions>(join(import.meta.dirname, "asker.ts"), [
    "ignore",
    "inherit",
    "inherit",
    "ipc",
  ])
  children.push(child)
  await child.ask("connect", address, credential, requests)
  return child
}
/** What the server's CPU time was while something went on. */
const measured = async <T>(child: Child<AssayFunctions>, act: () => Promise<T>) => {
  await child.ask("begin")
  const value = await act()
  return { value, cpu: cpuSeconds(await child.ask("end")) }
}
const failures: string[] = []
const expect = (holds: boolean, what: string): void => {
  if (!holds) failures.push(what)
}
try {
  const data = join(folder, "data")
  const { address, admin, credential } = await assay.ask("start", data)
  const pid = await assay.ask("pid")
  const operator = createAdminClient(admin)
  const requests: string[] = []
  for (let i = 0; i < DEVICES; i++) {
    const device = createDevice("rsa-2048")
    const { akPublic, qualifiedName } = device
    await operator.registerDevice({ id: `device-${i}`, akPublic, qualifiedName })
    if (i === 0) {
      await operator.setPolicy(policyFor(device))
      await operator.assignPolicy({ policy: "load" })
    }
    const request = await device.answerNonce("default", new Uint8Array(32).fill(i))
    tpmEvidence(request).eventLog = new Uint8Array() // the policy does without, and so does whoever has shown it before
    requests.push(Buffer.from(toBinary(VerifyRequestSchema, request)).toString("base64"))
  }
  operator.close()
  const greedy = await createAsker(address, credential, requests)
  await greedy.ask("closed", WARM_SECONDS)
  const stretch = Math.max(3, Math.min(10, seconds / 3))
  const full = await measured(assay, () => greedy.ask("closed", stretch))
  const perSecond = full.value.ok / stretch
  const perCpu = full.value.ok / full.cpu
  process.stdout.write(
    `capacity ${perSecond.toFixed(0)}/s, ${perCpu.toFixed(0)} for each second of CPU; ${milliseconds(full.value.okMs)}\n`,
  )

  await greedy.ask("open", times * perSecond, WARM_SECONDS)
  const before = residentMiB(pid)
  const { value: over, cpu } = await measured(assay, () => greedy.ask("open", times * perSecond, seconds))
  const after = residentMiB(pid)
  const goodput = over.ok / cpu / perCpu
  process.stdout.write(
    `${times} times as much asked: ${over.asked}, answered ${over.ok} (${percent(goodput)} of capacity), refused ${over.refused}, other ${over.other}\n` +
      `refusals ${milliseconds(over.refusedMs)}; answers ${milliseconds(over.okMs)}\n` +
      `resident ${before.toFixed(0)} MiB before, ${after.toFixed(0)} MiB after\n`,
  )
  expect(goodput >= GOODPUT_MIN, `goodput ${percent(goodput)}`)
  expect(over.refused > 0, "nothing was refused")
  expect(over.mute === 0, `${over.mute} refusals without RetryInfo`)
  expect(after <= before * GROWTH_MAX, `memory grew from ${before.toFixed(0)} to ${after.toFixed(0)} MiB`)

  const secret = join(dirname(admin.replace("unix:", "")), "backend.credential")
  const modest = await createAsker(address, readFileSync(secret, "utf8").trim(), requests)
  const [, fair] = await Promise.all([
    greedy.ask("open", times * perSecond, stretch),
    modest.ask("open", perSecond / 5, stretch),
  ])
  const share = fair.ok / fair.asked
  process.stdout.write(
    `beside it, a caller that asks for a fifth: ${fair.asked}, answered ${fair.ok} (${percent(share)}); ${milliseconds(fair.okMs)}\n`,
  )
  expect(share >= GOODPUT_MIN, `the modest caller got ${percent(share)}`)
} finally {
  for (const one of children.toReversed()) await one.stop()
  closeSync(log)
  rmSync(folder, { recursive: true, force: true })
}
for (const one of failures) process.stderr.write(`${one}\n`)
process.exitCode = failures.length === 0 ? 0 : 1
