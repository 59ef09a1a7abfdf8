import { type CheckpointJournal, createCheckpointJournal } from "./checkpoint-journal.ts"
import { createExportJournal, type ExportedPart, type PublicJwks } from "./export-journal.ts"
import type { Caller, KeptRecord, Ports, RecordFilter } from "./ports.ts"
import { createPruneJournal, type PrunedJournal } from "./prune-journal.ts"
import { createWatchJournal } from "./watch-journal.ts"

/** Which records to list. */
export interface ListRecordsInput {
  readonly filter: RecordFilter
  /** 1 to 1,000. */
  readonly max: number
  /** `next` of the page before. */
  readonly before: number | undefined
}

/** The use cases of the journal: of the caller's tenant, and of no other. Each throws JOURNAL. */
export interface JournalUseCases {
  /** The newest first. A page may be empty although `next` is there. */
  records(
    input: ListRecordsInput,
    caller: Caller,
  ): Promise<{ readonly records: readonly KeptRecord[]; readonly next: number | undefined }>
  /**
   * What is written from now on. The first turn has no record, and says that none will be missed from then on; a later one
   * without any has the next look wait until it is asked for.
   */
  watchRecords(
    filter: RecordFilter,
    caller: Caller,
    signal: AbortSignal,
  ): AsyncIterable<readonly KeptRecord[]>
  /** The latest checkpoint of each chain, made now where there are records since. @throws {AssayError} SIGNER. */
  journalHeads(
    caller: Caller,
  ): Promise<{ readonly checkpoints: readonly string[]; readonly jwks: PublicJwks }>
  exportJournal(caller: Caller): AsyncIterable<ExportedPart>
  pruneJournal(before: Date, caller: Caller): Promise<PrunedJournal>
}

/** What the use cases need. */
export interface JournalPorts
  extends Pick<Ports, "archive" | "breathe" | "clock" | "meter" | "pause" | "signer"> {
  readonly settings: { readonly issuer: string }
}

/** The use cases over their ports. */
export const createJournalUseCases = (ports: JournalPorts): JournalUseCases => {
  const checkpoint: CheckpointJournal = createCheckpointJournal(ports)
  return {
    records: ({ filter, max, before }, caller) =>
      ports.meter.run(caller, () => ports.archive.list(caller.tenant, filter, before, max)),
    watchRecords: createWatchJournal(ports),
    journalHeads: async ({ tenant }) => {
      await checkpoint(tenant)
      const chains = await ports.archive.chains(tenant)
      return {
        checkpoints: chains.flatMap((chain) => chain.checkpoint?.compact ?? []),
        jwks: ports.signer.publicJwks(),
      }
    },
    exportJournal: createExportJournal({ ...ports, checkpoint }),
    pruneJournal: createPruneJournal({ ...ports, checkpoint }),
  }
}
