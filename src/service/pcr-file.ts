import { fromHex, utf8 } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { DIGEST_BYTES_MAX, HASH_NAMES, HASHES, type HashName } from "../evidence/tpm/algorithm.ts"
import { type PcrValues, parsePcrFile, type UntrustedPcrs } from "../evidence/tpm/pcrs.ts"
import { PCR_COUNT, type PcrSelection } from "../evidence/tpm/selection.ts"

/**
 * Reads PCR values in the forms that people have them in: `{"sha256":{"0":"<hex>"}}`, the file of `tpm2_quote -o`, or
 * with `-F values` only the values one after another, which needs the quote's selection to be told apart.
 * A bank without a value says nothing and is left out.
 *
 * @throws {AssayError} INPUT for JSON of another form; PCR_SELECTION_MALFORMED, FRAMING, LENGTH.
 */
export function parsePcrs(bytes: Uint8Array, selection: readonly PcrSelection[] | undefined): UntrustedPcrs {
  const json = jsonObjectOf(bytes)
  if (json !== undefined) return { kind: "indexed", banks: parsePcrJson(json) }
  try {
    const banks = [...parsePcrFile(bytes)].filter(([, values]) => values.size > 0)
    return { kind: "indexed", banks: new Map(banks) }
  } catch (error) {
    const plain = selection === undefined ? undefined : splitByBank(bytes, selection)
    if (plain === undefined) throw error
    return { kind: "concatenated", banks: plain }
  }
}

const jsonObjectOf = (bytes: Uint8Array): object | undefined => {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes))
    return typeof value === "object" && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

const splitByBank = (bytes: Uint8Array, selection: readonly PcrSelection[]) => {
  let offset = 0
  const banks = selection
    .filter(({ pcrs }) => pcrs.length > 0)
    .map(({ hash, pcrs }) => {
      const start = offset
      offset += pcrs.length * HASHES[hash].sizeBytes
      return { hash, values: bytes.subarray(start, offset) }
    })
  return offset === bytes.length && offset > 0 ? banks : undefined
}

/**
 * Reads `{"sha256":{"0":"<hex>", …}, …}`. Whether these are the PCRs of a quote, and the values as long as the bank's
 * digests, is for the verification to say.
 *
 * @throws {AssayError} INPUT with the path of the fault.
 */
export function parsePcrJson(value: unknown): PcrValues {
  const banks = new Map<HashName, ReadonlyMap<number, Uint8Array>>()
  for (const [bank, pcrs] of entriesOf(value, "pcrs")) {
    const hash = HASH_NAMES.find((name) => name === bank)
    if (hash === undefined) throw pcrError(`pcrs.${bank}`, HASH_NAMES.join(", "), bank)
    const values = entriesOf(pcrs, `pcrs.${bank}`).map(([pcr, hex]) =>
      readValue(`pcrs.${bank}.${pcr}`, pcr, hex),
    )
    if (values.length > 0) banks.set(hash, new Map(values.toSorted(([a], [b]) => a - b)))
  }
  return banks
}

const entriesOf = (value: unknown, location: string): [string, unknown][] => {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw pcrError(location, "an object", Array.isArray(value) ? "a list" : typeof value)
  return Object.entries(value)
}

const readValue = (location: string, pcr: string, hex: unknown): [number, Uint8Array] => {
  const index = /^(0|[1-9]\d?)$/.test(pcr) ? Number(pcr) : PCR_COUNT
  if (index >= PCR_COUNT) throw pcrError(location, `a PCR from 0 to ${PCR_COUNT - 1}`, pcr)
  const bytes = typeof hex === "string" && utf8(hex).length <= 2 * DIGEST_BYTES_MAX ? fromHex(hex) : undefined
  if (bytes === undefined) throw pcrError(location, "a digest in hexadecimal", String(hex))
  return [index, bytes]
}

const pcrError = (location: string, expected: string, actual: string): AssayError =>
  new AssayError("INPUT", "the PCR values are not of the form that is expected", {
    location,
    expected,
    actual,
  })
