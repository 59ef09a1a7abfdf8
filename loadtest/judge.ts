/** What a run of ghz has shown: its own figures beside what the server has counted meanwhile, and where they disagree. */
import type { Configuration, GhzReport } from "./ghz.ts"
import type { Plan } from "./payloads.ts"
import type { Counts } from "./release.ts"

const TIERS = ["affirming", "warning", "contraindicated", "none"] as const

/** Decisions by tier. */
export type Tiers = Readonly<Record<(typeof TIERS)[number], number>>

/** What one configuration came to. */
export interface Outcome extends GhzReport {
  readonly name: string
  readonly call: string
  /** Answers that were to be had: calls, or of streams all of their messages. */
  readonly messages: number
  readonly messagesPerSecond: number
  /** CPU time of the server for one message, all of its threads, in µs. */
  readonly cpuMicroseconds: number
  /** Share of hits, by cache. A cache that was not asked is not there. */
  readonly hitRates: Readonly<Record<string, number>>
  /** As the metrics counted the decisions. */
  readonly decisions: Tiers
  /** As the journal has them. */
  readonly records: Tiers
  /** Where the figures disagree: nothing if the run has passed. */
  readonly failures: readonly string[]
}

/** One configuration: what was asked, and what the server had counted before and after. */
export interface Observed {
  readonly config: Configuration
  readonly plan: Plan
  readonly report: GhzReport
  readonly before: Counts
  readonly after: Counts
}

/** Puts both sides together, and compares them. */
export function judge({ config, plan, report, before, after }: Observed): Outcome {
  const grown = (sample: string): number =>
    (after.metrics.get(sample) ?? 0) - (before.metrics.get(sample) ?? 0)
  const perCall = config.call.endsWith(".VerifyStream") ? plan.messages : 1
  const messages = perCall * report.ok
  const decisions = tiersOf((tier) => grown(`assay_verifications_total{tier="${tier}"}`))
  const records = tiersOf((tier) => (after.records.get(tier) ?? 0) - (before.records.get(tier) ?? 0))
  const figures = {
    ...report,
    name: config.name,
    call: config.call,
    messages,
    messagesPerSecond: perCall * report.callsPerSecond,
    cpuMicroseconds: (1_000_000 * grown("process_cpu_seconds_total")) / messages,
    hitRates: hitRatesOf(after, grown),
    decisions,
    records,
  }
  const differ = (what: string, expected: number, actual: number): readonly string[] =>
    expected === actual ? [] : [`${what}: expected ${expected}, not ${actual}`]
  const verifies = config.call.includes(".Verify")
  // What is shown in turn is forged in turn: a whole number of rounds has exactly the data file's share.
  const forged = verifies ? (messages / plan.messages) * plan.forged : 0
  const expected = {
    affirming: verifies ? messages - forged : 0,
    warning: 0,
    contraindicated: forged,
    none: 0,
  }
  const failures = [
    ...differ("calls that ghz made", plan.total, report.calls),
    ...differ("calls that ended with OK", plan.total, report.ok),
    ...TIERS.flatMap((tier) => [
      ...differ(`${tier} decisions in the metrics`, expected[tier], decisions[tier]),
      ...differ(`${tier} records in the journal`, expected[tier], records[tier]),
    ]),
    ...(config.call.endsWith(".CreateChallenge")
      ? differ("challenges in the metrics", messages, grown("assay_challenges_created_total"))
      : []),
    ...(config.tags?.freshness === "challenge"
      ? differ("challenges spent, by the metrics", messages, grown("assay_challenges_spent_total"))
      : []),
  ]
  return { ...figures, failures }
}

const tiersOf = (count: (tier: keyof Tiers) => number): Tiers => ({
  affirming: count("affirming"),
  warning: count("warning"),
  contraindicated: count("contraindicated"),
  none: count("none"),
})

const hitRatesOf = (
  { metrics }: Counts,
  grown: (sample: string) => number,
): Readonly<Record<string, number>> =>
  Object.fromEntries(
    [...metrics.keys()].flatMap((sample): [string, number][] => {
      const [, cache] = /^assay_cache_hits_total\{cache="([^"]+)"\}$/.exec(sample) ?? []
      if (cache === undefined) return []
      const hits = grown(sample)
      const asked = hits + grown(`assay_cache_misses_total{cache="${cache}"}`)
      return asked === 0 ? [] : [[cache, hits / asked]]
    }),
  )

const number = (value: number, digits = 0): string =>
  value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits })

/** The outcomes as a table. */
export const tableOf = (outcomes: readonly Outcome[]): string => {
  const rows = outcomes.map((one) => [
    one.name,
    number(one.messages),
    number(one.messagesPerSecond),
    ...[one.p50Ms, one.p95Ms, one.p99Ms].map((value) => number(value, 1)),
    number(Object.values(one.errors).reduce((sum, count) => sum + count, 0)),
    number(one.cpuMicroseconds),
    `${number(one.decisions.affirming)}/${number(one.decisions.contraindicated)}`,
    Object.entries(one.hitRates)
      .map(([cache, rate]) => `${cache} ${number(100 * rate)} %`)
      .join(", "),
  ])
  const table = [
    [
      "",
      "messages",
      "a second",
      "p50 ms",
      "p95 ms",
      "p99 ms",
      "errors",
      "CPU µs",
      "good/forged",
      "cache hits",
    ],
    ...rows,
  ]
  const widths = table[0]?.map((_, i) => Math.max(...table.map((row) => row[i]?.length ?? 0))) ?? []
  const lines = table.map((row) =>
    row
      .map((cell, i) => {
        const width = widths[i] ?? 0
        return i === 0 || i === row.length - 1 ? cell.padEnd(width) : cell.padStart(width)
      })
      .join("  ")
      .trimEnd(),
  )
  return `${lines.join("\n")}\n`
}
