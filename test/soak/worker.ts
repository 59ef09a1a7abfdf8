/** One process of the pool: runs the blocks that it is sent, until the parent hangs up. */
import type { Job, Reply } from "./pool.ts"
import type { Tally } from "./suite.ts"
import { SUITES } from "./suites.ts"

const run = async ({ suite, from, to }: Job): Promise<Tally> => {
  const found = SUITES.find(({ name }) => name === suite)
  if (found === undefined) throw new Error("no such suite")
  return found.run(from, to)
}

process.on("message", async (job: Job) => {
  const reply: Reply = await run(job).then(
    (tally) => ({ tally }),
    (error: unknown) => ({ failure: error instanceof Error ? (error.stack ?? error.message) : "unknown" }),
  )
  process.send?.(reply)
})
process.on("disconnect", () => process.exit())
