/** Which cores the server and its load keep to. */
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"

/** Cores of each, by number; nothing where there is one core, or no `taskset`, and both share what there is. */
export interface Cores {
  readonly server: readonly number[]
  readonly generator: readonly number[]
}

/** The first half of the cores that this process may use for the server, and the rest for what calls it. */
export function divideCores(): Cores | undefined {
  const [, list = ""] = /^Cpus_allowed_list:\s*(\S+)$/m.exec(status()) ?? []
  const cores = coresIn(list)
  if (cores.length < 2 || !hasTaskset()) return undefined
  const half = cores.length >> 1
  return { server: cores.slice(0, half), generator: cores.slice(half) }
}

/** What goes before a command that is to keep to `cores`. */
export const pinnedTo = (cores: readonly number[] | undefined): readonly string[] =>
  cores === undefined ? [] : ["taskset", "--cpu-list", cores.join(",")]

/** Cores of a list as Linux writes it: `0-2,4`. */
export const coresIn = (list: string): readonly number[] =>
  [...list.matchAll(/(\d+)(?:-(\d+))?/g)].flatMap(([, first, last = first]) =>
    Array.from({ length: Number(last) - Number(first) + 1 }, (_, i) => Number(first) + i),
  )

const status = (): string => {
  try {
    return readFileSync("/proc/self/status", "utf8")
  } catch {
    return "" // not Linux
  }
}

const hasTaskset = (): boolean => {
  try {
    execFileSync("taskset", ["--version"], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
}
