/**
 * A journal as a file: JSON lines, each spelled in the one way that `JSON.stringify` does. The first line says whose it is;
 * then the entries in the order in which they are verified; the last line counts them, and is over every byte before it:
 * a file that was cut off is not taken for a shorter one.
 */
import { createHash, type Hash } from "node:crypto"
import { sameBytes, utf8 } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { type JsonObject, parseCanonicalJson } from "../evidence/json.ts"
import type { JournalEntry } from "../verification/journal/verify.ts"
import { entryJson, entryOf, headerJson, headerOf, type JournalHeader } from "./journal-json.ts"

/** Far more than any record has: a checkpoint has 16 KiB at most, and a record some hundred bytes and its codes. */
export const JOURNAL_LINE_BYTES_MAX = 1024 * 1024

/** Writes a journal's lines, each with its line feed. */
export interface JournalLines {
  readonly header: (header: JournalHeader) => string
  readonly entry: (entry: JournalEntry) => string
  readonly end: () => string
}

/** Lines of one file: the header first, the end last. */
export const createJournalLines = (): JournalLines => {
  const tally = newTally()
  const line = (value: object): string => {
    const text = `${JSON.stringify(value)}\n`
    tally.digest.update(text)
    return text
  }
  return {
    header: (header) => line(headerJson(header)),
    entry: (entry) => {
      count(tally, entry)
      return line(entryJson(entry))
    },
    end: () => line(endJson(tally)),
  }
}

/** What one line is. */
export type JournalLine =
  | { readonly kind: "header"; readonly header: JournalHeader }
  | { readonly kind: "entry"; readonly entry: JournalEntry }
  | { readonly kind: "end" }

/** Reads a journal's lines one after another. */
export interface JournalLineReader {
  /**
   * @param bytes The next line, without its line feed.
   * @throws {AssayError} JOURNAL_FILE, with the line's number, if it is not what stands there in a journal.
   */
  read(bytes: Uint8Array): JournalLine
  /** @throws {AssayError} JOURNAL_FILE if the file did not come to its end. */
  end(): void
}

/** Reads the lines of one file. */
export const createJournalLineReader = (): JournalLineReader => {
  const tally = newTally()
  let number = 0
  let state: "header" | "entries" | "end" = "header"

  const readLine = (value: JsonObject): { readonly line: JournalLine; readonly json: object } => {
    if (state === "header") {
      const header = headerOf(value)
      state = "entries"
      return { line: { kind: "header", header }, json: headerJson(header) }
    }
    if (value["kind"] === "end") {
      state = "end"
      return { line: { kind: "end" }, json: endJson(tally) }
    }
    const entry = entryOf(value)
    count(tally, entry)
    return { line: { kind: "entry", entry }, json: entryJson(entry) }
  }
  return {
    read: (bytes) => {
      number += 1
      if (state === "end") throw notA(number, "a journal that ends with its last line")
      const value = parseCanonicalJson(bytes)
      if (value === undefined) throw notA(number, "a JSON object as JSON.stringify writes it")
      const { line, json } = located(number, () => readLine(value))
      // Whatever a member was, or stood where it does not: what was read says the same as the line, or the line is none.
      if (!sameBytes(utf8(JSON.stringify(json)), bytes))
        throw notA(number, line.kind === "end" ? JSON.stringify(json) : "the one spelling of such a line")
      tally.digest.update(bytes).update("\n")
      return line
    },
    end: () => {
      if (state !== "end") throw notA(number + 1, "the last line of a journal: the file was cut off")
    },
  }
}

interface Tally {
  readonly digest: Hash
  records: number
  checkpoints: number
}

const newTally = (): Tally => ({ digest: createHash("sha256"), records: 0, checkpoints: 0 })

const count = (tally: Tally, { kind }: JournalEntry): void => {
  if (kind === "record") tally.records += 1
  else tally.checkpoints += 1
}

const endJson = ({ digest, records, checkpoints }: Tally) => ({
  kind: "end",
  records,
  checkpoints,
  digest: digest.copy().digest("hex"),
})

const located = <T>(number: number, read: () => T): T => {
  try {
    return read()
  } catch (error) {
    if (error instanceof TypeError) throw notA(number, error.message)
    throw error
  }
}

const notA = (number: number, expected: string): AssayError =>
  new AssayError("JOURNAL_FILE", `line ${number} is not that of a journal`, {
    location: `line ${number}`,
    expected,
  })
