/** The options of the bench and of the live load, read and checked. */
import { join } from "node:path"
import { parseArgs } from "node:util"
import { type Configuration, readConfiguration } from "./ghz.ts"
import type { Amount } from "./part.ts"

type Output = "json" | "table"
// As everywhere in Assay: JSON for programs.
const OUTPUT: Output = process.stdout.isTTY ? "table" : "json"

/** What the bench is to do. */
export interface BenchOptions {
  readonly amount: Amount
  /** Parts by name, or `all`; none for what does not take long. */
  readonly wanted: readonly string[]
  readonly output: Output
}

/**
 * Reads the bench's options.
 *
 * @param parts The names of all parts.
 * @throws {TypeError} for what cannot be carried out, and for parts that there are not.
 */
export function benchOptions(args: readonly string[], parts: readonly string[]): BenchOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      calls: { type: "string", default: "1000" },
      rounds: { type: "string", default: "5" },
      "in-flight": { type: "string", default: "64" },
      hot: { type: "string", default: "100000" },
      registered: { type: "string", default: "1000000" },
      seconds: { type: "string", default: "60" },
      output: { type: "string", short: "o", default: OUTPUT },
    },
  })
  type Count = "calls" | "rounds" | "in-flight" | "hot" | "registered" | "seconds"
  const number = (name: Count, max: number, min = 1): number => {
    const value = Number(values[name])
    if (Number.isInteger(value) && value >= min && value <= max) return value
    throw new TypeError(`--${name} is an integer from ${min} to ${max}`)
  }
  // More calls could not be prepared within the lifetime of the first challenge; more rounds would not end soon.
  const amount: Amount = {
    calls: number("calls", 10_000),
    rounds: number("rounds", 100),
    inFlight: number("in-flight", 256),
    hot: number("hot", 100_000),
    registered: number("registered", 10_000_000, 1000),
    overloadSeconds: number("seconds", 3600),
  }
  const { output } = values
  if (output !== "json" && output !== "table") throw new TypeError("-o is json or table")
  const unknown = positionals.find((name) => name !== "all" && !parts.includes(name))
  if (unknown !== undefined) throw new TypeError(`parts are all, ${parts.join(", ")}, not ${unknown}`)
  return { amount, wanted: positionals, output }
}

const ROOT = join(import.meta.dirname, "..")
const LIVE_NAMES = ["verify-challenge", "verify-nonce", "verify-epoch"]
const FLEET_MAX = 100_000
const SECONDS_MAX = 600

/** What is offered live. */
export interface LiveOptions {
  /** Devices. */
  readonly fleet: number
  /** For each part of the capacity, and to find it. */
  readonly durationMs: number
  /** The folder of the picture and the figures. */
  readonly keep: string
  readonly configurations: readonly Configuration[]
}

/** Reads the options of the live load. @throws {TypeError} for what cannot be carried out, and for what ghz alone can drive. */
export function liveOptions(args: readonly string[]): LiveOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      fleet: { type: "string", default: "1000" },
      seconds: { type: "string", default: "3" },
      keep: { type: "string", default: join(ROOT, ".cache/loadtest") },
    },
  })
  const fleet = Number(values.fleet)
  if (!Number.isInteger(fleet) || fleet < 1 || fleet > FLEET_MAX)
    throw new TypeError(`--fleet is an integer from 1 to ${FLEET_MAX}`)
  const durationMs = 1000 * Number(values.seconds)
  if (!(durationMs > 0 && durationMs <= 1000 * SECONDS_MAX))
    throw new TypeError(`--seconds is a number up to ${SECONDS_MAX}`)
  const configurations = (positionals.length > 0 ? positionals : LIVE_NAMES).map((name) =>
    readConfiguration(join(import.meta.dirname, "ghz", `${name}.json`)),
  )
  const ghzAlone = configurations.find(
    ({ call }) => call.endsWith(".VerifyStream") || call.endsWith(".BeginEnrollment"),
  )
  if (ghzAlone !== undefined)
    throw new TypeError(`${ghzAlone.name} is for ghz: node loadtest/load.ts ${ghzAlone.name}`)
  return { fleet, durationMs, keep: values.keep, configurations }
}
