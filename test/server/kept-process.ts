/** A server that says what its calls leave behind for whoever collects everything. Started with `--expose-gc`, over a channel. */
import { getHeapSpaceStatistics } from "node:v8"
import { running } from "./fake.ts"

const collect = globalThis.gc
if (collect === undefined) throw new Error("start it with --expose-gc")
const used = (): number => getHeapSpaceStatistics().reduce((sum, space) => sum + space.space_used_size, 0)
const collectAll = (): number => {
  // The second one finds what the first one's callbacks let go of.
  collect()
  collect()
  return used()
}

const server = await running({})
process.on("message", (asked) => {
  if (asked === "begin") process.send?.(collectAll())
  if (asked !== "end") return
  for (let i = 0; i < 4; i++) collect({ type: "minor" })
  const left = used()
  process.send?.(left - collectAll())
})
process.once("disconnect", () => void server.stop())
process.send?.(server.addresses[0])
