import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client"
import type { Tier } from "../appraisal/finding.ts"
import type { Code } from "../errors.ts"
import type { TrustCounts } from "./refresher.ts"

/** Counts that others keep, read at each scrape. All but `outstanding`, `entries` and most of trust's only grow. */
export interface MetricSources {
  readonly challenges: () => {
    readonly created: number
    readonly spent: number
    /** Spent ones that have to be remembered until they expire; nothing where only their store knows. */
    readonly outstanding: number | undefined
  }
  readonly caches: () => readonly {
    readonly name: string
    readonly hits: number
    readonly misses: number
    readonly entries: number
    /** Entries that had to go for others, where that is counted. */
    readonly evictions?: number
  }[]
  /** Without it, nothing is told of trust. */
  readonly trust?: () => TrustCounts
  /** Checkpoints of the journal: how many were made, and how often one could not be. */
  readonly checkpoints?: () => { readonly made: number; readonly failed: number }
}

/** What happens, as it happens. No label names a device, a caller or a tenant. */
export interface Metrics {
  readonly registry: Registry
  verified(tier: Tier): void
  /** A call that was refused, or a finding that a result was contraindicated for. */
  refused(code: Code): void
  /** A call that ended. `code` is the name of its gRPC status. */
  called(method: string, code: string, seconds: number): void
  /** A request that has begun, after it had waited so long for its turn. */
  waited(seconds: number): void
  /** A part of a request that took so long of the event loop, more than most do. */
  charged(seconds: number): void
}

const TIERS: readonly Tier[] = ["affirming", "warning", "contraindicated", "none"]

/** Seconds: from a warm Verify call, 0.2 ms, to a call that ran into its deadline. */
const DURATION_BUCKETS = [0.0002, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5]

/** More methods than any server of ours has. Should a caller be able to make some up, the rest counts as `other`. */
const METHODS_MAX = 64

/** One value that is read at a scrape. */
interface Count {
  readonly count: number
  readonly labels: Readonly<Record<string, string>>
}

/** The metrics of Assay beside those of its process, in a registry of their own. */
export const createMetrics = ({ challenges, caches, trust, checkpoints }: MetricSources): Metrics => {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })

  const waits = new Histogram({
    name: "assay_admission_wait_seconds",
    help: "How long requests that were begun had waited for their turn. Those that were refused count as OVERLOADED.",
    buckets: [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
    registers,
  })
  const charges = new Counter({
    name: "assay_charged_seconds_total",
    help: "Time of the event loop that requests took beyond what most do, and that their callers' next turns wait for.",
    registers,
  })
  const verifications = new Counter({
    name: "assay_verifications_total",
    help: "Verifications that ended with a result, by its tier.",
    labelNames: ["tier"],
    registers,
  })
  for (const tier of TIERS) verifications.inc({ tier }, 0)
  const refusals = new Counter({
    name: "assay_refusals_total",
    help: "Refusals by code: calls that failed, and findings that made a result contraindicated.",
    labelNames: ["code"],
    registers,
  })
  const durations = new Histogram({
    name: "assay_rpc_duration_seconds",
    help: "Time that calls took, by method and gRPC status.",
    labelNames: ["method", "code"],
    buckets: DURATION_BUCKETS,
    registers,
  })

  const one = (count: number): readonly Count[] => [{ count, labels: {} }]
  const perCache = (key: "hits" | "misses" | "entries" | "evictions"): readonly Count[] =>
    caches().flatMap(({ name, [key]: count }) =>
      count === undefined ? [] : [{ count, labels: { cache: name } }],
    )
  for (const { kind, name, help, labelNames, read } of [
    {
      kind: Counter,
      name: "assay_challenges_created_total",
      help: "Challenges that were handed out.",
      labelNames: [],
      read: () => one(challenges().created),
    },
    {
      kind: Counter,
      name: "assay_challenges_spent_total",
      help: "Challenges that evidence answered.",
      labelNames: [],
      read: () => one(challenges().spent),
    },
    {
      kind: Gauge,
      name: "assay_challenges_outstanding",
      help: "Spent challenges that have not expired and are remembered.",
      labelNames: [],
      read: () => {
        const { outstanding } = challenges()
        return outstanding === undefined ? [] : one(outstanding)
      },
    },
    {
      kind: Counter,
      name: "assay_cache_hits_total",
      help: "Answers that a cache had.",
      labelNames: ["cache"],
      read: () => perCache("hits"),
    },
    {
      kind: Counter,
      name: "assay_cache_misses_total",
      help: "Answers that a cache did not have.",
      labelNames: ["cache"],
      read: () => perCache("misses"),
    },
    {
      kind: Counter,
      name: "assay_cache_evictions_total",
      help: "Answers that a cache let go of for others.",
      labelNames: ["cache"],
      read: () => perCache("evictions"),
    },
    {
      kind: Gauge,
      name: "assay_cache_entries",
      help: "Entries in a cache.",
      labelNames: ["cache"],
      read: () => perCache("entries"),
    },
    ...(checkpoints === undefined ? [] : [checkpointMetric(checkpoints)]),
    ...(trust === undefined ? [] : trustMetrics(trust)),
  ])
    new kind({
      name,
      help,
      labelNames,
      registers,
      collect() {
        this.reset()
        for (const { count, labels } of read()) this.inc(labels, count)
      },
    })

  const methods = new Set<string>()
  return {
    registry,
    verified: (tier) => verifications.inc({ tier }),
    refused: (code) => refusals.inc({ code }),
    waited: (seconds) => waits.observe(seconds),
    charged: (seconds) => charges.inc(seconds),
    called: (method, code, seconds) => {
      if (methods.size < METHODS_MAX) methods.add(method)
      durations.observe({ method: methods.has(method) ? method : "other", code }, seconds)
    },
  }
}

