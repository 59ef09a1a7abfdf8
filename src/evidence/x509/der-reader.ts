import type { AssayError, Code } from "../../errors.ts"
import { type Deviation, derError, TAG } from "./der.ts"
import { asn1Time, isMinimalInteger, oidText } from "./primitive.ts"

/**
 * Reads the elements of one constructed value, from its first to its last, out of bytes that have passed the gate.
 *
 * As with `Reader`, every read names its field, and `end()` refuses what is left over. What it returns are views.
 */
export class DerReader {
  readonly #bytes: Uint8Array
  readonly #structure: string
  readonly #end: number
  #offset: number
  /** The content of the element read last. */
  #content = 0

  /** @param structure Names the structure in errors, as `certificate.extensions`. */
  constructor(bytes: Uint8Array, structure: string, start = 0, end: number = bytes.length) {
    this.#bytes = bytes
    this.#structure = structure
    this.#offset = start
    this.#end = end
  }

  /** The tag of the next element; 0, which no element has, at the end. */
  get tag(): number {
    return this.#offset < this.#end ? (this.#bytes[this.#offset] ?? 0) : 0
  }

  /** Where the next element begins, counted in the bytes that the reader was made over. */
  get offset(): number {
    return this.#offset
  }

  /** The elements of a SEQUENCE. @throws {AssayError} CERTIFICATE if the next element is none. */
  sequence(field: string): DerReader {
    return this.constructed(TAG.sequence, field)
  }

  /** The elements of a SET. @throws {AssayError} CERTIFICATE. */
  set(field: string): DerReader {
    return this.constructed(TAG.set, field)
  }

