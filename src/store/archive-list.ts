import type { KeptRecord, RecordFilter } from "../service/ports.ts"
import { keptRecordFrom } from "./archive-row.ts"
import { ROWS_MAX, selectDevicePage, selectFrom, selectLast, selectPage } from "./archive-statements.ts"
import { integer } from "./row.ts"
import { rowOf, rowsOf, type Work } from "./statement.ts"

/** What is looked through for one page. */
const SCANNED_MAX = 5000

/**
 * By how much the instant of a record may lag behind its place: it is taken when a decision begins, on another clock perhaps.
 * So much later than `until` the search begins, and so much earlier than `since` it ends.
 */
const DISORDER_MS = 3_600_000

/** A page of a tenant's records, the newest first: see `JournalArchive.list`. */
export function* pageOf(
  tenant: string,
  filter: RecordFilter,
  before: number | undefined,
  max: number,
): Work<{ readonly records: readonly KeptRecord[]; readonly next: number | undefined }> {
  const { device } = filter
  const records: KeptRecord[] = []
  let next = before ?? (yield* beginningOf(tenant, filter.until))
  for (let scanned = 0; scanned < SCANNED_MAX; scanned += ROWS_MAX) {
    const part = { tenant, before: next, max: ROWS_MAX }
    const rows = yield* rowsOf(
      device === undefined ? selectPage(part) : selectDevicePage({ ...part, device }),
    )
    for (const row of rows) {
      const record = keptRecordFrom(row)
      if (isOver(record, filter)) return { records, next: undefined }
      if (isWanted(record, filter)) {
        if (records.length === max) return { records, next }
        records.push(record)
      }
      next = record.position
    }
    if (rows.length < ROWS_MAX) return { records, next: undefined }
  }
  return { records, next }
}

const isWanted = ({ content }: KeptRecord, { act, since, until }: RecordFilter): boolean =>
  (act === undefined || content.act === act) &&
  (since === undefined || content.at >= since) &&
  (until === undefined || content.at < until)

const isOver = ({ content }: KeptRecord, { since }: RecordFilter): boolean =>
  since !== undefined && content.at.getTime() < since.getTime() - DISORDER_MS

/** How many records more than needed may be looked through for a beginning. */
const BEGINNING_EXACT = 500

/** A position behind every record before `until`, found by halving: there is no index of instants to keep. */
function* beginningOf(tenant: string, until: Date | undefined): Work<number> {
  const last = yield* rowOf(selectLast({ tenant }))
  let high = last === undefined ? 1 : integer(last, "position") + 1
  if (until === undefined) return high
  let low = 0
  while (high - low > BEGINNING_EXACT) {
    const middle = low + Math.floor((high - low) / 2)
    const row = yield* rowOf(selectFrom({ tenant, position: middle }))
    if (row === undefined || integer(row, "at") >= until.getTime() + DISORDER_MS) high = middle
    else low = integer(row, "position")
  }
  return high
}
