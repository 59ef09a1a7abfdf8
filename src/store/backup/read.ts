import { AssayError } from "../../errors.ts"
import { createBackupCheck } from "./check.ts"
import { type BackupEnd, type BackupHeader, type BackupRow, createBackupReader, flaw } from "./format.ts"

/** What a whole backup says of itself. */
export interface BackupSummary extends BackupEnd {
  readonly header: BackupHeader
}

/**
 * The rows of a backup, each once everything about it was looked at: its shape and bounds, its place, and what it says
 * together with those before it. What the last line says is known once all were read.
 *
 * @throws {AssayError} BACKUP with the number of the line and the field.
 */
export function* readBackup(lines: Iterable<Uint8Array>): Generator<BackupRow, BackupSummary> {
  const reader = createBackupReader()
  const check = createBackupCheck()
  let header: BackupHeader | undefined
  let end: BackupEnd | undefined
  let number = 0
  for (const line of lines) {
    number += 1
    const part = reader.read(line)
    switch (part.kind) {
      case "header":
        header = part.header
        break
      case "row":
        checked(number, part.table.name, () => check.take(part))
        yield part
        break
      case "end":
        checked(number, "end", () => check.end())
        end = part.end
    }
  }
  reader.end()
  if (header === undefined || end === undefined) throw new TypeError("a reader that ends early")
  return { header, ...end }
}

/** Reads all of a backup, and gives what it says of itself. @throws {AssayError} BACKUP. */
export const verifyBackup = (
  lines: Iterable<Uint8Array>,
  progress: (rows: number) => void = () => {},
): BackupSummary => {
  const rows = readBackup(lines)
  for (let count = 1; ; count += 1) {
    const next = rows.next()
    if (next.done === true) return next.value
    progress(count)
  }
}

const checked = (line: number, field: string, act: () => void): void => {
  try {
    act()
  } catch (error) {
    if (error instanceof AssayError && error.code === "BACKUP") throw error
    throw flaw(line, error instanceof Error ? error.message : "what was stored", { field })
  }
}
