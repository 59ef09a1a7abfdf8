/** How rows of a backup meet those of a store. */

import { type Row, text } from "../row.ts"
import { type Ask, askAll, rowsOf, type Work } from "../statement.ts"
import { type BackupRow, compareRows } from "./format.ts"
import type { BackupSummary } from "./read.ts"
import type { BackupTable } from "./tables.ts"

/** What restoring has come to so far. */
export interface Restoring {
  /** Whether nothing was in the store: then the backup is put into it as it is, apart from what moves on. */
  readonly isEmpty: boolean
  readonly at: Date
  readonly source: BackupRows
  readonly writes: Writes
  readonly revisions: TenantRevisions
  readonly counts: RestoredCounts
}

/** What became of what. */
export interface RestoredCounts {
  /** Devices that are as the backup says, apart from what never goes back. */
  devices: number
  /** Devices that enrolled since the backup, and were removed. */
  removed: number
  /** Devices of the backup that were revoked, retired, suspended or removed since, and stay so. */
  withheld: number
  /** Enrollment tokens that were made since the backup, and were revoked. */
  tokensRevoked: number
  /** Trust anchors and listed keys that were added since the backup, and were removed. */
  trustRemoved: number
  /** Trust anchors and listed keys of the backup that were removed since, and stay so. */
  trustWithheld: number
}

/** The rows of a backup in their order, one at a time. */
export class BackupRows {
  readonly #rows: Generator<BackupRow, BackupSummary>
  #next: IteratorResult<BackupRow, BackupSummary>
  readonly #progress: (rows: number) => void
  #count = 0

  constructor(rows: Generator<BackupRow, BackupSummary>, progress: (rows: number) => void) {
    this.#rows = rows
    this.#progress = progress
    this.#next = rows.next()
  }

  /** The next row, if it is one of this table. */
  peek(table: BackupTable): Row | undefined {
    const next = this.#next
    return next.done !== true && next.value.table.name === table.name ? next.value.row : undefined
  }

  /** Goes on behind the next row. */
  take(): void {
    this.#count += 1
    this.#progress(this.#count)
    this.#next = this.#rows.next()
  }

  /** What the backup says of itself, at its end. */
  end(): BackupSummary {
    if (this.#next.done !== true) throw new TypeError("a row that nobody took")
    return this.#next.value
  }
}

/** Rows that are written together: nothing that is asked meanwhile depends on them. */
const TOGETHER_MAX = 200

/** What is to be written, many at a time. */
export class Writes {
  #waiting: Ask[] = [];

  *add(...asks: readonly Ask[]): Work<void> {
    this.#waiting.push(...asks)
    if (this.#waiting.length >= TOGETHER_MAX) yield* this.flush()
  }

  *flush(): Work<void> {
    const asks = this.#waiting
    this.#waiting = []
    yield* askAll(asks)
  }
}

/** The revisions of all tenants, which move on with each session that is ended, and once more at the end. */
export class TenantRevisions {
  readonly #known = new Map<string, { revision: number; readonly isStored: boolean }>()

  /** Takes what the store and the backup say of a tenant. The later counts. */
  know(tenant: string, revision: number, isStored: boolean): void {
    const known = this.#known.get(tenant)
    this.#known.set(tenant, {
      revision: Math.max(known?.revision ?? 0, revision),
      isStored: isStored || (known?.isStored ?? false),
    })
  }

  /** The next one of a tenant: nobody ever has it again. */
  next(tenant: string): number {
    const known = this.#known.get(tenant) ?? { revision: 0, isStored: false }
    this.#known.set(tenant, known)
    known.revision += 1
    return known.revision
  }

  /** Every tenant, and whether it has a row. */
  all(): readonly (readonly [tenant: string, isStored: boolean])[] {
    return [...this.#known].map(([tenant, { isStored }]) => [tenant, isStored])
  }
}

/** Rows of one key: of the store, of the backup, or of both. */
export interface Met {
  readonly stored: Row | undefined
  readonly backup: Row | undefined
}

/** The rows of a table that were in the store, in the order of their keys. */
class StoredRows {
  readonly #table: BackupTable
  #page: readonly Row[] = []
  #at = 0
  #isOver: boolean

  constructor(table: BackupTable, isEmpty: boolean) {
    this.#table = table
    this.#isOver = isEmpty
  }

  *next(): Work<Row | undefined> {
    const row = this.#page[this.#at++]
    if (row !== undefined || this.#isOver) return row
    this.#page = yield* rowsOf(this.#table.page(this.#page.at(-1)))
    this.#isOver = this.#page.length === 0
    this.#at = 1
    return this.#page[0]
  }
}

/** Meets every row of a table with the one that has its key, in the order of keys. What is to be written is written behind it. */
export function* meet(
  { isEmpty, source, writes }: Restoring,
  table: BackupTable,
  visit: (met: Met) => Work<void> | undefined,
): Work<void> {
  const rows = new StoredRows(table, isEmpty)
  let stored = yield* rows.next()
  for (;;) {
    const backup = source.peek(table)
    if (stored === undefined && backup === undefined) break
    const order = stored === undefined ? 1 : backup === undefined ? -1 : compareRows(table, stored, backup)
    const work = visit({ stored: order <= 0 ? stored : undefined, backup: order >= 0 ? backup : undefined })
    if (work !== undefined) yield* work
    if (order >= 0) source.take()
    if (order <= 0) stored = yield* rows.next()
  }
  yield* writes.flush()
}

/** The tenant of rows that met. */
export const tenantOf = ({ stored, backup }: Met): string => text(stored ?? backup ?? {}, "tenant")

/** The greater of what a column of two rows says, of which one may not be there. */
export const greatest = (read: (row: Row) => number, { stored, backup }: Met): number =>
  Math.max(stored === undefined ? 0 : read(stored), backup === undefined ? 0 : read(backup))
