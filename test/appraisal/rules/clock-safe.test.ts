import { suite } from "uvu"
import * as assert from "uvu/assert"
import { clockSafe } from "../../../src/appraisal/rules/clock-safe.ts"
import { goodClaims, verdictOf } from "../../support/core.ts"

const test = suite("clockSafe")

const unsafe = { clockInfo: { ...goodClaims.clockInfo, safe: false } }

test("accepts a clock that is safe, whatever the policy", () => {
  for (const word of ["refused", "warned", "ignored"])
    assert.equal(verdictOf(clockSafe, {}, { "clock.unsafe": word }), ["affirming", undefined])
})
test("warns of K-09 a clock that is not safe: pulling the plug is usual", () => {
  assert.equal(verdictOf(clockSafe, unsafe), ["warning", "CLOCK_INFO_UNSAFE"])
})
test("refuses K-09 a clock that is not safe where the policy says so, and ignores it where it says that", () => {
  assert.equal(verdictOf(clockSafe, unsafe, { "clock.unsafe": "refused" }), [
    "contraindicated",
    "CLOCK_INFO_UNSAFE",
  ])
  assert.equal(verdictOf(clockSafe, unsafe, { "clock.unsafe": "ignored" }), ["affirming", undefined])
})

test.run()
