import type { AssayError } from "../../errors.ts"
import { checkDepth, derError, TAG } from "./der.ts"
import { DerReader } from "./der-reader.ts"
import { asn1Time, oidText } from "./primitive.ts"
import { SortedEntries } from "./serials.ts"

/** The most entries of a CRL that are read: 20 times what the largest of TPM makers and public CAs have. */
export const CRL_ENTRIES_MAX = 1_000_000

/** What a CRL says about a certificate that it revokes. */
export interface RevokedCertificate {
  /** Milliseconds since 1970. */
  readonly revokedAt: number
  /** CRLReason (RFC 5280, 5.3.1), if there is one. */
  readonly reason: number | undefined
}

/** The certificates that a CRL revokes. */
export interface RevokedCertificates {
  /** How many serial numbers there are. */
  readonly size: number
  /** Looks a serial number up by the content octets of its INTEGER, in a few steps. */
  find(serialNumber: Uint8Array): RevokedCertificate | undefined
}

/** Moved in the time in which an entry is read. */
const SORTED_EACH = 16

/** The last four octets, or all of fewer, as a number: what serial numbers differ in, be they counted or random. */
const keyOf = (octets: Buffer, start: number, end: number): number => {
  let key = 0
  for (let at = Math.max(start, end - 4); at < end; at++) key = key * 256 + (octets[at] ?? 0)
  return key
}

/** id-ce, and the last octet of the entry extensions that are known. */
const ID_CE = [0x55, 0x1d] as const
const REASON_CODE = 0x15
const INVALIDITY_DATE = 0x18
const CERTIFICATE_ISSUER = 0x1d

const REASON_MAX = 10
const REASON_UNUSED = 7
const REMOVE_FROM_CRL = 8

/**
 * Reads `revokedCertificates`, out of bytes that have passed the gate and must not change afterwards.
 *
 * A CRL may have a million entries, so that here, unlike elsewhere, nothing is made of an entry but two numbers: where it
 * stands, so that `find` reads it again, and what its serial number ends with. They are sorted, and not hashed: whoever writes a CRL
 * must not be able to choose serial numbers that collide.
 */
