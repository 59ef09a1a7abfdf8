import { suite } from "uvu"
import * as assert from "uvu/assert"
import { pcrSelection } from "../../../src/appraisal/rules/pcr-selection.ts"
import { createSoftwareDevice } from "../../../src/device/software.ts"
import type { Code } from "../../../src/errors.ts"
import type { HashName } from "../../../src/evidence/tpm/algorithm.ts"
import { BOOT_PCRS, claimsOfDevice, verdictOf } from "../../support/core.ts"

const test = suite("pcrSelection")

const device = createSoftwareDevice({
  algorithm: "p256",
  sharedKeys: true,
  banks: ["sha1", "sha256", "sha384"],
})
/** The values that a quote over these selections proves. */
const quoted = (...banks: readonly (readonly [HashName, readonly number[]])[]) => ({
  pcrs: claimsOfDevice(device, { selection: banks.map(([hash, pcrs]) => ({ hash, pcrs })) }).pcrs,
})

test("accepts every required PCR of every required bank, and more", () => {
  assert.equal(verdictOf(pcrSelection, quoted(["sha256", BOOT_PCRS])), ["affirming", undefined])
  assert.equal(verdictOf(pcrSelection, quoted(["sha384", [0]], ["sha256", [...BOOT_PCRS, 10]])), [
    "affirming",
    undefined,
  ])
})

for (const dropped of [0, 1, 4, 7])
  test(`refuses Q-04 a quote without the required PCR ${dropped}`, () => {
    const pcrs = BOOT_PCRS.filter((pcr) => pcr !== dropped)
    assert.equal(verdictOf(pcrSelection, quoted(["sha256", pcrs])), ["contraindicated", "PCR_SELECTION"])
  })

const both = { "evidence.banks": ["sha256", "sha384"] }
const ten = { "evidence.pcrs": [0, 7, 10] }
const cases: [
  name: string,
  claims: ReturnType<typeof quoted>,
  terms: Readonly<Record<string, unknown>>,
  code: Code,
][] = [
  [
    "Q-04 a quote without PCR 10 where the policy needs it",
    quoted(["sha256", BOOT_PCRS]),
    ten,
    "PCR_SELECTION",
  ],
  [
    "Q-04 a required PCR that is quoted in another bank",
    quoted(["sha256", [0, 7]], ["sha384", [10]]),
    ten,
    "PCR_SELECTION",
  ],
  [
    "Q-04 one of two required banks with a PCR less",
    quoted(["sha256", BOOT_PCRS], ["sha384", [0, 1, 2]]),
    both,
    "PCR_SELECTION",
  ],
  ["Q-08 a quote over SHA-1 alone", quoted(["sha1", BOOT_PCRS]), {}, "PCR_BANK"],
  [
    "Q-08 a quote in which SHA-1 carries the required PCR",
    quoted(["sha1", [7]], ["sha256", [0, 1, 2, 3, 4, 5, 6]]),
    {},
    "PCR_SELECTION",
  ],
  [
    "Q-08 a quote over SHA-1 and a bank that is not the required one",
    quoted(["sha1", BOOT_PCRS], ["sha384", BOOT_PCRS]),
    {},
    "PCR_BANK",
  ],
  ["Q-08 a quote over one of two required banks", quoted(["sha256", BOOT_PCRS]), both, "PCR_BANK"],
  [
    "Q-08 a quote over the weaker of two required banks and SHA-1",
    quoted(["sha256", BOOT_PCRS], ["sha1", BOOT_PCRS]),
    both,
    "PCR_BANK",
  ],
]
for (const [name, claims, terms, code] of cases)
  test(`refuses ${name}`, () => {
    assert.equal(verdictOf(pcrSelection, claims, terms), ["contraindicated", code])
  })

test.run()
