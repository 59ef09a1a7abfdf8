import { toHex } from "../../bytes.ts"
import { TAG } from "./der.ts"
import type { DerReader } from "./der-reader.ts"

/** One attribute of a name, as `2.5.4.3` with the text of its value. */
export interface NameAttribute {
  readonly type: string
  /** The text, or the content in hexadecimal after `#` if the value is no string. */
  readonly text: string
}

/** A distinguished name. */
export interface Name {
  /** For each relative name, a key that is equal for equal ones, whatever their case, spaces and string types. */
  readonly keys: readonly string[]
  /** Equal for equal names (RFC 5280, 7.1). Empty for the empty name. */
  readonly key: string
  readonly attributes: readonly NameAttribute[]
}

/** Attributes with names in common use (RFC 4519; TCG EK Credential Profile 3.1.2). */
const SHORT_NAMES: ReadonlyMap<string, string> = new Map([
  ["2.5.4.3", "CN"],
  ["2.5.4.4", "SN"],
  ["2.5.4.5", "serialNumber"],
  ["2.5.4.6", "C"],
  ["2.5.4.7", "L"],
  ["2.5.4.8", "ST"],
  ["2.5.4.9", "street"],
  ["2.5.4.10", "O"],
  ["2.5.4.11", "OU"],
  ["2.5.4.12", "title"],
  ["2.5.4.42", "GN"],
  ["0.9.2342.19200300.100.1.1", "UID"],
  ["0.9.2342.19200300.100.1.25", "DC"],
  ["1.2.840.113549.1.9.1", "emailAddress"],
  ["2.23.133.2.1", "tpmManufacturer"],
  ["2.23.133.2.2", "tpmModel"],
  ["2.23.133.2.3", "tpmVersion"],
])

/** Real names have ten at most. More than this costs more to read than the rest of a path. */
const ATTRIBUTES_MAX = 256

/** The name as people read it: `C=DE, O=Infineon Technologies AG, CN=…`, in the order of the certificate. */
export const nameText = ({ attributes }: Name): string =>
  attributes.length === 0
    ? "(empty name)"
    : attributes.map(({ type, text }) => `${SHORT_NAMES.get(type) ?? type}=${escaped(text)}`).join(", ")

/** What would look like the end of a value is escaped (RFC 4514, 2.4). */
const escaped = (text: string): string => text.replace(/[,+"\\<>;]/g, "\\$&")

/** Values of an attribute of the name, by its object identifier. */
export const valuesOf = ({ attributes }: Name, type: string): string[] =>
  attributes.filter((attribute) => attribute.type === type).map(({ text }) => text)

/**
 * Reads a Name: SEQUENCE OF SET OF AttributeTypeAndValue.
 *
 * @throws {AssayError} CERTIFICATE.
 * @see RFC 5280, 4.1.2.4 and 7.1: names are compared without regard to case and repeated spaces. As in OpenSSL, only
 *   ASCII letters have a case here: that refuses more, never less.
 */
export function readName(r: DerReader, field: string): Name {
  const attributes: NameAttribute[] = []
  const keys: string[] = []
  const rdns = r.sequence(field)
  while (rdns.tag !== 0) {
    keys.push(readRdn(rdns.set("rdn"), attributes))
    if (attributes.length > ATTRIBUTES_MAX)
      throw rdns.error("CERTIFICATE", undefined, "more attributes than a name has", {
        expected: `at most ${ATTRIBUTES_MAX}`,
      })
  }
  return { keys, key: keys.join("\n"), attributes }
}

/** A relative name on its own, as nameRelativeToCRLIssuer has it: its key. */
export function readRdn(rdn: DerReader, attributes: NameAttribute[]): string {
  if (rdn.tag === 0) throw rdn.error("CERTIFICATE", undefined, "a relative name without an attribute")
  const keys: string[] = []
  while (rdn.tag !== 0) {
    const pair = rdn.sequence("attribute")
    const type = pair.oid("type")
    const { tag } = pair
    const content = pair.content(tag, "value")
    pair.end()
    const text = stringText(tag, content)
    if (text?.includes("\0") === true) throw pair.error("CERTIFICATE", "value", "a name with a zero in it")
    attributes.push({ type, text: text ?? `#${toHex(content)}` })
    // The length keeps one value from looking like two, and the sign a text from looking like a number.
    const value = text === undefined ? toHex(content) : folded(text)
    keys.push(`${type}${text === undefined ? `#${tag}:` : "="}${value.length}:${value}`)
  }
  return keys.length === 1 ? (keys[0] ?? "") : keys.sort().join("+")
}

/** Caseless, with single spaces and none at the ends. */
const folded = (text: string): string =>
  text
    .replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
    .replace(/[\t-\r ]+/g, " ")
    .replace(/^ | $/g, "")

const view = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)

/** The text of a string type, or nothing for a value of another. The content has passed the gate. */
export const stringText = (tag: number, content: Uint8Array): string | undefined => {
  switch (tag) {
    case TAG.printableString:
    case TAG.ia5String:
    case TAG.visibleString:
    case TAG.teletexString:
      return view(content).toString("latin1")
    case TAG.utf8String:
      return view(content).toString("utf8")
    case TAG.bmpString:
      return scalarText(content, 2)
    case TAG.universalString:
      return scalarText(content, 4)
    default:
      return undefined
  }
}

/** Characters of `size` bytes each; nothing if one is none, for two that are none would look the same. */
const scalarText = (content: Uint8Array, size: 2 | 4): string | undefined => {
  let text = ""
  for (let i = 0; i < content.length; i += size) {
    const point = view(content).readUIntBE(i, size)
    if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return undefined
    text += String.fromCodePoint(point)
  }
  return text
}
