import { isDeepStrictEqual } from "node:util"
import { briefCopy, sameBytes } from "../bytes.ts"
import { type Act, JOURNAL_ACTS, type JournalRecord, type RecordedRevisions } from "../service/ports.ts"
import { CHAIN_START, type ChainHead, headAfter } from "../verification/journal/chain.ts"
import { type RecordContent, readRecord, recordBytes } from "../verification/journal/record.ts"
import { blob, instant, instantColumn, integer, oneOf, optional, type Row, text } from "./row.ts"
import { type Answer, ask, askAll, rowOf, statement, type Work } from "./statement.ts"

/** The columns of a record, but for its place. */
export const recordColumns = (tenant: string, record: RecordContent) => ({
  tenant,
  at: instantColumn(record.at),
  caller: record.caller,
  act: record.act,
  device: record.device,
  outcome: record.outcome,
  codes: JSON.stringify(record.codes),
  evidence_digest: record.evidenceDigest,
  policy_digest: record.policyDigest ?? null,
  device_revision: record.revisions?.device ?? null,
  policy_name: record.revisions?.policy?.name ?? null,
  policy_revision: record.revisions?.policy?.revision ?? null,
  token_id: record.tokenId ?? null,
  trust_generation: record.revisions?.trust ?? null,
})

/** What a record is in its table. */
export type RecordColumns = ReturnType<typeof recordColumns>

/** A record ready to be written: its columns, and the bytes that it is chained by. */
export interface PreparedRecord {
  readonly tenant: string
  readonly columns: RecordColumns
  readonly bytes: Uint8Array
}

/** @throws {TypeError | RangeError} if it cannot be written, or not be read back as it is. */
export const prepareRecord = (record: JournalRecord): PreparedRecord => ({
  tenant: record.tenant,
  columns: recordColumns(record.tenant, record),
  bytes: recordBytes(record),
})

/** The record of that encoding, ready to be written. @throws {Error} if it is the encoding of none. */
export const preparedFrom = (tenant: string, bytes: Uint8Array): PreparedRecord => ({
  tenant,
  columns: recordColumns(tenant, readRecord(bytes)),
  bytes,
})

/** The head of a writer's chain, which nobody else moves on until this transaction ends. */
const takeHead = statement<{ tenant: string; writer: string; start: Uint8Array }>((sql, at) =>
  sql
    .insertInto("journal_heads")
    .values({ tenant: at("tenant"), writer: at("writer"), sequence: 0, hash: at("start"), newest_at: 0 })
    .onConflict((conflict) =>
      conflict
        .columns(["tenant", "writer"])
        .doUpdateSet((set) => ({ sequence: set.ref("journal_heads.sequence") })),
    )
    .returning(["sequence", "hash", "newest_at"]),
)

const moveHead = statement<{
  tenant: string
  writer: string
  sequence: number
  hash: Uint8Array
  newest_at: number
}>((sql, at) =>
  sql
    .updateTable("journal_heads")
    .set({ sequence: at("sequence"), hash: at("hash"), newest_at: at("newest_at") })
    .where("tenant", "=", at("tenant"))
    .where("writer", "=", at("writer")),
)

const selectEpoch = statement<Record<never, never>>((sql) => sql.selectFrom("store_epoch").select("epoch"))

/** 0 until a backup is restored into the store; then a number that only grows. */
export function* epochOf(): Work<number> {
  return epochFrom(yield* ask(selectEpoch({})))
}

const epochFrom = ({ rows: [row] }: Answer): number => (row === undefined ? 0 : integer(row, "epoch"))

const insertRecord = statement<RecordColumns & { writer: string; sequence: number; hash: Uint8Array }>(
  (sql, at) =>
    sql.insertInto("journal").values({
      tenant: at("tenant"),
      writer: at("writer"),
      sequence: at("sequence"),
      at: at("at"),
      caller: at("caller"),
      act: at("act"),
      device: at("device"),
      outcome: at("outcome"),
      codes: at("codes"),
      evidence_digest: at("evidence_digest"),
      policy_digest: at("policy_digest"),
      device_revision: at("device_revision"),
      policy_name: at("policy_name"),
      policy_revision: at("policy_revision"),
      token_id: at("token_id"),
      trust_generation: at("trust_generation"),
      hash: at("hash"),
    }),
)

/** What one connection remembers of the chains that it writes. */
export interface ChainWriter {
  /** What its chains are called until a backup is restored. */
  readonly name: string
  /** As it was last: how often a backup was restored into the store, as a number that only grows. */
  epoch: number
  /** The heads that it saw and wrote last, by tenant and writer. */
  readonly known: Map<string, { readonly seen: ChainHead; readonly written: ChainHead }>
}

/** @param name No other process has the same at the same time, and the next one of the same place has it again. */
export const createChainWriter = (name: string): ChainWriter => ({ name, epoch: 0, known: new Map() })

/** The name of a writer's chains in an epoch: what was lost by a restore is never written again under the same numbers. */
export const writerIn = ({ name }: ChainWriter, epoch: number): string =>
  epoch === 0 ? name : `${name}.${epoch}`

/** Where records were written. */
export interface Place {
  readonly writer: string
  /** Of the last one. */
  readonly sequence: number
}

