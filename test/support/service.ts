import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { measure } from "../../src/appraisal/appraise.ts"
import { cachedContexts } from "../../src/cache/contexts.ts"
import { cachedEndorsements } from "../../src/cache/endorsements.ts"
import { cachedEventLogs } from "../../src/cache/event-logs.ts"
import { cachedMeasure } from "../../src/cache/findings.ts"
import { cachedLoadTrust } from "../../src/cache/trust.ts"
import { cachedVerdicts } from "../../src/cache/verdicts.ts"
import type { SoftwareDevice } from "../../src/device/software.ts"
import type { RawEvidence } from "../../src/evidence/evidence.ts"
import { challengeExtraData, type SessionKey } from "../../src/evidence/transcript.ts"
import { fingerprintOf, parseCertificate } from "../../src/evidence/x509/certificate.ts"
import { generateSigningKey } from "../../src/keys/key.ts"
import { createRandom } from "../../src/keys/random.ts"
import { createSigner } from "../../src/keys/signer.ts"
import type { AttestationResult } from "../../src/result/result.ts"
import { compile } from "../../src/service/compile.ts"
import { createContexts } from "../../src/service/contexts.ts"
import { createEventLogs } from "../../src/service/event-logs.ts"
import { createLoadTrust } from "../../src/service/load-trust.ts"
import { createParseTrust } from "../../src/service/parse-trust.ts"
import type { AnchorRecord, Caller, Ports, Registry, SignatureAlgorithm } from "../../src/service/ports.ts"
import {
  type ChallengeInput,
  createService,
  type Service,
  type VerifyInput,
} from "../../src/service/service.ts"
import { createVerdicts } from "../../src/service/verdicts.ts"
import { createMemoryEngine } from "../../src/store/engine/memory.ts"
import { createEpochs } from "../../src/store/epochs.ts"
import { createSqliteStore } from "../../src/store/sqlite.ts"
import type { Store } from "../../src/store/store.ts"
import { verifyEndorsements } from "../../src/verification/endorsements.ts"
import { testDeviceAuthority } from "./authority.ts"
import { openEmptySqlite } from "./database.ts"
import { UNMETERED } from "./meter.ts"
import { newAct, SETUP } from "./ports/samples.ts"
import { makeChain } from "./x509.ts"

/** When every test begins. */
export const START = new Date("2026-11-21T12:00:00Z")

export const GATEWAY: Caller = { tenant: "default", id: "gateway" }

/** What to change of the world. */
export interface ServiceOptions {
  readonly algorithm?: SignatureAlgorithm
  readonly keyLifetimeMs?: number
  readonly spentMax?: number
  readonly earForm?: Ports["settings"]["earForm"]
  /** Replaces ports by ones that fail. */
  readonly ports?: (ports: Ports) => Partial<Ports>
  /** With the cache of compiled contexts, as the server runs; without it by default. */
  readonly cached?: boolean
}

/** The anchor that every test's service trusts, and that no device leads to unless a test makes it. */
export const TEST_ANCHOR = makeChain("ak").root

/** No key is denied, and no advisory known. */
export const NONE_DENIED = { size: 0, find: () => undefined }

const VERDICT_BOUNDS = { devices: 100, bytes: 1 << 24, refutations: 10, refutedMs: 2000 }

