/** The steps of one Verify, each measured by itself; see `steps-server.ts`. */
import type { Child } from "./child.ts"
import type { Case, Plan } from "./measure.ts"
import { median } from "./statistics.ts"
import type { Steps, StepsFunctions } from "./steps-server.ts"

/** Requests at once in the loop of a step: so few that a collection comes to other steps in other rounds, and to no median. */
const CALLS_MAX = 64
/** The compiler goes on making steps cheaper for some thousands of calls. */
const WARM_ROUNDS = 40
const ROUNDS = 9

/** Medians of a few rounds, for each case. */
export async function measureSteps(
  child: Child<StepsFunctions>,
  cases: readonly Case[],
  { calls, inFlight }: Plan,
): Promise<readonly Steps[]> {
  const rounds = cases.map((): Steps[] => [])
  for (let round = -WARM_ROUNDS; round < ROUNDS; round++)
    for (const [i, one] of cases.entries()) {
      const steps = await child.ask("steps", one, Math.min(calls, CALLS_MAX), inFlight)
      if (round >= 0) rounds[i]?.push(steps)
    }
  return rounds.map(mediansOf)
}

const mediansOf = (rounds: readonly Steps[]): Steps =>
  Object.fromEntries(
    Object.keys(rounds[0] ?? {}).map((name) => [
      name,
      median(rounds.map((steps) => steps[name] ?? Number.NaN)),
    ]),
  )
