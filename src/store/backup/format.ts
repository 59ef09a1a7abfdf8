/**
 * A backup as a file: JSON lines, each spelled in the one way that `JSON.stringify` does. The first line is an object that
 * says of what and when it is, and how rows are spelled; then the rows, one a line, an array of the table's name and the
 * values of its columns, tables in their order and rows in the order of their keys; the last line counts them and has the
 * SHA-256 of every byte before it. Bytes are base64url.
 */

import { createHash } from "node:crypto"
import { toHex } from "../../bytes.ts"
import { AssayError } from "../../errors.ts"
import { isObject } from "../../evidence/json.ts"
import { integer, type Row, text } from "../row.ts"
import { columnValue, compareValues, jsonOf } from "./columns.ts"
import { BACKUP_ORDER, BACKUP_TABLES, type BackupTable, type BackupTableName } from "./tables.ts"

/** Another one is of another Assay. */
export const BACKUP_VERSION = 1

/** What the first line says. */
export interface BackupHeader {
  readonly at: Date
  /** Of the Assay that made it. */
  readonly build: string
  /** How many tenants there are. */
  readonly tenants: number
}

/** How much there is of a tenant. */
export interface TenantCount {
  readonly devices: number
  readonly records: number
}

/** What the last line says. */
export interface BackupEnd {
  readonly rows: Readonly<Record<string, number>>
  readonly tenants: Readonly<Record<string, TenantCount>>
  /** In hexadecimal, over every line before the last. */
  readonly sha256: string
}

/** One row of a table. */
export interface BackupRow {
  readonly table: BackupTable
  readonly row: Row
}

/** What one line is. */
export type BackupPart =
  | ({ readonly kind: "row" } & BackupRow)
  | { readonly kind: "header"; readonly header: BackupHeader }
  | { readonly kind: "end"; readonly end: BackupEnd }

/** Of each table the names of its columns: how rows are spelled. */
const SCHEMA = Object.fromEntries(
  BACKUP_ORDER.map(({ name, columns }) => [name, columns.map(([column]) => column)]),
)

/** Counts rows, and what they are rows of. */
class Tally {
  readonly #digest = createHash("sha256")
  readonly #rows = new Map<string, number>(BACKUP_ORDER.map(({ name }) => [name, 0]))
  readonly #tenants = new Map<string, { devices: number; records: number }>()

  line(bytes: Uint8Array | string): void {
    this.#digest.update(bytes).update("\n")
  }

  row({ table: { name }, row }: BackupRow): void {
    this.#rows.set(name, this.rows(name) + 1)
    if (name !== "devices" && name !== "journal") return
    const tenant = text(row, "tenant")
    const of = this.#tenants.get(tenant) ?? { devices: 0, records: 0 }
    this.#tenants.set(tenant, of)
    if (name === "devices") of.devices += 1
    else of.records += 1
  }

  rows(name: BackupTableName): number {
    return this.#rows.get(name) ?? 0
  }

