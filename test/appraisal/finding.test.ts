import fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import {
  type Finding,
  type Tier,
  TRUST_CLAIMS,
  tierOf,
  vectorOf,
  worstFirst,
  worstTier,
} from "../../src/appraisal/finding.ts"

const test = suite("worstTier, tierOf, vectorOf")

const TIERS: readonly Tier[] = ["none", "affirming", "warning", "contraindicated"]
const rank = (tier: Tier): number => TIERS.indexOf(tier)

const worst: [name: string, tiers: readonly Tier[], expected: Tier][] = [
  ["T-08 nothing at all", [], "none"],
  ["T-08 what nothing is known of", ["none", "none"], "none"],
  [
    "T-08 one failure among many passes",
    ["affirming", "affirming", "contraindicated", "affirming"],
    "contraindicated",
  ],
  ["T-08 one warning among passes", ["affirming", "warning", "affirming"], "warning"],
  ["T-08 a warning and a failure", ["warning", "contraindicated"], "contraindicated"],
]
for (const [name, tiers, expected] of worst)
  test(`takes ${name} for ${expected}`, () => assert.is(worstTier(tiers), expected))

// AR4SI, 2.3.1: each edge of each range.
const ranges: [value: number, tier: Tier][] = [
  [-1, "none"],
  [0, "none"],
  [1, "none"],
  [2, "affirming"],
  [31, "affirming"],
  [-2, "affirming"],
  [-32, "affirming"],
  [32, "warning"],
  [95, "warning"],
  [-33, "warning"],
  [-96, "warning"],
  [96, "contraindicated"],
  [99, "contraindicated"],
  [127, "contraindicated"],
  [-97, "contraindicated"],
  [-128, "contraindicated"],
]
for (const [value, tier] of ranges)
  test(`takes the value ${value} for ${tier}`, () => assert.is(tierOf(value), tier))

const finding: fc.Arbitrary<Finding> = fc
  .record({
    tier: fc.constantFrom(...TIERS),
    claim: fc.option(fc.tuple(fc.constantFrom(...TRUST_CLAIMS), fc.constantFrom(2, 3, 32, 36, 96, 97, 99)), {
      nil: undefined,
    }),
  })
  .map(({ tier, claim }) => ({ rule: "any", tier, ...(claim !== undefined && { claim }) }))

test("never improves a tier or a claim by one more finding, wherever it comes", () => {
  fc.assert(
    fc.property(fc.array(finding, { maxLength: 12 }), finding, fc.nat(12), (findings, more, at) => {
      const longer = findings.toSpliced(at, 0, more)
      const tiers = (list: readonly Finding[]): Tier => worstTier(list.map(({ tier }) => tier))
      assert.ok(rank(tiers(longer)) >= rank(tiers(findings)))
      const [before, after] = [vectorOf(findings), vectorOf(longer)]
      for (const claim of TRUST_CLAIMS)
        assert.ok(rank(tierOf(after[claim] ?? 0)) >= rank(tierOf(before[claim] ?? 0)))
    }),
  )
})

test("gives one vector for the same findings in any order", () => {
  fc.assert(
    fc.property(fc.array(finding), (findings) => {
      assert.equal(vectorOf(findings.toReversed()), vectorOf(findings))
    }),
  )
})

test("puts the worst first and keeps the order otherwise", () => {
  const list = (["affirming", "contraindicated", "none", "warning", "contraindicated"] as const).map(
    (tier, i): Finding => ({ rule: String(i), tier }),
  )
  assert.is(
    worstFirst(list)
      .map(({ rule }) => rule)
      .join(""),
    "14302",
  )
})

test.run()
