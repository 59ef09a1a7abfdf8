/** One check taken away. A test whose name carries `named` has to notice. */
export interface Mutant {
  readonly id: string
  /** What the name of a test that fails has to contain: the class of the attack catalogue, where the check has one. */
  readonly named: string
  /** Rows of the table of quote checks (`row-1` to `row-12`, `clock`) and catalogue classes that the check stands for. */
  readonly covers: readonly string[]
  readonly file: string
  /** Occurs exactly once in the file. */
  readonly find: string
  readonly replace: string
  readonly tests: readonly string[]
  /** What gets through without the check. */
  readonly why: string
}
