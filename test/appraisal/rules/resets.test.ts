import { suite } from "uvu"
import * as assert from "uvu/assert"
import { resets } from "../../../src/appraisal/rules/resets.ts"
import { EARLIER, goodClaims, verdictOf } from "../../support/core.ts"

const test = suite("resets")

const cases: [name: string, max: number | undefined, then: number, now: number, accepted: boolean][] = [
  ["accepts any number where the policy sets no bound", undefined, 3, 3000, true],
  ["accepts none where none is allowed", 0, 3, 3, true],
  ["accepts as many as are allowed", 2, 3, 5, true],
  ["accepts as many as are allowed over the counter's wrap", 2, 0xffffffff, 1, true],
  ["refuses K-09 one where none is allowed", 0, 3, 4, false],
  ["refuses K-09 one more than are allowed", 2, 3, 6, false],
  ["refuses K-09 one more than are allowed over the counter's wrap", 2, 0xffffffff, 2, false],
]
for (const [name, max, then, now, accepted] of cases)
  test(name, () => {
    const clockInfo = { ...goodClaims.clockInfo, resetCount: now }
    const before = { ...goodClaims.clockInfo, resetCount: then, firmwareVersion: 1n, recordedAt: EARLIER }
    const expected = accepted ? ["affirming", undefined] : ["contraindicated", "CLOCK_INFO_RESETS"]
    assert.equal(verdictOf(resets, { clockInfo }, { "clock.resetsMax": max }, { before }), expected)
  })

test("accepts the first quote of a device", () => {
  assert.equal(verdictOf(resets, {}, { "clock.resetsMax": 0 }), ["affirming", undefined])
})

test.run()
