/** The process that Assay is measured in: the complete server, as `assay serve` runs it, on a folder of its own. */
import { readFileSync } from "node:fs"
import { readConfig } from "../src/config.ts"
import { createLog, start } from "../src/main.ts"
import { createStopwatch, offer } from "./child.ts"

let stop = async (): Promise<void> => {}

/** Where a server is reached, and what a gateway needs. */
export interface Started {
  readonly address: string
  readonly admin: string
  readonly metrics: string
  readonly credential: string
}

/** What the bench asks of this process. */
const functions = {
  start: async (data: string, workers = 1): Promise<Started> => {
    const ports = { listen: ["127.0.0.1:0"], "web.public": "127.0.0.1:0", "web.private": "127.0.0.1:0" }
    const config = readConfig({ development: true, data, workers, ...ports }, {}, undefined)
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
      credential: readFileSync(file, "utf8").trim(),
    }
  },
  /** Whoever measures several processes together looks for them below this one. */
  pid: () => process.pid,
  ...createStopwatch(),
}
export type AssayFunctions = typeof functions

offer(functions, () => stop())
