import type { KeptChain, KeptCheckpoint, KeptRecord } from "../service/ports.ts"
import { recordFrom } from "./journal-append.ts"
import { blob, instant, integer, type Row, text } from "./row.ts"

/** A record of a row of `journal`. */
export const keptRecordFrom = (row: Row): KeptRecord => ({
  writer: text(row, "writer"),
  sequence: integer(row, "sequence"),
  hash: blob(row, "hash"),
  position: integer(row, "position"),
  content: recordFrom(row),
})

/** A chain of a row of `selectChains`. */
export const chainFrom = (row: Row): KeptChain => ({
  writer: text(row, "writer"),
  head: { sequence: integer(row, "sequence"), hash: blob(row, "hash") },
  newestAt: instant(row, "newest_at"),
  anchor: row["a_number"] === null ? undefined : checkpointFrom(row, "a_"),
  checkpoint: row["c_number"] === null ? undefined : checkpointFrom(row, "c_"),
})

/** A checkpoint of a row that has its columns, with `prefix` before their names. */
export const checkpointFrom = (row: Row, prefix = ""): KeptCheckpoint => ({
  number: integer(row, `${prefix}number`),
  sequence: integer(row, `${prefix}sequence`),
  compact: text(row, `${prefix}compact`),
  at: instant(row, `${prefix}at`),
  newestAt: instant(row, `${prefix}newest_at`),
})
