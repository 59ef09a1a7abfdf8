/** Tokens as whoever relies on them sees them: a library of others verifies each with the published keys. */
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from "jose"

/** How many different ones of `tokens` verify with `keys`. */
export async function countVerified(tokens: readonly string[], keys: JSONWebKeySet): Promise<number> {
  const keySet = createLocalJWKSet(keys)
  let verified = 0
  for (const token of new Set(tokens))
    await jwtVerify(token, keySet).then(
      () => verified++,
      () => {}, // not counted, and so missed
    )
  return verified
}

/** What calls left behind, beside how many there were. */
export interface Counts {
  readonly calls: number
  /** Different tokens that verify. */
  readonly tokens: number
  /** New rows of the journal. */
  readonly journalRecords: number
}

/** Nothing yet. */
export const NO_COUNTS: Counts = { calls: 0, tokens: 0, journalRecords: 0 }

/** Both together. */
export const plus = (one: Counts, other: Counts): Counts => ({
  calls: one.calls + other.calls,
  tokens: one.tokens + other.tokens,
  journalRecords: one.journalRecords + other.journalRecords,
})

/** Where they are not as many, in words; nothing if they are. */
export const differences = (what: string, { calls, tokens, journalRecords }: Counts): readonly string[] =>
  tokens === calls && journalRecords === calls
    ? []
    : [`${what}: ${calls} calls, but ${tokens} verified tokens and ${journalRecords} records of the journal`]
