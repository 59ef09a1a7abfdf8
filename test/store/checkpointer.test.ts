import { setTimeout as sleep } from "node:timers/promises"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { AssayError } from "../../src/errors.ts"
import type { CheckpointJournal } from "../../src/service/checkpoint-journal.ts"
import { createCheckpointer } from "../../src/store/checkpointer.ts"

const test = suite("createCheckpointer")
const DUE = { records: 1000, ms: 60_000 }

/** Waits until it is so, and fails if it never is. */
const until = async (isSo: () => boolean): Promise<void> => {
  for (let i = 0; !isSo(); i += 1) {
    assert.ok(i < 500, "it never came to it")
    await sleep(2)
  }
}

const loop = (checkpoint: CheckpointJournal, tenants: readonly string[] = ["default"]) => {
  const failed: [string, unknown][] = []
  let now = 0
  const checkpointer = createCheckpointer({
    checkpoint,
    tenants,
    due: DUE,
    intervalMs: 2,
    monotonicMs: () => now,
    failed: (tenant, error) => failed.push([tenant, error]),
  })
  return {
    ...checkpointer,
    failed,
    later: (ms: number) => {
      now += ms
    },
  }
}

test("looks at each tenant again and again, and once more at its end, whatever is due", async () => {
  const calls: [string, unknown][] = []
  const { start, stop, counts } = loop(
    async (tenant, due) => {
      calls.push([tenant, due])
      return 1
    },
    ["a", "b"],
  )
  start()
  start()
  await until(() => calls.length >= 6)
  await stop()
  const ended = calls.length
  assert.equal(calls.slice(0, 4), [
    ["a", DUE],
    ["b", DUE],
    ["a", DUE],
    ["b", DUE],
  ])
  assert.equal(calls.slice(-2), [
    ["a", undefined],
    ["b", undefined],
  ])
  assert.equal(counts(), { made: ended, failed: 0 })
  await sleep(10)
  assert.is(calls.length, ended)
})

test("is not ready S-08 while checkpoints cannot be made, says so, and goes on by itself", async () => {
  let broken = true
  const { start, stop, unready, counts, failed } = loop(async () => {
    if (broken) throw new AssayError("SIGNER", "out of order")
    return 0
  })
  assert.is(unready(), undefined)
  start()
  await until(() => failed.length >= 3)
  assert.match(unready() ?? "", /SIGNER/)
  assert.is(failed[0]?.[0], "default")
  broken = false
  await until(() => unready() === undefined)
  assert.ok(counts().failed >= 3)
  await stop()
})

test("is not ready S-08 for another tenant's failure", async () => {
  const { start, stop, unready } = loop(
    async (tenant) => {
      if (tenant === "b") throw new Error("out of order")
      return 1
    },
    ["a", "b"],
  )
  start()
  await until(() => unready() !== undefined)
  assert.match(unready() ?? "", /INTERNAL/)
  await stop()
})

test("is not ready S-08 when a look hangs, or the loop was never started", async () => {
  const stuck = Promise.withResolvers<number>()
  const { start, stop, unready, later } = loop(() => stuck.promise)
  start()
  await sleep(5)
  later(15_000)
  assert.is(unready(), undefined)
  later(1)
  assert.match(unready() ?? "", /not made/)
  stuck.resolve(1)
  await until(() => unready() === undefined)
  await stop()
  const idle = loop(async () => 0)
  idle.later(15_001)
  assert.match(idle.unready() ?? "", /not made/)
})

test("is not stopped S-08 by whoever is told of a failure", async () => {
  let looks = 0
  const { start, stop } = createCheckpointer({
    checkpoint: async () => {
      looks += 1
      throw new AssayError("JOURNAL", "out of order")
    },
    tenants: ["default"],
    due: DUE,
    intervalMs: 1,
    failed: () => {
      throw new Error("the log is full")
    },
  })
  start()
  await until(() => looks >= 5)
  await stop()
})

test.run()
