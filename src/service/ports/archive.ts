import type { ChainHead } from "../../verification/journal/chain.ts"
import type { JournalAct, JournalRecord } from "./journal.ts"

/** A record as it is kept. */
export interface KeptRecord extends ChainHead {
  readonly writer: string
  readonly content: JournalRecord
  /** Grows over the records of all writers, roughly in the order in which they were written. */
  readonly position: number
}

/** A checkpoint as it is kept: with the one before it, it bounds a segment. */
export interface KeptCheckpoint {
  /** 1 for the first of its chain, then without a gap. */
  readonly number: number
  /** The last record that it is about. */
  readonly sequence: number
  /** A JWS in compact serialization. */
  readonly compact: string
  readonly at: Date
  /** The latest instant of all records up to it. */
  readonly newestAt: Date
}

/** One chain, as it stands. */
export interface KeptChain {
  readonly writer: string
  readonly head: ChainHead
  /** The latest instant of all its records; of none, 1970. */
  readonly newestAt: Date
  /** Where it begins since older records were removed. */
  readonly anchor: KeptCheckpoint | undefined
  /** The latest one. */
  readonly checkpoint: KeptCheckpoint | undefined
}

/** What records are narrowed by: all of it holds. */
export interface RecordFilter {
  readonly device?: string
  readonly act?: JournalAct
  readonly since?: Date
  /** Before this instant. */
  readonly until?: Date
}

/** Which chains begin where, by the numbers of their checkpoints. */
export type Anchors = readonly { readonly writer: string; readonly number: number }[]

/** The journal as it is read, vouched for and cut. Every method names the tenant first, and throws JOURNAL. */
export interface JournalArchive {
  /** Whatever is appended continues chains by this name. Another after each restore. */
  writer(): Promise<string>
  /**
   * Records, the newest first. So many are looked through for one page, so that `next` may be there with fewer than `max`,
   * or none.
   *
   * @param before `next` of the page before.
   * @param max 1 to 1,000.
   */
  list(
    tenant: string,
    filter: RecordFilter,
    before: number | undefined,
    max: number,
  ): Promise<{ readonly records: readonly KeptRecord[]; readonly next: number | undefined }>
  /** All of them, in the order of writers, on one state. */
  chains(tenant: string): Promise<readonly KeptChain[]>
  /** Records of one chain in their order, after `after`, at most `max` and at most 1,000. */
  records(tenant: string, writer: string, after: number, max: number): Promise<readonly KeptRecord[]>
  /** Checkpoints of one chain in their order, after the number `after`, at most `max` and at most 1,000. */
  checkpoints(tenant: string, writer: string, after: number, max: number): Promise<readonly KeptCheckpoint[]>
  /** The last checkpoint of a chain up to which every record is older than `before`, if there is one. */
  checkpointBefore(tenant: string, writer: string, before: Date): Promise<KeptCheckpoint | undefined>
  /** Adds the next checkpoint of a chain. False if another one has its number: then nothing was written. */
  addCheckpoint(tenant: string, writer: string, checkpoint: KeptCheckpoint): Promise<boolean>
  /**
   * Makes the chains begin where `to` says, and appends the record that tells it: one transaction. What lies before the
   * beginnings is no longer part of the journal; `sweep` removes it.
   *
   * @throws {AssayError} SNAPSHOT_MOVED if they do not begin where `from` says.
   */
  begin(tenant: string, from: Anchors, to: Anchors, record: JournalRecord): Promise<void>
  /** Removes what lies before the beginnings, at most about `max` records at a time. Tells how many; 0 if none are left. */
  sweep(tenant: string, max: number): Promise<number>
}
