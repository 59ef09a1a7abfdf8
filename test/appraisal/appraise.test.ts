import fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { type Appraisal, appraise, refuted } from "../../src/appraisal/appraise.ts"
import { compilePolicy } from "../../src/appraisal/compile.ts"
import { type Tier, TRUST_CLAIMS, tierOf } from "../../src/appraisal/finding.ts"
import { RULES } from "../../src/appraisal/rules/index.ts"
import type { Circumstances } from "../../src/appraisal/rules/rule.ts"
import { AssayError, type Code } from "../../src/errors.ts"
import type { HashName } from "../../src/evidence/tpm/algorithm.ts"
import type { Claims } from "../../src/verification/claims.ts"
import type { Verified } from "../../src/verification/verified.ts"
import { CIRCUMSTANCES, compiledWith, EARLIER, goodClaims, policyWith } from "../support/core.ts"

const test = suite("appraise")

const TIERS: readonly Tier[] = ["none", "affirming", "warning", "contraindicated"]
const rank = (tier: Tier): number => TIERS.indexOf(tier)
const codesOf = ({ findings }: Appraisal): Code[] => findings.flatMap(({ code }) => code ?? [])

test("runs every rule, and lets the operator's word cost no more than a warning", () => {
  const appraisal = appraise(goodClaims, compiledWith(), CIRCUMSTANCES)
  assert.equal(appraisal.findings.map(({ rule }) => rule).toSorted(), Object.keys(RULES).toSorted())
  assert.is(appraisal.tier, "warning")
  assert.equal(codesOf(appraisal), ["AK_BINDING_UNPROVEN"])
  assert.equal(appraisal.vector, { executables: 3 })
})

test("refuses P-01 a device without a policy, whatever it proves", () => {
  const appraisal = appraise(goodClaims, undefined, CIRCUMSTANCES)
  assert.is(appraisal.tier, "contraindicated")
  assert.equal(codesOf(appraisal), ["NO_POLICY"])
  assert.equal(appraisal.vector, {})
})

test("tells every failure and not only the first, the worst first", () => {
  const broken = { ...goodClaims, replay: undefined, clockInfo: { ...goodClaims.clockInfo, safe: false } }
  const appraisal = appraise(broken, compiledWith(), { ...CIRCUMSTANCES, audience: "attacker" })
  assert.equal(codesOf(appraisal).toSorted(), [
    "AK_BINDING_UNPROVEN",
    "AUDIENCE",
    "CLOCK_INFO_UNSAFE",
    "EVENT_LOG_MISSING",
  ])
  const ranks = appraisal.findings.map(({ tier }) => rank(tier))
  assert.equal(
    ranks,
    ranks.toSorted((x, y) => y - x),
  )
})

test("makes no tier better than the vector", () => {
  const claims = { ...goodClaims, replay: undefined }
  const { tier, vector } = appraise(claims, compiledWith(), CIRCUMSTANCES)
  for (const value of Object.values(vector)) assert.ok(rank(tier) >= rank(tierOf(value)))
})

// T-08: a step that fails, however it fails, is a refusal.

const failing = <T extends object>(whole: T, member: keyof T, thrown: unknown): T =>
  Object.defineProperty({ ...whole }, member, {
    get: () => {
      throw thrown
    },
  })
