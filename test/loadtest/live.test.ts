import { execFile } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { promisify } from "node:util"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { type Call, measureCapacity, offerLoad, type Statuses, type Step } from "../../loadtest/open-loop.ts"
import { liveOptions } from "../../loadtest/options.ts"
import { plotLatency } from "../../loadtest/plot.ts"
import { percentile } from "../../loadtest/statistics.ts"

const test = suite("live")
const run = promisify(execFile)

/** A server that answers one call after the other, each after `ms`. */
const oneByOne = (ms: number): Call => {
  let last = Promise.resolve()
  return async () => {
    last = last.then(() => setTimeout(ms))
    await last
    return "0"
  }
}
const step = (offeredPerSecond: number, p50Ms: number): Step => ({
  ...{ offeredPerSecond, calls: 10 },
  ...{ p50Ms, p95Ms: 2 * p50Ms, p99Ms: 4 * p50Ms },
})

test("charges a server that falls behind with what it keeps waiting", async () => {
  const statuses: Statuses = new Map()
  const { calls, p50Ms, p99Ms } = await offerLoad(oneByOne(10), 1000, 30, statuses)
  assert.is(calls, 30)
  assert.equal([...statuses], [["0", 30]])
  // The last of thirty waits for all others, and was due after 30 ms.
  assert.ok(p99Ms >= 250, `p99 ${p99Ms}`)
  assert.ok(p50Ms >= 100 && p50Ms < p99Ms, `p50 ${p50Ms}`)
})
test("counts calls that fail, each by its status", async () => {
  const answers = ["0", "14", undefined, "0"]
  let next = 0
  const statuses: Statuses = new Map()
  await offerLoad(async () => answers[next++ % answers.length], 1000, 8, statuses)
  assert.equal(Object.fromEntries(statuses), { "0": 4, "14": 2, none: 2 })
})
test("finds no more capacity than there is", async () => {
  const statuses: Statuses = new Map()
  const capacity = await measureCapacity(oneByOne(5), 4, 100, statuses)
  assert.ok(capacity > 0 && capacity <= 200, `${capacity}`)
})
test("a percentile is the least value that so many do not exceed", () => {
  const values = Array.from({ length: 100 }, (_, i) => 100 - i)
  assert.equal(
    [1, 50, 99, 100].map((percent) => percentile(values, percent)),
    [1, 50, 99, 100],
  )
  assert.equal([percentile([7], 50), percentile([], 50)], [7, Number.NaN])
})
test("plots each percentile of each configuration within the picture, and more latency higher up", () => {
  const svg = plotLatency([
    { name: "one", steps: [step(100, 1), step(1000, 30)] },
    { name: "a < b & c", steps: [step(50, 0.4), step(500, 2)] },
  ])
  const curves = [...svg.matchAll(/<polyline [^>]*points="([^"]+)"/g)].map(([, points = ""]) =>
    points.split(" ").map((point) => point.split(",").map(Number)),
  )
  assert.is(curves.length, 6)
  for (const [[x1 = 0, y1 = 0] = [], [x2 = 0, y2 = 0] = []] of curves) {
    assert.ok(x1 < x2 && y2 < y1)
    for (const value of [x1, x2]) assert.ok(value >= 0 && value <= 860)
    for (const value of [y1, y2]) assert.ok(value >= 0 && value <= 480)
  }
  assert.match(svg, ">a &lt; b &amp; c</text>")
  assert.throws(() => plotLatency([]), /nothing to plot/)
})
test("attests live, counts the same on both sides, and draws what it measured", async () => {
  const folder = mkdtempSync(join(tmpdir(), "assay-live-test-"))
  try {
    const options = ["--fleet", "3", "--seconds", "0.1", "--keep", folder]
    const names = ["verify-challenge", "verify-forged"]
    const { stdout } = await run(process.execPath, ["loadtest/live.ts", ...options, ...names])
    const { outcomes } = JSON.parse(stdout)
    assert.equal(
      outcomes.map(({ name, errors, failures }: Readonly<Record<string, unknown>>) => ({
        ...{ name, errors, failures },
      })),
      names.map((name) => ({ name, errors: {}, failures: [] })),
    )
    for (const { calls, steps } of outcomes) {
      assert.is(steps.length, 8)
      assert.ok(calls > 8)
    }
    assert.match(readFileSync(join(folder, "latency.svg"), "utf8"), "verify-challenge")
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
test("refuses what only ghz can drive, and what it does not know", async () => {
  for (const [option, said] of [
    ["--fleet=0", "--fleet is an integer"],
    ["--seconds=x", "--seconds is a number"],
    ["no-such-configuration", "no-such-configuration.json"],
    ["verify-stream-nonce", "is for ghz"],
    ["begin-enrollment", "is for ghz"],
  ] as const)
    assert.throws(
      () => liveOptions([option]),
      (error: unknown) => error instanceof Error && error.message.includes(said),
    )
  const { code } = await run(process.execPath, ["loadtest/live.ts", "--fleet=0"]).catch((ended) => ended)
  assert.is(code, 1)
})

test.run()
