import type { Trade } from "../../src/workers/offers.ts"

/** What test workers are told. */
export interface TestTrade extends Trade {
  readonly begin: { readonly keys: readonly string[]; readonly fails: boolean }
  readonly use: string
  readonly verdict: string
}
