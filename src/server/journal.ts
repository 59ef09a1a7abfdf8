import { create } from "@bufbuild/protobuf"
import { type Timestamp, timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt"
import { AssayError } from "../errors.ts"
import * as pb from "../gen/assay/v1/journal_pb.ts"
import type { Handlers } from "../rpc.ts"
import { JOURNAL_ACTS, type JournalAct, type RecordFilter } from "../service/ports.ts"
import type { Service } from "../service/service.ts"
import type { ChainedRecord, JournalEntry } from "../verification/journal/verify.ts"
import { serverStream } from "./server-stream.ts"
import { unary } from "./unary.ts"

const PAGE_SIZE = 100

/** Convert, call, convert. */
export const journalHandlers = (
  service: Service,
  draining: AbortSignal,
): Handlers<typeof pb.JournalService> => ({
  listRecords: unary(
    pb.JournalService.method.listRecords,
    async ({ filter, pageSize, pageToken }, caller) => {
      const { records, next } = await service.records(
        { filter: filterFromProto(filter), max: pageSize || PAGE_SIZE, before: positionFromProto(pageToken) },
        caller,
      )
      return () =>
        create(pb.ListRecordsResponseSchema, {
          records: records.map(recordToProto),
          nextPageToken: next === undefined ? "" : String(next),
        })
    },
  ),
  watchRecords: serverStream(
    pb.WatchRecordsRequestSchema,
    draining,
    async function* ({ filter }, caller, signal) {
      let isFirst = true
      for await (const records of service.watchRecords(filterFromProto(filter), caller, signal)) {
        const isTold = isFirst || records.length > 0
        yield isTold
          ? () => create(pb.WatchRecordsResponseSchema, { records: records.map(recordToProto) })
          : undefined
        isFirst = false
      }
    },
  ),
  getHeads: unary(pb.JournalService.method.getHeads, async (_request, caller) => {
    const { checkpoints, jwks } = await service.journalHeads(caller)
    return create(pb.GetHeadsResponseSchema, { checkpoints: [...checkpoints], jwks: JSON.stringify(jwks) })
  }),
  exportJournal: serverStream(pb.ExportJournalRequestSchema, draining, async function* (_request, caller) {
    for await (const part of service.exportJournal(caller))
      switch (part.kind) {
        case "header": {
          const { tenant, issuer, exportedAt } = part.header
          const header = { tenant, issuer, exportTime: timestampFromDate(exportedAt) }
          yield () =>
            create(pb.ExportJournalResponseSchema, {
              header: { ...header, jwks: JSON.stringify(part.jwks) },
            })
          break
        }
        case "entries":
          yield () => create(pb.ExportJournalResponseSchema, { entries: part.entries.map(entryToProto) })
      }
  }),
  pruneJournal: unary(pb.JournalService.method.pruneJournal, async ({ before }, caller) => {
    if (before === undefined)
      throw new AssayError("FIELD", "before: value is required", { location: "before" })
    const { records, chains } = await service.pruneJournal(timestampDate(before), caller)
    return create(pb.PruneJournalResponseSchema, { records: BigInt(records), chains })
  }),
})

/** @throws {AssayError} FIELD for an act that there is not, and for a time span that nothing is in. */
const filterFromProto = (filter: pb.RecordFilter | undefined): RecordFilter => {
  const { device = "", act = "" } = filter ?? {}
  const since = instantFromProto(filter?.since)
  const until = instantFromProto(filter?.until)
  return {
    ...(device !== "" && { device }),
    ...(act !== "" && { act: actFromProto(act) }),
    ...(since && { since }),
    ...(until && { until }),
  }
}

const actFromProto = (text: string): JournalAct => {
  const act = JOURNAL_ACTS.find((known) => known === text)
  if (act === undefined)
    throw new AssayError("FIELD", "filter.act: there is no such act", {
      location: "filter.act",
      expected: JOURNAL_ACTS.join(", "),
      actual: text,
    })
  return act
}

const instantFromProto = (time: Timestamp | undefined): Date | undefined => time && timestampDate(time)

const positionFromProto = (token: string): number | undefined => {
  if (token === "") return undefined
  const position = Number(token)
  if (!Number.isSafeInteger(position))
    throw new AssayError("FIELD", "page_token: not one of ours", { location: "page_token" })
  return position
}

const entryToProto = (entry: JournalEntry): pb.JournalEntry => {
  switch (entry.kind) {
    case "record":
      return create(pb.JournalEntrySchema, { kind: { case: "record", value: recordToProto(entry) } })
    case "checkpoint":
      return create(pb.JournalEntrySchema, { kind: { case: "checkpoint", value: entry.compact } })
  }
}

const recordToProto = ({ writer, sequence, hash, content }: ChainedRecord): pb.JournalRecord => {
  const { at, caller, act, device, outcome, codes, evidenceDigest, policyDigest, revisions, tokenId } =
    content
  return create(pb.JournalRecordSchema, {
    writer,
    sequence: BigInt(sequence),
    hash,
    time: timestampFromDate(at),
    caller,
    act,
    device,
    outcome,
    codes: [...codes],
    evidenceDigest,
    ...(policyDigest && { policyDigest }),
    ...(revisions && { revisions: revisionsToProto(revisions) }),
    ...(tokenId !== undefined && { tokenId }),
  })
}

const revisionsToProto = ({
  device,
  policy,
  trust,
}: NonNullable<ChainedRecord["content"]["revisions"]>): pb.RecordedRevisions =>
  create(pb.RecordedRevisionsSchema, {
    ...(device !== undefined && { device: BigInt(device) }),
    ...(policy && { policy: { name: policy.name, revision: BigInt(policy.revision) } }),
    ...(trust !== undefined && { trust: BigInt(trust) }),
  })
