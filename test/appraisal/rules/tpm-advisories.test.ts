import { suite } from "uvu"
import * as assert from "uvu/assert"
import { tpmAdvisories } from "../../../src/appraisal/rules/tpm-advisories.ts"
import type { AdvisoryMatch } from "../../../src/verification/advisory.ts"
import { CIRCUMSTANCES, goodClaims, policyWith, verdictOf } from "../../support/core.ts"

const test = suite("tpmAdvisories")

const match = (id: string, changed: Partial<AdvisoryMatch> = {}): AdvisoryMatch => ({
  id,
  title: id,
  severity: "high",
  source: "https://maker.example/",
  fixedIn: undefined,
  certain: true,
  ...changed,
})
const ROCA = match("CVE-2017-15361", { fixedIn: "7.62" })
const MAYBE = match("CVE-2023-1017", { certain: false })
const accepted = ["affirming", undefined]
const warned = ["warning", "TPM_FIRMWARE"]
const refused = ["contraindicated", "TPM_FIRMWARE"]
const says = (word: string) => ({ "tpm.advisories": word })

const cases: [
  name: string,
  found: readonly AdvisoryMatch[],
  terms: Readonly<Record<string, unknown>>,
  expected: unknown,
][] = [
  ["accepts a TPM without a known weakness", [], says("refused"), accepted],
  ["warns of K-08 a weakness unless the policy says otherwise", [ROCA], {}, warned],
  ["refuses K-08 a weakness where the policy says so", [ROCA], says("refused"), refused],
  ["refuses K-08 a weakness that the TPM may have", [MAYBE], says("refused"), refused],
  ["refuses K-08 several", [MAYBE, ROCA], says("refused"), refused],
  ["ignores weaknesses where the policy says so", [ROCA, MAYBE], says("ignored"), accepted],
]
for (const [name, advisories, terms, expected] of cases)
  test(name, () => assert.equal(verdictOf(tpmAdvisories, {}, terms, { advisories }), expected))

test("names each weakness, what would mend the first, and what becomes of hardware", () => {
  const of = (word: string, ...advisories: readonly AdvisoryMatch[]) =>
    tpmAdvisories(policyWith(says(word)))(goodClaims, { ...CIRCUMSTANCES, advisories })
  const finding = of("refused", ROCA, MAYBE)
  assert.is(finding.actual, "CVE-2017-15361, CVE-2023-1017 (possibly)")
  assert.is(finding.expected, "firmware 7.62 or later")
  assert.equal(finding.claim, ["hardware", 96])
  assert.is(of("warned", MAYBE).expected, "a TPM without a known weakness")
  assert.equal(of("warned", MAYBE).claim, ["hardware", 32])
  assert.is(of("ignored", ROCA).claim, undefined)
})

test.run()
