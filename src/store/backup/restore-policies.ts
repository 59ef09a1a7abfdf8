import { integer, type Row, text } from "../row.ts"
import type { Work } from "../statement.ts"
import { greatest, type Met, meet, type Restoring } from "./merge.ts"
import { BACKUP_TABLES, type PlainTable } from "./tables.ts"

const revisionOf = (row: Row): number => integer(row, "revision")
const nameOf = (row: Row): string => JSON.stringify([text(row, "tenant"), text(row, "name")])

/**
 * Policies as the backup has them, each as a further revision of its name: what was judged under a revision that is lost
 * must not pass for judged under another document. Documents stay, and one that only the store has goes on as it is.
 */
export function* restorePolicies(restoring: Restoring): Work<void> {
  const { writes } = restoring
  const { policies, policy_documents, default_policies, group_policies } = BACKUP_TABLES
  const revisions = new Map<string, number>()
  yield* meet(restoring, policies, function* (met) {
    const row = { ...met.backup, ...met.stored }
    const revision = greatest(revisionOf, met) + 1
    revisions.set(nameOf(row), revision)
    const write = met.stored === undefined ? policies.insert : policies.update
    yield* writes.add(write({ ...row, revision }))
  })
  let latest: Met | undefined
  function* moveOn(): Work<void> {
    const row = latest?.backup ?? latest?.stored
    if (row !== undefined)
      yield* writes.add(policy_documents.insert({ ...row, revision: revisions.get(nameOf(row)) ?? 0 }))
    latest = undefined
  }
  yield* meet(restoring, policy_documents, function* ({ stored, backup }) {
    const row = { ...backup, ...stored }
    const known = latest?.backup ?? latest?.stored
    if (known !== undefined && nameOf(known) !== nameOf(row)) yield* moveOn()
    latest = { stored: stored ?? latest?.stored, backup: backup ?? latest?.backup }
    if (stored === undefined) yield* writes.add(policy_documents.insert(row))
  })
  yield* moveOn()
  yield* writes.flush()
  for (const table of [default_policies, group_policies]) yield* replace(restoring, table)
}

/** Makes a table what it is in the backup. */
function* replace(restoring: Restoring, table: PlainTable): Work<void> {
  yield* meet(restoring, table, function* ({ stored, backup }) {
    if (backup === undefined) {
      if (stored !== undefined) yield* restoring.writes.add(table.remove(stored))
    } else yield* restoring.writes.add((stored === undefined ? table.insert : table.update)(backup))
  })
}
