/** What decides, out of the settings: the service with every port of it, its checkpoints and its counters. */
import { setTimeout as sleep } from "node:timers/promises"
import type { Logger } from "pino"
import { measure } from "../appraisal/appraise.ts"
import { cachedContexts } from "../cache/contexts.ts"
import { cachedEndorsements } from "../cache/endorsements.ts"
import { cachedEventLogs } from "../cache/event-logs.ts"
import { cachedMeasure } from "../cache/findings.ts"
import { cachedVerdicts } from "../cache/verdicts.ts"
import type { Config } from "../config.ts"
import { faultAt, withFaults } from "../faults.ts"
import type { Authority } from "../keys/authority.ts"
import { createDeviceAuthority } from "../keys/device-authority.ts"
import { createMeter } from "../server/meter.ts"
import { createCheckpointJournal } from "../service/checkpoint-journal.ts"
import { compile } from "../service/compile.ts"
import { createEventLogs } from "../service/event-logs.ts"
import { observed } from "../service/observed.ts"
import type { Clock, Pause, Ports, Random, Settings, Signer } from "../service/ports.ts"
import { createService } from "../service/service.ts"
import { createVerdicts } from "../service/verdicts.ts"
import { createCheckpointer } from "../store/checkpointer.ts"
import { createEpochs } from "../store/epochs.ts"
import type { Store } from "../store/store.ts"
import { advisoriesFor } from "../verification/advisory.ts"
import { verifyEndorsements } from "../verification/endorsements.ts"
import { createMetrics } from "../web/metrics.ts"
import { TENANT, VERSION } from "./constants.ts"
import type { Agreement } from "./engine.ts"
import { breathe, type OpenTrust } from "./trust.ts"

const FINDINGS = { max: 20_000, maxBytes: 20 * 1024 * 1024 }
const LOG_BOUNDS = { logs: 10_000, bytes: 40 * 1024 * 1024, devices: 100_000 }
/** For a device with an attestation key and no certificates, about 300 MiB. */
const CONTEXTS = { max: 100_000, maxBytes: 400 * 1024 * 1024 }
/** A refutation is remembered while a caller may be trying again, and no longer. */
const VERDICTS = { devices: 100_000, bytes: 100 * 1024 * 1024, refutations: 1000, refutedMs: 2000 }

/** What decisions are made with. */
export interface DecisionParts {
  readonly clock: Clock
  readonly random: Random
  readonly log: Logger
  readonly store: Store
  readonly signer: Signer
  readonly authority: Authority
  readonly agreement: Agreement
  readonly trust: OpenTrust
}

/** Notes certificates that a device has shown. */
export type Want = Ports["want"]

/**
 * The service, and what goes on beside its calls. The issuer of its settings may be set until the first call.
 *
 * @param place Which worker it is, if it is one: then what goes on beside calls goes on elsewhere, and is counted there.
 */
