import type { Hono } from "hono"
import type { Registry } from "prom-client"
import { hostText, loopbackHost } from "../addresses.ts"
import { createApp, json } from "./app.ts"

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
}

/**
 * The pages for who runs Assay: `/metrics` in the text format of Prometheus, `/livez` and `/readyz`, which answer 200
 * or 503 with `{ status, reasons }`. A check that throws counts as failed: silence is not health.
 */
export const createPrivateApp = ({ metrics, live, ready, host }: PrivatePages): Hono =>
  createApp(
    {
      "/metrics": async () =>
        new Response(await metrics.metrics(), {
          headers: { "Content-Type": metrics.contentType, "Cache-Control": "no-store" },
        }),
      "/livez": () => probe(live),
      "/readyz": () => probe(ready),
    },
    // A page that a browser was led to under another name of this machine is not for its script to read.
    (given) => loopbackHost(given) !== undefined || (host !== undefined && given === hostText(host)),
  )

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
