/**
 * The process in which the steps of one Verify are measured, each by itself: over many genuine requests at once, so in a
 * loop of nothing else, which is as cheap as they get. What a call costs beyond their sum is the transport, the
 * bookkeeping around each call, and what the steps cost each other.
 */
import { join } from "node:path"
import { appraise, measure } from "../src/appraisal/appraise.ts"
import { cachedContexts } from "../src/cache/contexts.ts"
import { cachedEventLogs } from "../src/cache/event-logs.ts"
import { cachedMeasure } from "../src/cache/findings.ts"
import type { SoftwareDevice } from "../src/device/software.ts"
import { parseEvidence } from "../src/evidence/evidence.ts"
import { VerifyRequestSchema } from "../src/gen/assay/v1/attestation_pb.ts"
import { generateSigningKey } from "../src/keys/key.ts"
import { createRandom } from "../src/keys/random.ts"
import { createSigner } from "../src/keys/signer.ts"
import { issue } from "../src/result/issue.ts"
import { verifyInputFromProto } from "../src/server/convert.ts"
import { encodeResult } from "../src/server/encode-result.ts"
import { check } from "../src/server/validate.ts"
import { decodeStrictly } from "../src/server/wire.ts"
import { bindSession } from "../src/service/certify.ts"
import { compile } from "../src/service/compile.ts"
import { commit, draft, record } from "../src/service/decision.ts"
import { createEventLogs, logOf, readSent, rememberLog } from "../src/service/event-logs.ts"
import { openFreshness } from "../src/service/freshness.ts"
import type { Caller, Context, LogOwner, Ports } from "../src/service/ports.ts"
import { createService, type Service } from "../src/service/service.ts"
import { createVerdicts } from "../src/service/verdicts.ts"
import { createMemoryEngine } from "../src/store/engine/memory.ts"
import { createEpochs } from "../src/store/epochs.ts"
import { openSqliteStore } from "../src/store/sqlite.ts"
import type { Store } from "../src/store/store.ts"
import { verifyClaims } from "../src/verification/claims.ts"
import { verifyEndorsements } from "../src/verification/endorsements.ts"
import { proveQuote } from "../src/verification/quote.ts"
import { createTrust } from "../src/verification/trust.ts"
import type { DeniedKeys } from "../src/verification/weak-key.ts"
import { createStopwatch, microsecondsEach, offer } from "./child.ts"
import { AUDIENCE, answer, createDevice, policyFor } from "./fleet.ts"
import type { Case } from "./measure.ts"

const GATEWAY: Caller = { tenant: "default", id: "gateway" }
const KEY_LIFETIME_MS = 86_400_000

let store: Store | undefined
const stopwatch = createStopwatch()

function portsOn(folder: string): Ports {
  store = openSqliteStore(join(folder, "assay.db"))
  const { registry, devices, trust, journal } = store
  const clock = { now: () => new Date() }
  const random = createRandom()
  const engine = createMemoryEngine(random)
  const createdAt = clock.now()
  const key = generateSigningKey("ES256", {
    createdAt,
    notAfter: new Date(createdAt.getTime() + KEY_LIFETIME_MS),
  })
  return {
    clock,
    random,
    breathe: async () => {},
    pause: async () => {},
    registry,
    logs: cachedEventLogs(createEventLogs(store.logs), { logs: 100, bytes: 1 << 24, devices: 100 }),
    devices,
    trust,
    loadTrust: async () => createTrust({ anchors: [], intermediates: [], crls: [], denied: NONE }),
    denied: NONE,
    advisoriesFor: () => [],
    want: () => {},
    meter: { run: (_, act) => act(), charge: () => {} },
    journal,
    confirm: () => {},
    archive: store.archive,
    singleUse: engine.singleUse,
    epochs: createEpochs(engine.epochKey),
    signer: createSigner(key, clock),
    deviceAuthority: NO_AUTHORITY,
    verifyEndorsements,
    measure: cachedMeasure(measure, { max: 100, maxBytes: 1 << 20 }).measure,
    verdicts: createVerdicts(),
    contexts: cachedContexts({ registry, compile }, { max: 100, maxBytes: 2 ** 24 }),
    settings: {
      issuer: "http://127.0.0.1:7401",
      build: "bench",
      challengeLifetimeMs: 120_000,
      enrollment: { approval: "automatic", lifetimeMs: 300_000 },
      silenceMs: 86_400_000,
      earForm: () => "2026",
    },
  }
}

/** Devices of this bench have no certificates, and ask for none. */
const NONE: DeniedKeys = { size: 0, find: () => undefined }
const NO_AUTHORITY: Ports["deviceAuthority"] = {
  issue: async () => {
    throw new Error("a device asked for a certificate")
  },
}

/** CPU µs of each step for one call. */
export type Steps = Readonly<Record<string, number>>