export const createDecisions = (
  config: Config,
  parts: DecisionParts,
  { member, want = parts.trust.refresh.want }: { readonly member: number | undefined; readonly want?: Want },
) => {
  const { clock, log, store, signer, agreement, trust } = parts
  const settings = settingsOf(config)
  const { meter, tell } = createMeter()
  const chains = cachedEndorsements(verifyEndorsements)
  const findings = cachedMeasure(measure, FINDINGS)
  const logs = cachedEventLogs(createEventLogs(store.logs), LOG_BOUNDS)
  const contexts = cachedContexts({ registry: store.registry, compile }, CONTEXTS)
  const verdicts = cachedVerdicts(createVerdicts(), VERDICTS)
  const { checkpointRecords, checkpointSeconds } = config.journal
  const checkpointer = createCheckpointer({
    checkpoint: createCheckpointJournal({ archive: store.archive, clock, signer, settings }),
    tenants: [TENANT],
    due: { records: checkpointRecords, ms: checkpointSeconds * 1000 },
    failed: (tenant, error) =>
      log.error({ tenant, err: error }, "could not make a checkpoint of the journal"),
  })
  const metrics = createMetrics({
    challenges: () => agreement.engine.counts(),
    caches: () => [
      {
        name: "context",
        hits: contexts.hits,
        misses: contexts.misses,
        entries: contexts.size,
        evictions: contexts.evictions,
      },
      // An entry goes with its context, and is counted there.
      { name: "chain", hits: chains.hits, misses: chains.misses, entries: contexts.size },
      {
        name: "appraisal",
        hits: findings.hits,
        misses: findings.misses,
        entries: findings.size,
        evictions: findings.evictions,
      },
      {
        name: "event-log",
        hits: logs.hits,
        misses: logs.misses,
        entries: logs.size,
        evictions: logs.evictions,
      },
      {
        name: "epoch-verdict",
        hits: verdicts.hits,
        misses: verdicts.misses,
        entries: verdicts.size,
        evictions: verdicts.evictions,
      },
      {
        name: "epoch-refutation",
        hits: verdicts.refutations.hits,
        misses: verdicts.misses,
        entries: verdicts.refutations.size,
        evictions: verdicts.refutations.evictions,
      },
      { name: "trust", hits: trust.trusts.hits, misses: trust.trusts.misses, entries: trust.trusts.size },
    ],
    ...(member === undefined && {
      trust: () => trust.refresher.counts(),
      checkpoints: () => checkpointer.counts(),
    }),
  })
  const ports = {
    ...portsOf(config, parts),
    want,
    meter,
    contexts,
    verdicts,
    measure: findings.measure,
    verifyEndorsements: chains.verifyEndorsements,
    logs,
    settings,
  }
  return {
    settings,
    checkpointer,
    metrics,
    service: observed(createService(faulty(config, log, ports)), metrics),
    /** Says who is told whose requests take long. */
    charging: tell,
  }
}

const settingsOf = (config: Config) => {
  // Not looked up in the object: every object has a member named constructor.
  const earForms = new Map(Object.entries(config.ear.audiences))
  return {
    issuer: config.issuer ?? "",
    build: VERSION,
    challengeLifetimeMs: config.challenge.lifetimeSeconds * 1000,
    enrollment: {
      approval: config.enrollment.approval,
      lifetimeMs: config.enrollment.lifetimeSeconds * 1000,
    },
    silenceMs: config.devices.silenceSeconds * 1000,
    earForm: (audience: string) => earForms.get(audience) ?? config.ear.default,
  } satisfies Settings
}

const portsOf = (
  config: Config,
  { clock, random, store, signer, authority, agreement: { engine, confirm }, trust }: DecisionParts,
): Omit<
  Ports,
  "contexts" | "verdicts" | "measure" | "verifyEndorsements" | "logs" | "settings" | "want" | "meter"
> => ({
  clock,
  random,
  breathe,
  pause,
  registry: store.registry,
  devices: store.devices,
  trust: store.trust,
  loadTrust: trust.trusts.loadTrust,
  denied: trust.denied,
  advisoriesFor: (tpm) => advisoriesFor(trust.known, tpm),
  journal: store.journal,
  confirm,
  archive: store.archive,
  singleUse: engine.singleUse,
  epochs: createEpochs(engine.epochKey, { lengthMs: config.epoch.lengthSeconds * 1000 }),
  signer,
  deviceAuthority: createDeviceAuthority(authority, {
    random,
    lifetimeMs: config.deviceAuthority.lifetimeSeconds * 1000,
  }),
})

/** The ports as they are, or with the one fault that a test of crashes asks for. */
const faulty = ({ fault }: Config, log: Logger, ports: Ports): Ports =>
  fault === undefined
    ? ports
    : withFaults(
        ports,
        faultAt(fault, (point) => log.info({ point }, "fault point")),
      )

const pause: Pause = (ms, signal) => sleep(ms, undefined, { signal, ref: false }).catch(() => undefined)
