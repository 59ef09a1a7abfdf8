import { suite } from "uvu"
import * as assert from "uvu/assert"
import { prepareScenario } from "./crash.ts"
import { enrollScenario, revokeScenario, verifyScenario } from "./scenarios.ts"

/*
 * A sample: `make test-faults` crashes at every point of every use case.
 */

const test = suite("a crash in the middle of a call")

const samples = [
  ["verify", verifyScenario, ["journal.append:after"]],
  ["enroll", enrollScenario, ["devices.enroll:after"]],
  ["revoke", revokeScenario, ["devices.change:before"]],
] as const
for (const [name, make, points] of samples)
  test(`S-07 leaves nothing half done of ${name}, and no token without record and spent challenge`, async () => {
    const scenario = await prepareScenario(make())
    try {
      for (const point of points) {
        const crash = await scenario.crashAt(point)
        assert.equal(crash, { scenario: name, point, died: true, answered: false, failure: undefined })
      }
    } finally {
      scenario.close()
    }
  })

test.run()
