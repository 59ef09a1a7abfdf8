/**
 * What becomes of a server of which more is asked than it can answer.
 *
 * First as much is asked as it answers, which is its capacity; then twice as much, whether it answers or not; then one caller
 * goes on like that while another asks for a fifth of the capacity. Each request is a Verify over a nonce of its own device,
 * and is answered with a result or refused. The server has its default settings: what it refuses, it refuses by itself.
 *
 * Capacity is counted for each second of CPU time that the server was given: those who ask share the machine with it.
 */
import { readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { toBinary } from "@bufbuild/protobuf"
import { tpmEvidence } from "../src/device/attester.ts"
import { VerifyRequestSchema } from "../src/gen/assay/v1/attestation_pb.ts"
import type { AskerFunctions } from "./asker.ts"
import { type Child, type Cost, startChild } from "./child.ts"
import { memoryOf } from "./cpu.ts"
import { createDevice, TENANT } from "./fleet.ts"
import type { Amount, PartResult } from "./part.ts"
import { withFolder } from "./servers.ts"
import type { Spread } from "./statistics.ts"
import { type Cleanup, register, startTarget, type Target } from "./target.ts"

const TIMES = 2
const FAIR_PART = 1 / 5
const DEVICES = 16
/** For the compiler, and for the memory that a busy server settles at. */
const WARM_SECONDS = 5
const NONCE_BYTES = 32

const cpuSeconds = ({ userMs, systemMs }: Cost): number => (userMs + systemMs) / 1000
const once = (value: number): Spread => ({ median: value, min: value, max: value })

const createAsker = async (
  { address }: Target,
  credential: string,
  requests: readonly string[],
  cleanup: Cleanup,
): Promise<Child<AskerFunctions>> => {
  const stdio = ["ignore", "inherit", "inherit", "ipc"] as const
  const child = startChild<AskerFunctions>(join(import.meta.dirname, "asker.ts"), [...stdio])
  cleanup.push(() => child.stop())
  await child.ask("connect", address, credential, requests)
  return child
}

/** Evidence that is shown over and over: the policy does without its log, and so does whoever has shown it before. */
const requestsOf = async (target: Target): Promise<readonly string[]> => {
  const devices = Array.from({ length: DEVICES }, () => createDevice("rsa-2048"))
  await register(target, devices)
  return Promise.all(
    devices.map(async (device, i) => {
      const request = await device.answerNonce(TENANT, new Uint8Array(NONCE_BYTES).fill(i))
      tpmEvidence(request).eventLog = new Uint8Array()
      return Buffer.from(toBinary(VerifyRequestSchema, request)).toString("base64")
    }),
  )
}

/** Measures it. */
export const measureOverload = ({
  overloadSeconds: seconds,
}: Pick<Amount, "overloadSeconds">): Promise<PartResult> =>
  withFolder(async (folder, cleanup) => {
    const target = await startTarget(join(folder, "data"), cleanup, { settings: {} })
    const pid = await target.child.ask("pid")
    const requests = await requestsOf(target)
    const greedy = await createAsker(target, target.credential, requests, cleanup)
    /** What the server's CPU time was while something went on. */
    const measured = async <T>(act: () => Promise<T>) => {
      await target.child.ask("begin")
      const value = await act()
      return { value, cpu: cpuSeconds(await target.child.ask("end")) }
    }
    await greedy.ask("closed", WARM_SECONDS)
    const stretch = Math.max(3, Math.min(10, seconds / 3))
    const full = await measured(() => greedy.ask("closed", stretch))
    const perSecond = full.value.ok / stretch
    const perCpu = full.value.ok / full.cpu

    await greedy.ask("open", TIMES * perSecond, WARM_SECONDS)
    const before = memoryOf(pid)
    const { value: over, cpu } = await measured(() => greedy.ask("open", TIMES * perSecond, seconds))
    const after = memoryOf(pid)

    const secret = join(dirname(target.admin.replace("unix:", "")), "backend.credential")
    const modest = await createAsker(target, readFileSync(secret, "utf8").trim(), requests, cleanup)
    const [, fair] = await Promise.all([
      greedy.ask("open", TIMES * perSecond, stretch),
      modest.ask("open", FAIR_PART * perSecond, stretch),
    ])
    const goodput = {
      ofCpu: (100 * over.ok) / cpu / perCpu,
      ofTime: (100 * over.ok) / seconds / perSecond,
    }
    return {
      figures: {
        goodput: once(goodput.ofCpu),
        refusal: once(over.refusedMs[1]),
        growth: once(after.residentMiB / before.residentMiB),
        fair: once((100 * fair.ok) / fair.asked),
      },
      details: {
        ...{ seconds, times: TIMES, perSecond, perCpuSecond: perCpu, goodput },
        ...{ full: full.value, over, fair, memory: { before, after } },
      },
      differences: [],
      excesses: [
        ...(over.refused === 0 ? ["overload: nothing was refused"] : []),
        ...(over.mute > 0 ? [`overload: ${over.mute} refusals do not say when to come again`] : []),
        ...(over.other > 0 ? [`overload: ${over.other} calls ended as nobody should`] : []),
      ],
    }
  })
