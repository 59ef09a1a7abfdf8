import { suite } from "uvu"
import * as assert from "uvu/assert"
import { deviceState } from "../../../src/appraisal/rules/device-state.ts"
import { CIRCUMSTANCES, goodClaims, policyWith, verdictOf } from "../../support/core.ts"

const test = suite("deviceState")

test("has nothing to say of an active device", () => {
  assert.equal(verdictOf(deviceState), ["affirming", undefined])
})

for (const state of ["pending", "suspended", "revoked", "retired", "", "ACTIVE", "active "])
  test(`refuses a device that is ${JSON.stringify(state)}, recognized and not trusted`, () => {
    assert.equal(deviceState(policyWith())(goodClaims, { ...CIRCUMSTANCES, state }), {
      tier: "contraindicated",
      code: "DEVICE_STATE",
      location: "device",
      expected: "active",
      actual: state,
      claim: ["instance-identity", 96],
    })
  })

test.run()
