/**
 * A service under attack, and what has to hold while it is, whatever the attack: nothing is written but the journal
 * (U2) and the innocent are served (U4). The service is the real one over SQLite, with the cache of contexts on.
 */
import { hash } from "node:crypto"
import type { suite } from "uvu"
import * as assert from "uvu/assert"
import type { Policy } from "../../src/appraisal/policy.ts"
import { toHex, utf8 } from "../../src/bytes.ts"
import { createSoftwareDevice, type SoftwareDevice } from "../../src/device/software.ts"
import type { Code } from "../../src/errors.ts"
import type { RawEvidence } from "../../src/evidence/evidence.ts"
import { challengeExtraData } from "../../src/evidence/transcript.ts"
import type { AttestationResult } from "../../src/result/result.ts"
import type { Contexts, JournalRecord, Registry } from "../../src/service/ports.ts"
import { TLS_KEY } from "./certified.ts"
import { BOOT_SELECTION } from "./core.ts"
import {
  answered,
  attest,
  codesOf,
  createTestService,
  evidenceOver,
  GATEWAY,
  type ServiceOptions,
  type Session,
  type TestService,
} from "./service.ts"
import { type Attempt, VICTIMS, type Victim, victimOf } from "./victim.ts"

/** A service that knows some devices and an innocent one besides, and everything that is watched. */
export interface Scene {
  readonly world: TestService
  readonly victims: readonly Victim[]
  readonly bystander: SoftwareDevice
  /** The policies as they were parsed: with the cache on, the very objects that every verification judges by. */
  readonly parsed: ReadonlyMap<string, Policy>
  /** How often anything was written to the registry. */
  readonly writes: () => number
}

/** Registers everybody, and lets each attest once: honest devices get what they should before any attack. */
export const createScene = async (
  victims: readonly Victim[],
  options: ServiceOptions = {},
): Promise<Scene> => {
  watchProcess()
  const parsed = new Map<string, Policy>()
  let writes = 0
  const count = <Arguments extends readonly unknown[], T>(write: (...args: Arguments) => T) => {
    return (...args: Arguments): T => {
      writes += 1
      return write(...args)
    }
  }
  const counting = (registry: Registry): Registry => ({
    ...registry,
    registerDevice: count(registry.registerDevice),
    setPolicy: count(registry.setPolicy),
    assignPolicy: count(registry.assignPolicy),
  })
  const remembering = (contexts: Contexts): Contexts => ({
    ...contexts,
    remembered: () => undefined,
    contextFor: async (tenant, akName) => {
      const found = await contexts.contextFor(tenant, akName)
      const { policy, snapshot } = found.context
      if (policy !== undefined) parsed.set(snapshot.device.id, policy.terms)
      return found
    },
  })
  const world = createTestService({
    ...options,
    cached: true,
    ports: (given) => {
      const seen = { ...given, contexts: remembering(given.contexts) }
      const ports = { ...seen, ...options.ports?.(seen) }
      return { ...ports, registry: counting(ports.registry) }
    },
  })
  const bystander = createSoftwareDevice({ algorithm: "p256", selection: BOOT_SELECTION })
  const everybody = [...victims, victimOf("bystander", "", bystander)]
  try {
    await enrollAll(world, everybody)
  } catch (error) {
    world.close()
    throw error
  }
  return { world, victims: everybody, bystander, parsed, writes: () => writes }
}

/** Registers each device with its policy, if it has one, and lets it attest once. */
const enrollAll = async ({ service }: TestService, devices: readonly Victim[]): Promise<void> => {
  for (const { id, device, policy, verdict } of devices) {
    const { akPublic, qualifiedName } = device
    await service.registerDevice({ id, akPublic, qualifiedName }, GATEWAY)
    if (policy !== undefined) {
      await service.setPolicy(policy, GATEWAY)
      await service.assignPolicy({ policy: id, device: id }, GATEWAY)
    }
    device.advance(1000)
    assertVerdict(await attest(service, device), verdict)
  }
}

/** A session, or what a device that gets none is told. */
export const assertVerdict = (result: AttestationResult, verdict: Code | undefined): void => {
  assert.is(result.token.kind, verdict === undefined ? "session" : "result")
  if (verdict === undefined) assert.equal(codesOf(result), ["AK_BINDING_UNPROVEN"])
  else assert.is(codesOf(result)[0], verdict)
}

/**
 * A challenge and its honest answer, a second after whatever was before, by Assay's clock and by the device's: so
 * counters that are written show, and no answer is under way when the challenge is made.
 */
export const attemptOn = async (
  { world }: Scene,
  { device }: Victim,
  session: Session = {},
): Promise<Attempt> => {
  world.advance(1000)
  device.advance(1000)
  const { sealed, transcript } = await world.service.createChallenge(
    { device: "", audience: "orders", confirmation: undefined, policy: "", ...session },
    GATEWAY,
  )
  const extraData = challengeExtraData(transcript)
  const evidence = evidenceOver(device, extraData)
  return {
    world,
    device,
    transcript,
    extraData,
    honest: {
      freshness: { kind: "challenge", challenge: sealed },
      evidence:
        session.confirmation?.method === "name" ? { ...evidence, ...certification(device) } : evidence,
    },
  }
}

