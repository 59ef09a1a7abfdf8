/** The first 2,000 of the histories that `make soak` runs 100,000 of, in files that run beside one another: part 2. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { OUTCOMES, runHistories } from "../support/histories/run.ts"

const test = suite("histories, with caches and without, part 2")

test("answers alike with every cache and with none, C-01, C-04 and C-05, whatever moves and whatever is shown", async () => {
  const { counts, failures } = await runHistories(700, 1400)
  assert.equal(failures, [])
  for (const [outcome, least] of OUTCOMES)
    assert.ok((counts[outcome] ?? 0) >= least, `${outcome}: ${counts[outcome]}`)
})

test.run()
