import type { Hono } from "hono"
import type { Registry } from "prom-client"
import { hostText, loopbackHost } from "../addresses.ts"
import type { Bucket, Rate } from "./admission.ts"
import { createApp, json } from "./app.ts"
import { kept } from "./kept.ts"

/** Gives the reasons why not; none if all is well. */
export type Check = () => readonly string[] | Promise<readonly string[]>

/** What the private pages show. */
export interface PrivatePages {
  readonly metrics: Pick<Registry, "metrics" | "contentType">
  /** Whether the process still does its work; if not, only a restart helps. */
  readonly live: Check
  /** Whether it can answer calls now: keys, store, random source. */
  readonly ready: Check
  /** Where they are served, if not on loopback alone. */
  readonly host?: string
  /** Makes what counts how often a page is made. */
  readonly bucketOf: (rate: Rate) => Bucket
}

/** To count all there is takes milliseconds, of each worker too. Who looks at them after each step of something short is not kept from it. */
const METRICS_RATE: Rate = { perSecond: 1, burst: 150 }
/** Readiness asks the store, and each worker. */
const READY_RATE: Rate = { perSecond: 50, burst: 100 }

/**
 * The pages for who runs Assay: `/metrics` in the text format of Prometheus, `/livez` and `/readyz`, which answer 200
 * or 503 with `{ status, reasons }`. A check that throws counts as failed: silence is not health.
 *
 * Whoever asks often, or when others do, may get what was made for somebody else: metrics of at most a second ago, and
 * readiness of a fiftieth of one.
 */
export const createPrivateApp = ({ metrics, live, ready, host, bucketOf }: PrivatePages): Hono => {
  const counted = kept(() => metrics.metrics(), bucketOf(METRICS_RATE))
  const readied = kept(ready, bucketOf(READY_RATE))
  return createApp(
    {
      "/metrics": async () =>
        new Response(await counted(), {
          headers: { "Content-Type": metrics.contentType, "Cache-Control": "no-store" },
        }),
      "/livez": () => probe(live),
      "/readyz": () => probe(readied),
    },
    // A page that a browser was led to under another name of this machine is not for its script to read.
    (given) => loopbackHost(given) !== undefined || (host !== undefined && given === hostText(host)),
  )
}

const probe = async (check: Check): Promise<Response> => {
  const reasons = await reasonsOf(check)
  return reasons.length === 0
    ? json({ status: "ok" }, "no-store")
    : json({ status: "unavailable", reasons }, "no-store", 503)
}

const reasonsOf = async (check: Check): Promise<readonly string[]> => {
  try {
    return await check()
  } catch {
    // What was thrown may say more than a probe should show.
    return ["the check itself failed"]
  }
}
