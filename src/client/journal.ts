import type { MessageInitShape } from "@bufbuild/protobuf"
import {
  type ExportJournalResponse,
  type GetHeadsResponse,
  JournalService,
  type ListRecordsRequestSchema,
  type ListRecordsResponse,
  type PruneJournalRequestSchema,
  type PruneJournalResponse,
  type WatchRecordsRequestSchema,
  type WatchRecordsResponse,
} from "../gen/assay/v1/journal_pb.ts"
import type { CallOptions, Connection } from "./connection.ts"

/** Calls about the journal. Every one throws the server's AssayError. */
export interface JournalCalls {
  listRecords(
    request: MessageInitShape<typeof ListRecordsRequestSchema>,
    options?: CallOptions,
  ): Promise<ListRecordsResponse>
  /** Goes on until it is left. */
  watchRecords(
    request: MessageInitShape<typeof WatchRecordsRequestSchema>,
    options?: CallOptions,
  ): AsyncIterable<WatchRecordsResponse>
  getHeads(options?: CallOptions): Promise<GetHeadsResponse>
  exportJournal(options?: CallOptions): AsyncIterable<ExportJournalResponse>
  /** Its deadline is 10 minutes, unless `options` say otherwise: a million records take a while to remove. */
  pruneJournal(
    request: MessageInitShape<typeof PruneJournalRequestSchema>,
    options?: CallOptions,
  ): Promise<PruneJournalResponse>
}

const PRUNE_DEADLINE_MS = 600_000

/** The calls over a connection. */
export const journalCalls = ({ unary, serverStream }: Connection): JournalCalls => {
  const { listRecords, watchRecords, getHeads, exportJournal, pruneJournal } = JournalService.method
  return {
    listRecords: (request, call) => unary(listRecords, request, call),
    watchRecords: (request, call) => serverStream(watchRecords, request, call),
    getHeads: (call) => unary(getHeads, {}, call),
    exportJournal: (call) => serverStream(exportJournal, {}, call),
    pruneJournal: (request, call) => unary(pruneJournal, request, { deadlineMs: PRUNE_DEADLINE_MS, ...call }),
  }
}
