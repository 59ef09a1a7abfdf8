import type { Mutant } from "./mutant.ts"

/** A mutant of a file, in short; as the members of `Mutant`. */
export type MutantRow = readonly [id: string, named: string, find: string, replace: string, why: string]

/** The mutants of one file that one test file notices. What is named for a class of the catalogue covers it. */
export const mutantsOf = (file: string, test: string, rows: readonly MutantRow[]): readonly Mutant[] =>
  rows.map(([id, named, find, replace, why]) => ({
    id,
    named,
    covers: /^[A-Z]-\d\d$/.test(named) ? [named] : [],
    file,
    find,
    replace,
    tests: [test],
    why,
  }))
