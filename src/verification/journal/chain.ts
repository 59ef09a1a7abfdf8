import { digestOf } from "../../evidence/digest.ts"
import { Parts } from "./parts.ts"
import { type RecordContent, recordBytes } from "./record.ts"

/** One chain of the journal: what one writer wrote for one tenant. */
export interface ChainId {
  readonly tenant: string
  readonly writer: string
}

/** How far a chain goes: its last record's number, and the hash that stands for all of it. */
export interface ChainHead {
  /** 1 for the first record; 0 of a chain without any. */
  readonly sequence: number
  /** 32 bytes. */
  readonly hash: Uint8Array
}

/** What is hashed is written here, over what was hashed before. */
const scratch = new Parts()

const LABEL = "assay/v1/journal-chain"

/** What stands before the first record of every chain. */
export const CHAIN_START: ChainHead = { sequence: 0, hash: new Uint8Array(32) }

/**
 * The head of a chain after its next record: SHA-256 over a label, tenant, writer, the record's number, the hash before
 * it and the record's one encoding, each after its length. So a record has one place in one chain, and every hash stands
 * for all records up to its own.
 *
 * @param bytes As `recordBytes` makes them.
 */
export const headAfter = ({ tenant, writer }: ChainId, before: ChainHead, bytes: Uint8Array): ChainHead => {
  const sequence = before.sequence + 1
  const parts = scratch
    .cutTo(0)
    .text(LABEL)
    .text(tenant)
    .text(writer)
    .number(sequence)
    .raw(before.hash)
    .raw(bytes)
  return { sequence, hash: digestOf("sha256", parts.bytes) }
}

/** As `headAfter`, of a record. @throws {RangeError | TypeError} as `recordBytes`. */
export const nextHead = (chain: ChainId, before: ChainHead, record: RecordContent): ChainHead =>
  headAfter(chain, before, recordBytes(record))