  /** The elements of a constructed value with this tag. @throws {AssayError} CERTIFICATE. */
  constructed(tag: number, field: string): DerReader {
    this.#advance(tag, field)
    return new DerReader(this.#bytes, this.#named(field), this.#content, this.#offset)
  }

  /** The content of an element with this tag. @throws {AssayError} CERTIFICATE. */
  content(tag: number, field: string): Uint8Array {
    this.#advance(tag, field)
    return this.#bytes.subarray(this.#content, this.#offset)
  }

  /** The whole next element, tag and length included. @throws {AssayError} CERTIFICATE. */
  element(field: string, tag: number = this.tag): Uint8Array {
    const start = this.#offset
    this.#advance(tag, field)
    return this.#bytes.subarray(start, this.#offset)
  }

  /** An OBJECT IDENTIFIER as text. @throws {AssayError} CERTIFICATE. */
  oid(field: string): string {
    this.#advance(TAG.oid, field)
    return oidText(this.#bytes, this.#content, this.#offset)
  }

  /** @throws {AssayError} CERTIFICATE; DER under another tag than BOOLEAN's, which the gate cannot see into. */
  boolean(field: string, tag: number = TAG.boolean): boolean {
    const [value, more] = this.content(tag, field)
    if ((value !== 0 && value !== 0xff) || more !== undefined)
      throw this.error("DER", field, "a BOOLEAN that is neither 00 nor FF")
    return value === 0xff
  }

  /** The content octets of an INTEGER: two's complement, big-endian. @throws {AssayError} CERTIFICATE, DER. */
  integer(field: string, tag: number = TAG.integer): Uint8Array {
    const content = this.content(tag, field)
    if (!isMinimalInteger(content, 0, content.length))
      throw this.error("DER", field, "an INTEGER that is not in its shortest form")
    return content
  }

  /** An INTEGER from 0 to `max`. @throws {AssayError} CERTIFICATE, DER. */
  smallInteger(field: string, max: number, tag: number = TAG.integer): number {
    const content = this.integer(field, tag)
    const value = content.length > 6 ? max + 1 : content.reduce((sum, byte) => sum * 256 + byte, 0)
    if ((content[0] ?? 0) >= 0x80 || value > max)
      throw this.error("CERTIFICATE", field, "a number out of its range", { expected: `0 to ${max}` })
    return value
  }

  /** The octets of a BIT STRING without unused bits. @throws {AssayError} CERTIFICATE. */
  bits(field: string): Uint8Array {
    const content = this.content(TAG.bitString, field)
    if (content[0] !== 0) throw this.error("CERTIFICATE", field, "a BIT STRING of no whole octets")
    return content.subarray(1)
  }

  /**
   * A BIT STRING with named bits, bit 0 in the lowest place of the number; at most 16 of them. DER leaves trailing
   * zeros out (X.690, 11.2.2); with a set of deviations to note it in, they are read all the same. @throws {AssayError} CERTIFICATE, DER.
   */
  namedBits(field: string, tag: number = TAG.bitString, deviations?: Set<Deviation>): number {
    const content = this.content(tag, field)
    const { length } = content
    const unused = content[0] ?? 8
    const last = length > 1 ? (content[length - 1] ?? 0) : 0
    if (unused > 7 || length > 3 || (last & ((1 << unused) - 1)) !== 0 || (length === 1 && unused !== 0))
      throw this.error("DER", field, "no named bits")
    if (length > 1 && (last & -last) !== 1 << unused) {
      if (deviations === undefined)
        throw this.error("DER", field, "named bits that are not in their shortest form")
      deviations.add("named-bits")
    }
    let bits = 0
    for (let bit = 0; bit < (length - 1) * 8; bit++)
      if (((content[1 + (bit >> 3)] ?? 0) & (0x80 >> (bit & 7))) !== 0) bits |= 1 << bit
    return bits
  }

  /** UTCTime or GeneralizedTime, in milliseconds since 1970. @throws {AssayError} CERTIFICATE. */
  time(field: string): number {
    const { tag } = this
    const content = this.content(tag, field)
    const isTime = tag === TAG.utcTime || tag === TAG.generalizedTime
    const time = isTime ? asn1Time(tag === TAG.utcTime, content, 0, content.length) : undefined
    if (time === undefined) throw this.error("CERTIFICATE", field, "not a time")
    return time
  }

  /** What `read` gives for an element with this tag, or nothing if the next element is another. */
  optional<T>(tag: number, read: (reader: this) => T): T | undefined {
    return this.tag === tag ? read(this) : undefined
  }

  /** What `read` gives for each element up to the end. */
  all<T>(read: (reader: this) => T): T[] {
    const list: T[] = []
    while (this.#offset < this.#end) list.push(read(this))
    return list
  }

  /** @throws {AssayError} CERTIFICATE, or the code that is given, if an element is left over. */
  end(code: Code = "CERTIFICATE"): void {
    if (this.#offset < this.#end) throw this.error(code, undefined, "an element that does not belong here")
  }

  /** An error about `field` at the place where reading stands. */
  error(
    code: Code,
    field: string | undefined,
    message: string,
    details: { expected?: string; actual?: string } = {},
  ): AssayError {
    return derError(
      code,
      field === undefined ? this.#structure : this.#named(field),
      this.#offset,
      message,
      details,
    )
  }

  #named(field: string): string {
    return `${this.#structure}.${field}`
  }

  /** Steps over the next element. Its bounds hold even if the bytes have not passed the gate. */
  #advance(tag: number, field: string): void {
    const bytes = this.#bytes
    const start = this.#offset
    if (start >= this.#end || bytes[start] !== tag) {
      const actual =
        start >= this.#end ? "nothing" : `tag ${(bytes[start] ?? 0).toString(16).padStart(2, "0")}`
      const expected = `tag ${tag.toString(16).padStart(2, "0")}`
      throw this.error("CERTIFICATE", field, "not what belongs here", { expected, actual })
    }
    const first = bytes[start + 1] ?? 0
    let content = start + 2
    let length = first
    if (first >= 0x80) {
      length = 0
      const size = first & 0x7f
      for (let i = 0; i < size; i++) length = length * 256 + (bytes[content + i] ?? 0)
      content += size
    }
    if (length > this.#end - content) throw this.error("DER", field, "a length over the bytes that are there")
    this.#content = content
    this.#offset = content + length
  }
}
