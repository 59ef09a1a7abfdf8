import { suite } from "uvu"
import * as assert from "uvu/assert"
import { type PreparedScenario, prepareScenario } from "./crash.ts"
import { verifyScenario } from "./scenarios.ts"

/*
 * A sample: `make test-faults` crashes at every point of every use case.
 */

const test = suite("a crash in the middle of verify")
let verify: PreparedScenario
test.before(async () => {
  verify = await prepareScenario(verifyScenario())
})
test.after(() => verify.close())

const POINTS = [
  "challenges.spend:after",
  "signer.sign:after",
  "journal.append:before",
  "journal.append:after",
]
for (const point of POINTS)
  test(`S-07 leaves no token without its record and no challenge unspent at ${point}`, async () => {
    assert.equal(await verify.crashAt(point), {
      scenario: "verify",
      point,
      died: true,
      answered: false,
      failure: undefined,
    })
  })

test.run()
