import { suite } from "uvu"
import * as assert from "uvu/assert"
import { akAlgorithm } from "../../../src/appraisal/rules/ak-algorithm.ts"
import type { Claims } from "../../../src/verification/claims.ts"
import { verdictOf } from "../../support/core.ts"

const test = suite("akAlgorithm")

const rsa: Claims["ak"] = { scheme: "rsassa", hash: "sha384" }
const cases: [name: string, ak: Claims["ak"], terms: Readonly<Record<string, unknown>>, accepted: boolean][] =
  [
    ["accepts any key if the policy names none", rsa, {}, true],
    ["accepts a named scheme", rsa, { "ak.schemes": ["ecdsa", "rsassa"] }, true],
    ["accepts a named hash", rsa, { "ak.hashes": ["sha384"] }, true],
    ["refuses another scheme", rsa, { "ak.schemes": ["ecdsa", "rsapss"] }, false],
    ["refuses another hash", rsa, { "ak.hashes": ["sha256"] }, false],
    [
      "refuses a named scheme with another hash",
      rsa,
      { "ak.schemes": ["rsassa"], "ak.hashes": ["sha512"] },
      false,
    ],
  ]
for (const [name, ak, terms, accepted] of cases)
  test(name, () => {
    const expected = accepted ? ["affirming", undefined] : ["contraindicated", "AK_ALGORITHM"]
    assert.equal(verdictOf(akAlgorithm, { ak }, terms), expected)
  })

test.run()
