import fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { Counters } from "../../src/service/ports.ts"
import { laterCounters } from "../../src/store/counters.ts"
import { throwsCode } from "../support/assert.ts"
import { newCounters } from "../support/ports/samples.ts"

const test = suite("laterCounters")

const LAST = 0xffffffff
const HALF = 0x80000000

const accepted: [what: string, stored: Partial<Counters>, ours: Partial<Counters>][] = [
  ["a later clock", { clockMs: 5n }, { clockMs: 6n }],
  ["the same clock", { clockMs: 5n }, { clockMs: 5n }],
  [
    "a later restart with an earlier clock",
    { restartCount: 1, clockMs: 5n },
    { restartCount: 2, clockMs: 1n },
  ],
  [
    "a later reset with an earlier restart",
    { resetCount: 1, restartCount: 9 },
    { resetCount: 2, restartCount: 0 },
  ],
  ["a reset count that wrapped", { resetCount: LAST }, { resetCount: 0 }],
  ["a restart count that wrapped", { restartCount: LAST - 1 }, { restartCount: 3 }],
  ["the farthest that still is ahead", { resetCount: 10 }, { resetCount: 10 + HALF - 1 }],
]
for (const [what, stored, ours] of accepted)
  test(`accepts ${what}`, () => {
    assert.equal(laterCounters(newCounters(stored), newCounters(ours), true), newCounters(ours))
  })

test("accepts the first", () => {
  assert.equal(laterCounters(undefined, newCounters(), false), newCounters())
})

test("keeps the stored ones if only their clock is later", () => {
  const stored = newCounters({ clockMs: 2n ** 64n - 1n, safe: false })
  assert.equal(laterCounters(stored, newCounters({ clockMs: 2n ** 63n }), true), stored)
})

const refused: [what: string, stored: Partial<Counters>, ours: Partial<Counters>][] = [
  ["an earlier reset", { resetCount: 2 }, { resetCount: 1 }],
  [
    "an earlier reset with a later restart and clock",
    { resetCount: 2 },
    { resetCount: 1, restartCount: 9, clockMs: 9n },
  ],
  ["an earlier restart with a later clock", { restartCount: 2 }, { restartCount: 1, clockMs: 9n }],
  ["a reset before the count wrapped", { resetCount: 0 }, { resetCount: LAST }],
  ["a restart before the count wrapped", { restartCount: 3 }, { restartCount: LAST - 1 }],
  ["half a turn, which may be either", { resetCount: 0 }, { resetCount: HALF }],
  ["half a turn from the other side", { resetCount: HALF }, { resetCount: 0 }],
]
for (const [what, stored, ours] of refused)
  test(`refuses S-04 ${what}`, () => {
    throwsCode(() => laterCounters(newCounters(stored), newCounters(ours), true), "SNAPSHOT_MOVED")
  })

const races: [what: string, ours: Partial<Counters>, accepted: boolean][] = [
  ["the same boot and firmware", { clockMs: 1001n }, true],
  ["an earlier time of that boot", { clockMs: 1n }, true],
  ["a later boot", { resetCount: 6 }, false],
  ["a restart more", { restartCount: 3 }, false],
  ["another firmware", { firmwareVersion: 7n }, false],
]
for (const [what, ours, accepted] of races)
  test(`${accepted ? "accepts" : "refuses S-04"} a first answer from ${what} when another first answer came before`, () => {
    const act = () => laterCounters(newCounters(), newCounters(ours), false)
    if (accepted) act()
    else throwsCode(act, "SNAPSHOT_MOVED")
  })

const firmwares: [what: string, stored: bigint | undefined, ours: bigint | undefined, accepted: boolean][] = [
  ["the firmware that was first seen", 1n, 1n, true],
  ["the first one since its operator accepted another", undefined, 2n, true],
  ["one that another answer, which raced this one, was the first to tell", 1n, 2n, false],
  ["none, while another answer told the first", 1n, undefined, false],
]
for (const [what, stored, ours, accepted] of firmwares)
  test(`${accepted ? "accepts" : "refuses K-09"} an answer with ${what}`, () => {
    const [before, after] = [newCounters({ firmwareVersion: stored }), newCounters({ firmwareVersion: ours })]
    if (accepted) assert.is(laterCounters(before, after, true), after)
    else throwsCode(() => laterCounters(before, after, true), "SNAPSHOT_MOVED")
  })

test("never depends on the constants that a TPM adds to its counts", () => {
  const count = fc.integer({ min: 0, max: 3 })
  const constant = fc.integer({ min: 0, max: LAST })
  const boot = fc.record({ resetCount: count, restartCount: count, clockMs: fc.bigInt(0n, 3n) })
  const outcome = (stored: Counters, ours: Counters): string => {
    try {
      return laterCounters(stored, ours, true) === ours ? "ours" : "stored"
    } catch {
      return "refused"
    }
  }
  fc.assert(
    fc.property(boot, boot, constant, constant, (stored, ours, a, b) => {
      const plain = outcome(newCounters(stored), newCounters(ours))
      const shifted = (counters: typeof stored): Counters =>
        newCounters({
          ...counters,
          resetCount: (counters.resetCount + a) >>> 0,
          restartCount: (counters.restartCount + b) >>> 0,
        })
      assert.is(outcome(shifted(stored), shifted(ours)), plain)
    }),
    { numRuns: 500 },
  )
})

test.run()
