import { suite } from "uvu"
import * as assert from "uvu/assert"
import { audience } from "../../../src/appraisal/rules/audience.ts"
import { verdictOf } from "../../support/core.ts"

const test = suite("audience")

const terms = { "session.audiences": ["gateway", "https://api.example"] }
const cases: [name: string, audience: string | undefined, accepted: boolean][] = [
  ["accepts an audience that the policy names", "gateway", true],
  ["accepts a second audience that the policy names", "https://api.example", true],
  ["accepts that no session is asked for", undefined, true],
  ["refuses an audience that the policy does not name", "billing", false],
  ["refuses a prefix of a named audience", "gate", false],
  ["refuses a named audience in capitals", "Gateway", false],
  ["refuses two named audiences in one text", "gateway https://api.example", false],
  ["refuses an empty audience", "", false],
]
for (const [name, asked, accepted] of cases)
  test(name, () => {
    const expected = accepted ? ["affirming", undefined] : ["contraindicated", "AUDIENCE"]
    assert.equal(verdictOf(audience, {}, terms, { audience: asked }), expected)
  })

test.run()
