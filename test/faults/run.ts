/**
 * `make test-faults`: crashes at every point of every use case, races over replicas while their engine is killed, and the
 * suites of the stores side by side, ending in one table. Ends with status 1 if something does not hold.
 */
import { availableParallelism } from "node:os"
import { parseArgs } from "node:util"
import { conformanceTable, runConformance } from "../support/conformance.ts"
import { type RaceKind, raceSpends } from "../support/races.ts"
import { type Crash, prepareScenario } from "./crash.ts"
import { SCENARIOS } from "./scenarios.ts"

const { values } = parseArgs({
  options: { spends: { type: "string", default: "1000" }, json: { type: "boolean" } },
})
const failures: string[] = []

/** Crashes at all points of a scenario, as many at a time as there are cores. */
const crashes = async (make: (typeof SCENARIOS)[number]): Promise<readonly Crash[]> => {
  const scenario = await prepareScenario(make())
  try {
    const queue = [...(await scenario.points())]
    const all: Crash[] = []
    const worker = async (): Promise<void> => {
      for (let point = queue.shift(); point !== undefined; point = queue.shift()) {
        const crash = await scenario.crashAt(point)
        all.push(crash)
        process.stderr.write(`${crash.scenario} at ${point}: ${crash.failure ?? "holds"}\n`)
      }
    }
    await Promise.all(Array.from({ length: availableParallelism() }, worker))
    return all
  } finally {
    scenario.close()
  }
}

const crashRows: object[] = []
for (const make of SCENARIOS) {
  const all = await crashes(make)
  if (all.length === 0) failures.push(`${make().name}: it passes no point at which it could crash`)
  const failed = all.filter(({ died, failure }) => !died || failure !== undefined)
  failures.push(
    ...failed.map(({ scenario, point, failure }) => `${scenario} at ${point}: ${failure ?? "did not end"}`),
  )
  crashRows.push({
    "crash in": make().name,
    points: all.length,
    died: all.filter(({ died }) => died).length,
    "answered all the same": all.filter(({ answered }) => answered).length,
    "not held": failed.length,
  })
}

const raceRows: object[] = []
for (const kind of ["memory", "redis", "postgres"] as const satisfies readonly RaceKind[]) {
  const figures = await raceSpends(kind, { spends: Number(values.spends) })
  if (figures.successes > 1) failures.push(`race on ${kind}: ${figures.successes} successes`)
  raceRows.push({ "race on": kind, ...figures })
}

const conformance = await runConformance((adapter, check, error) => {
  failures.push(`${adapter} ${check}: ${error instanceof Error ? error.stack : String(error)}`)
})

if (values.json === true)
  process.stdout.write(`${JSON.stringify({ crashes: crashRows, races: raceRows, conformance, failures })}\n`)
else {
  process.stdout.write(`${conformanceTable(conformance)}\n`)
  console.table(crashRows)
  console.table(raceRows)
}
for (const failure of failures) process.stdout.write(`\n${failure}\n`)
if (failures.length > 0) process.exitCode = 1
