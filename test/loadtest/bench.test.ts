import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { type ChainReport, excesses } from "../../loadtest/chains.ts"
import type { Report } from "../../loadtest/report.ts"
import { median, type Spread, spreadOf } from "../../loadtest/statistics.ts"

const test = suite("bench")
const run = promisify(execFile)

const isSpread = ({ median, min, max }: Spread): boolean => 0 < min && min <= median && median <= max

test("every measured call is a session of its own, in the journal, and against a floor of the same sizes", async () => {
  const [calls, rounds, cases] = [12, 2, 6]
  const options = ["--calls", String(calls), "--rounds", String(rounds), "--in-flight", "4"]
  // So few calls on a busy machine may cost anything, and then the bench ends with status 1.
  const { stdout } = await run(process.execPath, ["loadtest/bench.ts", ...options]).catch(
    ({ code, ...ended }) => {
      assert.is(code, 1)
      return ended
    },
  )
  const report: Report = JSON.parse(stdout)

  assert.equal(report.plan, { calls, rounds, inFlight: 4 })
  assert.equal(
    report.cases.map(({ algorithm, log, via, eventLogBytes }) => [algorithm, log, via, eventLogBytes > 0]),
    [
      ["rsa-2048", "named", "unary", false],
      ["p256", "named", "unary", false],
      ["rsa-2048", "named", "stream", false],
      ["p256", "named", "stream", false],
      ["rsa-2048", "sent", "unary", true],
      ["p256", "sent", "unary", true],
    ],
  )
  for (const one of report.cases) {
    assert.is(one.calls, calls * rounds)
    assert.equal([one.sessions, one.journalRecords], [one.calls + one.runIn, one.calls + one.runIn])
    assert.is(one.rounds, rounds)
    const { empty, check, sign } = one.parts
    for (const spread of [one.floor, empty, check, sign, one.verify, one.ratio]) assert.ok(isSpread(spread))
    assert.ok(one.floor.min >= empty.min + check.min + sign.min)
    const sentBytes = one.log === "sent" ? one.eventLogBytes : 0
    assert.ok(one.requestBytes > one.attestBytes + sentBytes)
    if (one.log === "named") assert.ok(one.requestBytes < 2048, "the log is named, not sent")
    assert.ok(one.answerBytes > one.tokenBytes)
    for (const { busy } of Object.values(one.load)) assert.ok(busy > 0 && busy <= 1)
    assert.ok(Object.keys(one.steps).length > 8)
    assert.ok(Object.values(one.steps).every((microseconds) => microseconds > 0))
  }
  assert.equal(
    report.chains.map(({ algorithm, anchors, growth }) => [algorithm, anchors, growth !== undefined]),
    ["rsa-2048", "p256"].flatMap((algorithm) => [
      [algorithm, 1, false],
      [algorithm, 10, false],
      [algorithm, 1000, true],
    ]),
  )
  for (const { bare, verify, ratio, growth = ratio } of report.chains)
    for (const spread of [bare, verify, ratio, growth]) assert.ok(isSpread(spread))
  const devices = 2 * calls
  assert.is(report.contextCache.misses, devices)
  assert.ok(report.contextCache.hits >= cases * rounds * calls - devices)
})
test("says which paths cost more than they may", () => {
  const chain = (ratio: number, growth: number): ChainReport => {
    const spread = (median: number): Spread => ({ median, min: median, max: median })
    const figures = { bare: spread(200), verify: spread(400), ratio: spread(ratio), growth: spread(growth) }
    return { algorithm: "p256", anchors: 1000, ...figures }
  }
  assert.equal(excesses([chain(3, 1.2)]), [])
  assert.is(excesses([chain(3.01, 1.2)]).length, 1)
  assert.is(excesses([chain(2, 1.21), chain(4, 1.3)]).length, 3)
})
test("refuses a plan that could not be carried out", async () => {
  for (const option of ["--calls=0", "--rounds=x", "--output=xml"])
    assert.not.equal(await run(process.execPath, ["loadtest/bench.ts", option]).catch(({ code }) => code), 0)
})
test("the median of an even number of values lies between the two in the middle", () => {
  assert.equal([median([3, 1, 2]), median([4, 1, 2, 3]), median([5])], [2, 2.5, 5])
  assert.equal(
    spreadOf([3, 1, 2], (value) => 10 * value),
    { median: 20, min: 10, max: 30 },
  )
})

test.run()
