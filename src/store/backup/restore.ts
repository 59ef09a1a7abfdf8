/**
 * Restores a backup. Nothing that others hold on to ever goes back: every revision, generation and epoch is above what the
 * backup and the store had, so that nothing that was judged, cached or issued under one passes for another's; counters,
 * revocations, removals and uses are where they had come to. So restoring is no way around the triggers that keep all
 * that, but a further change beside them, in one transaction, with a record in the journal.
 */

import { sql } from "kysely"
import { fromHex } from "../../bytes.ts"
import { AssayError } from "../../errors.ts"
import { CommitUnknown, type Database, storeError } from "../database.ts"
import { actRecord, appendRecords, createChainWriter, prepareRecord } from "../journal-append.ts"
import { sqlStateOf } from "../postgres-server.ts"
import { integer, type Row } from "../row.ts"
import { ask, changesOf, rowOf, statement, type Work } from "../statement.ts"
import {
  BackupRows,
  greatest,
  meet,
  type RestoredCounts,
  type Restoring,
  TenantRevisions,
  tenantOf,
  Writes,
} from "./merge.ts"
import { type BackupSummary, readBackup, verifyBackup } from "./read.ts"
import { restoreDevices, restoreTokens } from "./restore-devices.ts"
import { restoreJournal } from "./restore-journal.ts"
import { restorePolicies } from "./restore-policies.ts"
import { restoreTrust } from "./restore-trust.ts"
import { BACKUP_ORDER, BACKUP_TABLES } from "./tables.ts"

/** Whom the journal names for chains that a restore writes. No server is called so. */
const WRITER = "restore"

/** What is to be restored, and by whom. */
export interface RestoreOptions {
  /** The lines of the backup, from the first, each time. */
  readonly lines: () => Iterable<Uint8Array>
  readonly at: Date
  /** Whom the record names. */
  readonly operator: string
  /** Whether what is in the store may be replaced. */
  readonly replace: boolean
  /** The SHA-256 in hexadecimal that the backup has to have, if one was told. */
  readonly sha256?: string
  readonly progress?: (stage: "checked" | "restored", rows: number, total?: number) => void
}

/** What became of a backup. */
export interface Restored extends RestoredCounts {
  readonly backup: BackupSummary
  /** How often a backup was restored into the store, as a number that only grows. */
  readonly epoch: number
}

/**
 * Looks at all of a backup.
 *
 * @throws {AssayError} BACKUP, LENGTH for a file that is none; RESTORE if it is not the one that was asked for.
 */
export function checkBackup({ lines, sha256, progress = () => {} }: RestoreOptions): BackupSummary {
  const backup = verifyBackup(lines(), (rows) => progress("checked", rows))
  if (sha256 !== undefined && sha256 !== backup.sha256)
    throw new AssayError("RESTORE", "the file is another backup than the one that was asked for", {
      expected: sha256,
      actual: backup.sha256,
    })
  return backup
}

/**
 * Restores a backup that was looked at into a database: all of it, or nothing.
 *
 * @throws {AssayError} BACKUP if it is another by now; RESTORE if the store is not empty and may not be replaced, or is
 *   another one than that of the backup; REGISTRY, JOURNAL.
 */
export async function restoreBackup(
  database: Database,
  backup: BackupSummary,
  options: RestoreOptions,
): Promise<Restored> {
  const { lines, progress = () => {} } = options
  const total = Object.values(backup.rows).reduce((sum, rows) => sum + rows, 0)
  try {
    return await database.write(() => {
      const source = new BackupRows(readBackup(lines()), (rows) => progress("restored", rows, total))
      return restore(source, backup, options)
    })
  } catch (cause) {
    if (cause instanceof CommitUnknown)
      throw new AssayError(
        "REGISTRY",
        "the database went away at the very end: see whether the journal has a record of the restore",
        { cause },
      )
    if (isConstraint(cause))
      throw new AssayError(
        "RESTORE",
        "a row of the backup does not go with others, or with those of the store",
        {
          cause,
        },
      )
    throw storeError("REGISTRY", cause)
  }
}

