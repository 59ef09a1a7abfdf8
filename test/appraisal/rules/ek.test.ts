import { suite } from "uvu"
import * as assert from "uvu/assert"
import { ek } from "../../../src/appraisal/rules/ek.ts"
import { CIRCUMSTANCES, goodClaims, policyWith, verdictOf } from "../../support/core.ts"
import { AK_PATH, EK_PATH, endorsements } from "../../support/endorsements.ts"

const test = suite("ek")

const NOTHING = endorsements({})
const CERTIFIED = endorsements({ ek: EK_PATH })
const LISTED = endorsements({ ekListed: true })
const EXPIRED = endorsements({ ek: { ...EK_PATH, expired: true } })
const AK_ONLY = endorsements({ ak: AK_PATH })
const affirming = ["affirming", undefined]
const missing = ["contraindicated", "EK_MISSING"]

const cases: [
  name: string,
  claims: typeof NOTHING,
  terms: Readonly<Record<string, unknown>>,
  expected: unknown,
][] = [
  ["has nothing to say of a device without one, unless the policy asks for it", NOTHING, {}, affirming],
  [
    "refuses a device without one where the policy asks for it",
    NOTHING,
    { "ek.certificate": "required" },
    missing,
  ],
  [
    "refuses an attestation key's certificate in its place",
    AK_ONLY,
    { "ek.certificate": "required" },
    missing,
  ],
  ["accepts its certificate", CERTIFIED, { "ek.certificate": "required" }, affirming],
  ["accepts one on the list", LISTED, { "ek.certificate": "required" }, affirming],
  ["refuses X-07 one past its end unless the policy bears it", EXPIRED, {}, ["contraindicated", "VALIDITY"]],
  [
    "refuses X-07 one past its end where the policy says so",
    EXPIRED,
    { "ek.expired": "refused" },
    ["contraindicated", "VALIDITY"],
  ],
  [
    "warns of X-07 one past its end where the policy says so",
    EXPIRED,
    { "ek.expired": "warned" },
    ["warning", "VALIDITY"],
  ],
  [
    "allows X-07 one past its end where the policy says so, and tells of it",
    EXPIRED,
    { "ek.expired": "allowed" },
    ["affirming", "VALIDITY"],
  ],
  ["does not call one expired that is not", CERTIFIED, { "ek.expired": "refused" }, affirming],
]
for (const [name, claims, terms, expected] of cases)
  test(name, () => assert.equal(verdictOf(ek, claims, terms), expected))

test("calls hardware unrecognized whose endorsement key nobody vouches for, and says when one ended", () => {
  const judge = ek(policyWith({ "ek.certificate": "required" }))
  const finding = judge(goodClaims, CIRCUMSTANCES)
  assert.equal(finding.claim, ["hardware", 97])
  assert.is(finding.actual, "neither")
  const expired = judge({ ...goodClaims, ...EXPIRED }, CIRCUMSTANCES)
  assert.is(expired.claim, undefined)
  assert.is(expired.actual, "expired on 2040-01-01T00:00:00.000Z")
})

test.run()
