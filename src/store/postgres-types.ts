import { type CustomTypesConfig, types } from "pg"

/** Types of PostgreSQL by their ids. */
const BYTEA = 17
const INT8 = 20

/** What an int8 is in a row; text where a number cannot hold it, which no reader of rows accepts. */
const toInteger = (text: string): number | string => {
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : text
}

/** What a bytea is in a row, sent as `\\x` and hexadecimal: bytes that share their memory with nobody. */
const toBytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.slice(2), "hex"))

/** How values are read into rows: whole numbers as numbers, bytes as Uint8Array. */
export const ROW_TYPES: CustomTypesConfig = {
  getTypeParser: (id, format) =>
    id === INT8 ? toInteger : id === BYTEA ? toBytes : types.getTypeParser(id, format),
}
