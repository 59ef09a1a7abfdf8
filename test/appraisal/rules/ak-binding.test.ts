import { suite } from "uvu"
import * as assert from "uvu/assert"
import { akBinding } from "../../../src/appraisal/rules/ak-binding.ts"
import { CIRCUMSTANCES, goodClaims, policyWith, verdictOf } from "../../support/core.ts"
import { AK_PATH, EK_PATH, endorsements } from "../../support/endorsements.ts"

const test = suite("akBinding")

const refused = ["contraindicated", "AK_BINDING_UNPROVEN"]

test("refuses K-02 a key that only its operator vouches for, unless the policy takes his word", () => {
  assert.equal(verdictOf(akBinding, {}, { "ak.binding": "proven" }), refused)
  assert.equal(verdictOf(akBinding, {}, { "ak.binding": undefined }), refused)
})

test("refuses K-02 a key beside an endorsement key: that it lives in the same TPM is not proven", () => {
  for (const beside of [endorsements({ ek: EK_PATH }), endorsements({ ekListed: true })])
    assert.equal(verdictOf(akBinding, beside, { "ak.binding": "proven" }), refused)
})

test("warns where the operator's word will do, and leaves instance-identity without a claim", () => {
  const finding = akBinding(policyWith({ "ak.binding": "operator" }))(goodClaims, CIRCUMSTANCES)
  assert.is(finding.tier, "warning")
  assert.is(finding.code, "AK_BINDING_UNPROVEN")
  assert.is(finding.claim, undefined)
})

const bound: [name: string, by: ReturnType<typeof endorsements>][] = [
  ["with a certificate that leads to an anchor", endorsements({ ak: AK_PATH })],
  ["activated beside a certified endorsement key", endorsements({ ek: EK_PATH, activated: true })],
  ["activated beside a listed endorsement key", endorsements({ ekListed: true, activated: true })],
]
for (const [name, by, binding] of bound.flatMap(([name, by]) => [
  [name, by, "proven"] as const,
  [name, by, "operator"] as const,
]))
  test(`affirms a key ${name}, where the policy says ${binding}`, () => {
    const claims = { ...goodClaims, ...by }
    assert.equal(akBinding(policyWith({ "ak.binding": binding }))(claims, CIRCUMSTANCES), {
      tier: "affirming",
      claim: ["instance-identity", 2],
    })
  })

test.run()
