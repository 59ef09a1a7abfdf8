import { AssayError } from "../errors.ts"
import type { Anchors, JournalArchive, JournalRecord, KeptCheckpoint } from "../service/ports.ts"
import { pageOf } from "./archive-list.ts"
import { chainFrom, checkpointFrom, keptRecordFrom } from "./archive-row.ts"
import {
  deleteCheckpoints,
  deleteRecords,
  insertCheckpoint,
  lockChain,
  putAnchor,
  ROWS_MAX,
  selectAnchors,
  selectChains,
  selectCheckpoint,
  selectCheckpointBefore,
  selectCheckpoints,
  selectOldest,
  selectRecords,
} from "./archive-statements.ts"
import { type Database, storeError } from "./database.ts"
import { closeFence } from "./fence.ts"
import { appendRecords, type ChainWriter, epochOf, prepareRecord, writerIn } from "./journal-append.ts"
import { instantColumn, integer, text } from "./row.ts"
import { ask, changesOf, rowOf, rowsOf, type Work } from "./statement.ts"

/** The journal of all writers, as it is read, vouched for and cut. `chains` is what records of acts are appended to. */
export const createArchive = (database: Database, chains: ChainWriter): JournalArchive => {
  const guarded = async <T>(act: () => Promise<T>): Promise<T> => {
    try {
      return await act()
    } catch (cause) {
      throw storeError("JOURNAL", cause)
    }
  }
  const read = <T>(work: () => Work<T>): Promise<T> => guarded(() => database.read(work))
  const write = <T>(work: () => Work<T>): Promise<T> => guarded(() => database.write(work))
  return {
    writer: () =>
      read(function* () {
        return writerIn(chains, yield* epochOf())
      }),
    list: (tenant, filter, before, max) =>
      read(() => pageOf(tenant, filter, before, Math.min(Math.max(1, max), ROWS_MAX), database.dialect)),
    chains: (tenant) =>
      read(function* () {
        const found = (yield* rowsOf(selectChains({ tenant }))).map(chainFrom)
        return found.sort((a, b) => (a.writer < b.writer ? -1 : 1))
      }),
    records: (tenant, writer, after, max) =>
      read(function* () {
        const rows = yield* rowsOf(selectRecords({ tenant, writer, after, max: Math.min(max, ROWS_MAX) }))
        return rows.map(keptRecordFrom)
      }),
    checkpoints: (tenant, writer, after, max) =>
      read(function* () {
        const rows = yield* rowsOf(selectCheckpoints({ tenant, writer, after, max: Math.min(max, ROWS_MAX) }))
        return rows.map((row) => checkpointFrom(row))
      }),
    checkpointBefore: (tenant, writer, before) =>
      read(function* () {
        const row = yield* rowOf(selectCheckpointBefore({ tenant, writer, before: instantColumn(before) }))
        return row && checkpointFrom(row)
      }),
    addCheckpoint: (tenant, writer, checkpoint) => write(() => addCheckpoint(tenant, writer, checkpoint)),
    begin: (tenant, from, to, record) => write(() => begin(chains, tenant, from, to, record)),
    sweep: (tenant, max) => write(() => sweep(tenant, max)),
  }
}

function* addCheckpoint(
  tenant: string,
  writer: string,
  { number, sequence, compact, at, newestAt }: KeptCheckpoint,
): Work<boolean> {
  yield* ask(lockChain({ tenant, writer }))
  if (number > 1 && (yield* rowOf(selectCheckpoint({ tenant, writer, number: number - 1 }))) === undefined)
    return false
  if ((yield* rowOf(selectCheckpoint({ tenant, writer, number }))) !== undefined) return false
  const instants = { at: instantColumn(at), newest_at: instantColumn(newestAt) }
  yield* ask(insertCheckpoint({ tenant, writer, number, sequence, compact, ...instants }))
  return true
}

function* begin(
  chains: ChainWriter,
  tenant: string,
  from: Anchors,
  to: Anchors,
  record: JournalRecord,
): Work<void> {
  yield* ask(closeFence({ tenant }))
  const current = new Map<string, number>()
  for (const row of yield* rowsOf(selectAnchors({ tenant })))
    current.set(text(row, "writer"), integer(row, "number"))
  if (from.length !== current.size || from.some(({ writer, number }) => current.get(writer) !== number))
    throw new AssayError(
      "SNAPSHOT_MOVED",
      "somebody else removed records of the journal meanwhile: try again",
    )
  for (const { writer, number } of to) {
    if (current.get(writer) === number) continue
    const row = yield* rowOf(selectCheckpoint({ tenant, writer, number }))
    if (row === undefined) throw new Error(`the chain of ${writer} has no checkpoint ${number}`)
    yield* ask(putAnchor({ tenant, writer, number, sequence: integer(row, "sequence") }))
  }
  yield* appendRecords(chains, tenant, [prepareRecord(record)])
}

function* sweep(tenant: string, max: number): Work<number> {
  for (const anchor of yield* rowsOf(selectAnchors({ tenant }))) {
    const writer = text(anchor, "writer")
    const last = integer(anchor, "sequence")
    const [first] = yield* rowsOf(selectCheckpoints({ tenant, writer, after: 0, max: 1 }))
    const oldest = yield* rowOf(selectOldest({ tenant, writer }))
    if (first !== undefined) {
      const number = Math.min(integer(anchor, "number"), integer(first, "number") + max)
      yield* ask(deleteCheckpoints({ tenant, writer, number }))
    }
    if (oldest === undefined || integer(oldest, "sequence") > last) continue
    const sequence = Math.min(last, integer(oldest, "sequence") + max - 1)
    return yield* changesOf(deleteRecords({ tenant, writer, sequence }))
  }
  return 0
}
