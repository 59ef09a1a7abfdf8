import { sameBytes, toHex } from "../../bytes.ts"
import { AssayError } from "../../errors.ts"
import { blob, integer, type Row, text } from "../row.ts"
import { rowOf, statement, type Work } from "../statement.ts"
import type { Restoring } from "./merge.ts"
import { BACKUP_TABLES, type BackupTable } from "./tables.ts"

const selectHash = statement<{ tenant: string; writer: string; sequence: number }>((builder, at) =>
  builder
    .selectFrom("journal")
    .select("hash")
    .where("tenant", "=", at("tenant"))
    .where("writer", "=", at("writer"))
    .where("sequence", "=", at("sequence")),
)

/**
 * The journal out of a backup. An empty store gets it as it is. Any other keeps its own, which has to be the backup's and
 * what came behind it: a journal is never rewritten, and heads that were kept elsewhere go on telling the truth.
 *
 * @throws {AssayError} RESTORE if the store's journal does not go on where that of the backup ends.
 */
export function* restoreJournal(restoring: Restoring): Work<void> {
  const { journal_heads, journal_checkpoints, journal_anchors, journal } = BACKUP_TABLES
  const { isEmpty, source, writes } = restoring
  let compared = 0
  yield* each(restoring, journal_heads, function* (head) {
    if (isEmpty) return yield* writes.add(journal_heads.insert(head))
    if (integer(head, "sequence") === 0) return
    yield* checkContinued(head)
    compared += 1
  })
  if (!isEmpty && compared === 0) throw refusal("the backup has no journal that the store's could be behind")
  for (const table of [journal_checkpoints, journal_anchors, journal])
    yield* each(restoring, table, function* (row) {
      if (isEmpty) yield* writes.add(table.insert(row))
    })
  source.end()
}

function* each(
  { source, writes }: Restoring,
  table: BackupTable,
  visit: (row: Row) => Work<void>,
): Work<void> {
  for (let row = source.peek(table); row !== undefined; row = source.peek(table)) {
    yield* visit(row)
    source.take()
  }
  yield* writes.flush()
}

function* checkContinued(head: Row): Work<void> {
  const [tenant, writer, sequence] = [text(head, "tenant"), text(head, "writer"), integer(head, "sequence")]
  const row = yield* rowOf(selectHash({ tenant, writer, sequence }))
  const location = `record ${sequence} of ${writer} of ${tenant}`
  if (row === undefined)
    throw refusal("the store's journal does not have the last record of the backup, or not any more", {
      location,
    })
  const [expected, actual] = [blob(head, "hash"), blob(row, "hash")]
  if (!sameBytes(expected, actual))
    throw refusal("the store's journal is another one than that of the backup", {
      location,
      expected: toHex(expected),
      actual: toHex(actual),
    })
}

const refusal = (
  what: string,
  details: { readonly location?: string; readonly expected?: string; readonly actual?: string } = {},
): AssayError => new AssayError("RESTORE", `${what}: restore it into an empty store`, details)
