import { suite } from "uvu"
import * as assert from "uvu/assert"
import { unextendedBootPcrs } from "../../../src/appraisal/rules/unextended-boot-pcrs.ts"
import type { HashName } from "../../../src/evidence/tpm/algorithm.ts"
import { goodClaims, verdictOf } from "../../support/core.ts"

const test = suite("unextendedBootPcrs")

const bank = goodClaims.pcrs.get("sha256") ?? new Map<number, Uint8Array>()
/** The good values with some others. */
const withValues = (...values: readonly (readonly [pcr: number, value: Uint8Array])[]) => ({
  pcrs: new Map([["sha256" as HashName, new Map([...bank, ...values])]]),
})
const zeros = (last = 0): Uint8Array => new Uint8Array(32).fill(last, 31)

test("accepts boot PCRs that were extended", () => {
  assert.equal(verdictOf(unextendedBootPcrs), ["affirming", undefined])
})

for (const pcr of [0, 1, 2, 4, 6, 7])
  test(`refuses Q-09 a bank whose PCR ${pcr} the firmware never extended`, () => {
    assert.equal(verdictOf(unextendedBootPcrs, withValues([pcr, zeros()])), ["contraindicated", "PCR_BANK"])
  })
for (const locality of [3, 4])
  test(`refuses Q-09 a bank whose PCR 0 holds nothing but the startup locality ${locality}`, () => {
    assert.equal(verdictOf(unextendedBootPcrs, withValues([0, zeros(locality)])), [
      "contraindicated",
      "PCR_BANK",
    ])
  })
test("refuses Q-09 a bank that the firmware never extended at all, though a log leads to it", () => {
  const untouched = withValues(...[...bank.keys()].map((pcr) => [pcr, zeros()] as const))
  assert.equal(verdictOf(unextendedBootPcrs, untouched), ["contraindicated", "PCR_BANK"])
})
test("refuses Q-09 the second of two required banks that was never extended", () => {
  const sha384 = new Map([...bank.keys()].map((pcr) => [pcr, new Uint8Array(48)]))
  const pcrs = new Map<HashName, ReadonlyMap<number, Uint8Array>>([
    ["sha256", bank],
    ["sha384", sha384],
  ])
  const terms = { "evidence.banks": ["sha256", "sha384"] }
  assert.equal(verdictOf(unextendedBootPcrs, { pcrs }, terms), ["contraindicated", "PCR_BANK"])
})

test("warns where the policy tolerates it", () => {
  const terms = { "evidence.unextendedBootPcrs": "tolerated" }
  assert.equal(verdictOf(unextendedBootPcrs, withValues([5, zeros()]), terms), ["warning", "PCR_BANK"])
})
test("accepts the reset value of a PCR that is not required, or not the firmware's", () => {
  const terms = { "evidence.pcrs": [0, 7, 10] }
  const pcrs = withValues([5, zeros()], [10, zeros()])
  assert.equal(verdictOf(unextendedBootPcrs, pcrs, terms), ["affirming", undefined])
})
test("accepts a small value in another PCR than 0: only that one begins with a locality", () => {
  assert.equal(verdictOf(unextendedBootPcrs, withValues([1, zeros(3)])), ["affirming", undefined])
})

test.run()