/** What is shown of the key that a challenge names. */
const certification = (device: SoftwareDevice): Pick<RawEvidence, "certification"> => ({
  certification: device.certifying(TLS_KEY).certification,
})

/** What nobody caught since the first scene was made. */
const escaped: unknown[] = []
let isWatched = false
const watchProcess = (): void => {
  if (isWatched) return
  isWatched = true
  for (const event of ["uncaughtException", "unhandledRejection"])
    process.on(event, (reason: unknown) => escaped.push(reason))
}

/** As text, byte for byte, so that a difference shows in one line. */
const spelled = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) => {
    if (typeof part === "bigint") return String(part)
    return part instanceof Uint8Array ? toHex(part) : part
  })
export const digestOf = (value: unknown): string => hash("sha256", spelled(value))

/** Everything that an attack must leave alone. */
const stateOf = async ({ world: { registry, trust }, victims, bystander, parsed, writes }: Scene) => {
  const devices = await Promise.all(victims.map(({ id }) => registry.device("default", id)))
  const named = victims.filter(({ policy }) => policy !== undefined)
  const policies = await Promise.all(named.map(({ id }) => registry.policy("default", id)))
  for (const { document, digest } of policies)
    assert.is(toHex(digest), hash("sha256", utf8(document)), "a policy's digest is that of its document")
  const { clockMs } = bystander.state
  assert.is(devices.find(({ id }) => id === "bystander")?.counters?.clockMs, clockMs)
  return {
    registry: spelled([
      devices.map(({ counters: _, lastResult: __, ...record }) => record),
      policies,
      writes(),
    ]),
    fallback: spelled(await registry.groupPolicy("default", "")),
    trust: spelled([
      await trust.trust("default"),
      await trust.listedEks("default", undefined, RECORDS_MAX),
      await trust.pendingIssuers("default"),
    ]),
    parsed: spelled([...parsed].map(([id, policy]) => [id, digestOf(policy)])),
    counters: devices.map(({ id, counters, lastResult }) => [id, spelled([counters, lastResult])] as const),
  }
}

/** What `watch` saw. */
export interface Watched<T> {
  readonly outcomes: readonly PromiseSettledResult<T>[]
  /** Records that were journaled, but for the bystander's. */
  readonly journaled: readonly JournalRecord[]
}

const RECORDS_MAX = 1000

/** What may happen besides. */
export interface Besides {
  /** The device whose counters may move: evidence answered its challenge. */
  readonly answers?: string
  /** What the innocent do meanwhile: attest, or, where nobody can, read. */
  readonly bystander?: "attests" | "reads"
}

/**
 * Lets some calls happen at a time and asserts what holds whatever they were. U2: nothing was written but the journal,
 * and counters of nobody but who answered. U4: the bystander got its session meanwhile and nothing escaped; that the
 * test goes on at all shows that the process does.
 */
export const watch = async <T>(
  scene: Scene,
  calls: readonly (() => Promise<T>)[],
  { answers, bystander = "attests" }: Besides = {},
): Promise<Watched<T>> => {
  const { world } = scene
  const records = () => world.journal.records("default", { limit: RECORDS_MAX })
  const bystand = await bystanding(scene, bystander)
  const known = (await records()).length
  const before = await stateOf(scene)

  const [outcomes, own] = await Promise.all([Promise.allSettled(calls.map((call) => call())), bystand()])
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(escaped, [], "U4: nothing escaped")

  const after = await stateOf(scene)
  const moving = ["bystander", answers]
  const othersOf = ({ counters }: typeof before) => spelled(counters.filter(([id]) => !moving.includes(id)))
  assert.is(othersOf(after), othersOf(before), "U2: counters")
  for (const part of ["registry", "fallback", "trust", "parsed"] as const)
    assert.is(after[part], before[part], `U2: ${part}`)
  const grown = (await records()).slice(known)
  const journaled = grown.filter(({ tokenId }) => own === undefined || tokenId !== own)
  assert.is(grown.length - journaled.length, own === undefined ? 0 : 1)
  return { outcomes, journaled }
}

/** What the bystander is about to do: gives the id of its session. */
const bystanding = async (
  { world, bystander }: Scene,
  what: "attests" | "reads",
): Promise<() => Promise<string | undefined>> => {
  if (what === "reads")
    return async () => {
      assert.is((await world.service.device("bystander", GATEWAY)).id, "bystander")
      return undefined
    }
  const innocent = await answered(world.service, bystander, { device: "bystander" })
  return async () => {
    const result = await world.service.verify(innocent, GATEWAY)
    assertVerdict(result, undefined)
    return result.id
  }
}

type Suite = ReturnType<typeof suite>

/** A scene for all tests of a class, made by the first of them and closed after the last of the file. */
export const sceneFor = (
  test: Suite,
  victims: readonly Victim[] = VICTIMS,
  options: ServiceOptions = {},
): (() => Promise<Scene>) => {
  let scene: Promise<Scene> | undefined
  // A scene that could not be made has failed its tests already.
  test.after(async () => (await scene?.catch(() => undefined))?.world.close())
  return () => {
    scene ??= createScene(victims, options)
    return scene
  }
}
