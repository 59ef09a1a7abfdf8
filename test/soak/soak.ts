/** Runs suites in blocks, remembers which are done, and goes on from there. */
import type { Progress, SuiteProgress } from "./progress.ts"
import type { Suite, Tally } from "./suite.ts"

/** Cases that are done or not done together: a few seconds of work. */
export const BLOCK = 200

/** What a run needs of the outside. */
export interface Outside {
  /** Runs cases of the suite somewhere. */
  readonly run: (suite: Suite, from: number, to: number) => Promise<Tally>
  /** Blocks at a time. */
  readonly abreast: number
  readonly save: (progress: Progress) => void
  /** Told after each block. */
  readonly tell: (suite: Suite, done: number) => void
  /** Milliseconds of some clock that does not run backwards. */
  readonly now: () => number
}

/** Runs whatever of the suites is not done yet, and gives the progress at the end: of all cases, those of before too. */
export async function soak(
  suites: readonly Suite[],
  before: Progress,
  { run, abreast, save, tell, now }: Outside,
): Promise<Progress> {
  let progress = before
  for (const suite of suites) {
    let state = progress.suites[suite.name] ?? NOTHING
    const queue = blocksOf(suite).filter((from) => !state.done.includes(from))
    let last = now()
    const worker = async (): Promise<void> => {
      for (let from = queue.shift(); from !== undefined; from = queue.shift()) {
        const tally = await run(suite, from, Math.min(from + BLOCK, suite.volume))
        const time = now()
        state = added(state, from, tally, time - last)
        last = time
        progress = { ...progress, suites: { ...progress.suites, [suite.name]: state } }
        save(progress)
        tell(suite, Math.min(state.done.length * BLOCK, suite.volume))
      }
    }
    await Promise.all(Array.from({ length: abreast }, worker))
  }
  return progress
}

const NOTHING: SuiteProgress = { done: [], counts: {}, failures: [], ms: 0 }

const blocksOf = ({ volume }: Suite): number[] =>
  Array.from({ length: Math.ceil(volume / BLOCK) }, (_, i) => i * BLOCK)

const added = (
  { done, counts, failures, ms }: SuiteProgress,
  from: number,
  tally: Tally,
  passedMs: number,
): SuiteProgress => {
  const sums: Record<string, number> = { ...counts }
  for (const [label, count] of Object.entries(tally.counts)) sums[label] = (sums[label] ?? 0) + count
  return {
    done: [...done, from],
    counts: sums,
    failures: [...failures, ...tally.failures],
    ms: ms + passedMs,
  }
}
