import { suite } from "uvu"
import * as assert from "uvu/assert"
import { createClockWatch } from "../../src/keys/clock.ts"
import { throwsCode } from "../support/assert.ts"

const test = suite("createClockWatch")

const START_MS = Date.parse("2026-11-21T12:00:00Z")
const HOUR_MS = 3_600_000

/** A machine whose clocks the test sets. */
const machine = () => {
  const clocks = { wall: START_MS, monotonic: 5000 }
  const watch = createClockWatch(5000, { wallMs: () => clocks.wall, monotonicMs: () => clocks.monotonic })
  return { clocks, watch }
}

const sound: [what: string, wallMs: number, monotonicMs: number][] = [
  ["nothing has passed", 0, 0],
  ["a day has passed by both", 24 * HOUR_MS, 24 * HOUR_MS],
  ["it is as far ahead as it may be", HOUR_MS + 5000, HOUR_MS],
  ["it is as far behind as it may be", HOUR_MS - 5000, HOUR_MS],
  ["a leap second was put in", HOUR_MS - 1000, HOUR_MS],
]
for (const [what, wallMs, monotonicMs] of sound)
  test(`accepts the clock when ${what}`, () => {
    const { clocks, watch } = machine()
    clocks.wall += wallMs
    clocks.monotonic += monotonicMs
    watch.check()
    assert.is(watch.unready(), undefined)
  })

const unsound: [what: string, wallMs: number, monotonicMs: number][] = [
  ["stepped an hour ahead", HOUR_MS, 0],
  ["stepped an hour back", -HOUR_MS, 0],
  ["stepped a little more than it may", 5001, 0],
  ["stepped back a little more than it may", -5001, 0],
  ["stands still", 0, 5001],
  ["went twice as fast", 20_000, 10_000],
  ["jumped over the sleep of the machine", 8 * HOUR_MS, 1000],
  ["says nothing", Number.NaN, 0],
]
for (const [what, wallMs, monotonicMs] of unsound)
  test(`refuses S-06 a clock that ${what}`, () => {
    const { clocks, watch } = machine()
    clocks.wall += wallMs
    clocks.monotonic += monotonicMs
    throwsCode(() => watch.check(), "CLOCK")
    assert.ok(watch.unready() !== undefined)
  })

test("accepts the clock again once it was set right", () => {
  const { clocks, watch } = machine()
  clocks.wall += HOUR_MS
  throwsCode(() => watch.check(), "CLOCK")
  clocks.wall -= HOUR_MS - 10
  clocks.monotonic += 10
  watch.check()
})

for (const [what, wallMs] of [
  ["ahead", HOUR_MS],
  ["back", -HOUR_MS],
] as const)
  test(`refuses S-06 a clock that was turned ${what} after its service began, and before this process did`, () => {
    const { clocks, watch } = machine()
    clocks.wall += wallMs
    const sources = { wallMs: () => clocks.wall, monotonicMs: () => clocks.monotonic }
    const later = createClockWatch(5000, sources, watch.betweenMs)
    throwsCode(() => later.check(), "CLOCK")
    clocks.wall -= wallMs
    later.check()
    assert.is(later.betweenMs, watch.betweenMs)
  })

test("accepts the clock of this machine, by what is the same in all of its processes", () => {
  const watch = createClockWatch(5000)
  watch.check()
  const sinceBootMs = Number(process.hrtime.bigint()) / 1e6
  assert.ok(Math.abs(Date.now() - sinceBootMs - watch.betweenMs) < 100)
})

test.run()
