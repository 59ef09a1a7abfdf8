/** Names as the chains of the differential suite have them. */
import { utf8 } from "../../../src/bytes.ts"
import { name, oid, seq, set, tlv } from "../../support/x509.ts"

/** The common part of the names of all chains, which name constraints permit or exclude. */
export const INSIDE = { "2.5.4.6": "DE", "2.5.4.10": "Inside" } as const
/** A subject within that part. */
export const inside = (commonName: string): Uint8Array => name({ ...INSIDE, "2.5.4.3": commonName })

/** An AttributeTypeAndValue. */
export const attribute = (type: string, tag: number, value: Uint8Array): Uint8Array =>
  seq(oid(type), tlv(tag, value))

/** The same name as `inside`, its strings of another type. */
export const insideIn = (tag: number, commonName: string, encode: (text: string) => Uint8Array): Uint8Array =>
  seq(
    ...Object.entries({ ...INSIDE, "2.5.4.3": commonName }).map(([type, text]) =>
      set(attribute(type, tag, encode(text))),
    ),
  )

/** UTF-16, big-endian, for BMPString. */
export const utf16 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "utf16le").swap16())
/** Four octets a character, for UniversalString. */
export const utf32 = (text: string): Uint8Array =>
  Uint8Array.from([...text].flatMap((letter) => [0, 0, 0, letter.charCodeAt(0)]))

export const email = (text: string): Uint8Array => tlv(0x81, utf8(text))
export const uri = (text: string): Uint8Array => tlv(0x86, utf8(text))
export const ip = (...octets: readonly number[]): Uint8Array => tlv(0x87, Uint8Array.from(octets))
/** 2001:db8:`group`::, behind it what is given. */
export const ip6 = (group: number, ...more: readonly number[]): Uint8Array =>
  ip(0x20, 1, 0x0d, 0xb8, 0, group, ...new Uint8Array(10), ...more)
