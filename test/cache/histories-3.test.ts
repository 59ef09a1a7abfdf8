/** The first 2,000 of the histories that `make soak` runs 100,000 of, in files that run beside one another: part 3. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { OUTCOMES, runHistories } from "../support/histories/run.ts"

const test = suite("histories, with caches and without, part 3")

test("answers alike with every cache and with none, C-01, C-04 and C-05, whatever moves and whatever is shown", async () => {
  const { counts, failures } = await runHistories(1400, 2000)
  assert.equal(failures, [])
  for (const [outcome, least] of OUTCOMES)
    assert.ok((counts[outcome] ?? 0) >= least, `${outcome}: ${counts[outcome]}`)
})

/** Found by a run of all of them, one stretch for each: what comes before in it has to come before. */
const FOUND: readonly (readonly [what: string, from: number, to: number])[] = [
  ["a log that a device named under another id", 95_466, 95_470],
  ["a log that was named by three at a time", 9776, 9785],
  ["a challenge that memory alone had spent, when the clock steps back", 96_160, 96_198],
  ["the same with an anchor that goes", 89_230, 89_263],
  ["a key that had signed for memory alone when another came", 24_200, 24_216],
]
for (const [what, from, to] of FOUND)
  test(`answers alike with every cache and with none, C-01, C-04 and C-05, where it did not once: ${what}`, async () => {
    assert.equal((await runHistories(from, to)).failures, [])
  })

test.run()