/** Which chain goes on, and its head. The epoch is asked for together with it, for it hardly ever moves. */
function* takeChain(
  chains: ChainWriter,
  tenant: string,
): Work<{ readonly writer: string; readonly row: Row }> {
  for (;;) {
    const writer = writerIn(chains, chains.epoch)
    const [epoch, head] = yield* askAll([
      selectEpoch({}),
      takeHead({ tenant, writer, start: CHAIN_START.hash }),
    ])
    const row = head?.rows[0]
    if (epoch === undefined || row === undefined) throw new Error("no head came back")
    const current = epochFrom(epoch)
    if (current === chains.epoch) return { writer, row }
    chains.epoch = current
  }
}

/** Writes records of one tenant behind the last one of the writer's chain. */
export function* appendRecords(
  chains: ChainWriter,
  tenant: string,
  records: readonly PreparedRecord[],
): Work<Place> {
  const { writer, row } = yield* takeChain(chains, tenant)
  const seen = { sequence: integer(row, "sequence"), hash: blob(row, "hash") }
  checkKnown(chains, tenant, writer, seen)
  let head: ChainHead = seen
  let newestAt = integer(row, "newest_at")
  const inserts = records.map(({ columns, bytes }) => {
    head = headAfter({ tenant, writer }, head, bytes)
    newestAt = Math.max(newestAt, columns.at)
    return insertRecord({ ...columns, writer, sequence: head.sequence, hash: briefCopy(head.hash) })
  })
  yield* askAll([...inserts, moveHead({ tenant, writer, ...head, newest_at: newestAt })])
  chains.known.set(keyOf(tenant, writer), { seen, written: head })
  return { writer, sequence: head.sequence }
}

const keyOf = (tenant: string, writer: string): string => JSON.stringify([tenant, writer])

/**
 * That the chain still leads through what this process saw and wrote: whoever writes it anew beside the store is found at the
 * next record, and not only when somebody verifies it. What was written last may have been undone with its transaction.
 */
const checkKnown = (chains: ChainWriter, tenant: string, writer: string, head: ChainHead): void => {
  const known = chains.known.get(keyOf(tenant, writer))
  if (known === undefined) return
  const differs = [known.seen, known.written].some(
    ({ sequence, hash }) => sequence === head.sequence && !sameBytes(hash, head.hash),
  )
  if (differs || head.sequence < known.seen.sequence)
    throw new Error(`the chain of ${writer} is not the one that was written: verify the journal`)
}

const selectRecord = statement<{ tenant: string; writer: string; sequence: number }>((sql, at) =>
  sql
    .selectFrom("journal")
    .selectAll()
    .where("tenant", "=", at("tenant"))
    .where("writer", "=", at("writer"))
    .where("sequence", "=", at("sequence")),
)

/** Whether the record of that place is exactly this one. Waits for whoever is about to write it. */
export function* isRecorded({ writer, sequence }: Place, { columns }: PreparedRecord): Work<boolean> {
  const { tenant } = columns
  yield* ask(takeHead({ tenant, writer, start: CHAIN_START.hash }))
  const row = yield* rowOf(selectRecord({ tenant, writer, sequence }))
  return row !== undefined && isDeepStrictEqual(recordColumns(tenant, recordFrom(row)), columns)
}

/** What an administrative act made, for its record. */
export interface Made {
  readonly device?: string
  readonly policyDigest?: Uint8Array
  readonly revisions?: RecordedRevisions
}

/** The record of an administrative act. */
export const actRecord = (tenant: string, act: Act, made: Made): JournalRecord => ({
  at: act.at,
  tenant,
  caller: act.caller,
  act: act.act,
  device: made.device ?? "",
  outcome: "done",
  codes: [],
  evidenceDigest: act.evidenceDigest,
  policyDigest: made.policyDigest,
  revisions: made.revisions,
  tokenId: undefined,
})

const actFrom = oneOf(JOURNAL_ACTS)

/** A record of a row of `journal`. */
export const recordFrom = (row: Row): JournalRecord => ({
  at: instant(row, "at"),
  tenant: text(row, "tenant"),
  caller: text(row, "caller"),
  act: actFrom(row, "act"),
  device: text(row, "device"),
  outcome: text(row, "outcome"),
  codes: codesFrom(text(row, "codes")),
  evidenceDigest: blob(row, "evidence_digest"),
  policyDigest: optional(blob, row, "policy_digest"),
  revisions: revisionsFrom(row),
  tokenId: optional(text, row, "token_id"),
})

const codesFrom = (json: string): readonly string[] => {
  const codes: unknown = JSON.parse(json)
  if (!Array.isArray(codes)) throw new Error("a record whose codes are no list")
  return codes.map(String)
}

const revisionsFrom = (row: Row): RecordedRevisions | undefined => {
  const device = optional(integer, row, "device_revision")
  const trust = optional(integer, row, "trust_generation")
  const name = optional(text, row, "policy_name")
  if (device === undefined && trust === undefined && name === undefined) return undefined
  const policy = name === undefined ? undefined : { name, revision: integer(row, "policy_revision") }
  return { device, policy, trust }
}