const broken: [
  name: string,
  claims: Verified<Claims>,
  circumstances: Circumstances,
  rules: readonly string[],
][] = [
  [
    "T-08 rules that fail on the PCR values",
    failing(goodClaims, "pcrs", new RangeError("boom")),
    CIRCUMSTANCES,
    ["pcr-selection", "reference-sets", "sha1-bank", "unextended-boot-pcrs"],
  ],
  [
    "T-08 a rule that fails on the key",
    failing(goodClaims, "ak", new Error("boom")),
    CIRCUMSTANCES,
    ["ak-algorithm"],
  ],
  [
    "T-08 a rule that fails on the log",
    failing(goodClaims, "replay", new Error("boom")),
    CIRCUMSTANCES,
    ["event-log"],
  ],
  [
    "T-08 rules that fail on the clock",
    failing(goodClaims, "clockInfo", new Error("boom")),
    CIRCUMSTANCES,
    ["clock-order", "clock-safe", "resets"],
  ],
  [
    "T-08 a rule that fails on the firmware",
    failing(goodClaims, "firmwareVersion", new Error("boom")),
    CIRCUMSTANCES,
    ["tpm-firmware"],
  ],
  [
    "T-08 rules that fail on what is known from before",
    goodClaims,
    failing(CIRCUMSTANCES, "before", new Error("boom")),
    ["clock-order", "resets", "tpm-firmware"],
  ],
  [
    "T-08 rules that fail on the audience",
    goodClaims,
    failing(CIRCUMSTANCES, "audience", new Error("boom")),
    ["audience"],
  ],
  [
    "T-08 rules that fail on what vouches for the keys",
    failing(goodClaims, "endorsements", new Error("boom")),
    CIRCUMSTANCES,
    ["ak-binding", "ek", "tpm-maker"],
  ],
  [
    "T-08 a rule that fails on the TPM's advisories",
    goodClaims,
    failing(CIRCUMSTANCES, "advisories", new Error("boom")),
    ["tpm-advisories"],
  ],
  [
    "T-08 a rule that throws what is no error",
    failing(goodClaims, "replay", "boom"),
    CIRCUMSTANCES,
    ["event-log"],
  ],
  [
    "T-08 a rule that throws a coded error",
    failing(goodClaims, "replay", new AssayError("INTERNAL", "boom")),
    CIRCUMSTANCES,
    ["event-log"],
  ],
]
for (const [name, claims, circumstances, rules] of broken)
  test(`refuses ${name}, and still runs all others`, () => {
    const appraisal = appraise(claims, compiledWith({ "clock.resetsMax": 1 }), circumstances)
    assert.is(appraisal.tier, "contraindicated")
    const failed = appraisal.findings.filter(({ code }) => code === "RULE_FAILED")
    assert.equal(failed.map(({ rule }) => rule).toSorted(), rules)
    assert.ok(failed.every(({ tier }) => tier === "contraindicated"))
    assert.is(appraisal.findings.length, Object.keys(RULES).length)
    assert.not.match(JSON.stringify(appraisal), "boom")
  })

for (const [part, rules] of [
  ["references", ["reference-sets"]],
  ["ak", ["ak-algorithm", "ak-binding"]],
  ["session", ["audience"]],
  ["clock", ["clock-safe", "resets"]],
  ["tpm", ["tpm-advisories", "tpm-firmware", "tpm-maker"]],
] as const)
  test(`refuses T-08 rules that fail on the policy's ${part}, and still runs all others`, () => {
    const policy = compilePolicy(failing(policyWith(), part, new RangeError("boom")))
    const { tier, findings } = appraise(goodClaims, policy, CIRCUMSTANCES)
    assert.is(tier, "contraindicated")
    const failed = findings.filter(({ code }) => code === "RULE_FAILED")
    assert.equal(failed.map(({ rule }) => rule).toSorted(), rules)
    assert.ok(failed.every(({ tier }) => tier === "contraindicated"))
    assert.is(findings.length, Object.keys(RULES).length)
  })

test("refuses T-08 each device for what is found of itself, whoever was judged before", () => {
  const policy = compiledWith()
  for (const audience of ["first", "gateway", "second", "second"]) {
    const { findings } = appraise(goodClaims, policy, { ...CIRCUMSTANCES, audience })
    const found = findings.find(({ rule }) => rule === "audience")
    assert.is(found?.actual, audience === "gateway" ? undefined : audience)
    assert.is(found?.tier, audience === "gateway" ? "affirming" : "contraindicated")
  }
})

test("gives what says the same twice as one object", () => {
  const policy = compiledWith()
  const [first, second] = [0, 1].map(() => appraise(goodClaims, policy, CIRCUMSTANCES).findings)
  assert.ok(first?.every((finding, i) => finding === second?.[i]))
})

test("refuses T-08 evidence that verification refused, with its one finding and no claim that could be believed", () => {
  const failure = new AssayError("PCR_DIGEST", "not these", { location: "here", expected: "a", actual: "b" })
  const appraisal = refuted(failure)
  assert.is(appraisal.tier, "contraindicated")
  assert.equal(appraisal.findings, [
    {
      rule: "verification",
      tier: "contraindicated",
      code: "PCR_DIGEST",
      location: "here",
      expected: "a",
      actual: "b",
    },
  ])
  assert.equal(new Set(Object.values(appraisal.vector)), new Set([99]))
  assert.ok(Object.keys(appraisal.vector).every((claim) => TRUST_CLAIMS.some((known) => known === claim)))
  assert.ok("executables" in appraisal.vector && "configuration" in appraisal.vector)
})

// Whatever is wrong besides never helps.

