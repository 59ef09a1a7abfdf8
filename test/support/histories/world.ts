/** Two services that know the same, one of which remembers; and the devices that both know. */
import { createSecretKey, hash, type KeyObject } from "node:crypto"
import { measure } from "../../../src/appraisal/appraise.ts"
import type { CompiledPolicy } from "../../../src/appraisal/compile.ts"
import { cachedContexts } from "../../../src/cache/contexts.ts"
import { cachedEndorsements } from "../../../src/cache/endorsements.ts"
import { cachedEventLogs } from "../../../src/cache/event-logs.ts"
import { cachedMeasure } from "../../../src/cache/findings.ts"
import { cachedLoadTrust } from "../../../src/cache/trust.ts"
import { cachedVerdicts } from "../../../src/cache/verdicts.ts"
import type { SoftwareDevice } from "../../../src/device/software.ts"
import { generateSigningKey, type SigningKey } from "../../../src/keys/key.ts"
import { createRandom } from "../../../src/keys/random.ts"
import { createSigner } from "../../../src/keys/signer.ts"
import { compile, readPolicy } from "../../../src/service/compile.ts"
import { createEventLogs } from "../../../src/service/event-logs.ts"
import { createLoadTrust } from "../../../src/service/load-trust.ts"
import { createParseTrust } from "../../../src/service/parse-trust.ts"
import type { Clock, PolicyRecord, Ports, Signer } from "../../../src/service/ports.ts"
import { createService, type Service, type VerifyInput } from "../../../src/service/service.ts"
import { createVerdicts } from "../../../src/service/verdicts.ts"
import { createMemoryEngine, createSealingKey } from "../../../src/store/engine/memory.ts"
import { createEpochs } from "../../../src/store/epochs.ts"
import { verifyEndorsements } from "../../../src/verification/endorsements.ts"
import { testDeviceAuthority } from "../authority.ts"
import { memoryLogs } from "../logs.ts"
import { UNMETERED } from "../meter.ts"
import { type MemoryStore, memoryStore } from "../ports/memory.ts"
import { NONE_DENIED, START } from "../service.ts"
import { testDevice } from "../world.ts"
import { DEVICES } from "./steps.ts"

/** Longer than all histories together. */
const KEY_LIFETIME_MS = 1e12

/** What both services have in common. */
export interface Shared {
  now: Date
  /** Which of two keys signs, and which makes epochs. */
  signingKey: number
  epochKey: number
}

/** One of the two services. */
export interface World {
  readonly service: Service
  /** Another replica on the same store, which remembers nothing. */
  readonly elsewhere: Service
  readonly ports: Ports
  readonly store: MemoryStore
  readonly verdicts: { readonly hits: number } | undefined
  readonly close: () => void
}

/** One of the devices: two keys that it may be known by, and what its operator last did. */
export interface Slot {
  readonly keys: readonly [SoftwareDevice, SoftwareDevice]
  device: SoftwareDevice
  id: string
  /** The log of its boot before. */
  earlier: Uint8Array
  generation: number
}

/** All of it. */
export interface Pair {
  readonly shared: Shared
  readonly worlds: readonly [remembering: World, forgetful: World]
  readonly slots: readonly Slot[]
  /** What was shown lately, the last one at the end. */
  readonly shown: VerifyInput[]
}

interface Keys {
  readonly signing: readonly SigningKey[]
  readonly epoch: readonly KeyObject[]
  readonly sealing: ReturnType<typeof createSealingKey>
}

/** Small, so that things give way too. */
const VERDICT_BOUNDS = { devices: 2, bytes: 1 << 16, refutations: 3, refutedMs: 2000 }
const LOG_BOUNDS = { logs: 4, bytes: 1 << 20, devices: 4 }
const CONTEXT_BOUNDS = { max: 2, maxBytes: 1 << 20 }

/** Contexts as they are now, each time; to parse a policy takes longer than all the rest, and is done once. */
const contextsOf = (
  registry: Ports["registry"],
  policies: Map<string, CompiledPolicy>,
): Ports["contexts"] => {
  const parsed = (record: PolicyRecord): CompiledPolicy => {
    const policy = policies.get(record.document) ?? readPolicy(record)
    policies.set(record.document, policy)
    return policy
  }
  const readContext: Ports["contexts"]["readContext"] = async (tenant, akName) =>
    compile(await registry.snapshotFor(tenant, akName), parsed)
  return {
    readContext,
    remembered: () => undefined,
    contextFor: async (tenant, akName) => ({
      context: await readContext(tenant, akName),
      isRemembered: false,
    }),
    moved: () => {},
  }
}

