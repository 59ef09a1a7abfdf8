import { lengthPrefixed, utf8 } from "../../bytes.ts"

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

const LABEL = utf8("assay/v1/journal-record")

/**
 * The one encoding of a record, which its hash is made over: a label, then every member in the order of `RecordContent`,
 * each after its length as a u32, big-endian. Text is UTF-8; an instant is the milliseconds since 1970 as an i64 and a
 * revision a u64, both 8 bytes, big-endian; a list is its members, each after its length; what may be absent is a list
 * of one or of none.
 *
 * @throws {RangeError} for an instant or a revision that is no whole number. @throws {TypeError} for text that UTF-8
 *   cannot spell: two of them would have one encoding.
 */
export const recordBytes = (record: RecordContent): Uint8Array => {
  const { at, caller, act, device, outcome, codes, evidenceDigest, policyDigest, revisions, tokenId } = record
  return lengthPrefixed(
    LABEL,
    i64(at.getTime()),
    text(caller),
    text(act),
    text(device),
    text(outcome),
    lengthPrefixed(...codes.map(text)),
    evidenceDigest,
    optional(policyDigest),
    optional(revisions && revisionBytes(revisions)),
    optional(tokenId === undefined ? undefined : text(tokenId)),
  )
}

const revisionBytes = ({ device, policy, trust }: NonNullable<RecordContent["revisions"]>): Uint8Array =>
  lengthPrefixed(
    optional(device === undefined ? undefined : u64(device)),
    optional(policy && lengthPrefixed(text(policy.name), u64(policy.revision))),
    optional(trust === undefined ? undefined : u64(trust)),
  )

const optional = (part: Uint8Array | undefined): Uint8Array =>
  part === undefined ? lengthPrefixed() : lengthPrefixed(part)

/** UTF-8 of text that has one: a lone surrogate would become the same bytes as any other. */
export const text = (value: string): Uint8Array => {
  if (!value.isWellFormed()) throw new TypeError("text that UTF-8 cannot spell")
  return utf8(value)
}

/** A whole number of 0 or more in 8 bytes, big-endian. @throws {RangeError} if it is none. */
export const u64 = (value: number): Uint8Array => {
  if (value < 0) throw new RangeError("a negative number")
  return i64(value)
}

const i64 = (value: number): Uint8Array => {
  if (!Number.isSafeInteger(value)) throw new RangeError("not a whole number")
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(BigInt(value))
  return bytes
}
