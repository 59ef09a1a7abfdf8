/** The process that Assay is measured in: the complete server, as `assay serve` runs it, on a folder of its own. */
import { readFileSync } from "node:fs"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { readConfig } from "../src/config.ts"
import { createLog, start } from "../src/main.ts"
import { createStopwatch, offer } from "./child.ts"

let stop = async (): Promise<void> => {}
const loop = monitorEventLoopDelay({ resolution: 1 })
const NANOSECONDS_PER_MS = 1_000_000

/** Where a server is reached, and what a gateway needs. */
export interface Started {
  readonly address: string
  readonly admin: string
  readonly metrics: string
  /** URL of the keys that its tokens are signed with. */
  readonly keys: string
  readonly credential: string
}

/** What the bench asks of this process. */
const functions = {
  /** @param settings Those that are not to be the defaults, by their names in the configuration. */
  start: async (
    data: string,
    workers = 1,
    settings: Readonly<Record<string, unknown>> = {},
  ): Promise<Started> => {
    const ports = { listen: ["127.0.0.1:0"], "web.public": "127.0.0.1:0", "web.private": "127.0.0.1:0" }
    const config = readConfig({ development: true, data, workers, ...ports, ...settings }, {}, undefined)
    const running = await start(config, createLog(config.logLevel))
    stop = running.stop
    const [address] = running.listen
    const file = running.credentials["gateway"]
    if (address === undefined || file === undefined)
      throw new Error("the server has no address or no gateway")
    return {
      address,
      admin: running.admin,
      metrics: `${running.privateUrl}/metrics`,
      keys: `${running.publicUrl}/.well-known/jwks.json`,
      credential: readFileSync(file, "utf8").trim(),
    }
  },
  /** Whoever measures several processes together looks for them below this one. */
  pid: () => process.pid,
  ...createStopwatch(),
  /** From now on notes by how much the event loop is late. */
  watchLoop: (): void => {
    loop.reset()
    loop.enable()
  },
  /** How late it was since then, in ms: 99 of 100 times at most, and at most. */
  loopDelay: (): { readonly p99Ms: number; readonly maxMs: number } => {
    loop.disable()
    return { p99Ms: loop.percentile(99) / NANOSECONDS_PER_MS, maxMs: loop.max / NANOSECONDS_PER_MS }
  },
}
export type AssayFunctions = typeof functions

offer(functions, () => stop())
