/**
 * `make loadtest`: a release build under ghz. `node loadtest/load.ts [--fleet N] [--calls N] [--ghz PROGRAM] [NAME ...]`
 *
 * The server is `assay serve` from `dist/`, in development mode on a folder of its own, with its embedded store and its
 * journal on the disk. Rates, and the life of a challenge, are raised to their bounds (see `release.ts`): one caller at
 * one address makes all of the load. Server and ghz keep to different cores where there are two, and `taskset`.
 *
 * A fleet of software devices with keys of three kinds (P-256, RSA-2048 and P-384 in turn) enrolls, each shows its log
 * once, and then makes the data file of each configuration in `ghz/`, whose tags say of what. In challenge mode each
 * message has a challenge of its own, made and quoted in advance by P-256 keys. What ghz shows in nonce and epoch mode
 * it shows again and again; a stream carries the whole fleet, and its latency is that of all of it. In challenge mode it is one stream,
 * for every stream of ghz carries the same, and no challenge may come twice.
 *
 * A refused device is answered with OK, too. So a run passes only if the calls that ended with OK are as many as the
 * affirming decisions that the metrics have counted meanwhile, and as the journal's affirming records; and of 1 % forged
 * quotes exactly those have to be contraindicated, in both. Else it ends with status 1. The summary is printed, and
 * kept in `.cache/loadtest/summary.json`.
 *
 * CPU time is that of the server's process, kernel and collector included, by its own metrics.
 */
import { execFileSync } from "node:child_process"
import { globSync, mkdirSync, writeFileSync } from "node:fs"
import { loadavg } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { divideCores, pinnedTo } from "./cores.ts"
import { type Configuration, readConfiguration, runGhz } from "./ghz.ts"
import { judge, type Outcome, tableOf } from "./judge.ts"
import { type Fleet, payloadOf, writePayload } from "./payloads.ts"
import { type Release, SETTINGS } from "./release.ts"
import { withFleet } from "./with-fleet.ts"

const ROOT = join(import.meta.dirname, "..")
const FLEET_MAX = 100_000
const CALLS_MAX = 10_000_000

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    fleet: { type: "string", default: "1000" },
    /** At most so many messages for each configuration, which says by itself how many it makes. */
    calls: { type: "string", default: String(CALLS_MAX) },
    ghz: { type: "string", default: "ghz" },
    /** Where the summary is kept. */
    keep: { type: "string", default: join(ROOT, ".cache/loadtest") },
    output: { type: "string", short: "o", default: process.stdout.isTTY ? "table" : "json" },
  },
})

const number = (name: "fleet" | "calls", max: number): number => {
  const value = Number(values[name])
  if (Number.isInteger(value) && value >= 1 && value <= max) return value
  throw new TypeError(`--${name} is an integer from 1 to ${max}`)
}
const size = number("fleet", FLEET_MAX)
const callsMax = number("calls", CALLS_MAX)
if (values.output !== "json" && values.output !== "table") throw new TypeError("-o is json or table")

const configurations = globSync(join(import.meta.dirname, "ghz/*.json"))
  .toSorted()
  .map(readConfiguration)
  .filter(({ name }) => positionals.length === 0 || positionals.includes(name))
const unknown = positionals.find((name) => !configurations.some((config) => config.name === name))
if (unknown !== undefined) throw new TypeError(`there is no loadtest/ghz/${unknown}.json`)

const cores = divideCores()
const say = (words: string): boolean => process.stderr.write(`${words}\n`)

const fail = (words: string): void => {
  say(words)
  process.exitCode = 1
}

const runOne = async (
  config: Configuration,
  release: Release,
  fleet: Fleet,
  folder: string,
): Promise<Outcome> => {
  const plan = payloadOf(config, size, callsMax)
  await writePayload(config, plan, fleet, folder)
  say(`${config.name}: ${plan.total} calls`)
  const before = await release.counts()
  const report = await runGhz(config, {
    program: values.ghz,
    pinned: pinnedTo(cores?.generator),
    address: release.address,
    credential: release.credential,
    folder,
    total: plan.total,
  })
  return judge({ config, plan, report, before, after: await release.counts() })
}

await withFleet(size, async ({ release, fleet, folder }) => {
  const protoset = join(folder, "assay.protoset#format=binpb")
  execFileSync("buf", ["build", join(ROOT, "proto"), "-o", protoset], { stdio: ["ignore", 2, 2] })
  const [loadAverage] = loadavg()
  const outcomes: Outcome[] = []
  for (const config of configurations) outcomes.push(await runOne(config, release, fleet, folder))

  const conditions = { node: process.version, fleet: size, cores, loadAverage, settings: SETTINGS }
  const summary = `${JSON.stringify({ at: new Date().toISOString(), ...conditions, outcomes }, undefined, 2)}\n`
  mkdirSync(values.keep, { recursive: true })
  writeFileSync(join(values.keep, "summary.json"), summary)
  process.stdout.write(values.output === "json" ? summary : tableOf(outcomes))
  for (const { failures, name } of outcomes) for (const failure of failures) fail(`${name}: ${failure}`)
})
