/** The figures that Assay has to reach, and how what was measured compares with them. */
import { columns } from "./report.ts"
import type { Spread } from "./statistics.ts"

/** What a figure is, and what it must and should be. Of a least value more is better, of all others less. */
interface Target {
  readonly figure: string
  readonly unit: "×" | "ms" | "MiB" | "%"
  readonly must: number
  readonly aim?: number
  readonly isLeast?: true
  /** Which part of the bench measures it. */
  readonly part: string
}

/** In the order in which they are told. */
export const TARGETS = {
  unary: {
    figure: "Verify, warm: × (empty call + crypto)",
    ...{ unit: "×", must: 1.6, aim: 1.3, part: "warm" },
  },
  stream: {
    figure: "VerifyStream, warm: × (empty message + crypto)",
    ...{ unit: "×", must: 1.9, aim: 1.5, part: "warm" },
  },
  again: {
    figure: "the same evidence shown again: × (empty call + one signature)",
    ...{ unit: "×", must: 1.4, aim: 1.2, part: "warm" },
  },
  firstSight: {
    figure: "first sight of a device, CPU",
    ...{ unit: "ms", must: 5, aim: 2.5, part: "first-sight" },
  },
  workers: {
    figure: "CPU per call, 2 workers against 1",
    ...{ unit: "×", must: 1.1, aim: 1, part: "workers" },
  },
  latency: {
    figure: "p99 latency at 70 % of capacity",
    ...{ unit: "ms", must: 20, aim: 8, part: "latency" },
  },
  loopDelay: {
    figure: "event-loop delay p99 at full load",
    ...{ unit: "ms", must: 20, aim: 10, part: "latency" },
  },
  resident: {
    figure: "resident memory, 100,000 devices hot",
    ...{ unit: "MiB", must: 512, aim: 300, part: "hot" },
  },
  startUp: { figure: "a million devices: start-up", ...{ unit: "ms", must: 1000, part: "million" } },
  lookUp: { figure: "a million devices: first look-up", ...{ unit: "ms", must: 1, part: "million" } },
  goodput: {
    figure: "twice the capacity offered: goodput, of capacity",
    ...{ unit: "%", must: 90, isLeast: true, part: "overload" },
  },
  fair: {
    figure: "a modest caller beside a hostile one: goodput, of what it asks",
    ...{ unit: "%", must: 90, isLeast: true, part: "overload" },
  },
  refusal: {
    figure: "twice the capacity offered: refusals, p99",
    ...{ unit: "ms", must: 20, part: "overload" },
  },
  growth: {
    figure: "twice the capacity offered: memory, of before",
    ...{ unit: "×", must: 1.1, part: "overload" },
  },
} as const satisfies Readonly<Record<string, Target>>

/** Names of figures. */
export type FigureName = keyof typeof TARGETS

/** What was measured, by name. */
export type Figures = Readonly<Partial<Record<FigureName, Spread>>>

/** One that is told. */
export interface Told {
  readonly name: string
  readonly figure: string
  readonly unit: string
  readonly must: number
  readonly aim?: number
  /** More is better. */
  readonly isLeast?: true
  /** Nothing if its part was left out. */
  readonly measured?: Spread
  readonly verdict: "aim reached" | "reached" | "missed" | "not measured"
  readonly part: string
}

/** All figures, whether they were measured or not, by their medians. */
export const compare = (figures: Figures): readonly Told[] =>
  Object.entries<Target>(TARGETS).map(([name, target]) => {
    const measured = new Map(Object.entries(figures)).get(name)
    const holds = (bound: number | undefined): boolean =>
      measured !== undefined &&
      bound !== undefined &&
      (target.isLeast ? measured.median >= bound : measured.median <= bound)
    const reached = holds(target.aim) ? "aim reached" : holds(target.must) ? "reached" : "missed"
    return measured === undefined
      ? { name, ...target, verdict: "not measured" }
      : { name, ...target, measured, verdict: reached }
  })

const DIGITS: Readonly<Record<string, number>> = { "×": 2, ms: 2, MiB: 0, "%": 1 }

/** For people. */
export const figuresTable = (told: readonly Told[]): string => {
  const rows = told.map(({ figure, unit, must, aim, isLeast, measured, verdict, part }) => {
    const written = (value: number): string => `${value.toFixed(DIGITS[unit] ?? 2)} ${unit}`
    const bound = (value: number): string => `${isLeast ? "≥" : "≤"} ${value} ${unit}`
    return [
      figure,
      bound(must),
      aim === undefined ? "" : bound(aim),
      measured === undefined
        ? ""
        : `${written(measured.median)} (${written(measured.min)} to ${written(measured.max)})`,
      measured === undefined ? `not measured: make bench only=${part}` : verdict,
    ]
  })
  return `${columns([["figure", "must reach", "aim", "median (least to most)", ""], ...rows]).join("\n")}\n`
}
