/** Everything that a command reads: files, standard input, and the texts of its options. */
import { createReadStream } from "node:fs"
import { resolve } from "node:path"
import { fromHex } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import type { CliIo } from "./parts.ts"

/** The largest event log in hexadecimal within JSON, and room for the rest. The parsers have bounds of their own. */
const INPUT_BYTES_MAX = 4 << 20

/**
 * The bytes of a file, or of standard input for `-`. Read to its end, for files of the kernel and pipes have no size.
 *
 * @throws {AssayError} INPUT if it cannot be read; LENGTH over `bytesMax`, by default 4 MiB.
 */
export async function readInput(
  path: string,
  { stdin }: CliIo,
  bytesMax = INPUT_BYTES_MAX,
): Promise<Uint8Array> {
  const source = path === "-" ? stdin : createReadStream(path)
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of source) {
      const bytes = Buffer.from(chunk)
      size += bytes.length
      if (size > bytesMax)
        throw new AssayError("LENGTH", `${path} is larger than any file that Assay reads`, {
          location: path,
          expected: `at most ${bytesMax} bytes`,
        })
      chunks.push(bytes)
    }
  } catch (error) {
    throw error instanceof AssayError ? error : readError(path, error)
  }
  return new Uint8Array(Buffer.concat(chunks))
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "it may not be read",
  EISDIR: "it is a folder",
}

/** Why a path cannot be read. */
export const readError = (path: string, error: unknown): AssayError => {
  const code = error instanceof Error && "code" in error ? String(error.code) : ""
  return new AssayError("INPUT", `${path} cannot be read: ${REASONS[code] ?? (code || "reading failed")}`, {
    location: path,
    cause: error,
  })
}

/** The text of a file in UTF-8, without a byte order mark. @throws {AssayError} INPUT, LENGTH. */
export async function readText(path: string, io: CliIo, bytesMax = INPUT_BYTES_MAX): Promise<string> {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await readInput(path, io, bytesMax))
  } catch (error) {
    if (error instanceof AssayError) throw error
    throw new AssayError("INPUT", `${path} is not text in UTF-8`, { location: path })
  }
}

/** The JSON of a file. @throws {AssayError} INPUT, LENGTH. */
export async function readJson(path: string, io: CliIo): Promise<unknown> {
  const text = await readText(path, io)
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new AssayError("INPUT", `${path} is not JSON: ${error instanceof Error ? error.message : ""}`, {
      location: path,
    })
  }
}

/** The bytes that an option spells. @throws {AssayError} INPUT. */
export function parseHex(text: string, location: string, max: number): Uint8Array {
  const bytes = fromHex(text)
  if (bytes === undefined || bytes.length > max)
    throw new AssayError("INPUT", `${location} is not what it has to be`, {
      location,
      expected: `hexadecimal of at most ${max} bytes`,
      actual: text,
    })
  return bytes
}

const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2})$/

/** An instant with its offset (RFC 3339), `2026-03-01T12:00:00Z`, or now. @throws {AssayError} INPUT. */
export function parseInstant(text: string | undefined, { now }: CliIo, option = "--at"): Date {
  if (text === undefined) return now()
  const at = new Date(INSTANT.test(text) && isDay(text) ? text : Number.NaN)
  if (Number.isNaN(at.getTime()))
    throw new AssayError("INPUT", `${option} is not an instant`, {
      location: option,
      expected: "a date and a time with its offset, as 2026-03-01T12:00:00Z",
      actual: text,
    })
  return at
}

/** Whether the month has that day, and the day that hour: `Date` would take the next. */
const isDay = (text: string): boolean => {
  const day = new Date(`${text.slice(0, 10)}T00:00:00Z`)
  return (
    !Number.isNaN(day.getTime()) &&
    day.toISOString().startsWith(text.slice(0, 10)) &&
    text.slice(11, 13) !== "24"
  )
}

/** The key set in a file. What is in it has not been looked at. @throws {AssayError} INPUT. */
export const keySetOf = (value: unknown, location: string): { readonly keys: readonly object[] } => {
  const keys: unknown = typeof value === "object" && value !== null ? Reflect.get(value, "keys") : undefined
  if (Array.isArray(keys) && keys.every((key): key is object => typeof key === "object" && key !== null))
    return { keys }
  throw new AssayError("INPUT", `${location} is not a key set`, {
    location,
    expected: 'a JSON Web Key Set, {"keys":[…]}',
  })
}

const ADMIN_DEFAULT = "unix:.assay/admin.sock"

/**
 * The address of the administration socket: the option, ASSAY_ADMIN, or `unix:.assay/admin.sock`. A relative path is
 * taken from the working folder.
 */
export const adminAddress = (option: string | undefined, { env }: CliIo): string => {
  const address = option ?? (env["ASSAY_ADMIN"] || ADMIN_DEFAULT)
  return address.startsWith("unix:") ? `unix:${resolve(address.slice("unix:".length))}` : address
}
