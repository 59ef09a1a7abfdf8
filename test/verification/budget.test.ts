import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { SubjectPublicKey } from "../../src/evidence/x509/public-key.ts"
import { Budget, CANDIDATES_MAX } from "../../src/verification/budget.ts"
import { throwsCode } from "../support/assert.ts"

const onCurve = (curve: "P-256" | "P-384" | "P-521"): SubjectPublicKey => ({
  kind: "ec",
  curve,
  point: new Uint8Array(),
})
const rsa = (modulusBytes: number): SubjectPublicKey => ({
  kind: "rsa",
  modulus: new Uint8Array(modulusBytes),
  exponent: Uint8Array.of(1, 0, 1),
  oaep: false,
})

const test = suite("Budget")

const keys: [name: string, key: SubjectPublicKey, checks: number][] = [
  ["P-256", onCurve("P-256"), 32],
  ["P-384", onCurve("P-384"), 10],
  ["P-521", onCurve("P-521"), 6],
  ["RSA with 2048 bits", rsa(256), 32],
  ["RSA with 4096 bits", rsa(512), 32],
  ["RSA with more than 4096 bits", rsa(513), 10],
]
for (const [name, key, checks] of keys)
  test(`refuses X-17 more than ${checks} signatures by ${name}`, () => {
    const budget = new Budget()
    for (let i = 0; i < checks; i++) budget.signature(key)
    throwsCode(() => budget.signature(key), "PATH")
  })
test("refuses X-17 what signatures of several kinds cost together", () => {
  const budget = new Budget()
  for (let i = 0; i < 5; i++) budget.signature(onCurve("P-521"))
  for (let i = 0; i < 2; i++) budget.signature(onCurve("P-384"))
  budget.signature(onCurve("P-256"))
  throwsCode(() => budget.signature(onCurve("P-256")), "PATH")
})
test("refuses X-17 more candidates than it looks at, whatever signatures are left", () => {
  const budget = new Budget()
  for (let i = 0; i < CANDIDATES_MAX; i++) budget.candidate()
  throwsCode(() => budget.candidate(), "PATH")
  assert.is(CANDIDATES_MAX, 2048)
})
test.run()
