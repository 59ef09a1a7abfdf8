import { suite } from "uvu"
import * as assert from "uvu/assert"
import { sha1Bank } from "../../../src/appraisal/rules/sha1-bank.ts"
import { createSoftwareDevice } from "../../../src/device/software.ts"
import { BOOT_PCRS, claimsOfDevice, policyWith, verdictOf } from "../../support/core.ts"

const test = suite("sha1Bank")

const device = createSoftwareDevice({ algorithm: "p256", sharedKeys: true, banks: ["sha1", "sha256"] })
const { pcrs } = claimsOfDevice(device, {
  selection: [
    { hash: "sha256", pcrs: BOOT_PCRS },
    { hash: "sha1", pcrs: [10] },
  ],
})
const tolerated = { "evidence.sha1Bank": "tolerated" }

test("accepts a quote without a SHA-1 bank", () => {
  assert.equal(verdictOf(sha1Bank), ["affirming", undefined])
})
test("refuses Q-08 a SHA-1 bank beside the required one, unless the policy tolerates it", () => {
  assert.equal(verdictOf(sha1Bank, { pcrs }), ["contraindicated", "PCR_BANK"])
})
test("warns of a SHA-1 bank that the policy tolerates", () => {
  assert.equal(verdictOf(sha1Bank, { pcrs }, tolerated), ["warning", "PCR_BANK"])
  const { claim } = sha1Bank(policyWith(tolerated))({ ...claimsOfDevice(device), pcrs })
  assert.equal(claim, ["configuration", 32])
})

test.run()
