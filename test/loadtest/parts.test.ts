import { suite } from "uvu"
import * as assert from "uvu/assert"
import { measureHot } from "../../loadtest/hot.ts"
import { measureLatency } from "../../loadtest/latency.ts"
import type { Amount } from "../../loadtest/part.ts"
import { measureWorkers } from "../../loadtest/workers-measure.ts"

const test = suite("parts of the bench")
const amount: Amount = { calls: 4, rounds: 1, inFlight: 4, hot: 30, registered: 1000, overloadSeconds: 1 }

test("offers less than the capacity, and tells how late calls and the event loop are", async () => {
  const { figures, details, differences } = await measureLatency(amount)
  assert.equal(Object.keys(figures), ["latency", "loopDelay"])
  for (const { min } of Object.values(figures)) assert.ok(min > 0)
  assert.equal(Object(details).counts, { calls: 112, tokens: 112, journalRecords: 112 })
  assert.equal(differences, [])
})
test("finds devices that are hot in the cache", async () => {
  const { figures, details, differences } = await measureHot(amount)
  assert.equal([Object.keys(figures), differences], [["resident"], []])
  const { before, after, missedAgain, counts } = Object(details)
  assert.ok(before.residentMiB > 20 && after.residentMiB <= after.peakMiB)
  assert.equal([missedAgain, counts], [0, { calls: 40, tokens: 40, journalRecords: 40 }])
})
test("compares two workers with one process", async () => {
  const { details, differences } = await measureWorkers({ ...amount, inFlight: 8 })
  assert.equal(
    Object(details).report.map(({ kind }: { kind: string }) => kind),
    ["one process", "two workers", "two workers, crossed"],
  )
  assert.equal(Object(details).counts, { calls: 192, tokens: 192, journalRecords: 192 })
  assert.equal(differences, [])
})

test.run()
