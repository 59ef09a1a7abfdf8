import { suite } from "uvu"
import * as assert from "uvu/assert"
import { akBinding } from "../../../src/appraisal/rules/ak-binding.ts"
import { CIRCUMSTANCES, goodClaims, policyWith, verdictOf } from "../../support/core.ts"

const test = suite("akBinding")

test("refuses K-02 a key that only its operator vouches for, unless the policy takes his word", () => {
  assert.equal(verdictOf(akBinding, {}, { "ak.binding": "proven" }), [
    "contraindicated",
    "AK_BINDING_UNPROVEN",
  ])
  assert.equal(verdictOf(akBinding, {}, { "ak.binding": undefined }), [
    "contraindicated",
    "AK_BINDING_UNPROVEN",
  ])
})

test("warns where the operator's word will do, and leaves instance-identity without a claim", () => {
  const finding = akBinding(goodClaims, policyWith({ "ak.binding": "operator" }), CIRCUMSTANCES)
  assert.is(finding.tier, "warning")
  assert.is(finding.code, "AK_BINDING_UNPROVEN")
  assert.is(finding.claim, undefined)
})

test.run()
