/**
 * The workers' part of the bench by itself: `node loadtest/workers.ts [--calls N] [--rounds N] [--in-flight N]`. It ends with
 * status 1 when two workers cost more than they may, or calls, tokens and records are not as many. See `workers-measure.ts`.
 */
import { loadavg } from "node:os"
import { parseArgs } from "node:util"
import { TARGETS } from "./figures.ts"
import { measureWorkers } from "./workers-measure.ts"

const { values } = parseArgs({
  options: {
    calls: { type: "string", default: "1000" },
    rounds: { type: "string", default: "5" },
    "in-flight": { type: "string", default: "256" },
  },
})
const { figures, details, differences } = await measureWorkers({
  calls: Number(values.calls),
  rounds: Number(values.rounds),
  inFlight: Number(values["in-flight"]),
})
process.stdout.write(`${JSON.stringify({ loadAverage: loadavg()[0], details }, undefined, 2)}\n`)
for (const difference of differences) process.stderr.write(`${difference}\n`)
if (differences.length > 0 || !((figures.workers?.median ?? Number.NaN) <= TARGETS.workers.must))
  process.exitCode = 1
