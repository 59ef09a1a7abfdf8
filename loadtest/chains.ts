/** Rounds of certificate paths, bare and Assay's in turn; see `chains-server.ts`. */
import type { ChainsFunctions } from "./chains-server.ts"
import type { Child } from "./child.ts"
import type { Plan } from "./measure.ts"
import { type Spread, spreadOf } from "./statistics.ts"

/** One kind of path, and among how many anchors its own is. */
export interface ChainCase {
  readonly algorithm: "rsa-2048" | "p256"
  readonly anchors: number
}

/** CPU µs of one path. */
export interface ChainRound {
  readonly bare: number
  readonly verify: number
}

/** A case over all rounds. CPU times in µs, medians and extremes. */
export interface ChainReport extends ChainCase {
  readonly bare: Spread
  readonly verify: Spread
  /** Of the two figures of each round. */
  readonly ratio: Spread
  /** Of the ratio, against that with `FEW` anchors, round by round; for `MANY` alone. */
  readonly growth?: Spread
}

const FEW = 10
const MANY = 1000
const CASES: readonly ChainCase[] = (["rsa-2048", "p256"] as const).flatMap((algorithm) =>
  [1, FEW, MANY].map((anchors) => ({ algorithm, anchors })),
)
const ROUNDS = 5
/** Paths in one round, and before the first one for the compiler. */
const CALLS_MAX = 200
const WARM_CALLS = 300
/** Of a round that is smaller than others, so many before it. */
const WARM_EACH = 5
/** What a path may cost at most, as a multiple of the bare work, and with many anchors instead of few. */
export const RATIO_MAX = 3
export const GROWTH_MAX = 1.2

/** Measures all cases round by round, as `measure` does. */
export async function measureChains(
  child: Child<ChainsFunctions>,
  { calls }: Plan,
): Promise<readonly ChainReport[]> {
  const rounds = CASES.map((): ChainRound[] => [])
  for (const one of CASES) await child.ask("chain", one, Math.min(WARM_CALLS, WARM_EACH * calls))
  for (let round = 0; round < ROUNDS; round++)
    for (const [i, one] of CASES.entries())
      rounds[i]?.push(await child.ask("chain", one, Math.min(calls, CALLS_MAX)))
  return CASES.map((one, i) => {
    const own = rounds[i] ?? []
    const few =
      rounds[CASES.findIndex(({ algorithm, anchors }) => algorithm === one.algorithm && anchors === FEW)]
    // By their ratios: so the bare work tells how slow the machine was in either window.
    const growth = own.map((round, n) => ratioOf(round) / ratioOf(few?.[n] ?? NEVER))
    return {
      ...one,
      bare: spreadOf(own, ({ bare }) => bare),
      verify: spreadOf(own, ({ verify }) => verify),
      ratio: spreadOf(own, ratioOf),
      ...(one.anchors === MANY && { growth: spreadOf(growth, (figure) => figure) }),
    }
  })
}

const ratioOf = ({ bare, verify }: ChainRound): number => verify / bare
const NEVER: ChainRound = { bare: Number.NaN, verify: Number.NaN }

/** What costs more than it may, in words. */
export const excesses = (chains: readonly ChainReport[]): readonly string[] =>
  chains.flatMap(({ algorithm, anchors, ratio, growth }) => {
    const path = `a path of ${algorithm} with anchors: ${anchors}`
    return [
      ...(ratio.median <= RATIO_MAX
        ? []
        : [`${path} costs ${ratio.median.toFixed(2)} times the bare work, over ${RATIO_MAX}`]),
      ...(growth === undefined || growth.median <= GROWTH_MAX
        ? []
        : [`${path} costs ${growth.median.toFixed(2)} times what it does with ${FEW}, over ${GROWTH_MAX}`]),
    ]
  })