/** Keeps everybody else out; of SQLite a transaction that writes does so by itself. */
const lockStore = statement<Record<never, never>>((builder, _, dialect) => {
  const lock = sql`LOCK TABLE schema_version IN ACCESS EXCLUSIVE MODE`
  return dialect === "sqlite" ? undefined : { compile: () => lock.compile(builder) }
})

function* restore(source: BackupRows, backup: BackupSummary, options: RestoreOptions): Work<Restored> {
  const { at, operator, replace } = options
  // Every transaction reads that table first: whoever is at work ends, and everybody else waits until this one ends.
  yield* ask(lockStore({}))
  const isEmpty = yield* isStoreEmpty()
  if (!isEmpty && !replace)
    throw new AssayError(
      "RESTORE",
      "the store is not empty: only with --replace is a backup restored into it",
    )
  const counts = { devices: 0, removed: 0, withheld: 0, tokensRevoked: 0, trustRemoved: 0, trustWithheld: 0 }
  const revisions = new TenantRevisions()
  const restoring: Restoring = { isEmpty, at, source, writes: new Writes(), revisions, counts }

  const epoch = yield* moveEpoch(restoring)
  yield* meet(restoring, BACKUP_TABLES.tenants, (met) => {
    revisions.know(tenantOf(met), greatest(revisionOf, met), met.stored !== undefined)
    return undefined
  })
  yield* restorePolicies(restoring)
  yield* restoreKept(restoring)
  yield* restoreDevices(restoring)
  yield* restoreTokens(restoring)
  yield* restoreTrust(restoring)
  yield* restoreJournal(restoring)
  if (source.end().sha256 !== backup.sha256)
    throw new AssayError("BACKUP", "the file was changed while it was restored")

  const chains = createChainWriter(WRITER)
  const act = { at, caller: operator, act: "restore", evidenceDigest: digestOf(backup) } as const
  for (const [tenant, isStored] of revisions.all()) {
    const { insert, update } = BACKUP_TABLES.tenants
    yield* ask((isStored ? update : insert)({ tenant, revision: revisions.next(tenant) }))
    yield* appendRecords(chains, tenant, [prepareRecord(actRecord(tenant, act, {}))])
  }
  return { backup, epoch, ...counts }
}

const revisionOf = (row: Row): number => integer(row, "revision")

const digestOf = ({ sha256 }: BackupSummary): Uint8Array => fromHex(sha256) ?? new Uint8Array()

/** Whether nobody has put anything into it. Its epoch says nothing of that. */
function* isStoreEmpty(): Work<boolean> {
  for (const { name, some } of BACKUP_ORDER)
    if (name !== "store_epoch" && (yield* rowOf(some())) !== undefined) return false
  return true
}

/** Both know how often a backup was restored. From now on it is once more than either does. */
function* moveEpoch(restoring: Restoring): Work<number> {
  const table = BACKUP_TABLES.store_epoch
  let epoch = 0
  // Of an empty store too: it has one from its first day on.
  yield* meet({ ...restoring, isEmpty: false }, table, (met) => {
    epoch = greatest((row) => integer(row, "epoch"), met)
    return undefined
  })
  const row = { name: "restored", epoch: epoch + 1 }
  if ((yield* changesOf(table.update(row))) === 0) yield* ask(table.insert(row))
  return epoch + 1
}

/** Ids that were given, and sessions that were ended. Nothing of it is ever taken back. */
function* restoreKept(restoring: Restoring): Work<void> {
  for (const table of [BACKUP_TABLES.removed_devices, BACKUP_TABLES.revocations])
    yield* meet(restoring, table, function* ({ stored, backup }) {
      if (stored === undefined && backup !== undefined) yield* restoring.writes.add(table.insert(backup))
    })
}

const SQLITE_CONSTRAINT = 19
/** Constraints, and what triggers refuse. */
const REFUSED = /^(23|P0)/

/** Whether the database refused a row. */
const isConstraint = (error: unknown): boolean =>
  error instanceof Error &&
  !(error instanceof AssayError) &&
  (("errcode" in error &&
    typeof error.errcode === "number" &&
    (error.errcode & 0xff) === SQLITE_CONSTRAINT) ||
    REFUSED.test(sqlStateOf(error)))
