/** A process that is measured, and how it is asked: one question at a time over the channel of `fork`. */
import { type ChildProcess, fork, type StdioOptions } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"

/** What a stretch of time cost a process, all of its threads and its garbage collection included. */
export interface Cost {
  readonly userMs: number
  readonly systemMs: number
  readonly wallMs: number
  /** Share of the time in which its event loop was not waiting for work, 0 to 1. */
  readonly busy: number
}

/** A process of our own, and the functions that it offers by name. */
export interface Child<Functions extends Offers> {
  ask<Name extends keyof Functions & string>(
    name: Name,
    ...args: Parameters<Functions[Name]>
  ): Promise<Awaited<ReturnType<Functions[Name]>>>
  stop(): Promise<void>
}

/** Functions whose arguments and results survive JSON. */
export type Offers = Readonly<Record<string, (...args: never[]) => unknown>>

/** How `assay serve` begins its process: see `bin/assay.js`. */
const serving: { readonly flags: readonly string[]; readonly env: Readonly<Record<string, string>> } =
  JSON.parse(readFileSync(join(import.meta.dirname, "../bin/serving.json"), "utf8"))

/** Starts `file`, which calls `offer`, in a process like a server's. */
export function startChild<Functions extends Offers>(file: string, stdio: StdioOptions): Child<Functions> {
  const execArgv = [...process.execArgv, ...serving.flags]
  const child = fork(file, [], { stdio, execArgv, env: { ...serving.env, ...process.env } })
  const ended = new Promise<never>((_, reject) => {
    child.once("exit", (code, signal) =>
      reject(new Error(`${file} ended with ${signal ?? `status ${code}`}`)),
    )
  })
  ended.catch(() => {}) // told to whoever asks
  return {
    ask: async (name, ...args) => {
      const answered = replyOf(child)
      child.send({ name, args })
      const reply = await Promise.race([answered, ended])
      if ("failure" in reply) throw new Error(`${name}: ${reply.failure}`)
      // Both ends are compiled against the same type.
      return reply.value as never
    },
    stop: async () => {
      if (child.connected) child.disconnect()
      await ended.catch(() => {})
    },
  }
}

type Reply = { readonly value: unknown } | { readonly failure: string }

const replyOf = (child: ChildProcess): Promise<Reply> =>
  new Promise((resolve) => child.once("message", (message) => resolve(message as Reply)))

/** Offers functions to the parent, until it hangs up; then `stop` runs and the process ends. */
export function offer<Functions extends Offers>(functions: Functions, stop: () => Promise<void>): void {
  process.on("message", async ({ name, args }: { name: keyof Functions & string; args: never[] }) => {
    const reply: Reply = await (async () => functions[name]?.(...args))().then(
      (value) => ({ value }),
      (error: unknown) => ({ failure: error instanceof Error ? (error.stack ?? error.message) : "unknown" }),
    )
    process.send?.(reply)
  })
  process.on("disconnect", () => {
    stop().finally(() => process.exit())
  })
}

/** What every measured process offers: to measure the stretch from `begin` to `end`. */
export type Stopwatch = {
  readonly begin: () => void
  readonly end: () => Cost
}

/**
 * Measures this process. No collection is forced before a stretch: V8 then starts over with a small heap, and the next
 * thousand calls cost more than twice as much. What a stretch has to collect of before, it leaves of its own.
 */
export const createStopwatch = (): Stopwatch => {
  let loop = performance.eventLoopUtilization()
  let cpu = process.cpuUsage()
  let start = performance.now()
  return {
    begin: () => {
      loop = performance.eventLoopUtilization()
      cpu = process.cpuUsage()
      start = performance.now()
    },
    end: () => {
      const { user, system } = process.cpuUsage(cpu)
      const wallMs = performance.now() - start
      const { utilization } = performance.eventLoopUtilization(loop)
      return { userMs: user / 1000, systemMs: system / 1000, wallMs, busy: utilization }
    },
  }
}

/** CPU time for one of `count`, in µs. */
export const microsecondsEach = ({ userMs, systemMs }: Cost, count: number): number =>
  (1000 * (userMs + systemMs)) / count
