import { readFileSync } from "node:fs"

/** USER_HZ, which Linux fixes for everybody. */
const TICK_MS = 10

/** CPU time of a process and all that runs below it so far, as the system has counted it, in steps of 10 ms. */
export const cpuMs = (pid: number): number => {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  const below = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim()
  const own = (Number(fields[11]) + Number(fields[12])) * TICK_MS
  return below === "" ? own : below.split(" ").reduce((sum, child) => sum + cpuMs(Number(child)), own)
}
