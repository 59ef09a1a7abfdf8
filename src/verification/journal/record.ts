import { Parts } from "./parts.ts"
import { PartsReader } from "./parts-reader.ts"

/** What one record of the journal says, apart from where it stands. */
export interface RecordContent {
  /** To the millisecond. */
  readonly at: Date
  readonly caller: string
  readonly act: string
  readonly device: string
  readonly outcome: string
  readonly codes: readonly string[]
  readonly evidenceDigest: Uint8Array
  readonly policyDigest: Uint8Array | undefined
  readonly revisions:
    | {
        readonly device: number | undefined
        readonly policy: { readonly name: string; readonly revision: number } | undefined
        readonly trust: number | undefined
      }
    | undefined
  readonly tokenId: string | undefined
}

const LABEL = "assay/v1/journal-record"

/**
 * The one encoding of a record, which its hash is made over: a label, then every member in the order of `RecordContent`,
 * each after its length as a u32, big-endian. Text is UTF-8; an instant is the milliseconds since 1970 as an i64 and a
 * revision a u64, both 8 bytes, big-endian; a list is its members, each after its length; what may be absent is a list
 * of one or of none.
 *
 * @throws {RangeError} for an instant or a revision that is no whole number. @throws {TypeError} for text that UTF-8
 *   cannot spell: two of them would have one encoding.
 */
export const recordBytes = (record: RecordContent): Uint8Array => writeRecord(new Parts(), record).bytes

/** Writes the parts of a record. @throws as `recordBytes`. */
export const writeRecord = (parts: Parts, record: RecordContent): Parts => {
  const { at, caller, act, device, outcome, codes, evidenceDigest, policyDigest, revisions, tokenId } = record
  return parts
    .text(LABEL)
    .number(at.getTime())
    .text(caller)
    .text(act)
    .text(device)
    .text(outcome)
    .list(() => {
      for (const code of codes) parts.text(code)
    })
    .raw(evidenceDigest)
    .list(() => policyDigest && parts.raw(policyDigest))
    .list(() => revisions && parts.list(() => writeRevisions(parts, revisions)))
    .list(() => {
      if (tokenId !== undefined) parts.text(tokenId)
    })
}

/** The record that `bytes` are the encoding of; its digests are views of them. @throws {Error} if they are of none. */
export const readRecord = (bytes: Uint8Array): RecordContent => {
  const parts = new PartsReader(bytes)
  const text = (): string => parts.text()
  if (parts.text() !== LABEL) throw new TypeError("the encoding of something else than a record")
  const record = {
    at: new Date(parts.number()),
    caller: parts.text(),
    act: parts.text(),
    device: parts.text(),
    outcome: parts.text(),
    codes: parts.list(text),
    evidenceDigest: parts.raw(),
    policyDigest: parts.sequence(() => parts.raw()),
    revisions: parts.sequence(() => parts.sequence(() => readRevisions(parts))),
    tokenId: parts.sequence(text),
  }
  if (!parts.isAtEnd) throw new TypeError("more than the encoding of a record")
  return record
}

const writeRevisions = (
  parts: Parts,
  { device, policy, trust }: NonNullable<RecordContent["revisions"]>,
): void => {
  parts
    .list(() => {
      if (device !== undefined) writeRevision(parts, device)
    })
    .list(() => {
      if (policy !== undefined)
        parts.list(() => {
          parts.text(policy.name)
          writeRevision(parts, policy.revision)
        })
    })
    .list(() => {
      if (trust !== undefined) writeRevision(parts, trust)
    })
}

const readRevisions = (parts: PartsReader): RecordContent["revisions"] => {
  const number = (): number => parts.number()
  return {
    device: parts.sequence(number),
    policy: parts.sequence(() => parts.sequence(() => ({ name: parts.text(), revision: parts.number() }))),
    trust: parts.sequence(number),
  }
}

const writeRevision = (parts: Parts, revision: number): void => {
  if (revision < 0) throw new RangeError("a negative revision")
  parts.number(revision)
}
