import { suite } from "uvu"
import * as assert from "uvu/assert"
import { advance, clockOrder, isRollback } from "../../../src/appraisal/rules/clock-order.ts"
import { fromHex } from "../../../src/bytes.ts"
import { type ClockInfo, parseAttest } from "../../../src/evidence/tpm/attest.ts"
import { EARLIER, FRESH_SINCE, verdictOf } from "../../support/core.ts"
import { needs, vectorJson } from "../../support/vectors.ts"

const test = suite("clockOrder")

const clock = (resetCount: number, restartCount: number, clockMs: number, safe = true): ClockInfo => ({
  clockMs: BigInt(clockMs),
  resetCount,
  restartCount,
  safe,
})

const cases: [name: string, then: ClockInfo, now: ClockInfo, accepted: boolean][] = [
  ["accepts a later quote of the same boot", clock(3, 1, 1000), clock(3, 1, 1001), true],
  ["accepts a quote of the same millisecond", clock(3, 1, 1000), clock(3, 1, 1000), true],
  ["accepts a restart, whatever the clock", clock(3, 1, 1000), clock(3, 2, 10), true],
  ["accepts a reset with a lower clock: power was lost", clock(3, 1, 1000), clock(4, 0, 10, false), true],
  ["accepts a reset with a lower restartCount", clock(3, 9, 1000), clock(4, 0, 2000), true],
  ["accepts a clock that was set ahead", clock(3, 1, 1000), clock(3, 1, 9e12), true],
  [
    "accepts a resetCount that wraps: a key outside the endorsement hierarchy",
    clock(0xffffffff, 0, 9),
    clock(0, 0, 1),
    true,
  ],
  ["accepts a restartCount that wraps", clock(3, 0xffffffff, 1000), clock(3, 0, 10), true],
  ["refuses K-09 a clock that went back within a boot", clock(3, 1, 1000), clock(3, 1, 999), false],
  ["refuses K-09 a lower restartCount within a boot", clock(3, 2, 1000), clock(3, 1, 2000), false],
  [
    "refuses K-09 a lower resetCount: an older quote, or a cleared TPM",
    clock(3, 0, 1000),
    clock(2, 9, 2000),
    false,
  ],
  ["refuses K-09 counters of zero after others: a cleared TPM", clock(5, 2, 1000), clock(0, 0, 0), false],
  ["refuses K-09 a resetCount that goes back over its wrap", clock(0, 0, 9), clock(0xffffffff, 0, 10), false],
]
for (const [name, then, now, accepted] of cases)
  test(name, () => {
    const before = { ...then, firmwareVersion: 1n, recordedAt: EARLIER }
    const expected = accepted ? ["affirming", undefined] : ["contraindicated", "CLOCK_INFO_ROLLBACK"]
    assert.equal(verdictOf(clockOrder, { clockInfo: now }, {}, { before }), expected)
  })

// Two answers under way at a time arrive in any order; one of an earlier boot is old, however it came.
const underWay: [name: string, then: ClockInfo, now: ClockInfo, accepted: boolean][] = [
  ["accepts an earlier time of the same boot", clock(3, 1, 1000), clock(3, 1, 999), true],
  ["refuses K-09 an earlier restart", clock(3, 2, 1000), clock(3, 1, 2000), false],
  ["refuses K-09 an earlier boot", clock(4, 0, 10), clock(3, 1, 2000), false],
]
for (const [name, then, now, accepted] of underWay)
  test(`${name} as one the device answered with after this challenge was made`, () => {
    for (const ms of [0, 1, 60_000]) {
      const recordedAt = new Date(FRESH_SINCE.getTime() + ms)
      const expected = accepted ? ["affirming", undefined] : ["contraindicated", "CLOCK_INFO_ROLLBACK"]
      const before = { ...then, firmwareVersion: 1n, recordedAt }
      assert.equal(verdictOf(clockOrder, { clockInfo: now }, {}, { before }), expected)
    }
  })

test("accepts the first quote of a device", () => {
  assert.equal(verdictOf(clockOrder, { clockInfo: clock(0, 0, 0) }), ["affirming", undefined])
})

test("counts the way that a counter went modulo 2^32", () => {
  assert.is(advance(7, 9), 2)
  assert.is(advance(9, 7), -2)
  assert.is(advance(0xffffffff, 1), 2)
  assert.is(advance(1, 0xffffffff), -2)
})

type Step = { readonly step: string } & Readonly<Record<"endorsement" | "owner", { readonly attest: string }>>
for (const hierarchy of ["endorsement", "owner"] as const)
  needs("vectors", test)(
    `accepts a real TPM through resets, resumes and power loss, and refuses K-09 what follows its clearing: ${hierarchy}`,
    () => {
      const steps = vectorJson<readonly Step[]>("swtpm/counters.json")
      const clocks = steps.map(
        (step) => parseAttest(fromHex(step[hierarchy].attest) ?? new Uint8Array()).clockInfo,
      )
      const rollbacks = steps.filter((_, i) => {
        const [then, now] = [clocks[i - 1], clocks[i]]
        return (
          then !== undefined &&
          now !== undefined &&
          isRollback(now, {
            before: { ...then, firmwareVersion: 1n, recordedAt: EARLIER },
            freshSince: FRESH_SINCE,
          })
        )
      })
      assert.equal(
        rollbacks.map(({ step }) => step),
        ["TPM2_Clear"],
      )
    },
  )

test.run()
