/** The first 2,000 of the histories that `make soak` runs 100,000 of, in files that run beside one another: part 1. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { runLogHistories } from "../support/log-histories.ts"

const test = suite("histories of event logs, part 1")

test("answers alike with caches and without, whatever devices show, name, withhold and alter", async () => {
  const { counts, failures } = await runLogHistories(0, 700)
  assert.equal(failures, [])
  for (const outcome of ["a session", "a result", "EVENT_LOG_NEEDED", "EVENT", "FRAMING"])
    assert.ok((counts[outcome] ?? 0) > 30, `${outcome}: ${counts[outcome]}`)
})

test.run()
