/**
 * `make bench`: the figures that Assay has to reach, each measured, and said whether it is reached; JSON with `-o json`.
 *
 * Names of parts choose what is measured (`node loadtest/bench.ts warm workers`), `all` takes everything. Without names it is
 * what takes some five minutes, and the table says how to measure the rest. Each part says at the top of its module
 * how it measures. Five rounds, of which the median counts; a figure of CPU time is that of the whole server process.
 *
 * It ends with status 1 when the tokens that verify, or the new records of the journal, are not as many as the calls that were
 * made, or when a part does not keep a bound of its own. A figure that is missed is told, and changes no status: machines differ.
 */
import { cpus, loadavg } from "node:os"
import { compare, type Figures, figuresTable } from "./figures.ts"
import { measureFirstSight } from "./first-sight.ts"
import { measureHot } from "./hot.ts"
import { measureLatency } from "./latency.ts"
import { measureMillion } from "./million.ts"
import { benchOptions } from "./options.ts"
import { measureOverload } from "./overload-measure.ts"
import type { Amount, PartResult } from "./part.ts"
import { measureWarm } from "./warm.ts"
import { measureWorkers } from "./workers-measure.ts"

type Measure = (amount: Amount) => Promise<PartResult>

/** Two workers have as many calls in flight each as one process has, and a rest. */
const WORKERS_IN_FLIGHT = 4

interface Part {
  readonly measure: Measure
  readonly isLong?: true
  /** Whether so much is what its figures are about. */
  readonly isWhole?: (amount: Amount) => boolean
}

const PARTS: Readonly<Record<string, Part>> = {
  warm: { measure: measureWarm },
  "first-sight": { measure: measureFirstSight },
  workers: {
    measure: (amount) => measureWorkers({ ...amount, inFlight: WORKERS_IN_FLIGHT * amount.inFlight }),
  },
  latency: { measure: measureLatency },
  hot: { measure: measureHot, isLong: true, isWhole: ({ hot }) => hot >= 100_000 },
  million: { measure: measureMillion, isLong: true, isWhole: ({ registered }) => registered >= 1_000_000 },
  overload: { measure: measureOverload, isLong: true, isWhole: (one) => one.overloadSeconds >= 60 },
}

const { amount, wanted, output } = benchOptions(process.argv.slice(2), Object.keys(PARTS))

const isWanted = (name: string, isLong: boolean): boolean =>
  wanted.length === 0 ? !isLong : wanted.includes("all") || wanted.includes(name)

const [loadAverage = 0] = loadavg()
const results = new Map<string, PartResult>()
for (const [name, { measure, isLong = false, isWhole = () => true }] of Object.entries(PARTS)) {
  if (!isWanted(name, isLong)) continue
  const start = performance.now()
  process.stderr.write(`${name} …`)
  const result = await measure(amount)
  // Fewer devices, or less time, are told among the details alone.
  results.set(name, isWhole(amount) ? result : { ...result, figures: {} })
  process.stderr.write(` ${Math.round((performance.now() - start) / 1000)} s\n`)
}

const figures: Figures = Object.assign({}, ...[...results.values()].map((one) => one.figures))
const told = compare(figures)
const conditions = { node: process.version, cores: cpus().length, loadAverage }
if (output === "json") {
  const parts = Object.fromEntries([...results].map(([name, one]) => [name, one.details]))
  process.stdout.write(`${JSON.stringify({ ...conditions, amount, figures: told, parts }, undefined, 2)}\n`)
} else {
  const tables = [...results.values()].flatMap((one) => one.tables ?? [])
  const said = `Node ${conditions.node}, ${conditions.cores} cores, load average at the start ${loadAverage.toFixed(1)}.\n`
  process.stdout.write([...tables, figuresTable(told), said].join("\n"))
}
for (const one of results.values())
  for (const words of [...one.differences, ...(one.excesses ?? [])]) {
    process.stderr.write(`${words}\n`)
    process.exitCode = 1
  }
