import { execFile } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { coresIn } from "../../loadtest/cores.ts"
import { readConfiguration, readReport } from "../../loadtest/ghz.ts"
import { judge, type Observed, type Outcome } from "../../loadtest/judge.ts"
import { payloadOf } from "../../loadtest/payloads.ts"
import { readMetrics } from "../../loadtest/release.ts"
import { ghzProgram, needs } from "../support/prerequisites.ts"

const test = suite("load")
const run = promisify(execFile)
const folder = mkdtempSync(join(tmpdir(), "assay-load-test-"))
test.after(() => rmSync(folder, { recursive: true, force: true }))

const configurationOf = (name: string) => readConfiguration(`loadtest/ghz/${name}.json`)
const GHZ = { callsPerSecond: 100, p50Ms: 1, p95Ms: 2, p99Ms: 3, errors: {} }
const before = { metrics: new Map<string, number>(), records: new Map<string, number>() }

/** What a run of 200 calls left behind, of which `refused` were contraindicated. */
const left = (refused: number, changed: Readonly<Record<string, number>> = {}) => ({
  metrics: new Map(
    Object.entries({
      'assay_verifications_total{tier="affirming"}': 200 - refused,
      'assay_verifications_total{tier="contraindicated"}': refused,
      process_cpu_seconds_total: 0.1,
      'assay_cache_hits_total{cache="context"}': 150,
      'assay_cache_misses_total{cache="context"}': 50,
      assay_challenges_spent_total: 200,
      ...changed,
    }),
  ),
  records: new Map([
    ["affirming", 200 - refused],
    ["contraindicated", refused],
  ]),
})
const observed = (name: string, changed: Partial<Observed> = {}): Observed => ({
  config: configurationOf(name),
  plan: { total: 200, messages: 100, forged: name === "verify-forged" ? 1 : 0 },
  report: { ...GHZ, calls: 200, ok: 200 },
  before,
  after: left(name === "verify-forged" ? 2 : 0),
  ...changed,
})

test("accepts a run whose calls, decisions and records are as many", () => {
  for (const name of ["verify-nonce", "verify-challenge", "verify-forged"])
    assert.equal(judge(observed(name)).failures, [])
  const { cpuMicroseconds, hitRates, messagesPerSecond } = judge(observed("verify-nonce"))
  assert.equal([cpuMicroseconds, hitRates, messagesPerSecond], [500, { context: 0.75 }, 100])
})
test("counts every message of a stream", () => {
  const plan = { total: 2, messages: 100, forged: 0 }
  const outcome = judge(
    observed("verify-stream-nonce", { plan, report: { ...GHZ, calls: 2, ok: 2 }, after: left(0) }),
  )
  assert.equal([outcome.messages, outcome.messagesPerSecond, outcome.failures], [200, 10_000, []])
})

const refused: [name: string, Observed][] = [
  ["a call that failed", observed("verify-nonce", { report: { ...GHZ, calls: 200, ok: 199 } })],
  ["a call that was not made", observed("verify-nonce", { report: { ...GHZ, calls: 199, ok: 199 } })],
  ["a device that was refused with OK", observed("verify-nonce", { after: left(1) })],
  ["no forged quote refused", observed("verify-forged", { after: left(0) })],
  ["one forged quote too few refused", observed("verify-forged", { after: left(1) })],
  ["one quote too many refused", observed("verify-forged", { after: left(3) })],
  [
    "a decision without a record",
    observed("verify-nonce", { after: { ...left(0), records: new Map([["affirming", 199]]) } }),
  ],
  [
    "a decision that only warns",
    observed("verify-nonce", { after: left(0, { 'assay_verifications_total{tier="warning"}': 1 }) }),
  ],
  [
    "a challenge that was not spent",
    observed("verify-challenge", { after: left(0, { assay_challenges_spent_total: 199 }) }),
  ],
  [
    "a challenge that the server has not counted",
    observed("create-challenge", { after: { metrics: new Map(), records: new Map() } }),
  ],
]
for (const [name, seen] of refused)
  test(`refuses a run with ${name}`, () => assert.not.equal(judge(seen).failures, []))

