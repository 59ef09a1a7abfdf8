/**
 * `make bench`: the warm Verify call against its floor, in server CPU time for one call, from one run.
 *
 * Verify is the complete server as `assay serve` runs it, with its journal on the disk, its log at `info` into a file
 * and its context cache, in a process of its own. Every measured call brings a fresh challenge and a fresh quote over
 * it by one of several devices. Challenges, quotes and the reading of the answers lie outside the measured window.
 *
 * The floor is what no Verify over gRPC can do without, measured in another process between the same rounds:
 * - an empty call: the same method of the same typed adapter on a grpc-js server with grpc-js's own defaults. Request
 *   and answer have the encoded sizes of the real ones, but are one opaque field each; the answer lies ready. So reading
 *   and writing the real messages, the strict decoder, the rules of the schema, who calls, the log and the metrics
 *   are not in the floor: they are Assay's;
 * - one signature check of the attestation key's kind, and one ES256 signature, over as many bytes as the real ones,
 *   each in a loop of nothing else, which is as cheap as they get.
 *
 * Of a stream, the same evidence is a message each of one VerifyStream, and the empty call an empty message of such a stream.
 *
 * Both servers get the same headers over one connection from the same lean client, as many calls at a time. CPU time is
 * that of the whole process, kernel and garbage collection included, after warm rounds and, for each window, a run-in.
 * Windows of floor and Verify alternate; the ratio is taken round by round. A server that waits for its client spends
 * more on each call, so `busy` says how much of the time it did not wait. What else runs on the machine makes Verify
 * dearer than the loops of the signatures: the load average is printed, and the least figures are the soundest then.
 *
 * The second table takes Verify apart, see `steps-server.ts`. The third is about certificates alone: what it costs to
 * read and verify the path of an endorsement key, against the bare work of `node:crypto` on the same certificates, with
 * nothing remembered; see `chains-server.ts`. A path that costs more than it may ends the bench with status 1.
 */
import { loadavg } from "node:os"
import { parseArgs } from "node:util"
import { excesses, measureChains } from "./chains.ts"
import { type Case, measure } from "./measure.ts"
import { reportOf, tableOf } from "./report.ts"
import { withServers } from "./servers.ts"
import { measureSteps } from "./steps.ts"

const CASES: readonly Case[] = [
  { algorithm: "rsa-2048", log: "named", via: "unary" },
  { algorithm: "p256", log: "named", via: "unary" },
  { algorithm: "rsa-2048", log: "named", via: "stream" },
  { algorithm: "p256", log: "named", via: "stream" },
  { algorithm: "rsa-2048", log: "sent", via: "unary" },
  { algorithm: "p256", log: "sent", via: "unary" },
]

const { values } = parseArgs({
  options: {
    calls: { type: "string", default: "500" },
    rounds: { type: "string", default: "7" },
    "in-flight": { type: "string", default: "64" },
    // As everywhere in Assay: JSON for programs.
    output: { type: "string", short: "o", default: process.stdout.isTTY ? "table" : "json" },
  },
})

const number = (name: "calls" | "rounds" | "in-flight", max: number): number => {
  const value = Number(values[name])
  if (Number.isInteger(value) && value >= 1 && value <= max) return value
  throw new TypeError(`--${name} is an integer from 1 to ${max}`)
}
/** More calls could not be prepared within the lifetime of the first challenge; more rounds would not end soon. */
const plan = {
  calls: number("calls", 10_000),
  rounds: number("rounds", 100),
  inFlight: number("in-flight", 256),
}

if (values.output !== "json" && values.output !== "table") throw new TypeError("-o is json or table")
const [loadAverage = 0] = loadavg()
const report = await withServers(plan, async ({ stage, steps, chains, contextCache }) => {
  const measured = await measure(stage, CASES, plan)
  return reportOf(measured, await measureSteps(steps, CASES, plan), await measureChains(chains, plan), {
    plan,
    loadAverage,
    contextCache: await contextCache(),
  })
})
for (const excess of excesses(report.chains)) {
  process.stderr.write(`${excess}\n`)
  process.exitCode = 1
}
process.stdout.write(values.output === "json" ? `${JSON.stringify(report, undefined, 2)}\n` : tableOf(report))
