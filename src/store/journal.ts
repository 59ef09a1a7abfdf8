import type { DatabaseSync } from "node:sqlite"
import { AssayError } from "../errors.ts"
import {
  type Commit,
  JOURNAL_ACTS,
  type Journal,
  type JournalRecord,
  type RecordedRevisions,
  type Revisions,
} from "../service/ports.ts"
import { laterCounters } from "./counters.ts"
import { storeError } from "./database.ts"
import { countersFrom } from "./registry.ts"
import { blob, instant, integer, optional, type Row, text } from "./row.ts"
import { JOIN_ASSIGNED_POLICY, JOIN_TRUST, TRUST_COLUMNS } from "./schema.ts"
import { u64Bytes } from "./u64.ts"

/** Reads the journal. */
export interface JournalReader {
  /**
   * The newest records of a tenant, at most `limit` (1 to 1000, 100 if not told), in the order they were written.
   *
   * @throws {AssayError} JOURNAL.
   */
  records(tenant: string, options?: { readonly limit?: number }): Promise<readonly JournalRecord[]>
}

/** A journal that can be read, and whose waiting records can be written at once. */
export interface SqliteJournal extends Journal, JournalReader {
  /** Writes what waits. Every append made before settles by it. */
  flush(): void
}

/** A scan blocks the event loop. */
const RECORDS_MAX = 1000
const RECORDS_DEFAULT = 100

interface Waiting {
  readonly record: JournalRecord
  readonly commit: Commit | undefined
  readonly resolve: () => void
  readonly reject: (error: AssayError) => void
}

/**
 * The journal in SQLite, with group commit: all records that arrive in one turn of the event loop share one
 * transaction, and so one synchronization with the disk. While it lasts further requests queue up in their sockets,
 * so the groups grow with the load, and an idle service waits for nobody.
 *
 * Within the group each record has a savepoint: one that is refused leaves no trace and touches no other.
 */
