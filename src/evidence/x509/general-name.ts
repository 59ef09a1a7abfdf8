import type { DerReader } from "./der-reader.ts"
import { type Name, readName } from "./name.ts"

/** A GeneralName (RFC 5280, 4.2.1.6). */
export type GeneralName =
  | { readonly kind: "dns" | "email" | "uri"; readonly text: string }
  /** 4 or 16 octets, twice that in a constraint. */
  | { readonly kind: "ip"; readonly octets: Uint8Array }
  | { readonly kind: "directory"; readonly name: Name }
  /** otherName with its type, registeredID, and the two that nobody uses. */
  | { readonly kind: "other" | "registered" | "x400" | "edi"; readonly text: string }

const OTHER_NAME = 0xa0
const EMAIL = 0x81
const DNS = 0x82
const X400 = 0xa3
const DIRECTORY = 0xa4
const EDI = 0xa5
const URI = 0x86
const IP = 0x87
const REGISTERED = 0x88

/** Reads one GeneralName. @throws {AssayError} CERTIFICATE. */
export function readGeneralName(r: DerReader): GeneralName {
  switch (r.tag) {
    case EMAIL:
      return { kind: "email", text: ia5(r, EMAIL, "rfc822Name") }
    case DNS:
      return { kind: "dns", text: ia5(r, DNS, "dNSName") }
    case URI:
      return { kind: "uri", text: ia5(r, URI, "uniformResourceIdentifier") }
    case IP:
      return { kind: "ip", octets: r.content(IP, "iPAddress") }
    case DIRECTORY: {
      // Explicit, for a Name is a CHOICE.
      const inner = r.constructed(DIRECTORY, "directoryName")
      const name = readName(inner, "name")
      inner.end()
      return { kind: "directory", name }
    }
    case OTHER_NAME: {
      const inner = r.constructed(OTHER_NAME, "otherName")
      const text = inner.oid("type-id")
      inner.constructed(0xa0, "value")
      inner.end()
      return { kind: "other", text }
    }
    case REGISTERED:
      return { kind: "registered", text: Buffer.from(r.content(REGISTERED, "registeredID")).toString("hex") }
    case X400:
      r.content(X400, "x400Address")
      return { kind: "x400", text: "" }
    case EDI:
      r.content(EDI, "ediPartyName")
      return { kind: "edi", text: "" }
    default:
      throw r.error("CERTIFICATE", "generalName", "no kind of name")
  }
}

/** Servers of the Web have a hundred. Eight certificates of this many, on the wire, are read within 20 ms. */
const NAMES_MAX = 1024

/** A list of at least one. @throws {AssayError} CERTIFICATE. */
export function readGeneralNames(names: DerReader): GeneralName[] {
  const list: GeneralName[] = []
  while (names.tag !== 0) {
    list.push(readGeneralName(names))
    if (list.length > NAMES_MAX)
      throw names.error("CERTIFICATE", undefined, "more names than a certificate has", {
        expected: `at most ${NAMES_MAX}`,
      })
  }
  if (list.length === 0) throw names.error("CERTIFICATE", undefined, "an empty list of names")
  return list
}

const ia5 = (r: DerReader, tag: number, field: string): string => {
  const content = r.content(tag, field)
  if (content.some((byte) => byte >= 0x80)) throw r.error("CERTIFICATE", field, "not an IA5String")
  return Buffer.from(content.buffer, content.byteOffset, content.length).toString("latin1")
}
