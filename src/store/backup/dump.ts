import { sql } from "kysely"
import { AssayError } from "../../errors.ts"
import { integer, type Row, text } from "../row.ts"
import { rowOf, rowsOf, statement, type Work } from "../statement.ts"
import { createBackupCheck } from "./check.ts"
import { type BackupEnd, type BackupHeader, createBackupLines } from "./format.ts"
import { BACKUP_ORDER, BACKUP_TABLES, type BackupTable } from "./tables.ts"

const countTenants = statement<Record<never, never>>((builder) => ({
  compile: () => sql`SELECT count(*) AS tenants FROM tenants`.compile(builder),
}))

/**
 * Writes a store as the lines of a backup. For work that reads one state. Records and checkpoints that lie before the
 * beginning of their chain, and only wait to be removed, stay behind.
 *
 * @param write Is given each line with its line feed.
 * @param progress Is told how many rows there were.
 * @throws {AssayError} REGISTRY for a row that is not as it was stored: no backup is made of a store that is damaged.
 */
export function* dumpStore(
  header: Omit<BackupHeader, "tenants">,
  write: (line: string) => void,
  progress: (rows: number) => void = () => {},
): Work<BackupEnd> {
  const lines = createBackupLines()
  const check = createBackupCheck()
  const counted = yield* rowOf(countTenants({}))
  const tenants = counted === undefined ? 0 : integer(counted, "tenants")
  write(`${lines.header({ ...header, tenants })}\n`)
  const isPast = yield* beforeBeginnings()
  let rows = 0
  for (const table of BACKUP_ORDER)
    for (let last: Row | undefined; ; ) {
      const page = yield* rowsOf(table.page(last))
      for (const row of page) {
        if (isPast(table, row)) continue
        const one = { table, row }
        write(`${undamaged(table, () => lines.row(one))}\n`)
        undamaged(table, () => check.take(one))
        rows += 1
        progress(rows)
      }
      if (page.length === 0) break
      last = page.at(-1)
    }
  undamaged(BACKUP_TABLES.store_epoch, () => check.end())
  const { line, end } = lines.end()
  write(`${line}\n`)
  return end
}

const undamaged = <T>({ name }: BackupTable, act: () => T): T => {
  try {
    return act()
  } catch (cause) {
    throw new AssayError("REGISTRY", "the store is damaged: no backup of it could be restored", {
      location: name,
      cause,
    })
  }
}

const chainOf = (row: Row): string => JSON.stringify([text(row, "tenant"), text(row, "writer")])

/** Whether a row is of the journal as it was before older records were removed. */
function* beforeBeginnings(): Work<(table: BackupTable, row: Row) => boolean> {
  const anchors = new Map<string, { readonly number: number; readonly sequence: number }>()
  for (let last: Row | undefined; ; ) {
    const page = yield* rowsOf(BACKUP_TABLES.journal_anchors.page(last))
    for (const row of page)
      anchors.set(chainOf(row), { number: integer(row, "number"), sequence: integer(row, "sequence") })
    if (page.length === 0) break
    last = page.at(-1)
  }
  return ({ name }, row) => {
    if (name === "journal") return integer(row, "sequence") <= (anchors.get(chainOf(row))?.sequence ?? 0)
    if (name === "journal_checkpoints")
      return integer(row, "number") < (anchors.get(chainOf(row))?.number ?? 0)
    return false
  }
}