async function takeApart(ports: Ports, requests: readonly Uint8Array[], inFlight: number): Promise<Steps> {
  const steps: Record<string, number> = {}
  const measured = async <T>(name: string, act: () => T | Promise<T>): Promise<T> => {
    stopwatch.begin()
    const value = await act()
    steps[name] = microsecondsEach(stopwatch.end(), requests.length)
    return value
  }
  const inputs = await measured("read the request, judge its fields", () =>
    requests.map((bytes) => {
      const checked = check(VerifyRequestSchema, decodeStrictly(VerifyRequestSchema, bytes))
      if (checked.kind === "invalid") throw checked.error
      return verifyInputFromProto(checked.request)
    }),
  )
  const parsed = await measured("parse the evidence", () =>
    inputs.map((input) => {
      const evidence = parseEvidence(input.evidence)
      return { input, evidence, log: readSent(ports.logs, evidence, GATEWAY.tenant) }
    }),
  )
  const at = ports.clock.now()
  const opened = await measured("open the challenge", () =>
    Promise.all(
      parsed.map(async ({ input, evidence, log }) => {
        return { evidence, log, freshness: await openFreshness(ports, input.freshness, GATEWAY, at) }
      }),
    ),
  )
  const gathered = await measured("gather the context", () =>
    Promise.all(
      opened.map(async (call) => {
        return { ...call, ...(await ports.contexts.contextFor(GATEWAY.tenant, call.evidence.akName)) }
      }),
    ),
  )
  const proven = await measured("prove the quote (signature, transcript)", () =>
    gathered.map((call) => {
      const { qualifiedName: qualifiedSigner } = call.context.snapshot.device
      const extraData = call.freshness.expectedFor(call.context)
      const quote = proveQuote(call.evidence, call.context.ak, { extraData, qualifiedSigner })
      return { ...call, quote }
    }),
  )
  const known = await measured("find the named log", () =>
    Promise.all(
      proven.map(async (call) => {
        const log = await logOf(ports, call.evidence, call.log, ownerOf(call.context), GATEWAY)
        return { ...call, log }
      }),
    ),
  )
  await measured("spend the challenge", () => Promise.all(known.map(({ freshness }) => freshness.spend())))
  const claimed = await measured("check PCR values, replay the log", () =>
    known.map((call) => {
      const shown = { pcrs: call.evidence.pcrs, eventLog: call.log?.outcome }
      return { ...call, claims: verifyClaims(call.quote, shown, call.context.ak) }
    }),
  )
  const appraised = await measured("appraise", () =>
    claimed.map((call) => {
      const { context, freshness } = call
      const before = context.snapshot.device.counters
      const audience = freshness.session()?.audience
      return {
        ...call,
        appraisal: appraise(
          call.claims,
          context.policy,
          {
            before,
            freshSince: freshness.freshSince,
            advisories: [],
            freshness: freshness.kind,
            state: context.snapshot.device.state,
            audience,
          },
          (policy) => ports.measure(call.quote, call.claims, policy),
        ),
      }
    }),
  )
  const told = await measured("tell and sign", () =>
    appraised.map((call) => {
      const { appraisal, context, freshness } = call
      const told = draft({ endorsements: [] }, call.evidence, context, freshness, GATEWAY, at, ports)
      const result = issue(appraisal, { ...told, ...bindSession(freshness, undefined) }, ports.signer)
      return { ...call, result }
    }),
  )
  if (told.some(({ result }) => result.token.kind !== "session")) throw new Error("a device was refused")
  // All were gathered before the first was written, as if nothing were remembered: it is a commit each all the same.
  await measured("journal, in groups", async () => {
    for (let i = 0; i < told.length; i += inFlight)
      await Promise.all(
        told
          .slice(i, i + inFlight)
          .map(({ result, context, quote, freshness }) =>
            ports.journal.append(
              record(result, context, undefined, GATEWAY),
              commit(
                { proven: { quote }, clock: quote.clockInfo },
                { context, isRemembered: false },
                undefined,
                freshness,
                result,
              ),
            ),
          ),
      )
  })
  await measured("remember the log", () => {
    for (const { context, log, freshness } of told) {
      if (log !== undefined) rememberLog(ports.logs, ownerOf(context), log, freshness, at)
    }
  })
  await measured("write the answer", () => told.map(({ result }) => encodeResult(result).bytes.length))
  return steps
}

const ownerOf = ({ snapshot: { device } }: Context): LogOwner => ({
  tenant: GATEWAY.tenant,
  device: device.id,
  akName: device.akName,
})

interface Bench {
  readonly ports: Ports
  readonly service: Service
  readonly devices: Readonly<Record<Case["algorithm"], SoftwareDevice>>
}
let bench: Bench | undefined

/** What the bench asks of this process. */
const functions = {
  /** Makes an embedded store in `folder`, with a device of each kind. */
  start: async (folder: string): Promise<void> => {
    const ports = portsOn(folder)
    const service = createService(ports)
    const devices = { "rsa-2048": createDevice("rsa-2048"), p256: createDevice("p256") }
    bench = { ports, service, devices }
    for (const [id, { akPublic, qualifiedName }] of Object.entries(bench.devices))
      await service.registerDevice({ id, akPublic, qualifiedName }, GATEWAY)
    await service.setPolicy(policyFor(bench.devices.p256), GATEWAY)
    await service.assignPolicy({ policy: "load", device: undefined }, GATEWAY)
  },
  /** Takes so many calls apart. */
  steps: async ({ algorithm, log }: Case, calls: number, inFlight: number): Promise<Steps> => {
    if (bench === undefined) throw new Error("not started")
    const { ports, service, devices } = bench
    const requestWith = async (shown: Case["log"]): Promise<Uint8Array> => {
      const input = { device: "", audience: AUDIENCE, confirmation: undefined, policy: "" }
      const { sealed, transcript } = await service.createChallenge(input, GATEWAY)
      return answer(devices[algorithm], { challenge: sealed, ...transcript }, shown)
    }
    // A log is shown before it is named.
    if (log === "named") await takeApart(ports, [await requestWith("sent")], inFlight)
    const requests: Uint8Array[] = []
    for (let call = 0; call < calls; call++) requests.push(await requestWith(log))
    return takeApart(ports, requests, inFlight)
  },
}
export type StepsFunctions = typeof functions

offer(functions, async () => store?.close())
