/** Random histories of devices that show, name, withhold and alter their logs, with caches and without: every answer is compared. */
import fc from "fast-check"
import { type Policy, parsePolicy } from "../../src/appraisal/policy.ts"
import { cachedContexts } from "../../src/cache/contexts.ts"
import { cachedEventLogs } from "../../src/cache/event-logs.ts"
import { EV_IPL, standardBoot } from "../../src/device/boot.ts"
import type { SoftwareDevice } from "../../src/device/software.ts"
import { AssayError } from "../../src/errors.ts"
import { challengeExtraData, nonceExtraData } from "../../src/evidence/transcript.ts"
import { compile } from "../../src/service/compile.ts"
import { createEventLogs } from "../../src/service/event-logs.ts"
import type { PolicyRecord, Ports } from "../../src/service/ports.ts"
import type { VerifyInput } from "../../src/service/service.ts"
import { flipped } from "./core.ts"
import { logDigest, memoryLogs } from "./logs.ts"
import { memoryStore } from "./ports/memory.ts"
import { newAct, newAnchor, trustOf } from "./ports/samples.ts"
import { createTestService, enroll, evidenceOver, GATEWAY, type TestService } from "./service.ts"
import { policyDocument, testDevice } from "./world.ts"

const DEVICES = 3
/** Ways to boot: no more than a store keeps of one device. */
const BOOTS = 3
const STEPS_MAX = 4
/** Those that do not tell the boots apart. */
const PCRS = [0, 1, 2, 3, 4, 6, 7]

/** How the log of the evidence is shown. */
const SHOWN = ["sent", "sent", "named", "named", "withheld"] as const
/** Which log: the device's own, of an earlier boot, another device's, or one that was made up. */
const LOGS = ["own", "own", "own", "own", "own", "earlier", "bit", "byte less", "byte more", "junk"] as const
/** What else is wrong. */
const FLAWS = [
  "none",
  "none",
  "none",
  "none",
  "none",
  "signature",
  "values",
  "another's answer",
  "again",
] as const
const MODES = ["challenge", "challenge", "nonce"] as const
/** What its operator does before. */
const ACTS = [
  "none",
  "none",
  "none",
  "reboot",
  "reboot",
  "suspend",
  "resume",
  "resume",
  "policy",
  "hour",
] as const

const stepArbitrary = fc.record({
  device: fc.nat(DEVICES - 1),
  boot: fc.nat(BOOTS - 1),
  act: fc.constantFrom(...ACTS),
  shown: fc.constantFrom(...SHOWN),
  log: fc.constantFrom(...LOGS),
  flaw: fc.constantFrom(...FLAWS),
  mode: fc.constantFrom(...MODES),
})
type Step = typeof stepArbitrary extends fc.Arbitrary<infer T> ? T : never

/** The history of a number: the same one each time. */
const historyOf = (number: number): readonly Step[] =>
  fc.sample(fc.array(stepArbitrary, { minLength: 2, maxLength: STEPS_MAX }), {
    seed: number,
    numRuns: 1,
  })[0] ?? []

const BOUNDS = { logs: 100, bytes: 1 << 24, devices: 100 }

/** Everything in memory: a disk would take longer than all the rest. */
const inMemory = (cached: boolean) => (): Partial<Ports> => {
  const { registry, devices, journal, trust } = memoryStore()
  // Where nobody is trusted, nothing is verified. It is done when this returns.
  void trust.importTrust("default", trustOf({ anchors: [newAnchor("any")] }), newAct("import-trust"))
  const logs = createEventLogs(memoryLogs().store)
  return {
    registry,
    devices,
    journal,
    logs: cached ? cachedEventLogs(logs, BOUNDS) : logs,
    contexts: cached ? cachedContexts({ registry, compile }, CONTEXT_BOUNDS) : contextsOf(registry),
  }
}

const CONTEXT_BOUNDS = { max: 100, maxBytes: 1 << 24 }

/** Contexts as they are now, each time; to parse a policy takes longer than all the rest, and is done once. */
const contextsOf = (registry: Ports["registry"]): Ports["contexts"] => {
  const policies = new Map<string, Policy>()
  const parsed = ({ document }: PolicyRecord): Policy => {
    const policy = policies.get(document) ?? parsePolicy(document)
    policies.set(document, policy)
    return policy
  }
  const readContext: Ports["contexts"]["readContext"] = async (tenant, akName) =>
    compile(await registry.snapshotFor(tenant, akName), parsed)
  return {
    readContext,
    contextFor: async (tenant, akName) => ({
      context: await readContext(tenant, akName),
      isRemembered: false,
    }),
    moved: () => {},
  }
}

/** Longer than all histories together. */
const KEY_LIFETIME_MS = 1e12

const boot = (device: SoftwareDevice, n: number): void =>
  device.boot([...standardBoot(), { pcr: 5, type: EV_IPL, data: Uint8Array.of(n) }])