interface ReadMetric {
  readonly kind: typeof Counter | typeof Gauge
  readonly name: string
  readonly help: string
  readonly labelNames: string[]
  readonly read: () => readonly Count[]
}

const checkpointMetric = (counts: NonNullable<MetricSources["checkpoints"]>): ReadMetric => ({
  kind: Counter,
  name: "assay_journal_checkpoints_total",
  help: "Checkpoints of the journal: made, and failed to be made.",
  labelNames: ["outcome"],
  read: () => Object.entries(counts()).map(([outcome, count]) => ({ count, labels: { outcome } })),
})

/** No label names a source: there may be hundreds, and others choose their URLs. What there is none of is not a number. */
const trustMetrics = (trust: () => TrustCounts): readonly ReadMetric[] => {
  const gauge = (name: string, help: string, value: (counts: TrustCounts) => number): ReadMetric => ({
    kind: Gauge,
    name,
    help,
    labelNames: [],
    read: () => [{ count: value(trust()), labels: {} }],
  })
  return [
    {
      kind: Counter,
      name: "assay_trust_refresh_total",
      help: "Attempts to load a CRL or certificates from a URL; aborted: passes that failed as a whole.",
      labelNames: ["outcome"],
      read: () =>
        Object.entries(trust().outcomes).map(([outcome, count]) => ({ count, labels: { outcome } })),
    },
    gauge("assay_trust_anchors", "Trust anchors.", ({ anchors }) => anchors),
    gauge("assay_trust_crls", "CRLs that are kept.", ({ crls }) => crls),
    gauge("assay_trust_generation", "Moves on with each change of trust.", ({ generation }) => generation),
    gauge(
      "assay_trust_crl_next_update_timestamp_seconds",
      "The earliest nextUpdate of all CRLs.",
      ({ nextUpdate }) => (nextUpdate?.getTime() ?? Number.NaN) / 1000,
    ),
    gauge(
      "assay_trust_crl_age_seconds",
      "Time since thisUpdate of the oldest CRL.",
      ({ ageSeconds }) => ageSeconds ?? Number.NaN,
    ),
  ]
}
