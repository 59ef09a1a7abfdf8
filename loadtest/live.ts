/**
 * Latency over load: `node loadtest/live.ts [--fleet N] [--seconds N] [NAME ...]`
 *
 * It reads the configurations of `ghz/` and does what ghz cannot: in challenge mode each call is an attestation in full, a
 * challenge made, quoted and verified one after the other, and its latency that of all three. By default that and Verify in nonce
 * and epoch mode; CreateChallenge and GetEpoch by name. Streams and enrollments are ghz's alone.
 *
 * For each it finds the capacity with as many callers as the configuration says, and then offers parts of it, evenly and
 * without waiting for answers. Latency counts from when a call was due: a server that falls behind is charged with
 * what it keeps waiting. Counts are compared as in `load.ts`, and a difference ends the run with status 1.
 *
 * `.cache/loadtest/latency.svg` has the picture, `live.json` beside it the figures.
 */
import { execFileSync } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fromBinary, fromJson, toBinary } from "@bufbuild/protobuf"
import { challengeParts } from "../src/device/attester.ts"
import type { SoftwareDevice } from "../src/device/software.ts"
import {
  AttestationService,
  CreateChallengeRequestSchema,
  CreateChallengeResponseSchema,
  VerifyRequestSchema,
} from "../src/gen/assay/v1/attestation_pb.ts"
import { pathOf } from "../src/rpc.ts"
import { type Caller, createCaller } from "./caller.ts"
import { divideCores } from "./cores.ts"
import { AUDIENCE } from "./fleet.ts"
import type { Configuration } from "./ghz.ts"
import { judge } from "./judge.ts"
import { type Call, countStatus, measureCapacity, offerLoad, type Statuses, type Step } from "./open-loop.ts"
import { liveOptions } from "./options.ts"
import { named, type Plan, payloadOf, quotingDevices, verifyRequests } from "./payloads.ts"
import { plotLatency } from "./plot.ts"
import { type Stage, withFleet } from "./with-fleet.ts"

/** Parts of the capacity that are offered. */
const PARTS = [0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1]

const { fleet: size, durationMs, keep, configurations } = liveOptions(process.argv.slice(2))

/** Of all loads together they say nothing: each step has its own. */
const LATENCY_BY_STEP = { p50Ms: Number.NaN, p95Ms: Number.NaN, p99Ms: Number.NaN }

const { createChallenge, verify, getEpoch } = AttestationService.method

/** Gives the next of `items`, over and over. */
const takingTurns = <T>(items: readonly T[]): (() => T) => {
  let next = 0
  return () => {
    const item = items[next++ % items.length]
    if (item === undefined) throw new TypeError("there is nothing to take turns with")
    return item
  }
}

/** An attestation from its challenge to its verdict. */
const attestation =
  (nextCaller: () => Caller, nextDevice: () => SoftwareDevice): Call =>
  async () => {
    const caller = nextCaller()
    const wanted = toBinary(
      CreateChallengeRequestSchema,
      fromJson(CreateChallengeRequestSchema, { audience: AUDIENCE }),
    )
    const [made] = await caller.callAll([wanted], 1, pathOf(createChallenge))
    if (made?.status !== "0") return made?.status
    const parts = challengeParts(fromBinary(CreateChallengeResponseSchema, made.message))
    const request = named(await nextDevice().answer(parts, { audience: AUDIENCE, confirmation: undefined }))
    const [answer] = await caller.callAll([toBinary(VerifyRequestSchema, request)], 1, pathOf(verify))
    return answer?.status
  }

/** What one call of a configuration is. */
const callOf = async (
  config: Configuration,
  { messages }: Plan,
  { fleet }: Stage,
  nextCaller: () => Caller,
): Promise<Call> => {
  const sending = (path: string, requests: readonly Uint8Array[]): Call => {
    const nextRequest = takingTurns(requests)
    return async () => {
      const [answer] = await nextCaller().callAll([nextRequest()], 1, path)
      return answer?.status
    }
  }
  switch (config.call) {
    case "assay.v1.AttestationService.Verify": {
      if (config.tags?.freshness === "challenge")
        return attestation(nextCaller, takingTurns(quotingDevices(fleet)))
      const requests = await verifyRequests(config, messages, fleet)
      return sending(
        pathOf(verify),
        requests.map((request) => toBinary(VerifyRequestSchema, request)),
      )
    }
    case "assay.v1.AttestationService.CreateChallenge": {
      const wanted = fromJson(CreateChallengeRequestSchema, config.data ?? {})
      return sending(pathOf(createChallenge), [toBinary(CreateChallengeRequestSchema, wanted)])
    }
    case "assay.v1.AttestationService.GetEpoch":
      return sending(pathOf(getEpoch), [new Uint8Array()])
    case "assay.v1.AttestationService.VerifyStream":
    case "assay.v1.EnrollmentService.BeginEnrollment":
      throw new TypeError(`${config.call} is for ghz`)
  }
}

const runOne = async (config: Configuration, stage: Stage) => {
  const { release } = stage
  const plan = payloadOf(config, size, Number.MAX_SAFE_INTEGER)
  const callers = Array.from({ length: config.connections }, () =>
    createCaller(release.address, pathOf(verify), release.credential),
  )
  try {
    const call = await callOf(config, plan, stage, takingTurns(callers))
    const statuses: Statuses = new Map()
    const made = (): number => [...statuses.values()].reduce((sum, calls) => sum + calls, 0)
    const [before, began] = [await release.counts(), performance.now()]
    const capacity = await measureCapacity(call, config.concurrency, durationMs, statuses)
    const steps: Step[] = []
    for (const part of PARTS) steps.push(await offerLoad(call, part * capacity, durationMs, statuses))
    // Forged messages have their share only of whole rounds.
    while (plan.forged > 0 && made() % plan.messages > 0) countStatus(statuses, await call())
    const [after, total] = [await release.counts(), made()]
    const { "0": ok = 0, ...errors } = Object.fromEntries(statuses)
    const callsPerSecond = (1000 * total) / (performance.now() - began)
    const report = { calls: total, ok, callsPerSecond, ...LATENCY_BY_STEP, errors }
    const { failures, cpuMicroseconds } = judge({ config, plan: { ...plan, total }, report, before, after })
    return { name: config.name, capacity, cpuMicroseconds, calls: total, errors, steps, failures }
  } finally {
    await Promise.all(callers.map((caller) => caller.close()))
  }
}

await withFleet(size, async (stage) => {
  // The server's half is the server's: what calls it keeps to the other, with all of its threads.
  const cores = divideCores()
  const own = ["--all-tasks", "--cpu-list", "--pid", cores?.generator.join(",") ?? "", String(process.pid)]
  if (cores !== undefined) execFileSync("taskset", own, { stdio: "ignore" })
  const outcomes = []
  for (const config of configurations) {
    process.stderr.write(`${config.name}\n`)
    outcomes.push(await runOne(config, stage))
  }
  mkdirSync(keep, { recursive: true })
  const figures = `${JSON.stringify({ node: process.version, fleet: size, cores, outcomes }, undefined, 2)}\n`
  writeFileSync(join(keep, "live.json"), figures)
  writeFileSync(join(keep, "latency.svg"), plotLatency(outcomes))
  process.stdout.write(figures)
  for (const { name, failures } of outcomes)
    for (const failure of failures) {
      process.stderr.write(`${name}: ${failure}\n`)
      process.exitCode = 1
    }
})