const signerOf = (shared: Shared, keys: Keys, clock: Clock) => {
  const signers = keys.signing.map((key) => createSigner(key, clock))
  const current = (): Signer => {
    const signer = signers[shared.signingKey]
    if (signer === undefined) throw new TypeError("no such key")
    return signer
  }
  const signer: Signer = {
    algorithm: "ES256",
    get keyId() {
      return current().keyId
    },
    get notAfter() {
      return current().notAfter
    },
    sign: (input) => current().sign(input),
    publicJwks: () => current().publicJwks(),
  }
  const close = (): void => {
    for (const one of signers) one.close()
  }
  return { signer, close }
}

/** What a service has that remembers nothing. */
const forgetfulPorts = (shared: Shared, keys: Keys) => {
  const store = memoryStore()
  const clock = { now: () => shared.now }
  const random = createRandom()
  const { signer, close } = signerOf(shared, keys, clock)
  const { registry, devices, trust, journal } = store
  const engine = createMemoryEngine(random, { sealing: keys.sealing })
  const epochKey = async (): Promise<KeyObject> =>
    keys.epoch[shared.epochKey] ?? createSecretKey("none", "utf8")
  const parse = createParseTrust(async () => {})
  const ports: Ports = {
    clock,
    random,
    breathe: async () => {},
    pause: async () => {},
    registry,
    devices,
    trust,
    journal,
    logs: createEventLogs(memoryLogs().store),
    loadTrust: createLoadTrust({ store: trust, parse, denied: NONE_DENIED, clock }).loadTrust,
    denied: NONE_DENIED,
    advisoriesFor: () => [],
    want: () => {},
    meter: UNMETERED,
    confirm: () => {},
    archive: NO_ARCHIVE,
    singleUse: engine.singleUse,
    epochs: createEpochs(epochKey),
    signer,
    deviceAuthority: testDeviceAuthority(),
    contexts: contextsOf(registry, new Map()),
    verdicts: createVerdicts(),
    verifyEndorsements,
    measure,
    settings: {
      issuer: "https://assay.example",
      build: "test",
      challengeLifetimeMs: 60_000,
      enrollment: { approval: "automatic", lifetimeMs: 300_000 },
      silenceMs: 86_400_000,
      earForm: () => "2026",
    },
  }
  return { ports, store, close }
}

const NO_ARCHIVE = new Proxy({} as Ports["archive"], {
  get: () => {
    throw new Error("nobody asks for the archive")
  },
})

const worldOf = (shared: Shared, keys: Keys, remembers: boolean): World => {
  const { ports, store, close } = forgetfulPorts(shared, keys)
  const elsewhere = createService(ports)
  if (!remembers) return { service: elsewhere, elsewhere, ports, store, verdicts: undefined, close }
  const verdicts = cachedVerdicts(ports.verdicts, VERDICT_BOUNDS)
  const service = createService({
    ...ports,
    logs: cachedEventLogs(ports.logs, LOG_BOUNDS),
    contexts: cachedContexts({ registry: ports.registry, compile }, CONTEXT_BOUNDS),
    loadTrust: cachedLoadTrust(ports.loadTrust, { max: 2 }).loadTrust,
    verifyEndorsements: cachedEndorsements(verifyEndorsements).verifyEndorsements,
    measure: cachedMeasure(measure, { max: 4, maxBytes: 1 << 14 }).measure,
    verdicts,
  })
  return { service, elsewhere, ports, store, verdicts, close }
}

/** Two services that know nobody yet, and devices that nobody knows. */
export const createPair = (): Pair => {
  const shared = { now: START, signingKey: 0, epochKey: 0 }
  const created = { createdAt: START, notAfter: new Date(START.getTime() + KEY_LIFETIME_MS) }
  const keys: Keys = {
    signing: [generateSigningKey("ES256", created), generateSigningKey("ES256", created)],
    epoch: ["one", "another"].map((name) => createSecretKey(hash("sha256", name, "buffer"))),
    sealing: createSealingKey(createRandom()),
  }
  const slots = Array.from({ length: DEVICES }, (_, i): Slot => {
    const keys = [testDevice({ banks: ["sha256"] }), testDevice({ banks: ["sha256"] })] as const
    const [device] = keys
    return { keys, device, id: `device-${i}`, earlier: device.eventLog, generation: 0 }
  })
  return { shared, worlds: [worldOf(shared, keys, true), worldOf(shared, keys, false)], slots, shown: [] }
}
