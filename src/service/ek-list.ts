import { fromHex } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import type { ListedEk } from "./ports.ts"

/** Rows of one file. A fleet that is larger has several files. */
export const EK_LIST_ROWS_MAX = 100_000
const DIGEST_DIGITS = 64
const LABEL_MAX = 128
const LABEL = /^[ -~]*$/

/** What a list of endorsement keys says. */
export interface EkList {
  /** Each key once, in the order of the file. */
  readonly eks: readonly Pick<ListedEk, "digest" | "label">[]
  /** Rows that say what a row before them said. */
  readonly duplicates: number
}

/**
 * Reads a list of endorsement keys: CSV with two fields a row, SHA-256 of the key's SubjectPublicKeyInfo in hexadecimal of
 * either case, and a label of visible ASCII and spaces, at most 128 characters. A first row `digest,label` is a header.
 * A field may stand in double quotes, with a quote in it doubled; rows end with CRLF or LF. Nothing else is let pass: no
 * space around a digest, no empty line, no third field.
 *
 * @throws {AssayError} INPUT with the row, counted from 1, that is not so; for a key with two labels; for no key at all;
 *   LENGTH for more than `EK_LIST_ROWS_MAX`.
 * @see RFC 4180, 2.
 */
export function parseEkList(text: string): EkList {
  const eks = new Map<string, { readonly digest: Uint8Array; readonly label: string }>()
  let row = 0
  let duplicates = 0
  for (const fields of readRows(text)) {
    row++
    if (row === 1 && fields.join().toLowerCase() === "digest,label") continue
    const [hex = "", label = ""] = fields
    const digest = fromHex(hex)
    if (fields.length !== 2) throw rowError(row, "two fields, digest and label", `${fields.length}`)
    if (digest === undefined || hex.length !== DIGEST_DIGITS)
      throw rowError(row, `a digest of ${DIGEST_DIGITS} hexadecimal digits`, hex)
    if (label.length > LABEL_MAX || !LABEL.test(label))
      throw rowError(row, `a label of visible ASCII, at most ${LABEL_MAX} characters`, label)
    const key = hex.toLowerCase()
    const before = eks.get(key)
    if (before !== undefined && before.label !== label)
      throw rowError(row, `the label that the key has above, ${before.label}`, label)
    if (before !== undefined) duplicates++
    else eks.set(key, { digest, label })
    if (eks.size + duplicates > EK_LIST_ROWS_MAX)
      throw new AssayError("LENGTH", "the list of endorsement keys has too many rows", {
        expected: `at most ${EK_LIST_ROWS_MAX}`,
      })
  }
  if (eks.size === 0) throw new AssayError("INPUT", "the list of endorsement keys is empty")
  return { eks: [...eks.values()], duplicates }
}

/** A field, quoted or not, with the comma or the end of the row behind it. */
const FIELD = /(?:"([^"]*(?:""[^"]*)*)"|([^",\r\n]*))(,|\r?\n|$)/y

function* readRows(text: string): Generator<readonly string[]> {
  const field = new RegExp(FIELD)
  let fields: string[] = []
  let row = 1
  while (field.lastIndex < text.length || fields.length > 0) {
    const found = field.exec(text)
    if (found === null)
      throw rowError(row, "fields as RFC 4180 has them", "a quote or a line end out of place")
    const [, quoted, plain = "", end] = found
    fields.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'))
    if (end === ",") continue
    yield fields
    fields = []
    row++
  }
}

const rowError = (row: number, expected: string, actual: string): AssayError =>
  new AssayError("INPUT", `row ${row} of the list of endorsement keys is not as it has to be`, {
    location: `row ${row}`,
    expected,
    actual,
  })
