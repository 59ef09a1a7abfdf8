/** The middle value; of an even number of them, the mean of the two in the middle. */
export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN
  return (lower + upper) / 2
}

/** What several rounds gave. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** The spread of some figure over rounds. */
export const spreadOf = <T>(rounds: readonly T[], figure: (round: T) => number): Spread => {
  const values = rounds.map(figure)
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) }
}

/** The least of `values` that `percent` of a hundred do not exceed; not a number if there are none. */
export const percentile = (values: readonly number[], percent: number): number =>
  values.toSorted((a, b) => a - b)[Math.max(0, Math.ceil((values.length * percent) / 100) - 1)] ?? Number.NaN