export class RevokedList implements RevokedCertificates {
  readonly #bytes: Buffer
  readonly #structure: string
  readonly #mayHaveExtensions: boolean
  readonly #entries = new SortedEntries((a, b) =>
    this.#compare(a, this.#bytes, this.#openSerial(b), this.#next),
  )
  readonly #end: number
  #offset: number
  #count = 0
  /** Behind the element that was opened last. */
  #next = 0
  #unknownCritical: string | undefined

  /**
   * @param start Where the element `revokedCertificates` begins; at `end` if there is none.
   * @throws {AssayError} CRL for a list that is empty: it has to be left out (RFC 5280, 5.1.2.6).
   */
  constructor(bytes: Uint8Array, structure: string, start: number, end: number, mayHaveExtensions: boolean) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#structure = structure
    this.#mayHaveExtensions = mayHaveExtensions
    this.#end = end
    this.#offset = start === end ? end : this.#open(TAG.sequence, start, end)
    if (start !== end && this.#offset === end) throw this.#error(start, "an empty list of entries")
  }

  get size(): number {
    return this.#entries.size
  }

  /** An entry extension that is critical and not known, or that names another issuer: a CRL that cannot be used. */
  get unknownCritical(): string | undefined {
    return this.#unknownCritical
  }

  /**
   * Reads up to `count` entries, and then sorts them. True when all have been read and sorted.
   *
   * @throws {AssayError} CRL, DER, DUP_EXT, DEPTH, LENGTH.
   */
  step(count: number): boolean {
    for (let n = 0; n < count && this.#offset < this.#end; n++) this.#readEntry()
    return this.#offset === this.#end && this.#entries.sort(count * SORTED_EACH, this.#twice)
  }

  find(serialNumber: Uint8Array): RevokedCertificate | undefined {
    const { buffer, byteOffset, length } = serialNumber
    const octets = Buffer.from(buffer, byteOffset, length)
    const start = this.#entries.find(
      keyOf(octets, 0, length),
      (place) => -this.#compare(place, octets, 0, length),
    )
    if (start === undefined) return undefined
    const entry = new DerReader(this.#bytes, this.#structure, start).sequence("entry")
    entry.integer("userCertificate")
    const revokedAt = entry.time("revocationDate")
    const reason = entry.optional(TAG.sequence, () => readReason(entry.sequence("crlEntryExtensions")))
    return { revokedAt, reason }
  }

  #readEntry(): void {
    const start = this.#offset
    const serial = this.#open(TAG.sequence, start, this.#end)
    const end = this.#next
    if (++this.#count > CRL_ENTRIES_MAX)
      throw derError("LENGTH", this.#structure, start, "more entries than a CRL may have", {
        expected: `at most ${CRL_ENTRIES_MAX}`,
      })
    // Serial numbers that no certificate of Assay's can have, such as negative ones, are in nobody's way.
    const octets = this.#open(TAG.integer, serial, end)
    const date = this.#next
    this.#open(this.#bytes[date] === TAG.utcTime ? TAG.utcTime : TAG.generalizedTime, date, end)
    const extensions = this.#next
    const isRemoved = extensions < end && this.#readExtensions(extensions, end)
    // What a CRL takes back is not revoked (6.3.3, k), unless another entry says so: none that revokes is passed over.
    if (!isRemoved) this.#add(octets, date, start)
    this.#offset = end
  }

  #add(serial: number, serialEnd: number, start: number): void {
    this.#entries.add(keyOf(this.#bytes, serial, serialEnd), start)
  }

  readonly #twice = (start: number): never => {
    throw this.#error(start, "a serial number that is listed twice")
  }

  /** Where the octets of an entry's serial number begin; `#next` is behind them. */
  #openSerial(start: number): number {
    return this.#open(TAG.integer, this.#open(TAG.sequence, start, this.#end), this.#end)
  }

  /** Compares the serial number of the entry at `place` with the one between `start` and `end` of other bytes. */
  #compare(place: number, other: Buffer, start: number, end: number): number {
    const serial = this.#openSerial(place)
    return other.compare(this.#bytes, serial, this.#next, start, end) * -1
  }

  /** Checks the extensions of an entry. True if its reason is removeFromCRL. */
  #readExtensions(start: number, end: number): boolean {
    const first = this.#open(TAG.sequence, start, end)
    if (!this.#mayHaveExtensions) throw this.#error(start, "entry extensions in a CRL before version 2")
    if (first === end || this.#next !== end)
      throw this.#error(start, "extensions that are empty or not the last")
    let isRemoved = false
    let known = 0
    let others: Set<string> | undefined
    for (let at = first; at < end; at = this.#next) {
      const inner = this.#open(TAG.sequence, at, end)
      const innerEnd = this.#next
      const id = this.#open(TAG.oid, inner, innerEnd)
      const idEnd = this.#next
      const isCritical = idEnd < innerEnd && this.#bytes[idEnd] === TAG.boolean
      if (isCritical && this.#bytes[this.#open(TAG.boolean, idEnd, innerEnd)] !== 0xff)
        throw derError("DER", this.#structure, idEnd, "a default that is spelled out")
      const value = this.#open(TAG.octetString, this.#next, innerEnd)
      if (this.#next !== innerEnd) throw this.#error(this.#next, "an element that does not belong here")
      const kind = this.#kindOf(id, idEnd)
      const isRepeated =
        kind === 0 ? others?.has(oidText(this.#bytes, id, idEnd)) : (known & (1 << kind)) !== 0
      if (isRepeated) throw derError("DUP_EXT", this.#structure, at, "an entry extension occurs twice")
      if (kind === 0) others = (others ?? new Set<string>()).add(oidText(this.#bytes, id, idEnd))
      else known |= 1 << kind
      isRemoved = this.#readValue(kind, value) || isRemoved
      if (kind === CERTIFICATE_ISSUER || (kind === 0 && isCritical))
        this.#unknownCritical ??= oidText(this.#bytes, id, idEnd)
    }
    return isRemoved
  }

  /** The last octet of an identifier that is known, or 0. */
  #kindOf(id: number, end: number): number {
    const bytes = this.#bytes
    const [arc, ce] = ID_CE
    if (end - id !== 3 || bytes[id] !== arc || bytes[id + 1] !== ce) return 0
    const last = bytes[id + 2] ?? 0
    return last === REASON_CODE || last === INVALIDITY_DATE || last === CERTIFICATE_ISSUER ? last : 0
  }

  /** Checks the value from `start` to `#next`. True if it is removeFromCRL. */
  #readValue(kind: number, start: number): boolean {
    const bytes = this.#bytes
    const end = this.#next
    if (kind === REASON_CODE) {
      const reason = bytes[start + 2] ?? 0
      const isReason = end - start === 3 && bytes[start] === TAG.enumerated && bytes[start + 1] === 1
      if (!isReason || reason > REASON_MAX || reason === REASON_UNUSED)
        throw this.#error(start, "not a CRLReason")
      return reason === REMOVE_FROM_CRL
    }
    if (kind === INVALIDITY_DATE) {
      const isTime = bytes[start] === TAG.generalizedTime && bytes[start + 1] === end - start - 2
      if (!isTime || asn1Time(false, bytes, start + 2, end) === undefined)
        throw this.#error(start, "not a time")
    } else checkDepth(bytes.subarray(start, end))
    return false
  }

  /** Where the content of the element at `start` begins; `#next` is behind it. */
  #open(tag: number, start: number, end: number): number {
    const bytes = this.#bytes
    if (bytes[start] !== tag) throw this.#error(start, "not what belongs here")
    let content = start + 2
    let length = bytes[start + 1] ?? 0
    if (length >= 0x80) {
      const size = length & 0x7f
      length = 0
      for (let i = 0; i < size; i++) length = length * 256 + (bytes[content + i] ?? 0)
      content += size
    }
    this.#next = content + length
    if (this.#next > end) throw this.#error(start, "an element that reaches over the one around it")
    return content
  }

  #error(offset: number, message: string): AssayError {
    return derError("CRL", this.#structure, offset, message)
  }
}

const REASON_CODE_OID = "2.5.29.21"

/** The reason among extensions that have been checked. */
const readReason = (extensions: DerReader): number | undefined => {
  while (extensions.tag !== 0) {
    const extension = extensions.sequence("extension")
    const oid = extension.oid("extnID")
    extension.optional(TAG.boolean, () => extension.boolean("critical"))
    if (oid === REASON_CODE_OID) return extension.content(TAG.octetString, "extnValue")[2]
  }
  return undefined
}
