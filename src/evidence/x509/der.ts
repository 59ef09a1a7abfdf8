import { AssayError, type Code } from "../../errors.ts"
import { asn1Time, isMinimalInteger, isUtf8, OID_ARC_MAX } from "./primitive.ts"

/**
 * The strict DER gate, and the reader behind it.
 *
 * Libraries read BER where a certificate has to be DER, and two readers of one certificate may then see two things.
 * So every certificate and CRL passes this gate before anything reads it: one walk over its TLVs, with a stack of its
 * own and no recursion, that refuses whatever X.690 section 10 does not allow. What needs the schema, such as defaults
 * that are spelled out and extensions that occur twice, is refused by the parsers that read with `DerReader`.
 *
 * `Reader` is not used here: TLVs are bounded by the TLV around them, not by fields of a fixed width.
 */

/** Certificates have 12 levels at most; more is somebody trying the stack. */
export const DER_DEPTH_MAX = 32

/** Ways in which a vendor's certificates depart from the standards, each visible in results. */
export type Deviation =
  /** The elements of a SET OF are not in order (Nuvoton's names of several attributes). */
  | "set-order"
  /** Named bits with zeros behind the last one that is set (Infineon's keyUsage). */
  | "named-bits"
  /** An ECDSA signature's algorithm with a NULL for parameters, where there are none (RFC 5758, 3.2). */
  | "null-parameters"
  /** Bytes of one value, FF or 00, behind the certificate: an NV index read to its end. */
  | "nv-padding"
  /** The 7-byte header of TCG PC Client TPM 1.2 NV certificates before it. */
  | "tcg-header"
  /** A public key under id-RSAES-OAEP instead of rsaEncryption (STMicroelectronics, older Infineon). */
  | "rsaes-oaep-key"
  /** An attestation key's certificate is for the purpose of endorsement keys (Google). */
  | "ek-purpose"
  /** notAfter is 99991231235959Z, which says that there is no expiry (RFC 5280, 4.1.2.5). */
  | "no-expiry"

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  visibleString: 0x1a,
  universalString: 0x1c,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const

/** An error about the TLV at byte `offset` of `structure`. */
export const derError = (
  code: Code,
  structure: string,
  offset: number,
  message: string,
  details: { expected?: string; actual?: string } = {},
): AssayError => {
  const location = `${structure} at byte ${offset}`
  return new AssayError(code, `${location}: ${message}`, { location, ...details })
}

/** What one step of the gate may look at before it comes back, if its caller wants it in slices. */
const ALL = Number.POSITIVE_INFINITY

/**
 * The walk. `check` does it in one go; `step` does it in slices, for lists that are too long to hold the event loop.
 */
export class DerGate {
  /** What was tolerated on the way. */
  readonly deviations: ReadonlySet<Deviation>
  readonly #bytes: Uint8Array
  readonly #structure: string
  readonly #tolerated: ReadonlySet<Deviation>
  readonly #deviations = new Set<Deviation>()
  /** Where each open constructed TLV ends, and where the element before the next one of an open SET begins. */
  readonly #ends = new Int32Array(DER_DEPTH_MAX + 1)
  readonly #previous = new Int32Array(DER_DEPTH_MAX + 1)
  #depth = 0
  #offset = 0

  constructor(bytes: Uint8Array, structure: string, tolerated: ReadonlySet<Deviation> = new Set()) {
    this.#bytes = bytes
    this.#structure = structure
    this.#tolerated = tolerated
    this.deviations = this.#deviations
    this.#ends[0] = bytes.length
    this.#previous[0] = NOT_A_SET
  }

  /** @throws {AssayError} DER, OID, DEPTH, TRAILING. */
  static check(
    bytes: Uint8Array,
    structure: string,
    tolerated: ReadonlySet<Deviation> = new Set(),
  ): ReadonlySet<Deviation> {
    const gate = new DerGate(bytes, structure, tolerated)
    gate.step(ALL)
    return gate.deviations
  }

