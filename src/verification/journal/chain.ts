import { hash } from "node:crypto"
import { lengthPrefixed, utf8 } from "../../bytes.ts"
import { type RecordContent, recordBytes, text, u64 } from "./record.ts"

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

const LABEL = utf8("assay/v1/journal-chain")

/** What stands before the first record of every chain. */
export const CHAIN_START: ChainHead = { sequence: 0, hash: new Uint8Array(32) }

/**
 * The head of a chain after its next record: SHA-256 over a label, tenant, writer, the record's number, the hash before
 * it and the record's one encoding, each after its length. So a record has one place in one chain, and every hash stands
 * for all records up to its own.
 *
 * @throws {RangeError | TypeError} as `recordBytes`.
 */
export const nextHead = (
  { tenant, writer }: ChainId,
  before: ChainHead,
  record: RecordContent,
): ChainHead => {
  const sequence = before.sequence + 1
  const bytes = lengthPrefixed(
    LABEL,
    text(tenant),
    text(writer),
    u64(sequence),
    before.hash,
    recordBytes(record),
  )
  return { sequence, hash: hash("sha256", bytes, "buffer") }
}
