import { blob, integer, type Row, text } from "../row.ts"
import type { Work } from "../statement.ts"
import { greatest, meet, type Restoring, tenantOf } from "./merge.ts"
import { BACKUP_TABLES, type PlainTable } from "./tables.ts"

type Sort = "anchors" | "intermediates" | "crls" | "crl_bytes" | "eks"
type Tally = Record<Sort, number>

/**
 * Trust out of a backup. Into an empty store all of it; else nothing is trusted that was not trusted both then and lately:
 * anchors and listed keys that were added since go, and those that were removed since do not come back. Certificates of
 * issuers and revocation lists stay the latest ones. Every generation moves on.
 */
export function* restoreTrust(restoring: Restoring): Work<void> {
  const { trust_anchors, trust_intermediates, trust_crls, listed_eks, pending_issuers, trust_state } =
    BACKUP_TABLES
  const tallies = new Map<string, Tally>()
  const tallyOf = (tenant: string): Tally => {
    const tally = tallies.get(tenant) ?? { anchors: 0, intermediates: 0, crls: 0, crl_bytes: 0, eks: 0 }
    tallies.set(tenant, tally)
    return tally
  }
  const count = (sort: Exclude<Sort, "crl_bytes">) => (row: Row) => {
    const tally = tallyOf(text(row, "tenant"))
    tally[sort] += 1
    if (sort === "crls") tally.crl_bytes += blob(row, "crl").length
  }
  yield* common(restoring, trust_anchors, count("anchors"))
  yield* latest(restoring, trust_intermediates, count("intermediates"))
  yield* latest(restoring, trust_crls, count("crls"))
  yield* common(restoring, listed_eks, count("eks"))
  yield* latest(restoring, pending_issuers, () => {})
  yield* meet(restoring, trust_state, function* (met) {
    const tenant = tenantOf(met)
    const generation = greatest((row) => integer(row, "generation"), met) + 1
    const write = met.stored === undefined ? trust_state.insert : trust_state.update
    yield* restoring.writes.add(write({ tenant, generation, ...tallyOf(tenant) }))
  })
}

/** What both have stays as the store has it. */
function* common(restoring: Restoring, table: PlainTable, kept: (row: Row) => void): Work<void> {
  const { isEmpty, writes, counts } = restoring
  yield* meet(restoring, table, function* ({ stored, backup }) {
    if (stored !== undefined && backup !== undefined) return kept(stored)
    if (stored !== undefined) {
      counts.trustRemoved += 1
      return yield* writes.add(table.remove(stored))
    }
    if (backup === undefined) return
    if (!isEmpty) {
      counts.trustWithheld += 1
      return
    }
    kept(backup)
    yield* writes.add(table.insert(backup))
  })
}

/** What the store has stays; of one that has nothing, it is what the backup has. */
function* latest(restoring: Restoring, table: PlainTable, kept: (row: Row) => void): Work<void> {
  yield* meet(restoring, table, function* ({ stored, backup }) {
    const row = stored ?? (restoring.isEmpty ? backup : undefined)
    if (row === undefined) return
    kept(row)
    if (stored === undefined) yield* restoring.writes.add(table.insert(row))
  })
}
