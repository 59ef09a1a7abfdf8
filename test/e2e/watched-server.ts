/** The process whose event loop is watched: the complete server, as `assay serve` runs it, on a folder of its own. */
import { readFileSync } from "node:fs"
import { offer } from "../../loadtest/child.ts"
import { readConfig } from "../../src/config.ts"
import { createLog, start } from "../../src/main.ts"

let stop = async (): Promise<void> => {}

/**
 * The most CPU time that the event loop's thread has spent between two looks at what waits, in ms, while `watching`. CPU time,
 * for other processes of the machine may hold this one up for longer than anything that it does itself.
 */
let longestMs = 0
let isWatching = false
const look = (since: NodeJS.CpuUsage): void => {
  const now = process.threadCpuUsage()
  longestMs = Math.max(longestMs, (now.user + now.system - since.user - since.system) / 1000)
  if (isWatching) setImmediate(look, process.threadCpuUsage())
}

const functions = {
  start: async (data: string) => {
    const ports = { listen: ["127.0.0.1:0"], "web.public": "127.0.0.1:0", "web.private": "127.0.0.1:0" }
    const running = await start(
      readConfig({ development: true, data, ...ports }, {}, undefined),
      createLog("warn"),
    )
    stop = running.stop
    const [address = ""] = running.listen
    const credential = readFileSync(running.credentials["gateway"] ?? "", "utf8").trim()
    return { address, admin: running.admin, credential }
  },
  watch: (): void => {
    longestMs = 0
    isWatching = true
    setImmediate(look, process.threadCpuUsage())
  },
  longest: (): number => {
    isWatching = false
    return longestMs
  },
}
export type WatchedFunctions = typeof functions

offer(functions, () => stop())
