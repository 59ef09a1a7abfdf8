/** What one stretch of a suite came to. */
export interface Tally {
  /** Cases by how they came out; what counts is for the table alone. */
  readonly counts: Readonly<Record<string, number>>
  /** What must not be, each in words that let a person look into it. */
  readonly failures: readonly string[]
}

/** A suite that is too large for `make test`. */
export interface Suite {
  readonly name: string
  /** Cases in all. */
  readonly volume: number
  /** What counts mean, by their labels. */
  readonly notes?: Readonly<Record<string, string>>
  /** Runs the cases from one number up to, but without, another: the same cases for the same numbers. */
  readonly run: (from: number, to: number) => Promise<Tally>
}
