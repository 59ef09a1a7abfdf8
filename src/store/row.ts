import { u64Value } from "./u64.ts"

/** A row as its engine gives it: whole numbers as numbers, bytes as Uint8Array. */
export type Row = Readonly<Record<string, unknown>>

/*
 * Columns are read by type. A value of another type means that the database was altered by something else: the
 * plain Error becomes REGISTRY or JOURNAL where the query was made.
 */

/** A column of text. */
export const text = (row: Row, column: string): string => {
  const value = row[column]
  if (typeof value !== "string") throw alien(column)
  return value
}

/** A column of a text that is one of few. */
export const oneOf =
  <T extends string>(known: readonly T[]) =>
  (row: Row, column: string): T => {
    const value = text(row, column)
    const found = known.find((one) => one === value)
    if (found === undefined) throw new Error(`column ${column} holds a value that nobody knows: ${value}`)
    return found
  }

/** A column of a whole number that a JavaScript number holds exactly. */
export const integer = (row: Row, column: string): number => {
  const value = row[column]
  if (typeof value !== "number" || !Number.isSafeInteger(value)) throw alien(column)
  return value
}

/** A column of bytes. They are a copy. */
export const blob = (row: Row, column: string): Uint8Array => {
  const value = row[column]
  if (!(value instanceof Uint8Array)) throw alien(column)
  return value
}

/** A column of a u64, stored as 8 bytes: the engines' own integers are signed. */
export const u64 = (row: Row, column: string): bigint => u64Value(blob(row, column))

/** A column of an instant, stored as milliseconds since 1970. */
export const instant = (row: Row, column: string): Date => new Date(integer(row, column))

/** A column that may be NULL, which is nothing. */
export const optional = <T>(
  read: (row: Row, column: string) => T,
  row: Row,
  column: string,
): T | undefined => (row[column] === null ? undefined : read(row, column))

/** A column as it is, for a digest over a row. */
export const value = (row: Row, column: string): string | number | Uint8Array | null => {
  const found = row[column]
  if (found === null || typeof found === "string" || typeof found === "number") return found
  return blob(row, column)
}

/** An instant as a column. @throws {TypeError} if it is none. */
export const instantColumn = (at: Date): number => {
  const ms = at.getTime()
  if (!Number.isSafeInteger(ms)) throw new TypeError("not an instant")
  return ms
}

const alien = (column: string): Error => new Error(`column ${column} holds a value of another type`)
