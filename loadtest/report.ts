/** The warm calls against their floor, as the bench tells of them: JSON for programs, and the same as tables. */
import { type ChainReport, GROWTH_MAX, RATIO_MAX } from "./chains.ts"
import type { Measured, Plan, Round, Sizes, Window } from "./measure.ts"
import { median, type Spread, spreadOf } from "./statistics.ts"
import type { Steps } from "./steps-server.ts"
import type { CacheCounts } from "./target.ts"
import { type Counts, NO_COUNTS, plus } from "./tokens.ts"

/** One kind of server over all rounds. */
export interface Load {
  readonly busy: number
  readonly callsPerSecond: number
}

/** One case. CPU times in µs a call, medians and extremes of the rounds. */
export interface CaseReport extends Sizes {
  readonly algorithm: string
  readonly log: string
  readonly via: string
  readonly shows: string
  /** Each round's sum of the three parts. */
  readonly floor: Spread
  readonly parts: { readonly empty: Spread; readonly check: Spread; readonly sign: Spread }
  readonly verify: Spread
  /** How much of `verify` the kernel took: sockets, and the journal's disk. */
  readonly verifySystem: Spread
  /** Of the two totals of each round. */
  readonly ratio: Spread
  /** What each step of `verify` takes by itself, and what is left; of fresh evidence alone. */
  readonly steps?: Steps
  readonly rest?: number
  readonly load: { readonly empty: Load; readonly verify: Load }
  readonly rounds: number
  readonly counts: Counts
}

/** Under what the figures were measured. */
export interface Conditions {
  readonly plan: Plan
  /** A miss for each device, and hits for all other calls. */
  readonly contextCache: CacheCounts
}

/** The whole report. */
export interface Report extends Conditions {
  readonly cases: readonly CaseReport[]
  readonly chains: readonly ChainReport[]
}

/** Puts the rounds together. */
export const reportOf = (
  measured: readonly Measured[],
  steps: ReadonlyMap<Measured, Steps>,
  chains: readonly ChainReport[],
  conditions: Conditions,
): Report => ({
  ...conditions,
  cases: measured.map((one) => caseOf(one, steps.get(one))),
  chains,
})

const floorOf = ({ empty, check, sign }: Round): number => empty.microseconds + check + sign

const caseOf = (
  { algorithm, log, via, shows, sizes, rounds, counts }: Measured,
  steps: Steps | undefined,
): CaseReport => ({
  ...{ algorithm, log, via, shows },
  ...sizes,
  floor: spreadOf(rounds, floorOf),
  parts: {
    empty: spreadOf(rounds, ({ empty }) => empty.microseconds),
    check: spreadOf(rounds, ({ check }) => check),
    sign: spreadOf(rounds, ({ sign }) => sign),
  },
  verify: spreadOf(rounds, ({ verify }) => verify.microseconds),
  verifySystem: spreadOf(rounds, ({ verify }) => verify.systemMicroseconds),
  ratio: spreadOf(rounds, (round) => round.verify.microseconds / floorOf(round)),
  ...(steps !== undefined && {
    steps,
    rest:
      spreadOf(rounds, ({ verify }) => verify.microseconds).median -
      Object.values(steps).reduce((sum, each) => sum + each, 0),
  }),
  load: {
    empty: loadOf(rounds.map(({ empty }) => empty)),
    verify: loadOf(rounds.map(({ verify }) => verify)),
  },
  rounds: rounds.length,
  counts,
})

const loadOf = (windows: readonly Window[]): Load => ({
  busy: median(windows.map(({ busy }) => busy)),
  callsPerSecond: median(windows.map(({ callsPerSecond }) => callsPerSecond)),
})

const TITLES = [
  "AK",
  "via",
  "shows",
  "request",
  "log",
  "answer",
  "empty",
  "check",
  "sign",
  "floor",
  "Verify",
  "of it system",
  "ratio",
  "busy",
  "calls/s",
]

/** The report for people. */
export function tableOf({ plan, contextCache, cases, chains }: Report): string {
  const stepped = cases.flatMap(({ steps, rest = Number.NaN, ...one }) =>
    steps === undefined ? [] : [{ ...one, steps, rest }],
  )
  const stepRows = Object.keys(stepped[0]?.steps ?? {}).map((name) => [
    name,
    ...stepped.map(({ steps }) => (steps[name] ?? Number.NaN).toFixed(1)),
  ])
  const restRow = ["the rest: transport, bookkeeping", ...stepped.map(({ rest }) => rest.toFixed(1))]
  const stepTitles = [
    "Verify, step by step",
    ...stepped.map((one) => `${one.algorithm}, log ${one.log}, ${one.via}`),
  ]
  const total = cases.reduce((sum, { counts }) => plus(sum, counts), NO_COUNTS)
  return [
    "Server CPU time of one call in µs: median (least to most) of the rounds.",
    "Floor = an empty call of the same sizes in bytes + one signature check + one ES256 signature; no check where evidence is shown again.",
    "",
    ...columns([TITLES, ...cases.map(rowOf)]),
    "",
    ...columns([stepTitles, ...stepRows, restRow]),
    "",
    "CPU time of one certificate path in µs: leaf, intermediate and anchor read, two signatures checked.",
    `The ratio may be ${RATIO_MAX} at most, the growth from 10 to 1,000 anchors ${GROWTH_MAX}.`,
    "",
    ...columns([CHAIN_TITLES, ...chains.map(chainRowOf)]),
    "",
    `${cases[0]?.rounds} rounds of ${plan.calls} calls, ${plan.inFlight} at a time on one connection; busy and calls/s of the empty call, then of Verify.`,
    `With warm rounds and run-ins ${total.calls} calls, ${total.tokens} verified tokens, ${total.journalRecords} journal records; context cache: ${contextCache.hits} hits, ${contextCache.misses} misses.`,
    "",
  ].join("\n")
}

const CHAIN_TITLES = ["EK", "anchors", "node:crypto", "Assay", "ratio", "growth"]

const chainRowOf = ({ algorithm, anchors, bare, verify, ratio, growth }: ChainReport): readonly string[] => [
  algorithm,
  anchors.toLocaleString("en-US"),
  spread(bare, 0),
  spread(verify, 0),
  spread(ratio, 2),
  growth === undefined ? "" : spread(growth, 2),
]

/** The first column to the left, figures to the right. */
export const columns = (rows: readonly (readonly string[])[]): readonly string[] => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map(([first = "", ...figures]) =>
    [first.padEnd(widths[0] ?? 0), ...figures.map((cell, i) => cell.padStart(widths[i + 1] ?? 0))].join("  "),
  )
}

const rowOf = (one: CaseReport): readonly string[] => [
  one.algorithm,
  one.via,
  one.shows,
  String(one.requestBytes),
  one.log === "sent" ? String(one.eventLogBytes) : one.log,
  String(one.answerBytes),
  one.parts.empty.median.toFixed(1),
  one.parts.check.median.toFixed(1),
  one.parts.sign.median.toFixed(1),
  spread(one.floor, 0),
  spread(one.verify, 0),
  one.verifySystem.median.toFixed(0),
  spread(one.ratio, 2),
  `${percent(one.load.empty.busy)} ${percent(one.load.verify.busy)}`,
  `${one.load.empty.callsPerSecond.toFixed(0)} ${one.load.verify.callsPerSecond.toFixed(0)}`,
]

const spread = ({ median, min, max }: Spread, digits: number): string =>
  `${median.toFixed(digits)} (${min.toFixed(digits)} to ${max.toFixed(digits)})`

const percent = (share: number): string => `${Math.round(100 * share)}%`
