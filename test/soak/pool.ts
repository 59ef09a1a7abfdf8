/** Processes that run blocks of suites. */
import { type ChildProcess, fork } from "node:child_process"
import { join } from "node:path"
import type { Suite, Tally } from "./suite.ts"

/** What a worker is asked, and what it answers. */
export interface Job {
  readonly suite: string
  readonly from: number
  readonly to: number
}
export type Reply = { readonly tally: Tally } | { readonly failure: string }

/** Runs blocks, each in a process that has nothing else to do. */
export interface Pool {
  readonly run: (suite: Suite, from: number, to: number) => Promise<Tally>
  readonly stop: () => void
}

/** Starts `size` processes. */
export function startPool(size: number): Pool {
  const all = Array.from({ length: size }, () => fork(join(import.meta.dirname, "worker.ts")))
  const idle = [...all]
  return {
    run: async ({ name }, from, to) => {
      const worker = idle.pop()
      if (worker === undefined) throw new Error("more blocks at a time than processes")
      const reply = await ask(worker, { suite: name, from, to })
      idle.push(worker)
      if ("failure" in reply) throw new Error(`${name}, cases ${from} to ${to - 1}: ${reply.failure}`)
      return reply.tally
    },
    stop: () => {
      for (const worker of all) worker.disconnect()
    },
  }
}

const ask = (worker: ChildProcess, job: Job): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const ended = (code: number | null): void => reject(new Error(`a process ended with status ${code}`))
    worker.once("exit", ended)
    worker.once("message", (reply) => {
      worker.off("exit", ended)
      // Both ends are compiled against the same type.
      resolve(reply as Reply)
    })
    worker.send(job)
  })
