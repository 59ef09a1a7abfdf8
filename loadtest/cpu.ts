import { readFileSync } from "node:fs"

/** USER_HZ, which Linux fixes for everybody. */
const TICK_MS = 10

/**
 * CPU time of a process and all below it so far, those included that have ended, as the system counts it, in steps of 10 ms.
 *
 * @throws {Error} ENOENT or ESRCH if there is no such process.
 */
export const cpuMs = (pid: number): number => {
  // Asked first: who ends after that is counted in the next line, or missed below.
  const below = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim()
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  // utime, stime, and both of the children that it has waited for: proc(5).
  const own = fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) * TICK_MS
  const times = below === "" ? [] : below.split(" ").map((child) => unlessGone(() => cpuMs(Number(child))))
  // Of one that has ended meanwhile, its parent has the time now.
  return times.includes(undefined) ? cpuMs(pid) : times.reduce<number>((sum, ms = 0) => sum + ms, own)
}

const unlessGone = <T>(read: () => T): T | undefined => {
  try {
    return read()
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ESRCH"))
      return undefined
    throw error
  }
}

/** The memory of a process, in MiB: resident now, and at most until now. */
export const memoryOf = (pid: number): { readonly residentMiB: number; readonly peakMiB: number } => {
  const status = readFileSync(`/proc/${pid}/status`, "utf8")
  const mib = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) / 1024
  return { residentMiB: mib("VmRSS"), peakMiB: mib("VmHWM") }
}
