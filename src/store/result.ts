import type { Commit, LastResult } from "../service/ports.ts"

/** What is to be stored after a device got `ours` while `stored` was there: of each part the later one. */
export const laterResult = (
  stored: LastResult | undefined,
  { admitted, ...ours }: NonNullable<Commit["result"]>,
): LastResult => {
  const before = stored?.admittedAt
  const admittedAt = admitted && (before === undefined || before < ours.at) ? ours.at : before
  return stored !== undefined && stored.at > ours.at ? { ...stored, admittedAt } : { ...ours, admittedAt }
}
