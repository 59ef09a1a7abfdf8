/**
 * The warm Verify call against its floor, in server CPU time for one call, from one run.
 *
 * Verify is the complete server as `assay serve` runs it, with its journal on the disk, its log at `info` into a file
 * and its caches, in a process of its own; only its rates are raised, for one caller makes all of the load. Every measured call
 * brings a fresh challenge and a fresh quote over it by one of several devices, or, where evidence is shown again, the
 * quote of its device over the epoch. All rules of a policy run. Challenges, quotes and the reading of the answers lie outside
 * the measured window. Every token is verified, by a library of others and with the published keys.
 *
 * The floor is what no Verify over gRPC can do without, measured in another process between the same rounds:
 * - an empty call: the same method of the same typed adapter on a grpc-js server with grpc-js's own defaults. Request
 *   and answer have the encoded sizes of the real ones, but are one opaque field each; the answer lies ready. So reading
 *   and writing the real messages, the strict decoder, the rules of the schema, who calls, the log and the metrics
 *   are not in the floor: they are Assay's;
 * - one signature check of the attestation key's kind, and one ES256 signature, over as many bytes as the real ones,
 *   each in a loop of nothing else, which is as cheap as they get. What is shown again needs no check.
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
import { excesses, measureChains } from "./chains.ts"
import type { FigureName, Figures } from "./figures.ts"
import { type Case, measure } from "./measure.ts"
import type { Amount, PartResult } from "./part.ts"
import { type CaseReport, reportOf, tableOf } from "./report.ts"
import { withServers } from "./servers.ts"
import { measureSteps } from "./steps.ts"
import { differences } from "./tokens.ts"

const CASES: readonly Case[] = [
  { algorithm: "rsa-2048", log: "named", via: "unary", shows: "fresh" },
  { algorithm: "rsa-2048", log: "named", via: "stream", shows: "fresh" },
  { algorithm: "rsa-2048", log: "named", via: "unary", shows: "again" },
  { algorithm: "p256", log: "named", via: "unary", shows: "fresh" },
  { algorithm: "p256", log: "named", via: "stream", shows: "fresh" },
  { algorithm: "p256", log: "sent", via: "unary", shows: "fresh" },
]

/** Which case a figure is about. */
const FIGURE_OF: Readonly<Record<string, FigureName>> = {
  "rsa-2048 named unary fresh": "unary",
  "rsa-2048 named stream fresh": "stream",
  "rsa-2048 named unary again": "again",
}

const nameOf = ({ algorithm, log, via, shows }: Pick<CaseReport, "algorithm" | "log" | "via" | "shows">) =>
  `${algorithm} ${log} ${via} ${shows}`

/** Measures it. */
export const measureWarm = ({ calls, rounds, inFlight }: Amount): Promise<PartResult> => {
  const plan = { calls, rounds, inFlight }
  return withServers(plan, async ({ stage, steps, chains, contextCache }) => {
    const measured = await measure(stage, CASES, plan)
    const fresh = measured.filter(({ shows }) => shows === "fresh")
    const taken = await measureSteps(steps, fresh, plan)
    const byCase = new Map(
      fresh.flatMap((one, i) => {
        const steps = taken[i]
        return steps === undefined ? [] : [[one, steps] as const]
      }),
    )
    const report = reportOf(measured, byCase, await measureChains(chains, plan), {
      plan,
      contextCache: await contextCache(),
    })
    const figures: Figures = Object.fromEntries(
      report.cases.flatMap((one) => {
        const figure = FIGURE_OF[nameOf(one)]
        return figure === undefined ? [] : [[figure, one.ratio]]
      }),
    )
    return {
      figures,
      details: report,
      tables: tableOf(report),
      differences: report.cases.flatMap((one) => differences(nameOf(one), one.counts)),
      excesses: excesses(report.chains),
    }
  })
}