  /** Looks at up to `count` TLVs. True when all of them hold. @throws {AssayError} DER, OID, DEPTH, TRAILING. */
  step(count: number): boolean {
    for (let n = 0; n < count; n++) {
      this.#next()
      while (this.#depth > 0 && this.#offset === this.#ends[this.#depth]) this.#depth--
      if (this.#depth > 0) continue
      if (this.#offset === this.#bytes.length) return true
      throw this.#error("TRAILING", "bytes behind the end", {
        expected: "no more bytes",
        actual: `${this.#bytes.length - this.#offset} bytes`,
      })
    }
    return false
  }

  #next(): void {
    const start = this.#offset
    const limit = this.#ends[this.#depth] ?? 0
    const tag = this.#bytes[start] ?? 0
    const content = this.#header(start, limit)
    const end = this.#offset
    const previous = this.#previous[this.#depth] ?? NOT_A_SET
    if (previous !== NOT_A_SET) {
      if (previous !== FIRST_OF_SET) this.#checkOrder(previous, start, end)
      this.#previous[this.#depth] = start
    }
    if ((tag & CONSTRUCTED) === 0) {
      this.#checkPrimitive(tag, start, content, end)
      return
    }
    if (tag < CONTEXT && tag !== TAG.sequence && tag !== TAG.set)
      throw derError("DER", this.#structure, start, "a constructed value where DER has a primitive one", {
        actual: `tag ${hex(tag)}`,
      })
    if (content === end) return
    if (this.#depth === DER_DEPTH_MAX)
      throw derError("DEPTH", this.#structure, start, "nested too deeply", {
        expected: `at most ${DER_DEPTH_MAX} levels`,
      })
    this.#depth++
    this.#ends[this.#depth] = end
    this.#previous[this.#depth] = tag === TAG.set ? FIRST_OF_SET : NOT_A_SET
    this.#offset = content
  }

  /** Where the content begins. Moves the offset to the TLV's end. */
  #header(start: number, limit: number): number {
    const bytes = this.#bytes
    if (start + 2 > limit) throw this.#error("DER", "the input ends within a tag and length")
    const tag = bytes[start] ?? 0
    if ((tag & 0x1f) === 0x1f) throw this.#error("DER", "a tag over 30, which certificates do not have")
    const first = bytes[start + 1] ?? 0
    let content = start + 2
    let length = first
    if (first >= 0x80) {
      const size = first & 0x7f
      if (size === 0) throw this.#error("DER", "an indefinite length")
      if (size > 4 || content + size > limit)
        throw this.#error("DER", "a length over the bytes that are there")
      length = 0
      for (let i = 0; i < size; i++) length = length * 256 + (bytes[content + i] ?? 0)
      content += size
      if (length < 0x80 || (bytes[start + 2] ?? 0) === 0)
        throw this.#error("DER", "a length that is not in its shortest form")
    }
    if (length > limit - content)
      throw this.#error("DER", "a length over the bytes that are there", {
        expected: `at most ${limit - content}`,
        actual: String(length),
      })
    this.#offset = content + length
    return content
  }

  /** X.690, 11.6: the elements of a SET OF are in ascending order of their encodings. */
  #checkOrder(previous: number, start: number, end: number): void {
    const bytes = this.#bytes
    const size = Math.min(start - previous, end - start)
    for (let i = 0; i < size; i++) {
      const difference = (bytes[previous + i] ?? 0) - (bytes[start + i] ?? 0)
      if (difference < 0) return
      if (difference === 0) continue
      if (!this.#tolerated.has("set-order"))
        throw derError("DER", this.#structure, start, "the elements of a SET are not in order")
      this.#deviations.add("set-order")
      return
    }
  }

  #checkPrimitive(tag: number, start: number, content: number, end: number): void {
    const refuse = (message: string, code: Code = "DER"): AssayError =>
      derError(code, this.#structure, start, message)
    const bytes = this.#bytes
    const size = end - content
    if (tag >= CONTEXT) return
    switch (tag) {
      case TAG.boolean:
        if (size !== 1 || (bytes[content] !== 0 && bytes[content] !== 0xff))
          throw refuse("a BOOLEAN that is neither 00 nor FF")
        return
      case TAG.integer:
      case TAG.enumerated:
        if (!isMinimalInteger(bytes, content, end))
          throw refuse("an INTEGER that is not in its shortest form")
        return
      case TAG.bitString:
        if (!isBitString(bytes, content, end)) throw refuse("a BIT STRING whose unused bits are not zero")
        return
      case TAG.null:
        if (size !== 0) throw refuse("a NULL with content")
        return
      case TAG.oid:
        if (!isOid(bytes, content, end))
          throw refuse(`an OBJECT IDENTIFIER that is not minimal, or with an arc over ${OID_ARC_MAX}`, "OID")
        return
      case TAG.utf8String:
        if (!isUtf8(bytes, content, end)) throw refuse("a UTF8String that is not UTF-8")
        return
      case TAG.ia5String:
      case TAG.visibleString:
      case TAG.printableString:
        for (let i = content; i < end; i++)
          if ((bytes[i] ?? 0) >= 0x80) throw refuse("a string with a byte over 7F that has none")
        return
      case TAG.bmpString:
        if (size % 2 !== 0) throw refuse("a BMPString of half a character")
        return
      case TAG.universalString:
        if (size % 4 !== 0) throw refuse("a UniversalString of part of a character")
        return
      case TAG.utcTime:
      case TAG.generalizedTime:
        if (asn1Time(tag === TAG.utcTime, bytes, content, end) === undefined)
          throw refuse("a time that is not YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ, or no date")
        return
      case TAG.octetString:
      case TAG.teletexString:
        return
      default:
        throw refuse(`a value of a type that certificates do not have, tag ${hex(tag)}`)
    }
  }

  #error(code: Code, message: string, details: { expected?: string; actual?: string } = {}): AssayError {
    return derError(code, this.#structure, this.#offset, message, details)
  }
}

/**
 * Looks at the value of an extension that Assay does not know. It may hold anything, but nothing that would break the next
 * reader by its depth.
 *
 * @throws {AssayError} DEPTH.
 */
export const checkDepth = (content: Uint8Array): void => {
  try {
    DerGate.check(content, "extension")
  } catch (error) {
    if (error instanceof AssayError && error.code === "DEPTH") throw error
  }
}

const CONSTRUCTED = 0x20
const CONTEXT = 0x80
const NOT_A_SET = -1
const FIRST_OF_SET = -2

const hex = (tag: number): string => tag.toString(16).padStart(2, "0")

const isBitString = (bytes: Uint8Array, content: number, end: number): boolean => {
  const unused = bytes[content] ?? 8
  if (content === end || unused > 7 || (unused > 0 && end - content === 1)) return false
  return ((bytes[end - 1] ?? 0) & ((1 << unused) - 1)) === 0 || end - content === 1
}

/** Whether each arc is in its shortest form and not over `OID_ARC_MAX`. */
const isOid = (bytes: Uint8Array, content: number, end: number): boolean => {
  if (content === end || (bytes[end - 1] ?? 0x80) >= 0x80) return false
  let arc = 0
  for (let i = content; i < end; i++) {
    const byte = bytes[i] ?? 0
    if (arc === 0 && byte === 0x80) return false
    arc = arc * 128 + (byte & 0x7f)
    if (arc > OID_ARC_MAX) return false
    if (byte < 0x80) arc = 0
  }
  return true
}
