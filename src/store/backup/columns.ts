/** What columns of a backup may hold, and how that is spelled in JSON. */

import { fromBase64Url, toBase64Url, utf8 } from "../../bytes.ts"
import type { Value } from "../statement.ts"

/** What a column holds. Bounds are those of a size in bytes, or of a number, and within them. */
export interface ColumnType {
  readonly kind: "text" | "integer" | "bytes"
  readonly min: number
  readonly max: number
  /** The only texts that there are, if they are few. */
  readonly of?: readonly string[]
  /** Whether it may be NULL. */
  readonly optional: boolean
}

/** Names, ids and whatever else people read. */
const TEXT_BYTES_MAX = 4096

/** Text of at most so many bytes in UTF-8, by default 4096. */
export const text = (max = TEXT_BYTES_MAX, min = 0): ColumnType => ({
  kind: "text",
  min,
  max,
  optional: false,
})

/** One of few texts. */
export const oneOf = (...of: readonly string[]): ColumnType => ({
  kind: "text",
  min: 0,
  max: TEXT_BYTES_MAX,
  of,
  optional: false,
})

/** A whole number that a JavaScript number holds exactly. */
export const integer = (min = 0, max = Number.MAX_SAFE_INTEGER): ColumnType => ({
  kind: "integer",
  min,
  max,
  optional: false,
})

/** Below what moves on by one at a time, with room to move on for ever. */
const REVISION_MAX = 2 ** 52

/** What a revision, a generation or a sequence may be. */
export const revision = (min = 1): ColumnType => integer(min, REVISION_MAX)

/** Milliseconds since 1970, as far as `Date` goes. */
export const instant = integer(-8_640_000_000_000_000, 8_640_000_000_000_000)

/** So many bytes. */
export const bytes = (min: number, max = min): ColumnType => ({ kind: "bytes", min, max, optional: false })

/** The same, or NULL. */
export const optional = (type: ColumnType): ColumnType => ({ ...type, optional: true })

/** What a value is in JSON: bytes as base64url. */
export const jsonOf = (value: Value): string | number | null =>
  value instanceof Uint8Array ? toBase64Url(value) : value

/** The value of a column that JSON spells. @throws {TypeError} that says what was expected. */
export const columnValue = (type: ColumnType, json: unknown): Value => {
  if (json === null) {
    if (type.optional) return null
    throw new TypeError(expectedOf(type))
  }
  const value = type.kind === "bytes" && typeof json === "string" ? fromBase64Url(json) : json
  if (!isOfType(type, value)) throw new TypeError(expectedOf(type))
  return value
}

const isOfType = ({ kind, min, max, of }: ColumnType, value: unknown): value is Value => {
  const isWithin = (size: number): boolean => min <= size && size <= max
  switch (kind) {
    case "text":
      // PostgreSQL has no text with a zero in it, and neither has UTF-8 for half of a surrogate pair.
      return (
        typeof value === "string" &&
        value.isWellFormed() &&
        !value.includes("\0") &&
        isWithin(utf8(value).length) &&
        (of === undefined || of.includes(value))
      )
    case "integer":
      return Number.isSafeInteger(value) && isWithin(Number(value))
    case "bytes":
      return value instanceof Uint8Array && isWithin(value.length)
  }
}

const expectedOf = ({ kind, min, max, of, optional: isOptional }: ColumnType): string => {
  const what = {
    text: of === undefined ? `text of ${min} to ${max} bytes` : `one of ${of.join(", ")}`,
    integer: `a whole number from ${min} to ${max}`,
    bytes: `${min === max ? min : `${min} to ${max}`} bytes in base64url`,
  }[kind]
  return isOptional ? `${what}, or null` : what
}

/** Which of two values of a column comes first, as both databases order them: less than 0, 0 or more than 0. */
export const compareValues = (a: Value, b: Value): number => {
  if (typeof a === "number" && typeof b === "number") return a - b
  return Buffer.compare(asBytes(a), asBytes(b))
}

const asBytes = (value: Value): Uint8Array => (value instanceof Uint8Array ? value : utf8(String(value)))
