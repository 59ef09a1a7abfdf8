/**
 * What becomes of a server of which more is asked than it can answer.
 *
 * First as much is asked as it answers, which is its capacity; then twice as much, whether it answers or not; then one caller
 * goes on like that while another asks for a fifth of the capacity, then has devices whose signatures cost the most, then
 * sends logs of half a megabyte instead, as many bytes as are as dear; and at last has many enrollment tokens, each with as many requests
 * as it may have, whose certificates are slow to read. Each request is a Verify over a nonce of its own device, and is answered
 * with a result or refused. The server has its default settings: what it refuses, it refuses by itself.
 *
 * Capacity is counted for each second of CPU time that the server was given: those who ask share the machine with it.
 */
import { readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fromBinary, toBinary } from "@bufbuild/protobuf"
import { utf8 } from "../src/bytes.ts"
import { tpmEvidence } from "../src/device/attester.ts"
import { EV_IPL, standardBoot } from "../src/device/boot.ts"
import { createSoftwareDevice, type SoftwareDevice } from "../src/device/software.ts"
import { VerifyRequestSchema } from "../src/gen/assay/v1/attestation_pb.ts"
import { RATES } from "../src/server/limiter.ts"
import { AK_EXTENSIONS, cn, extension, makeCertificate, p256Keys } from "../test/support/x509.ts"
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
/** Of the flood's calls, made by a process of their own: one that sends thousands a second is late by itself. */
const PROBE_PER_SECOND = 100
const DEVICES = 16
/** For the compiler, and for the memory that a busy server settles at. */
const WARM_SECONDS = 5
const NONCE_BYTES = 32
/** Of the logs that are sent to do harm: so many records of so many bytes. */
const [RECORDS, RECORD_BYTES] = [128, 4096]
/** Of those who are about to join: so many tokens, each with what one address may ask by it. */
const [TOKENS, TOKEN_PER_SECOND] = [24, RATES.enrollee.perSecond]
/** What is slow to read: as many certificates as may be sent, with as many extensions as each may have. */
const [CERTIFICATES, EXTENSIONS] = [8, 60]
/** So many bytes of a request cost about as much as one without a log. */
const BYTES_OF_ONE = 8192

const cpuSeconds = ({ userMs, systemMs }: Cost): number => (userMs + systemMs) / 1000
const once = (value: number): Spread => ({ median: value, min: value, max: value })

const createAsker = async (
  { address }: Target,
  credentials: readonly string[],
  requests: readonly string[],
  cleanup: Cleanup,
): Promise<Child<AskerFunctions>> => {
  const stdio = ["ignore", "inherit", "inherit", "ipc"] as const
  const child = startChild<AskerFunctions>(join(import.meta.dirname, "asker.ts"), [...stdio])
  cleanup.push(() => child.stop())
  await child.ask("connect", address, credentials, requests)
  return child
}

/** Evidence that is shown over and over, with the log or without: the policy does without it. */
const requestsOf = (
  devices: readonly SoftwareDevice[],
  how: "with" | "without",
): Promise<readonly string[]> =>
  Promise.all(
    devices.map(async (device, i) => {
      const request = await device.answerNonce(TENANT, new Uint8Array(NONCE_BYTES).fill(i))
      if (how === "without") tpmEvidence(request).eventLog = new Uint8Array()
      return Buffer.from(toBinary(VerifyRequestSchema, request)).toString("base64")
    }),
  )

/** Devices that nobody minds, as many with the dearest keys, and as many that measured half a megabyte. */
const fleetOf = () => {
  const records = Array.from({ length: RECORDS }, (_, n) => ({
    ...{ pcr: 8, type: EV_IPL, data: utf8(`${n} `.padEnd(RECORD_BYTES, "x")) },
  }))
  const events = [...standardBoot(), ...records]
  return {
    common: Array.from({ length: DEVICES }, () => createDevice("rsa-2048")),
    costly: Array.from({ length: DEVICES }, () => createDevice("p521")),
    dear: Array.from({ length: DEVICES }, () => createSoftwareDevice({ algorithm: "p256", events })),
  }
}

const slowCertificate = (): Uint8Array => {
  const keys = p256Keys()
  const unknown = Array.from({ length: EXTENSIONS }, (_, i) =>
    extension(`1.3.6.1.4.1.99999.${i + 1}`, utf8("x")),
  )
  return makeCertificate(keys, keys, cn("Slow"), cn("Slow"), [...AK_EXTENSIONS, ...unknown])
}