/** A service over the embedded adapters, with a clock that tests set. */
export const createTestService = (options: ServiceOptions = {}) => {
  const folder = mkdtempSync(join(tmpdir(), "assay-test-"))
  const file = join(folder, "assay.db")
  const store = createSqliteStore(openEmptySqlite(file))
  const random = createRandom()
  const engine = createMemoryEngine(
    random,
    options.spentMax === undefined ? {} : { spentMax: options.spentMax },
  )
  let now = START
  const clock = { now: () => now }
  const key = generateSigningKey(options.algorithm ?? "ES256", {
    createdAt: START,
    notAfter: new Date(START.getTime() + (options.keyLifetimeMs ?? 86_400_000)),
  })
  const signer = createSigner(key, clock)
  const loader = createLoadTrust({
    store: store.trust,
    parse: createParseTrust(async () => {}),
    denied: NONE_DENIED,
    clock,
  })
  const loadTrust =
    options.cached === true ? cachedLoadTrust(loader.loadTrust, { max: 10 }).loadTrust : loader.loadTrust
  const logs = createEventLogs(store.logs)
  // The registry as it is at last: tests replace it by one that fails.
  const registry = {
    snapshotFor: (...of: Parameters<Registry["snapshotFor"]>) => ports.registry.snapshotFor(...of),
  }
  const base: Ports = {
    clock,
    random,
    breathe: async () => {},
    pause: async () => {},
    registry: store.registry,
    logs: options.cached === true ? cachedEventLogs(logs, { logs: 100, bytes: 1 << 24, devices: 100 }) : logs,
    devices: store.devices,
    trust: store.trust,
    loadTrust,
    denied: NONE_DENIED,
    advisoriesFor: () => [],
    want: () => {},
    meter: UNMETERED,
    journal: store.journal,
    confirm: () => {},
    archive: store.archive,
    singleUse: engine.singleUse,
    epochs: createEpochs(engine.epochKey),
    signer,
    deviceAuthority: testDeviceAuthority(),
    contexts:
      options.cached === true
        ? cachedContexts({ registry, compile }, { max: 100, maxBytes: 2 ** 24 })
        : createContexts(registry),
    verdicts: options.cached === true ? cachedVerdicts(createVerdicts(), VERDICT_BOUNDS) : createVerdicts(),
    verifyEndorsements:
      options.cached === true
        ? cachedEndorsements(verifyEndorsements).verifyEndorsements
        : verifyEndorsements,
    measure:
      options.cached === true ? cachedMeasure(measure, { max: 100, maxBytes: 1 << 20 }).measure : measure,
    settings: {
      issuer: "https://assay.example",
      build: "test",
      challengeLifetimeMs: 60_000,
      enrollment: { approval: "automatic", lifetimeMs: 300_000 },
      silenceMs: 86_400_000,
      earForm: options.earForm ?? (() => "2026"),
    },
  }
  const ports: Ports = { ...base, ...options.ports?.(base) }
  let anchored: Promise<unknown> | undefined
  /** Makes a certificate an anchor, beside the service, whose next call waits for it. */
  const trustAnchor = (der: Uint8Array, changed: Partial<AnchorRecord> = {}): void => {
    const anchor = {
      id: fingerprintOf(parseCertificate(der)),
      certificate: der,
      label: "test",
      purpose: "any",
      revocation: "off",
      provenance: "test",
      ...changed,
    } as const
    const added = store.trust.importTrust(
      "default",
      { anchors: [anchor], intermediates: [], crls: [], eks: [] },
      newAct("import-trust", { at: now, caller: SETUP }),
    )
    const before = anchored
    const both: Promise<unknown> = Promise.all([before, added]).finally(() => {
      if (anchored === both) anchored = undefined
    })
    anchored = both
  }
  trustAnchor(TEST_ANCHOR)
  const recordsOf: Store["journal"]["records"] = async (tenant, options) =>
    (await store.journal.records(tenant, options)).filter(({ caller }) => caller !== SETUP)
  return {
    /** The database, for tests that damage it. */
    file,
    trust: store.trust,
    trustAnchor,
    ports,
    service: waiting(createService(ports), () => anchored),
    /** What callers did, without what made the world. */
    journal: { records: recordsOf },
    registry: store.registry,
    jwks: signer.publicJwks(),
    /** Lets time pass. */
    advance(ms: number): void {
      now = new Date(now.getTime() + ms)
    },
    now: () => now,
    close(): void {
      signer.close()
      store.close()
      rmSync(folder, { recursive: true })
    },
  }
}

export type TestService = ReturnType<typeof createTestService>

/** A fresh service for one test, closed when it ends. */
export const withService = async (
  act: (world: TestService) => Promise<void>,
  options: ServiceOptions = {},
): Promise<void> => {
  const world = createTestService(options)
  try {
    await act(world)
  } finally {
    world.close()
  }
}

/** Registers a device with a policy of its own. */
export const enroll = async (
  service: Service,
  device: SoftwareDevice,
  policy: string,
  id = "device-1",
): Promise<void> => {
  await service.registerDevice(
    { id, akPublic: device.akPublic, qualifiedName: device.qualifiedName },
    GATEWAY,
  )
  const { name } = await service.setPolicy(policy, GATEWAY)
  await service.assignPolicy({ policy: name, device: id }, GATEWAY)
}

/** Evidence of a device over any extraData, as the service takes it. */
export const evidenceOver = (
  device: SoftwareDevice,
  extraData: Uint8Array,
  changed: Partial<Parameters<SoftwareDevice["attest"]>[0]> = {},
): RawEvidence => ({ akName: device.akName, ...device.attest({ extraData, ...changed }) })

export interface Session {
  readonly audience?: string
  readonly confirmation?: SessionKey
  readonly device?: string
  readonly policy?: string
}

const challengeInput = (session: Session): ChallengeInput => ({
  device: session.device ?? "",
  audience: session.audience ?? "orders",
  confirmation: session.confirmation,
  policy: session.policy ?? "",
})

/** A challenge, and the evidence of a device that answers it. */
export const answered = async (
  service: Service,
  device: SoftwareDevice,
  session: Session = {},
  caller: Caller = GATEWAY,
): Promise<
  VerifyInput & { readonly freshness: { readonly kind: "challenge"; readonly challenge: Uint8Array } }
> => {
  const { sealed, transcript } = await service.createChallenge(challengeInput(session), caller)
  return {
    freshness: { kind: "challenge", challenge: sealed },
    evidence: evidenceOver(device, challengeExtraData(transcript)),
  }
}

/** The whole main job. */
export const attest = async (
  service: Service,
  device: SoftwareDevice,
  session: Session = {},
): Promise<AttestationResult> => service.verify(await answered(service, device, session), GATEWAY)

/** Codes of a result's findings, the worst first. */
export const codesOf = (result: AttestationResult): string[] =>
  result.findings.flatMap((finding) => finding.code ?? [])

/** A service whose calls wait for something first, while there is something. */
const waiting = (service: Service, pending: () => Promise<unknown> | undefined): Service =>
  new Proxy(service, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name)
      if (typeof method !== "function") return method
      return (...args: unknown[]) => {
        const first = pending()
        return first === undefined
          ? Reflect.apply(method, target, args)
          : first.then(() => Reflect.apply(method, target, args))
      }
    },
  })
