import type { KeptRecord, RecordFilter } from "../service/ports.ts"
import { keptRecordFrom } from "./archive-row.ts"
import {
  ROWS_MAX,
  STRETCH,
  selectDevicePage,
  selectDeviceStretch,
  selectFrom,
  selectLast,
  selectPage,
} from "./archive-statements.ts"
import { integer, type Row } from "./row.ts"
import { type Ask, type Dialect, rowOf, rowsOf, type Work } from "./statement.ts"

/** Records that are looked through for one page. */
const SCANNED_MAX = 5000

/**
 * Stretches that are looked through for one page, half a million positions. Each takes a descent in an index, and most often
 * one page of the file: 4 to 9 µs when the system has it in memory.
 */
const STRETCHES_MAX = 1000

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
  dialect: Dialect,
): Work<{ readonly records: readonly KeptRecord[]; readonly next: number | undefined }> {
  const { device } = filter
  const partBefore =
    dialect === "sqlite" && device !== undefined
      ? stretches(tenant, device, yield* oldestOf(tenant))
      : pages(tenant, device)
  const records: KeptRecord[] = []
  let next = before ?? (yield* beginningOf(tenant, filter.until))
  for (let scanned = 0, parts = 0; scanned < SCANNED_MAX && parts < STRETCHES_MAX; parts += 1) {
    const { ask, following } = partBefore(next)
    const rows = yield* rowsOf(ask)
    for (const row of rows) {
      const record = keptRecordFrom(row)
      if (isOver(record, filter)) return { records, next: undefined }
      if (isWanted(record, filter)) {
        if (records.length === max) return { records, next }
        records.push(record)
      }
      next = record.position
    }
    const after = following(rows)
    if (after === undefined) return { records, next: undefined }
    next = after
    scanned += rows.length
  }
  return { records, next }
}

/** A part of the records to look through, the newest first. */
interface Part {
  readonly ask: Ask
  /** Before which position the next part lies, after these rows; nothing if there is none. */
  readonly following: (rows: readonly Row[]) => number | undefined
}

const pages =
  (tenant: string, device: string | undefined) =>
  (before: number): Part => {
    const page = { tenant, before, max: ROWS_MAX }
    return {
      ask: device === undefined ? selectPage(page) : selectDevicePage({ ...page, device }),
      following: (rows) => {
        const last = rows[ROWS_MAX - 1]
        return last && integer(last, "position")
      },
    }
  }

/** Down to the tenant's oldest record: what was removed before it took as many positions as there ever were. */
const stretches =
  (tenant: string, device: string, oldest: number) =>
  (before: number): Part => {
    const stretch = Math.floor((before - 1) / STRETCH)
    const start = stretch * STRETCH
    return {
      ask: selectDeviceStretch({ tenant, device, stretch, before }),
      following: () => (start > oldest ? start : undefined),
    }
  }

const isWanted = ({ content }: KeptRecord, { act, since, until }: RecordFilter): boolean =>
  (act === undefined || content.act === act) &&
  (since === undefined || content.at >= since) &&
  (until === undefined || content.at < until)

const isOver = ({ content }: KeptRecord, { since }: RecordFilter): boolean =>
  since !== undefined && content.at.getTime() < since.getTime() - DISORDER_MS

/** How many records more than needed may be looked through for a beginning. */
const BEGINNING_EXACT = 500

function* oldestOf(tenant: string): Work<number> {
  const row = yield* rowOf(selectFrom({ tenant, position: 0 }))
  return row === undefined ? 0 : integer(row, "position")
}

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
