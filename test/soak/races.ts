/** Races for one challenge over replicas, on each engine and with the engine killed at any moment. */
import { isThere } from "../support/prerequisites.ts"
import { type RaceKind, raceSpends } from "../support/races.ts"
import type { Suite, Tally } from "./suite.ts"

const KINDS: readonly RaceKind[] = ["redis", "postgres", "memory"]
const RACES = 60
const SPENDS = 1000
/** The moments at which engines are killed lie evenly over a race, in an order that has nothing to do with the engine's. */
const GOLDEN = 0.618_033_988_75

const race = async (number: number): Promise<Tally> => {
  const kind = KINDS[number % KINDS.length] ?? "memory"
  if (kind !== "memory" && !isThere(kind))
    return { counts: { [`${kind}: not installed`]: SPENDS }, failures: [] }
  const figures = await raceSpends(kind, { spends: SPENDS, killAt: (number * GOLDEN) % 1 })
  const { successes, refused, unavailable } = figures
  return {
    counts: {
      [`${kind}: succeeded`]: successes,
      [`${kind}: refused`]: refused,
      [`${kind}: unavailable`]: unavailable,
    },
    failures:
      successes > 1 ? [`${successes} spends of one challenge succeeded: ${JSON.stringify(figures)}`] : [],
  }
}

/** Each race is a thousand spends over three replicas, whose engine is killed and started again in the middle. */
export const races: Suite = {
  name: "spends of one challenge over replicas",
  volume: RACES * SPENDS,
  notes: Object.fromEntries(KINDS.map((kind) => [`${kind}: succeeded`, "one for each race at most"])),
  // A race is larger than a block, and is run with its first one.
  run: async (from) => (from % SPENDS === 0 ? race(from / SPENDS) : { counts: {}, failures: [] }),
}
