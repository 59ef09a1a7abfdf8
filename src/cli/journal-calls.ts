/** What the commands about the journal ask of a server. */
import type { MessageInitShape } from "@bufbuild/protobuf"
import type {
  ExportJournalResponse,
  GetHeadsResponse,
  ListRecordsRequestSchema,
  ListRecordsResponse,
  PruneJournalRequestSchema,
  PruneJournalResponse,
  WatchRecordsRequestSchema,
  WatchRecordsResponse,
} from "../gen/assay/v1/journal_pb.ts"

/** Every method throws the server's AssayError. A stream goes on until it is left. */
export interface JournalCalls {
  listRecords(request: MessageInitShape<typeof ListRecordsRequestSchema>): Promise<ListRecordsResponse>
  watchRecords(
    request: MessageInitShape<typeof WatchRecordsRequestSchema>,
  ): AsyncIterable<WatchRecordsResponse>
  getHeads(): Promise<GetHeadsResponse>
  exportJournal(): AsyncIterable<ExportJournalResponse>
  pruneJournal(request: MessageInitShape<typeof PruneJournalRequestSchema>): Promise<PruneJournalResponse>
}
