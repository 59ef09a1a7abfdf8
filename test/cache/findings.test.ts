import { suite } from "uvu"
import * as assert from "uvu/assert"
import { measure } from "../../src/appraisal/appraise.ts"
import { type CompiledPolicy, compilePolicy } from "../../src/appraisal/compile.ts"
import { parsePolicy } from "../../src/appraisal/policy.ts"
import { cachedMeasure } from "../../src/cache/findings.ts"
import type { HashName } from "../../src/evidence/tpm/algorithm.ts"
import type { PcrValues } from "../../src/evidence/tpm/pcrs.ts"
import { policyDocument, testDevice } from "../support/world.ts"

const test = suite("cachedMeasure")
const device = testDevice()
const policyOf = (document = policyDocument(device)): CompiledPolicy => compilePolicy(parsePolicy(document))

const bytes = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value)
const valuesOf = (bank: HashName, pcrs: readonly number[], value: number): PcrValues =>
  new Map([[bank, new Map(pcrs.map((pcr) => [pcr, bytes(32, value)]))]])
const BOOT = [0, 1, 2, 3, 4, 5, 6, 7]
const shown = (value: number, pcrs = BOOT, bank: HashName = "sha256") => ({
  quote: { hash: "sha256" as const, pcrSelect: [{ hash: bank, pcrs }], pcrDigest: bytes(32, value) },
  measured: { pcrs: valuesOf(bank, pcrs, value), replay: undefined },
})

test("judges what was judged before once, and counts both", () => {
  const cached = cachedMeasure(measure, { max: 10, maxBytes: 1 << 20 })
  const policy = policyOf()
  const { quote, measured } = shown(1)
  const first = cached.measure(quote, measured, policy)
  assert.is(cached.measure(quote, measured, policy), first)
  assert.equal([cached.hits, cached.misses, cached.size, cached.evictions], [1, 1, 1, 0])
  assert.equal(first, measure(quote, measured, policy))
})

const explained = (...banks: readonly HashName[]) => ({
  explained: new Map(banks.map((bank) => [bank, BOOT] as const)),
})
const others: readonly [name: string, other: Parameters<typeof measure>][] = [
  ["C-02 other values", [shown(2).quote, shown(2).measured, policyOf()]],
  [
    "C-03 values of fewer PCRs with a digest that is the same",
    [shown(1, [0, 1]).quote, shown(1, [0, 1]).measured, policyOf()],
  ],
  [
    "C-03 values of another bank with a digest that is the same",
    [shown(1, BOOT, "sha1").quote, shown(1, BOOT, "sha1").measured, policyOf()],
  ],
  [
    "C-03 a digest that is the same by another hash",
    [{ ...shown(1).quote, hash: "sha384" }, shown(1).measured, policyOf()],
  ],
  [
    "C-02 a log that led to them",
    [shown(1).quote, { ...shown(1).measured, replay: explained("sha256") }, policyOf()],
  ],
  ["C-02 a log of no bank", [shown(1).quote, { ...shown(1).measured, replay: explained() }, policyOf()]],
  [
    "C-01 another policy",
    [
      shown(1).quote,
      shown(1).measured,
      policyOf(policyDocument(device, { evidence: { eventLog: "optional" } })),
    ],
  ],
]
for (const [name, other] of others)
  test(`judges ${name} anew`, () => {
    const cached = cachedMeasure(measure, { max: 10, maxBytes: 1 << 20 })
    const policy = policyOf()
    const { quote, measured } = shown(1)
    cached.measure(quote, measured, policy)
    const [otherQuote, otherMeasured, otherPolicy] = other
    const judged = name.startsWith("C-01") ? otherPolicy : policy
    assert.equal(
      cached.measure(otherQuote, otherMeasured, judged),
      measure(otherQuote, otherMeasured, judged),
    )
    assert.is(cached.misses, 2)
  })

test("remembers no rule that failed", () => {
  const cached = cachedMeasure(measure, { max: 10, maxBytes: 1 << 20 })
  const policy = policyOf()
  const { quote, measured } = shown(1)
  const unreadable = Object.defineProperty({ ...policy.terms }, "references", {
    get: () => {
      throw new RangeError("unreadable")
    },
  })
  const broken = compilePolicy(unreadable)
  for (let i = 0; i < 2; i++)
    assert.ok(cached.measure(quote, measured, broken).some(({ code }) => code === "RULE_FAILED"))
  assert.equal([cached.misses, cached.size], [2, 0])
})

test("holds no more than it may, and counts what went", () => {
  const cached = cachedMeasure(measure, { max: 3, maxBytes: 1 << 20 })
  const policy = policyOf()
  for (let i = 0; i < 10; i++) cached.measure(shown(i).quote, shown(i).measured, policy)
  assert.equal([cached.size, cached.evictions], [3, 7])
})

test("is bounded by bytes too, and findings that say more take more", () => {
  const cached = cachedMeasure(measure, { max: 1000, maxBytes: 20_000 })
  const policy = policyOf()
  for (let i = 0; i < 100; i++) cached.measure(shown(i).quote, shown(i).measured, policy)
  assert.ok(cached.size > 0 && cached.size < 20, String(cached.size))
})

test("lets C-06 one policy by which no two devices are alike take nothing from another", () => {
  const cached = cachedMeasure(measure, { max: 10, maxBytes: 1 << 20 })
  const [small, large] = [policyOf(), policyOf()]
  for (let i = 0; i < 2; i++) cached.measure(shown(i).quote, shown(i).measured, small)
  for (let i = 0; i < 100; i++) cached.measure(shown(i).quote, shown(i).measured, large)
  const before = cached.hits
  for (let i = 0; i < 2; i++) cached.measure(shown(i).quote, shown(i).measured, small)
  assert.equal([cached.hits - before, cached.size], [2, 10])
})

test.run()
