/** How answers are written: JSON for programs, tables for people. */
import { styleText } from "node:util"
import { AssayError, printable } from "../errors.ts"

/** What `-o` may say. */
export const OUTPUTS = ["json", "table"] as const

/** One of the two. */
export type Output = (typeof OUTPUTS)[number]

/** What a command answers, in both forms. */
export interface Report {
  /** Decides the exit status: 0, or 1 for what was read and refused. */
  readonly accepted: boolean
  /** The input was not what its format says, and that is among the findings: exit status 2. */
  readonly malformed?: boolean
  readonly json: unknown
  /** Lines without their ends. What came from input is to be made `printable` first. */
  readonly table: (paint: Paint) => readonly string[]
}

/** A word in the color of what it means, where there are colors. */
export interface Paint {
  readonly good: (text: string) => string
  readonly bad: (text: string) => string
  readonly warn: (text: string) => string
  readonly faint: (text: string) => string
}

/** Paints on a terminal, and leaves everything as it is elsewhere. */
export const painter = (colors: boolean): Paint => {
  const tint = (color: "green" | "red" | "yellow" | "gray") => (text: string) =>
    colors ? styleText(color, text, { validateStream: false }) : text
  return { good: tint("green"), bad: tint("red"), warn: tint("yellow"), faint: tint("gray") }
}

/** JSON with everything but visible ASCII escaped, for it may reach a terminal. */
export const toJson = (value: unknown): string =>
  JSON.stringify(value, undefined, 2).replace(
    /[^\x20-\x7e\n]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  )

/** Name and value in two columns. A value is made printable; an undefined one leaves its line out. */
export const fieldLines = (
  fields: readonly (readonly [name: string, value: string | number | undefined])[],
): string[] => {
  const known = fields.flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)] as const],
  )
  const width = Math.max(0, ...known.map(([name]) => name.length))
  return known.map(([name, value]) => `${name.padEnd(width)}  ${printable(value)}`.trimEnd())
}

/** Rows in columns below their titles. Cells are made printable. */
export const tableLines = (
  titles: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): string[] => {
  const cells = [titles, ...rows].map((row) => row.map((cell) => printable(String(cell))))
  const widths = titles.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
  return cells.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  )
}

/** A failure as JSON. */
export const errorJson = (error: AssayError): object => {
  const { code, message, location, expected, actual, challenge } = error
  return {
    code,
    message,
    location,
    expected,
    actual,
    challenge: challenge === "none" ? undefined : challenge,
  }
}

/** A failure as one line: `assay: CODE: message (location; expected …; found …)`. */
export const errorLine = ({ code, message, location, expected, actual }: AssayError): string => {
  const details = [
    location !== undefined && !message.includes(location) ? location : "",
    expected === undefined ? "" : `expected ${expected}`,
    actual === undefined ? "" : `found ${actual}`,
  ].filter(Boolean)
  return `assay: ${code}: ${message}${details.length === 0 ? "" : ` (${details.join("; ")})`}`
}

/** Exit status of a failure: 2 for wrong use, for malformed input and for what is larger than Assay reads, else 1. */
export const statusOf = ({ kind }: AssayError): 1 | 2 =>
  kind === "malformed" || kind === "exhausted" ? 2 : 1

/** Whatever was thrown, as an AssayError. What is not one is a fault of ours. */
export const asAssayError = (error: unknown): AssayError =>
  error instanceof AssayError
    ? error
    : new AssayError("INTERNAL", `internal error: ${error instanceof Error ? error.message : "unknown"}`, {
        cause: error,
      })
