import { isDeepStrictEqual } from "node:util"
import { type Act, JOURNAL_ACTS, type JournalRecord, type RecordedRevisions } from "../service/ports.ts"
import { blob, instant, instantColumn, integer, oneOf, optional, type Row, text } from "./row.ts"
import { ask, askAll, rowOf, statement, type Work } from "./statement.ts"

/** The columns of a record, but for its place. */
export const recordColumns = (record: JournalRecord) => ({
  tenant: record.tenant,
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

/** A record ready to be written. */
export type RecordColumns = ReturnType<typeof recordColumns>

/** The last sequence of a writer, which nobody moves on until this transaction ends. */
const takeHead = statement<{ tenant: string; writer: string }>((sql, at) =>
  sql
    .insertInto("journal_heads")
    .values({ tenant: at("tenant"), writer: at("writer"), sequence: 0 })
    .onConflict((conflict) =>
      conflict
        .columns(["tenant", "writer"])
        .doUpdateSet((set) => ({ sequence: set.ref("journal_heads.sequence") })),
    )
    .returning("sequence"),
)

const moveHead = statement<{ tenant: string; writer: string; sequence: number }>((sql, at) =>
  sql
    .updateTable("journal_heads")
    .set({ sequence: at("sequence") })
    .where("tenant", "=", at("tenant"))
    .where("writer", "=", at("writer")),
)

const insertRecord = statement<RecordColumns & { writer: string; sequence: number }>((sql, at) =>
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
  }),
)

/** Writes records of one tenant behind the last one of `writer`. @returns The sequence of the last one. */
export function* appendRecords(
  writer: string,
  tenant: string,
  records: readonly RecordColumns[],
): Work<number> {
  const head = yield* rowOf(takeHead({ tenant, writer }))
  if (head === undefined) throw new Error("no head came back")
  const before = integer(head, "sequence")
  const last = before + records.length
  yield* askAll([
    ...records.map((record, i) => insertRecord({ ...record, writer, sequence: before + i + 1 })),
    moveHead({ tenant, writer, sequence: last }),
  ])
  return last
}

const selectRecord = statement<{ tenant: string; writer: string; sequence: number }>((sql, at) =>
  sql
    .selectFrom("journal")
    .selectAll()
    .where("tenant", "=", at("tenant"))
    .where("writer", "=", at("writer"))
    .where("sequence", "=", at("sequence")),
)

/** Whether the record of that sequence is exactly this one. Waits for whoever is about to write it. */
export function* isRecorded(writer: string, sequence: number, record: RecordColumns): Work<boolean> {
  const { tenant } = record
  yield* ask(takeHead({ tenant, writer }))
  const row = yield* rowOf(selectRecord({ tenant, writer, sequence }))
  return row !== undefined && isDeepStrictEqual(recordColumns(recordFrom(row)), record)
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
