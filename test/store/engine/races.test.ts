import { suite } from "uvu"
import * as assert from "uvu/assert"
import { needs } from "../../support/prerequisites.ts"
import { type RaceKind, raceSpends } from "../../support/races.ts"

const test = suite("raceSpends")

const races: [kind: RaceKind, killAt: number][] = [
  ["memory", 0.5],
  ["redis", 0.2],
  ["redis", 0],
  ["postgres", 0.2],
]
for (const [kind, killAt] of races) {
  const check = kind === "memory" ? test : needs(kind, test)
  const moment = killAt === 0 ? "at once" : "in the middle"
  check(
    `refuses N-05 all but one of 1000 spends over three replicas on ${kind}, killed ${moment}`,
    async () => {
      const { successes, refused, unavailable, spends, ms } = await raceSpends(kind, { killAt })
      console.log(
        `# ${kind}: ${spends} spends, ${successes} succeeded, ${refused} refused, ${unavailable} unavailable, ${ms} ms`,
      )
      assert.is(successes + refused + unavailable, 1000)
      assert.ok(successes <= 1, `${successes} succeeded`)
      // Where it is killed in the middle, somebody has been told by then.
      if (killAt > 0) assert.is(successes, 1)
      assert.ok(refused >= 333, "those that come after it is back are told")
    },
  )
}

test.run()
