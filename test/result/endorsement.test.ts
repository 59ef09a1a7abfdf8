import { suite } from "uvu"
import * as assert from "uvu/assert"
import { endorsementsOf } from "../../src/result/endorsement.ts"
import { NO_ENDORSEMENTS } from "../../src/verification/endorsements.ts"
import { AK_PATH, EK_PATH } from "../support/endorsements.ts"

const test = suite("endorsementsOf")

test("tells of nothing where nothing vouches for the keys, and of a listed key neither", () => {
  assert.equal(endorsementsOf(NO_ENDORSEMENTS), [])
  assert.equal(endorsementsOf({ ...NO_ENDORSEMENTS, ekListed: true }), [])
})

test("tells the attestation key's path first, then the endorsement key's", () => {
  const both = endorsementsOf({ ...NO_ENDORSEMENTS, ak: AK_PATH, ek: EK_PATH })
  assert.equal(
    both.map(({ key }) => key),
    ["ak", "ek"],
  )
  assert.equal(endorsementsOf({ ...NO_ENDORSEMENTS, ek: EK_PATH }), both.slice(1))
})

test("tells what was believed, of whom, and what was looked at", () => {
  const revocation = [
    {
      certificate: "leaf",
      fingerprint: "00",
      status: "good",
      thisUpdate: new Date(1),
      nextUpdate: new Date(2),
    },
    { certificate: "CA", fingerprint: "01", status: "not-published" },
  ] as const
  const path = {
    ...AK_PATH,
    revocation,
    deviations: ["nv-padding"] as const,
    expired: true,
    validUntil: new Date(7),
  }
  const [told] = endorsementsOf({ ...NO_ENDORSEMENTS, ak: path })
  assert.is(told?.anchor, "CN=Test Root")
  assert.match(told?.anchorId ?? "", /^[0-9a-f]{64}$/)
  assert.equal(told?.tpm, AK_PATH.tpm)
  assert.is(told?.tpm?.vendor, "IFX")
  assert.equal(told?.revocation, revocation)
  assert.equal(told?.deviations, ["nv-padding"])
  assert.is(told?.expired, true)
  assert.equal(told?.validUntil, new Date(7))
})

test.run()
