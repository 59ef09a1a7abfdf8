/** The journal as the server sends it, as the rest of the program knows it. */
import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt"
import { AssayError } from "../errors.ts"
import type * as pb from "../gen/assay/v1/journal_pb.ts"
import type { JournalLine } from "../service/journal-file.ts"
import type { ChainedRecord, JournalEntry } from "../verification/journal/verify.ts"
import { keySetOf } from "./input.ts"

/** A key set in an answer. @throws {AssayError} INPUT. */
export const keysFromProto = (jwks: string): { readonly keys: readonly object[] } => {
  let value: unknown
  try {
    value = JSON.parse(jwks)
  } catch {
    // Refused below.
  }
  return keySetOf(value, "the server's answer")
}

/** An exported journal as the lines of a file. @throws {AssayError} INTERNAL for a part that is none. */
export async function* linesFromProto(
  answers: AsyncIterable<pb.ExportJournalResponse>,
  onHeader: (header: pb.JournalHeader) => void,
): AsyncGenerator<JournalLine> {
  for await (const { header, entries } of answers) {
    if (header !== undefined) {
      const { tenant, issuer, exportTime } = header
      onHeader(header)
      yield { kind: "header", header: { tenant, issuer, exportedAt: instant(exportTime) } }
    }
    for (const entry of entries) yield { kind: "entry", entry: entryFromProto(entry) }
  }
  yield { kind: "end" }
}

const entryFromProto = ({ kind }: pb.JournalEntry): JournalEntry => {
  switch (kind.case) {
    case "record":
      return { kind: "record", ...recordFromProto(kind.value) }
    case "checkpoint":
      return { kind: "checkpoint", compact: kind.value }
    case undefined:
      throw new AssayError("INTERNAL", "the server answered with neither a record nor a checkpoint")
  }
}

/** A record. */
export const recordFromProto = (record: pb.JournalRecord): ChainedRecord => {
  const { writer, sequence, hash, revisions, ...content } = record
  return {
    writer,
    sequence: Number(sequence),
    hash,
    content: {
      at: instant(content.time),
      caller: content.caller,
      act: content.act,
      device: content.device,
      outcome: content.outcome,
      codes: content.codes,
      evidenceDigest: content.evidenceDigest,
      policyDigest: content.policyDigest,
      revisions: revisions && {
        device: optionalNumber(revisions.device),
        policy: revisions.policy && {
          name: revisions.policy.name,
          revision: Number(revisions.policy.revision),
        },
        trust: optionalNumber(revisions.trust),
      },
      tokenId: content.tokenId,
    },
  }
}

const optionalNumber = (value: bigint | undefined): number | undefined =>
  value === undefined ? undefined : Number(value)

const instant = (time: Timestamp | undefined): Date => {
  if (time === undefined) throw new AssayError("INTERNAL", "the server answered without a time")
  return timestampDate(time)
}