export function createSqliteJournal(database: DatabaseSync): SqliteJournal {
  const current = database.prepare(
    `SELECT d.revision, p.name AS policy_name, p.revision AS policy_revision, ${TRUST_COLUMNS}
     FROM devices d ${JOIN_ASSIGNED_POLICY} ${JOIN_TRUST} WHERE d.tenant = ? AND d.id = ?`,
  )
  const selectCounters = database.prepare("SELECT * FROM counters WHERE tenant = ? AND device = ?")
  const writeCounters = database.prepare(
    `INSERT OR REPLACE INTO counters
     (tenant, device, clock_ms, reset_count, restart_count, safe, firmware_version, recorded_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const insert = database.prepare(
    `INSERT INTO journal (tenant, sequence, at, caller, act, device, outcome, codes, evidence_digest,
       policy_digest, device_revision, policy_name, policy_revision, token_id, trust_generation)
     VALUES (?, (SELECT 1 + coalesce(max(sequence), 0) FROM journal WHERE tenant = ?), ?, ?, ?, ?, ?, ?, ?,
       ?, ?, ?, ?, ?, ?)`,
  )
  const select = database.prepare("SELECT * FROM journal WHERE tenant = ? ORDER BY sequence DESC LIMIT ?")
  const savepoint = database.prepare("SAVEPOINT record")
  const release = database.prepare("RELEASE record")
  const undo = database.prepare("ROLLBACK TO record")

  const commitWith = (tenant: string, { device, revisions, counters, known }: Commit): void => {
    if (!isCurrent(revisions, current.get(tenant, device)))
      throw new AssayError(
        "SNAPSHOT_MOVED",
        "the device, its policy or the trust anchors changed while the evidence was judged: attest again",
      )
    if (counters === undefined) return
    const row = selectCounters.get(tenant, device)
    const next = laterCounters(row === undefined ? undefined : countersFrom(row), counters, known)
    writeCounters.run(
      tenant,
      device,
      u64Bytes(next.clockMs),
      next.resetCount,
      next.restartCount,
      next.safe ? 1 : 0,
      next.firmwareVersion === undefined ? null : u64Bytes(next.firmwareVersion),
      next.recordedAt.getTime(),
    )
  }

  const write = (record: JournalRecord): void => {
    insert.run(
      record.tenant,
      record.tenant,
      record.at.getTime(),
      record.caller,
      record.act,
      record.device,
      record.outcome,
      JSON.stringify(record.codes),
      record.evidenceDigest,
      record.policyDigest ?? null,
      record.revisions?.device ?? null,
      record.revisions?.policy?.name ?? null,
      record.revisions?.policy?.revision ?? null,
      record.tokenId ?? null,
      record.revisions?.trust ?? null,
    )
  }

  /** Writes one of a group, or gives the error that refuses it alone. */
  const tryWrite = ({ record, commit }: Waiting): AssayError | undefined => {
    savepoint.run()
    try {
      if (commit !== undefined) commitWith(record.tenant, commit)
      write(record)
    } catch (cause) {
      if (!database.isTransaction) throw cause // SQLite has given the whole group up
      undo.run()
      release.run()
      return storeError("JOURNAL", cause)
    }
    release.run()
    return undefined
  }

  let waiting: Waiting[] = []
  let scheduled: NodeJS.Immediate | undefined

  const flush = (): void => {
    clearImmediate(scheduled)
    scheduled = undefined
    const group = waiting
    waiting = []
    if (group.length === 0) return
    let refusals: readonly (AssayError | undefined)[]
    try {
      database.exec("BEGIN IMMEDIATE")
      refusals = group.map(tryWrite)
      database.exec("COMMIT")
    } catch (cause) {
      abandon(database)
      // One error each: the use case writes into it what became of its own challenge.
      for (const { reject } of group) reject(storeError("JOURNAL", cause))
      return
    }
    group.forEach(({ resolve, reject }, i) => {
      const refusal = refusals[i]
      if (refusal === undefined) resolve()
      else reject(refusal)
    })
  }

  return {
    append: (record, commit) =>
      new Promise((resolve, reject) => {
        waiting.push({ record, commit, resolve, reject })
        scheduled ??= setImmediate(flush)
      }),
    records: async (tenant, { limit = RECORDS_DEFAULT } = {}) => {
      try {
        const rows = select.all(tenant, Math.min(Math.max(1, limit), RECORDS_MAX))
        return rows.map(recordFrom).reverse()
      } catch (cause) {
        throw storeError("JOURNAL", cause)
      }
    },
    flush,
  }
}

/** Undoes what is open. If not even that works, every later transaction fails too, and so does every append. */
const abandon = (database: DatabaseSync): void => {
  try {
    if (database.isTransaction) database.exec("ROLLBACK")
  } catch {}
}

const isCurrent = (revisions: Revisions, row: Row | undefined): boolean =>
  row !== undefined &&
  integer(row, "revision") === revisions.device &&
  optional(text, row, "policy_name") === revisions.policy?.name &&
  optional(integer, row, "policy_revision") === revisions.policy?.revision &&
  (revisions.trust === undefined || integer(row, "trust_generation") === revisions.trust)

const recordFrom = (row: Row): JournalRecord => {
  const act = JOURNAL_ACTS.find((known) => known === row["act"])
  if (act === undefined) throw new Error("a record of an unknown act")
  return {
    at: instant(row, "at"),
    tenant: text(row, "tenant"),
    caller: text(row, "caller"),
    act,
    device: text(row, "device"),
    outcome: text(row, "outcome"),
    codes: codesFrom(text(row, "codes")),
    evidenceDigest: blob(row, "evidence_digest"),
    policyDigest: optional(blob, row, "policy_digest"),
    revisions: revisionsFrom(row),
    tokenId: optional(text, row, "token_id"),
  }
}

const codesFrom = (json: string): readonly string[] => {
  const codes: unknown = JSON.parse(json)
  if (!Array.isArray(codes)) throw new Error("a record whose codes are no list")
  return codes.map(String)
}

const revisionsFrom = (row: Row): RecordedRevisions | undefined => {
  const device = optional(integer, row, "device_revision")
  const trust = optional(integer, row, "trust_generation")
  if (device === undefined && trust === undefined) return undefined
  const name = optional(text, row, "policy_name")
  const policy = name === undefined ? undefined : { name, revision: integer(row, "policy_revision") }
  return { device, policy, trust }
}
