/** The release build, served as `assay serve` serves it, and what it says of itself: metrics and journal. */
import { spawn } from "node:child_process"
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { setTimeout } from "node:timers/promises"

const ASSAY = join(import.meta.dirname, "../bin/assay.js")
const START_MS = 30_000
const POLL_MS = 2
const UNLIMITED = { perSecond: 1_000_000, burst: 1_000_000 }

/**
 * Settings that are not the defaults. One caller at one address makes all of the load, so what a caller and an address may ask
 * is raised to the most that there is, and a challenge lives as long as it can, for they are made and quoted in advance.
 */
export const SETTINGS = {
  development: true,
  listen: ["127.0.0.1:0"],
  web: { public: "127.0.0.1:0", private: "127.0.0.1:0" },
  challenge: { lifetimeSeconds: 600 },
  rates: {
    source: UNLIMITED,
    caller: UNLIMITED,
    challenge: UNLIMITED,
    enrollment: UNLIMITED,
    callsMax: 65_536,
  },
  // What is offered at once has to wait for its turn, not to be refused.
  limits: { waitSeconds: 10 },
}

/** What the server has counted since its start. */
export interface Counts {
  /** Every sample of the metrics by its name and labels, as the page has them. */
  readonly metrics: ReadonlyMap<string, number>
  /** Records of Verify in the journal, by outcome. */
  readonly records: ReadonlyMap<string, number>
}

/** A server that runs. */
export interface Release {
  readonly address: string
  readonly admin: string
  /** The gateway's, which development mode makes. */
  readonly credential: string
  /** PEM of the maker that certifies endorsement keys of software TPMs, which development mode trusts. */
  readonly maker: string
  readonly metrics: string
  /** URL of the keys that its tokens are signed with. */
  readonly keys: string
  readonly pid: number
  /** From its process's beginning until it served, in ms. */
  readonly startMs: number
  counts(): Promise<Counts>
  stop(): Promise<void>
}

/**
 * Starts the server in `folder`, and waits until it serves. Its log is `server.log` there.
 *
 * @param pinned What goes before the command, so that it keeps to its cores.
 * @throws {Error} if it ends instead, with the last that it said.
 */
export async function startRelease(folder: string, pinned: readonly string[]): Promise<Release> {
  const data = join(folder, "data")
  const said = join(folder, "banner.txt")
  const config = join(folder, "config.json")
  writeFileSync(config, JSON.stringify({ ...SETTINGS, data }))
  const log = openSync(join(folder, "server.log"), "w")
  const banner = openSync(said, "w")
  const begun = performance.now()
  const command = [...pinned, process.execPath, ASSAY, "serve", "--config", config, "-o", "table"]
  const child = spawn(command[0] ?? "", command.slice(1), { stdio: ["ignore", log, banner] })
  for (const descriptor of [log, banner]) closeSync(descriptor)
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()))
  const kill = () => child.kill("SIGKILL")
  process.once("exit", kill)
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM")
    await ended
    process.off("exit", kill)
  }
  const limit = begun + START_MS
  while (!readFileSync(said, "utf8").includes("Stop with")) {
    if (child.exitCode !== null || performance.now() > limit) {
      kill()
      throw new Error(`the server does not serve: ${readFileSync(said, "utf8")}`)
    }
    await setTimeout(POLL_MS)
  }
  const startMs = performance.now() - begun
  const found = (pattern: RegExp): string => {
    const [, value] = pattern.exec(readFileSync(said, "utf8")) ?? []
    if (value === undefined) throw new Error(`the server does not say ${pattern.source}`)
    return value
  }
  const metrics = found(/(http:\S+\/metrics)/)
  const keys = `${found(/(http:\S+)\/openid-configuration/)}/jwks.json`
  const journal = new DatabaseSync(join(data, "assay.db"), { readOnly: true })
  const outcomes = journal.prepare(
    "SELECT outcome, count(*) AS records FROM journal WHERE act = 'verify' GROUP BY outcome",
  )
  return {
    address: found(/^ *gRPC +(\S+)/m),
    admin: found(/^ *administration +(\S+)/m),
    credential: readFileSync(found(/^ *credential of gateway +(\S+)/m), "utf8").trim(),
    maker: readFileSync(join(data, "software-tpm-maker.pem"), "utf8"),
    ...{ metrics, keys, startMs },
    pid: child.pid ?? Number.NaN,
    counts: async () => ({
      metrics: readMetrics(await (await fetch(metrics)).text()),
      records: new Map(outcomes.all().map((row) => [String(row["outcome"]), Number(row["records"])])),
    }),
    stop: async () => {
      journal.close()
      await stop()
    },
  }
}

/** Samples of a page of metrics (Prometheus text format) by name and labels. */
export const readMetrics = (page: string): ReadonlyMap<string, number> =>
  new Map(
    page.split("\n").flatMap((line): [string, number][] => {
      const space = line.lastIndexOf(" ")
      return line === "" || line.startsWith("#")
        ? []
        : [[line.slice(0, space), Number(line.slice(space + 1))]]
    }),
  )
