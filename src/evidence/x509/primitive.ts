/** Values of DER's primitive types. Total functions over a range of bytes: nothing here throws. */

/** The greatest arc of an OBJECT IDENTIFIER: what a u32 holds, so that no reader can truncate it to another. */
export const OID_ARC_MAX = 0xffff_ffff

/** Whether an INTEGER is in its shortest form: neither empty nor with nine equal bits in front. */
export const isMinimalInteger = (bytes: Uint8Array, start: number, end: number): boolean => {
  if (end - start < 2) return end > start
  const first = bytes[start] ?? 0
  const negative = (bytes[start + 1] ?? 0) >= 0x80
  return !((first === 0 && !negative) || (first === 0xff && negative))
}

const utf8Decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** Whether the bytes are UTF-8. */
export const isUtf8 = (bytes: Uint8Array, start: number, end: number): boolean => {
  for (let i = start; i < end; i++)
    if ((bytes[i] ?? 0) >= 0x80) return isDecodable(bytes.subarray(start, end))
  return true
}

const isDecodable = (bytes: Uint8Array): boolean => {
  try {
    utf8Decoder.decode(bytes)
    return true
  } catch {
    return false
  }
}

/** An OBJECT IDENTIFIER with its arcs as decimal numbers and dots between them. The bytes have passed the gate. */
export const oidText = (bytes: Uint8Array, start: number, end: number): string => {
  let text = ""
  let arc = 0
  for (let i = start; i < end; i++) {
    const byte = bytes[i] ?? 0
    arc = arc * 128 + (byte & 0x7f)
    if (byte >= 0x80) continue
    if (text !== "") text += `.${arc}`
    else {
      const root = Math.min(2, Math.floor(arc / 40))
      text = `${root}.${arc - root * 40}`
    }
    arc = 0
  }
  return text
}

const digit = (bytes: Uint8Array, at: number): number => (bytes[at] ?? 0) - 0x30

/** Two digits, or NaN. */
const twoDigits = (bytes: Uint8Array, at: number): number => {
  const tens = digit(bytes, at)
  const ones = digit(bytes, at + 1)
  return tens < 0 || tens > 9 || ones < 0 || ones > 9 ? Number.NaN : tens * 10 + ones
}

const Z = 0x5a

/**
 * Milliseconds since 1970 of a UTCTime `YYMMDDHHMMSSZ` (50 to 99 are of the 20th century) or a GeneralizedTime
 * `YYYYMMDDHHMMSSZ`; nothing for any other form and for what is no date (RFC 5280, 4.1.2.5).
 */
export const asn1Time = (utc: boolean, bytes: Uint8Array, start: number, end: number): number | undefined => {
  const yearDigits = utc ? 2 : 4
  if (end - start !== yearDigits + 11 || bytes[end - 1] !== Z) return undefined
  const head = twoDigits(bytes, start)
  const year = utc ? head + (head < 50 ? 2000 : 1900) : head * 100 + twoDigits(bytes, start + 2)
  const at = start + yearDigits
  const month = twoDigits(bytes, at)
  const day = twoDigits(bytes, at + 2)
  const hour = twoDigits(bytes, at + 4)
  const minute = twoDigits(bytes, at + 6)
  const second = twoDigits(bytes, at + 8)
  if (!(hour <= 23 && minute <= 59 && second <= 59)) return undefined
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  if (date.getUTCFullYear() !== year || date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day)
    return undefined
  return date.getTime() + ((hour * 60 + minute) * 60 + second) * 1000
}