test("shows forged quotes in whole rounds, and each challenge once", () => {
  for (const [size, callsMax] of [
    [1000, 20_000],
    [30, 300],
    [3, 1],
    [150, 1234],
  ] as const) {
    const { total, messages, forged } = payloadOf(configurationOf("verify-forged"), size, callsMax)
    assert.is(total % messages, 0)
    assert.is(100 * forged, messages)
    const challenges = payloadOf(configurationOf("verify-challenge"), size, callsMax)
    assert.is(challenges.total, challenges.messages)
    const stream = payloadOf(configurationOf("verify-stream-challenge"), size, callsMax)
    assert.equal([stream.total, stream.messages], [1, Math.min(5000, callsMax)])
  }
})
test("refuses a configuration with a setting that the load test would not heed", () => {
  const file = join(folder, "unknown.json")
  writeFileSync(file, JSON.stringify({ ...configurationOf("get-epoch"), rps: 5 }))
  assert.throws(() => readConfiguration(file))
})
test("reads what ghz, Prometheus and Linux write", () => {
  const latencyDistribution = [50, 95, 99].map((percentage) => ({ percentage, latency: 1e6 * percentage }))
  const statusCodeDistribution = { OK: 3, Unavailable: 1 }
  assert.equal(
    readReport(JSON.stringify({ count: 4, rps: 7, statusCodeDistribution, latencyDistribution })),
    { calls: 4, ok: 3, callsPerSecond: 7, p50Ms: 50, p95Ms: 95, p99Ms: 99, errors: { Unavailable: 1 } },
  )
  assert.equal(
    [...readMetrics('# HELP a b\na{b="c d"} 2\ne 0.5\n')],
    [
      ['a{b="c d"}', 2],
      ["e", 0.5],
    ],
  )
  assert.equal([coresIn("0-2,5"), coresIn("3"), coresIn("")], [[0, 1, 2, 5], [3], []])
})

const summaryOf = async (ghz: string, ...names: readonly string[]) => {
  const options = ["--fleet", "3", "--calls", "100", "--ghz", ghz, "--keep", folder, "--output", "json"]
  const status = await run(process.execPath, ["loadtest/load.ts", ...options, ...names]).then(
    () => 0,
    ({ code }) => code,
  )
  const { outcomes }: { outcomes: readonly Outcome[] } = JSON.parse(
    readFileSync(join(folder, "summary.json"), "utf8"),
  )
  return { status, outcomes }
}

test("ends with status 1 if the server has not seen the calls that ghz reports", async () => {
  const liar = join(folder, "ghz")
  const report = { count: 100, rps: 100, statusCodeDistribution: { OK: 100 } }
  writeFileSync(liar, `#!/bin/sh\necho '${JSON.stringify(report)}'\n`, { mode: 0o755 })
  const { status, outcomes } = await summaryOf(liar, "verify-nonce")
  assert.is(status, 1)
  assert.equal(
    outcomes.map(({ failures }) => failures.length),
    [2],
  )
})
needs("ghz", test)(
  "ghz's calls are decisions and records, and 1 % forged quotes are 1 % refused",
  async () => {
    const names = ["verify-challenge", "verify-forged", "verify-stream-challenge", "verify-stream-epoch"]
    const { status, outcomes } = await summaryOf(ghzProgram() ?? "", ...names)
    assert.is(status, 0)
    assert.equal(
      outcomes.map(({ name, messages, records }) => [
        name,
        messages,
        records.affirming,
        records.contraindicated,
      ]),
      [
        ["verify-challenge", 100, 100, 0],
        ["verify-forged", 100, 99, 1],
        ["verify-stream-challenge", 100, 100, 0],
        ["verify-stream-epoch", 99, 99, 0],
      ],
    )
  },
)

test.run()
