import { AssayError, type Code } from "../../errors.ts"

/** Why a journal does not hold, with the record where that shows: `location` is its writer and its number. */
export const refusalAt = (
  code: Extract<Code, `JOURNAL_${string}`>,
  writer: string,
  sequence: number,
  what: string,
  details: { readonly expected?: string; readonly actual?: string } = {},
): AssayError =>
  new AssayError(code, `record ${sequence} of ${writer} ${what}`, {
    location: `${writer} ${sequence}`,
    ...details,
  })