/** The requests with certificates that are slow to read. */
const slowlyRead = (requests: readonly string[]): readonly string[] => {
  const certificates = Array.from({ length: CERTIFICATES }, slowCertificate)
  return requests.map((request) => {
    const message = fromBinary(VerifyRequestSchema, Buffer.from(request, "base64"))
    tpmEvidence(message).akCertificateChain = certificates
    return Buffer.from(toBinary(VerifyRequestSchema, message)).toString("base64")
  })
}

/** Measures it. */
export const measureOverload = ({
  overloadSeconds: seconds,
}: Pick<Amount, "overloadSeconds">): Promise<PartResult> =>
  withFolder(async (folder, cleanup) => {
    const target = await startTarget(join(folder, "data"), cleanup, { settings: {} })
    const pid = await target.child.ask("pid")
    const { common, costly, dear } = fleetOf()
    await register(target, [...common, ...costly, ...dear])
    const requests = await requestsOf(common, "without")
    const greedy = await createAsker(target, [target.credential], requests, cleanup)
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
    const probe = await createAsker(target, [target.credential], requests, cleanup)
    const { value, cpu } = await measured(() =>
      Promise.all([
        greedy.ask("open", TIMES * perSecond - PROBE_PER_SECOND, seconds),
        probe.ask("open", PROBE_PER_SECOND, seconds),
      ]),
    )
    const [over, probed] = value
    const after = memoryOf(pid)

    const secret = join(dirname(target.admin.replace("unix:", "")), "backend.credential")
    const modest = await createAsker(target, [readFileSync(secret, "utf8").trim()], requests, cleanup)
    /** One more caller's process, made when it is needed: a connection that asks nothing for long is closed. */
    const hostile = async (its: Promise<readonly string[]>, credentials = [target.credential]) =>
      createAsker(target, credentials, await its, cleanup)
    const weight = 1 + (RECORDS * RECORD_BYTES) / BYTES_OF_ONE
    const beside = async (one: Child<AskerFunctions>, itsPerSecond: number) => {
      const [worst, fair] = await Promise.all([
        one.ask("open", itsPerSecond, stretch),
        modest.ask("open", FAIR_PART * perSecond, stretch),
      ])
      return { worst, fair, percent: (100 * fair.ok) / fair.asked }
    }
    const more = await beside(greedy, TIMES * perSecond)
    const slower = await beside(await hostile(requestsOf(costly, "without")), TIMES * perSecond)
    const larger = await beside(await hostile(requestsOf(dear, "with")), (TIMES * perSecond) / weight)
    const tokens = await Promise.all(
      Array.from({ length: TOKENS }, async () => (await target.operator.createEnrollmentToken({})).secret),
    )
    const joining = await hostile(Promise.resolve(slowlyRead(requests)), tokens)
    const many = await beside(joining, TOKENS * TOKEN_PER_SECOND)
    const goodput = {
      ofCpu: (100 * (over.ok + probed.ok)) / cpu / perCpu,
      ofTime: (100 * (over.ok + probed.ok)) / seconds / perSecond,
    }
    const mute = over.mute + probed.mute
    const pairs = [more, slower, larger, many]
    const other = [over, probed, ...pairs.flatMap(({ worst, fair }) => [worst, fair])]
      .map((one) => one.other)
      .reduce((sum, count) => sum + count)
    return {
      figures: {
        goodput: once(goodput.ofCpu),
        refusal: once(probed.refusedMs[1]),
        growth: once(after.residentMiB / before.residentMiB),
        fair: once(Math.min(...pairs.map(({ percent }) => percent))),
      },
      details: {
        ...{ seconds, times: TIMES, perSecond, perCpuSecond: perCpu, goodput },
        ...{ full: full.value, over, probed, memory: { before, after } },
        beside: { more, slower, larger, many },
      },
      differences: [],
      excesses: [
        ...(over.refused === 0 || probed.refused === 0 ? ["overload: nothing was refused"] : []),
        ...(mute > 0 ? [`overload: ${mute} refusals do not say when to come again`] : []),
        ...(other > 0 ? [`overload: ${other} calls ended as nobody should`] : []),
      ],
    }
  })