interface State {
  readonly claims: Verified<Claims>
  readonly terms: Readonly<Record<string, unknown>>
  readonly circumstances: Circumstances
}
type Defect = (state: State) => State
const term =
  (path: string, value: unknown): Defect =>
  (state) => ({ ...state, terms: { ...state.terms, [path]: value } })
const claim =
  (change: Partial<Claims>): Defect =>
  (state) => ({ ...state, claims: { ...state.claims, ...change } })
const withBank = (
  hash: HashName,
  change: (bank: Map<number, Uint8Array>) => Map<number, Uint8Array>,
): Defect => {
  return (state) => {
    const bank = change(new Map(state.claims.pcrs.get(hash) ?? []))
    return claim({ pcrs: new Map([...state.claims.pcrs, [hash, bank]]) })(state)
  }
}
const later = {
  ...goodClaims.clockInfo,
  resetCount: goodClaims.clockInfo.resetCount + 1,
  firmwareVersion: 7n,
  recordedAt: EARLIER,
}
const DEFECTS: readonly [name: string, defect: Defect][] = [
  ["no log", claim({ replay: undefined })],
  ["an unsafe clock", claim({ clockInfo: { ...goodClaims.clockInfo, safe: false } })],
  ["another firmware", claim({ firmwareVersion: 99n })],
  ["a key of another kind", claim({ ak: { scheme: "rsapss", hash: "sha384" } })],
  ["a PCR less", withBank("sha256", (bank) => new Map([...bank].filter(([pcr]) => pcr !== 4)))],
  ["a PCR of another value", withBank("sha256", (bank) => bank.set(7, new Uint8Array(32).fill(1)))],
  ["a PCR that was not extended", withBank("sha256", (bank) => bank.set(2, new Uint8Array(32)))],
  ["a SHA-1 bank", withBank("sha1", (bank) => bank.set(0, new Uint8Array(20).fill(1)))],
  [
    "a later quote before it",
    (state) => ({ ...state, circumstances: { ...state.circumstances, before: later } }),
  ],
  [
    "another audience",
    (state) => ({ ...state, circumstances: { ...state.circumstances, audience: "attacker" } }),
  ],
  ["a policy that wants another firmware", term("tpm.firmwareVersions", ["00000000000000ff"])],
  ["a policy that wants another scheme", term("ak.schemes", ["rsassa"])],
  ["a policy that wants another hash", term("ak.hashes", ["sha512"])],
  ["a policy that wants a proven key", term("ak.binding", "proven")],
  ["a policy that wants one more PCR", term("evidence.pcrs", [0, 1, 2, 3, 4, 5, 6, 7, 14])],
  ["a policy that wants one more bank", term("evidence.banks", ["sha256", "sha384"])],
  ["a policy that refuses an unsafe clock", term("clock.unsafe", "refused")],
  ["a policy that refuses resets", term("clock.resetsMax", 0)],
  ["a policy that refuses another firmware", term("tpm.firmwareChange", "refused")],
  ["a policy with a reference less", term("references.0.pcrs.sha256.7", undefined)],
  ["a policy whose reference is another", term("references.0.pcrs.sha256.0", "11".repeat(32))],
  ["a policy for raw nonces", term("evidence.rawNonce", true)],
]
const tierWith = (defects: readonly Defect[]): Tier => {
  const start: State = { claims: goodClaims, terms: {}, circumstances: CIRCUMSTANCES }
  const { claims, terms, circumstances } = defects.reduce((state, defect) => defect(state), start)
  return appraise(claims, compiledWith(terms), circumstances).tier
}

test("never improves by one more defect of the evidence, or one more demand of the policy", () => {
  fc.assert(
    fc.property(fc.subarray([...DEFECTS]), fc.constantFrom(...DEFECTS), (some, more) => {
      const before = tierWith(some.map(([, defect]) => defect))
      const after = tierWith([...some, more].map(([, defect]) => defect))
      assert.ok(rank(after) >= rank(before), `${some.map(([name]) => name).join(", ")}; ${more[0]}`)
    }),
    { numRuns: 150 },
  )
})

/** By themselves no reason to refuse: a warning, or a demand that the good device meets. */
const HARMLESS_ALONE = new Set([
  "an unsafe clock",
  "another firmware",
  "a key of another kind",
  "a policy that refuses an unsafe clock",
  "a policy that refuses resets",
  "a policy that refuses another firmware",
])
for (const [name, defect] of DEFECTS)
  if (!HARMLESS_ALONE.has(name))
    test(`refuses a good device for ${name} alone`, () => {
      assert.is(tierWith([defect]), "contraindicated")
    })

test.run()