/** Two services, one that remembers, and the devices that both know. */
const createPair = async () => {
  const worlds = [true, false].map((cached) =>
    createTestService({ cached, ports: inMemory(cached), keyLifetimeMs: KEY_LIFETIME_MS }),
  )
  const devices = Array.from({ length: DEVICES }, () => testDevice({ banks: ["sha256"] }))
  const earlier = devices.map(({ eventLog }) => eventLog)
  for (const [i, device] of devices.entries())
    for (const { service } of worlds)
      await enroll(service, device, policyDocument(device, { name: `p-${i}`, pcrs: PCRS }), `device-${i}`)
  return { worlds, devices, earlier }
}
type Pair = Awaited<ReturnType<typeof createPair>>

const operate = async (
  { worlds, devices, earlier }: Pair,
  { device: i, act, boot: n }: Step,
): Promise<void> => {
  const device = devices[i]
  if (device === undefined) return
  if (act === "reboot") {
    earlier[i] = device.eventLog
    boot(device, n)
  }
  for (const { service, advance } of worlds) {
    if (act === "suspend" || act === "resume")
      await service.moveDevice(act, { id: `device-${i}`, etag: "" }, GATEWAY).catch(ignoreRefusal)
    if (act === "policy")
      await service.setPolicy(
        policyDocument(device, {
          name: `p-${i}`,
          pcrs: PCRS,
          evidence: { eventLog: n === 0 ? "optional" : "required" },
        }),
        GATEWAY,
      )
    if (act === "hour") advance(3_600_000)
  }
}

const ignoreRefusal = (error: unknown): void => {
  if (!(error instanceof AssayError)) throw error
}

const logFor = ({ devices, earlier }: Pair, { device: i, log }: Step): Uint8Array => {
  const own = devices[i]?.eventLog ?? new Uint8Array()
  switch (log) {
    case "own":
      return own
    case "earlier":
      return earlier[i] ?? own
    case "bit":
      return flipped(own, own.length - 90)
    case "byte less":
      return own.subarray(0, -1)
    case "byte more":
      return Uint8Array.of(...own, 0)
    case "junk":
      return Uint8Array.of(1, 2, 3)
  }
}

const evidenceFor = async (pair: Pair, { service }: TestService, step: Step): Promise<VerifyInput> => {
  const device = pair.devices[step.device]
  if (device === undefined) throw new TypeError("no such device")
  const ask = { device: "", audience: "orders", confirmation: undefined, policy: "" }
  const nonce = new Uint8Array(32).fill(step.boot)
  const { sealed, transcript } = await service.createChallenge(ask, GATEWAY)
  const over = step.mode === "nonce" ? nonceExtraData("default", nonce) : challengeExtraData(transcript)
  const extraData = step.flaw === "another's answer" ? over.map((byte) => byte ^ 1) : over
  const evidence = evidenceOver(device, extraData)
  const log = logFor(pair, step)
  return {
    freshness: step.mode === "nonce" ? { kind: "nonce", nonce } : { kind: "challenge", challenge: sealed },
    evidence: {
      ...evidence,
      signature: step.flaw === "signature" ? flipped(evidence.signature, 40) : evidence.signature,
      pcrBanks: evidence.pcrBanks.map(({ hash, values }) => ({
        hash,
        values: step.flaw === "values" ? flipped(values, 3) : values,
      })),
      eventLog: step.shown === "sent" ? log : undefined,
      eventLogDigest: step.shown === "named" ? logDigest(log) : undefined,
    },
  }
}

/** All of an answer but for what is random in it. */
const told = async ({ service }: TestService, input: VerifyInput): Promise<unknown> => {
  try {
    const { tier, vector, findings, policy, deviceRevision, challengeState, token } = await service.verify(
      input,
      GATEWAY,
    )
    // A quote's own digest differs from call to call.
    const shown = findings.map(({ rule, tier, code, location }) => ({ rule, tier, code, location }))
    return { tier, vector, shown, policy: policy?.revision, deviceRevision, challengeState, kind: token.kind }
  } catch (error) {
    if (!(error instanceof AssayError)) throw error
    return { code: error.code, location: error.location, challenge: error.challenge }
  }
}

/** What a stretch of histories came to: how many answers there were of each kind, and where the two differed. */
export const runLogHistories = async (from: number, to: number) => {
  const pair = await createPair()
  const counts: Record<string, number> = {}
  const failures: string[] = []
  try {
    for (let number = from; number < to; number++)
      for (const [i, step] of historyOf(number).entries()) {
        await operate(pair, step)
        const answers = await Promise.all(
          pair.worlds.map(async (world) => {
            const input = await evidenceFor(pair, world, step)
            const first = await told(world, input)
            return step.flaw === "again" ? [first, await told(world, input)] : [first]
          }),
        )
        const [cached, uncached] = answers.map((answer) => JSON.stringify(answer))
        if (cached !== uncached)
          failures.push(`history ${number}, step ${i}: ${JSON.stringify(step)}: ${cached} and ${uncached}`)
        const label = labelOf(answers[0]?.[0])
        counts[label] = (counts[label] ?? 0) + 1
      }
  } finally {
    for (const world of pair.worlds) world.close()
  }
  return { counts, failures }
}

const labelOf = (answer: unknown): string => {
  if (typeof answer !== "object" || answer === null) return "nothing"
  return "code" in answer ? String(answer.code) : "kind" in answer ? `a ${answer.kind}` : "nothing"
}
