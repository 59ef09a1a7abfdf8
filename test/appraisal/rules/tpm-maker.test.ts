import { suite } from "uvu"
import * as assert from "uvu/assert"
import { tpmMaker } from "../../../src/appraisal/rules/tpm-maker.ts"
import { CIRCUMSTANCES, goodClaims, policyWith, verdictOf } from "../../support/core.ts"
import { AK_PATH, EK_PATH, endorsements, ofTpm } from "../../support/endorsements.ts"

const test = suite("tpmMaker")

const NOTHING = endorsements({})
const AK = endorsements({ ak: AK_PATH })
const EK = endorsements({ ek: EK_PATH })
const unregistered = { manufacturer: "id:41535359", vendor: undefined }
const SOFTWARE = endorsements({ ak: ofTpm(AK_PATH, unregistered) })
/** The attestation key's certificate says Infineon, the endorsement key's says STMicroelectronics. */
const TWO = endorsements({ ak: AK_PATH, ek: ofTpm(EK_PATH, { manufacturer: "id:53544D20", vendor: "STM" }) })
const list = (...manufacturers: readonly string[]) => ({ "tpm.manufacturers": manufacturers })
const accepted = ["affirming", undefined]
const refused = ["contraindicated", "TPM_MANUFACTURER"]

const cases: [
  name: string,
  claims: typeof NOTHING,
  terms: Readonly<Record<string, unknown>>,
  expected: unknown,
][] = [
  ["has nothing to say where no makers are listed", NOTHING, {}, accepted],
  ["accepts a listed maker by the attestation key's certificate", AK, list("STM", "IFX"), accepted],
  ["accepts a listed maker by the endorsement key's certificate", EK, list("IFX"), accepted],
  ["refuses a maker that is not listed", AK, list("STM", "NTC"), refused],
  ["refuses a maker that is not listed by the endorsement key's certificate", EK, list("STM"), refused],
  ["refuses a device without a certificate", NOTHING, list("IFX"), refused],
  [
    "refuses a device whose endorsement key is only listed",
    endorsements({ ekListed: true }),
    list("IFX"),
    refused,
  ],
  ["goes by the attestation key's certificate where there are two", TWO, list("STM"), refused],
  [
    "accepts a maker that is not registered by what the certificate writes",
    SOFTWARE,
    list("id:41535359"),
    accepted,
  ],
  ["refuses a registered maker by what the certificate writes", AK, list("id:49465800"), refused],
]
for (const [name, claims, terms, expected] of cases)
  test(name, () => assert.equal(verdictOf(tpmMaker, claims, terms), expected))

test("affirms hardware for a certificate of this very TPM alone, and calls other makers' unrecognized", () => {
  const claimOf = (claims: typeof NOTHING, terms = {}) =>
    tpmMaker(policyWith(terms))({ ...goodClaims, ...claims }, CIRCUMSTANCES).claim
  assert.equal(claimOf(AK), ["hardware", 2])
  assert.equal(claimOf(AK, list("IFX")), ["hardware", 2])
  assert.is(claimOf(EK, list("IFX")), undefined)
  assert.is(claimOf(NOTHING), undefined)
  const activated = { activated: true }
  assert.equal(claimOf(endorsements({ ek: EK_PATH, ...activated })), ["hardware", 2])
  assert.is(claimOf(endorsements({ ekListed: true, ...activated })), undefined)
  assert.equal(claimOf(AK, list("STM")), ["hardware", 97])
  assert.equal(claimOf(NOTHING, list("STM")), ["hardware", 97])
})

test.run()