  end(): BackupEnd {
    return {
      rows: Object.fromEntries(this.#rows),
      tenants: Object.fromEntries(this.#tenants),
      sha256: toHex(this.#digest.copy().digest()),
    }
  }
}

const headerJson = ({ at, build, tenants }: BackupHeader) => ({
  kind: "assay-backup",
  version: BACKUP_VERSION,
  at: at.toISOString(),
  build,
  tenants,
  schema: SCHEMA,
})

const endJson = ({ rows, tenants, sha256 }: BackupEnd) => ({ kind: "end", rows, tenants, sha256 })

/** Spells the lines of one backup, without their line feeds: the header first, the end last. */
export interface BackupLines {
  readonly header: (header: BackupHeader) => string
  readonly row: (row: BackupRow) => string
  readonly end: () => { readonly line: string; readonly end: BackupEnd }
}

export const createBackupLines = (): BackupLines => {
  const tally = new Tally()
  const line = (value: object): string => {
    const spelled = JSON.stringify(value)
    tally.line(spelled)
    return spelled
  }
  return {
    header: (header) => line(headerJson(header)),
    row: (row) => {
      tally.row(row)
      return line([
        row.table.name,
        ...row.table.columns.map(([column, type]) => jsonOf(valueAt(row, column, type))),
      ])
    },
    end: () => {
      const end = tally.end()
      return { line: JSON.stringify(endJson(end)), end }
    },
  }
}

type Columns = BackupTable["columns"]

/** The value of a column that was read, if it is one that a backup can hold. @throws {TypeError}. */
const valueAt = ({ table, row }: BackupRow, column: string, type: Columns[number][1]) => {
  const value = row[column]
  try {
    return columnValue(type, value instanceof Uint8Array ? jsonOf(value) : value)
  } catch (error) {
    throw error instanceof TypeError
      ? new TypeError(`${table.name}.${column} is not ${error.message}`)
      : error
  }
}

/** Reads the lines of one backup. */
export interface BackupReader {
  /**
   * @param bytes The next line, without its line feed.
   * @throws {AssayError} BACKUP, with the number of the line and the field, for what does not stand there in a backup.
   */
  read(bytes: Uint8Array): BackupPart
  /** @throws {AssayError} BACKUP if the file did not come to its end. */
  end(): void
}

export const createBackupReader = (): BackupReader => {
  const tally = new Tally()
  let state: "header" | "rows" | "end" = "header"
  let header: BackupHeader | undefined
  let number = 0
  let at = 0
  let before: Row | undefined

  const rowOf = ([name, ...values]: readonly unknown[]): BackupPart => {
    const index = BACKUP_ORDER.findIndex((table) => table.name === name)
    const table = BACKUP_ORDER[index]
    if (table === undefined) throw flaw(number, "the name of a table", { actual: String(name) })
    if (index < at) throw flaw(number, "a row of a later table", { field: table.name })
    if (index > at) before = undefined
    at = index
    if (values.length !== table.columns.length)
      throw flaw(number, `${table.columns.length} columns`, {
        field: table.name,
        actual: String(values.length),
      })
    const row: Record<string, unknown> = {}
    table.columns.forEach(([column, type], i) => {
      row[column] = located(number, `${table.name}.${column}`, () => columnValue(type, values[i]))
    })
    if (before !== undefined && compareRows(table, before, row) >= 0)
      throw flaw(number, "a key behind that of the line before, and no key twice", { field: keyName(table) })
    before = row
    tally.row({ table, row })
    return { kind: "row", table, row }
  }
  const partOf = (value: unknown): BackupPart => {
    if (state === "header") {
      header = located(number, "header", () => headerOf(value))
      state = "rows"
      return { kind: "header", header }
    }
    if (Array.isArray(value)) return rowOf(value)
    const end = tally.end()
    if (header?.tenants !== tally.rows("tenants"))
      throw flaw(number, `${header?.tenants} tenants, as the first line says`, { field: "end" })
    // Every member has one value that is right, and so has the line.
    if (JSON.stringify(value) !== JSON.stringify(endJson(end)))
      throw flaw(number, JSON.stringify(endJson(end)), { field: "end", actual: JSON.stringify(value) })
    state = "end"
    return { kind: "end", end }
  }
  return {
    read: (bytes) => {
      number += 1
      if (state === "end") throw flaw(number, "nothing behind the last line")
      const value = jsonLine(bytes)
      if (value === undefined) throw flaw(number, "an object or an array as JSON.stringify writes it")
      const part = partOf(value)
      tally.line(bytes)
      return part
    },
    end: () => {
      if (state !== "end") throw flaw(number + 1, "the last line of a backup: the file was cut off")
    },
  }
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const jsonLine = (bytes: Uint8Array): unknown => {
  try {
    const line = decoder.decode(bytes)
    const value: unknown = JSON.parse(line)
    return typeof value === "object" && value !== null && JSON.stringify(value) === line ? value : undefined
  } catch {
    return undefined // not UTF-8, not JSON, or nested beyond what the stack holds
  }
}

const headerOf = (value: unknown): BackupHeader => {
  if (!isObject(value) || value["kind"] !== "assay-backup") throw new TypeError("the first line of a backup")
  if (value["version"] !== BACKUP_VERSION) throw new TypeError(`a backup of version ${BACKUP_VERSION}`)
  if (JSON.stringify(value["schema"]) !== JSON.stringify(SCHEMA))
    throw new TypeError(
      "the tables and columns of this version of Assay: restore it with the one that made it",
    )
  const at = new Date(text(value, "at"))
  if (Number.isNaN(at.getTime())) throw new TypeError("an instant as at")
  const header = { at, build: text(value, "build"), tenants: integer(value, "tenants") }
  if (JSON.stringify(headerJson(header)) !== JSON.stringify(value)) throw new TypeError("no other members")
  return header
}

const keyName = ({ name, key }: BackupTable): string => `${name}.${key.join("+")}`

/** Which of two rows of a table comes first, by their keys. */
export const compareRows = ({ key }: BackupTable, a: Row, b: Row): number => {
  for (const column of key) {
    const order = compareValues(keyValue(a, column), keyValue(b, column))
    if (order !== 0) return order
  }
  return 0
}

const keyValue = (row: Row, column: string): string | number | Uint8Array => {
  const value = row[column]
  if (typeof value === "string" || typeof value === "number" || value instanceof Uint8Array) return value
  throw new TypeError(`no value for ${column}`)
}

const located = <T>(line: number, field: string, read: () => T): T => {
  try {
    return read()
  } catch (error) {
    if (error instanceof AssayError || !(error instanceof Error)) throw error
    throw flaw(line, error.message, { field })
  }
}

/** What is wrong with a line of a backup. */
export const flaw = (
  line: number,
  expected: string,
  { field, actual }: { readonly field?: string; readonly actual?: string } = {},
): AssayError => {
  const location = field === undefined ? `line ${line}` : `line ${line}, ${field}`
  return new AssayError("BACKUP", `${location} is not that of a backup`, {
    location,
    expected,
    ...(actual !== undefined && { actual }),
  })
}

/** The table of that name. */
export const backupTable = (name: BackupTableName): BackupTable => BACKUP_TABLES[name]
