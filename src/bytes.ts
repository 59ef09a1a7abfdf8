/**
 * Small, total functions over bytes. Nothing here throws an AssayError and nothing here is a parser:
 * the one reader of binary input is `evidence/reader.ts`.
 */

const encoder = new TextEncoder()

/** The UTF-8 bytes of `text`. */
export const utf8 = (text: string): Uint8Array => encoder.encode(text)

/**
 * What is short, as native code reads it: an array of up to 64 bytes is an object like others, and is given memory of its own
 * as soon as anybody asks for its `buffer`, which costs five times what it costs to copy it.
 */
const brief = Buffer.allocUnsafeSlow(128)

const textOf = (bytes: Uint8Array, encoding: "hex" | "base64url" | "latin1"): string => {
  if (bytes.length > brief.length)
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString(encoding)
  brief.set(bytes)
  return brief.toString(encoding, 0, bytes.length)
}

/** A copy in memory that is shared with others, for native code to read: see `brief`. Whoever kept it would keep much more than it. */
export const briefCopy = (bytes: Uint8Array): Uint8Array => Buffer.from(bytes)

/** Lowercase hexadecimal, two digits a byte. */
export const toHex = (bytes: Uint8Array): string => textOf(bytes, "hex")

/** The bytes that `text` spells in hexadecimal of either case, or nothing if it is not that. */
export const fromHex = (text: string): Uint8Array | undefined =>
  /^([0-9a-fA-F]{2})*$/.test(text) ? new Uint8Array(Buffer.from(text, "hex")) : undefined

/** Base64url without padding (RFC 4648 section 5). */
export const toBase64Url = (bytes: Uint8Array): string => textOf(bytes, "base64url")

/** The same of a text's UTF-8 bytes. */
export const textToBase64Url = (text: string): string => Buffer.from(text).toString("base64url")

/**
 * The bytes that `text` spells in base64url without padding, or nothing. Only the one canonical spelling of
 * some bytes is read: other alphabets, padding, white space and non-zero trailing bits are not.
 */
export const fromBase64Url = (text: string): Uint8Array | undefined => {
  const bytes = Buffer.from(text, "base64url")
  return bytes.toString("base64url") === text ? new Uint8Array(bytes) : undefined
}

/** One character a byte: a copy that nobody changes, and the cheapest key of a map. Of public values only. */
export const latin1 = (bytes: Uint8Array): string => textOf(bytes, "latin1")

const BASE32 = "abcdefghijklmnopqrstuvwxyz234567"

/** Base32 (RFC 4648 section 6) in lowercase without padding: what ids that people read out are made of. */
export const toBase32 = (bytes: Uint8Array): string => {
  let text = ""
  let bits = 0
  let rest = 0
  for (const byte of bytes) {
    rest = ((rest << 8) | byte) & 0xfff
    for (bits += 8; bits >= 5; bits -= 5) text += BASE32[(rest >>> (bits - 5)) & 31]
  }
  return bits === 0 ? text : text + BASE32[(rest << (5 - bits)) & 31]
}

/** All parts, one after another, in a new array. */
export const concat = (...parts: readonly Uint8Array[]): Uint8Array =>
  concatInto(new Uint8Array(sizeOf(parts)), parts)

/** The same in memory that is shared with others, for less: for what is digested at once and let go of. */
export const concatBriefly = (parts: readonly Uint8Array[]): Uint8Array =>
  concatInto(Buffer.allocUnsafe(sizeOf(parts)), parts)

const sizeOf = (parts: readonly Uint8Array[]): number => {
  let size = 0
  for (const part of parts) size += part.length
  return size
}

/** Writes every byte of `whole`. */
const concatInto = (whole: Uint8Array, parts: readonly Uint8Array[]): Uint8Array => {
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}

/** From here on a call to what is built in costs less than to look at each byte. */
const LONG_BYTES = 64

/** Whether both hold the same bytes. Not in constant time: for public values only. */
export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => {
  if (a.length !== b.length) return false
  if (a.length > LONG_BYTES) return Buffer.compare(a, b) === 0
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

/** Whether two secrets are one. The time taken tells no more of where they differ than their lengths do. */
export const isSameSecret = (a: string, b: string): boolean => {
  if (a.length !== b.length) return false
  let differing = 0
  for (let i = 0; i < a.length; i++) differing |= a.charCodeAt(i) ^ b.charCodeAt(i)
  return differing === 0
}

/**
 * All parts, each preceded by its length as a 32-bit big-endian number, so that no two lists of parts have
 * the same encoding. What every transcript and every digest over several values is made over.
 */
export const lengthPrefixed = (...parts: readonly Uint8Array[]): Uint8Array =>
  prefixedInto(new Uint8Array(prefixedSize(parts)), parts)

/**
 * The same in memory that is shared with others, for less: for what is digested at once, or read and let go of. Whoever
 * kept it would keep much more than it, and so would who gives it to another thread.
 */
export const lengthPrefixedBriefly = (parts: readonly Uint8Array[]): Uint8Array => {
  const { buffer, byteOffset, length } = Buffer.allocUnsafe(prefixedSize(parts))
  return prefixedInto(new Uint8Array(buffer, byteOffset, length), parts)
}

/** Of a length before a part. */
export const PREFIX_BYTES = 4

const prefixedSize = (parts: readonly Uint8Array[]): number => {
  let size = 0
  for (const part of parts) size += PREFIX_BYTES + part.length
  return size
}

/** Writes every byte of `whole`. */
const prefixedInto = (whole: Uint8Array, parts: readonly Uint8Array[]): Uint8Array => {
  let offset = 0
  for (const part of parts) {
    whole[offset] = part.length >>> 24
    whole[offset + 1] = part.length >>> 16
    whole[offset + 2] = part.length >>> 8
    whole[offset + 3] = part.length
    whole.set(part, offset + PREFIX_BYTES)
    offset += PREFIX_BYTES + part.length
  }
  return whole
}

/** Whether every byte is `value`. True for no bytes at all. */
export const isFilledWith = (bytes: Uint8Array, value: number): boolean =>
  bytes.every((byte) => byte === value)
