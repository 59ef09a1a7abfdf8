/** Certificates and CRLs out of files and folders, all of them or none. */
import { readdir, stat } from "node:fs/promises"
import { join } from "node:path"
import { AssayError } from "../errors.ts"
import { type FileItem, type FileKind, readItems } from "../service/certificate-file.ts"
import { readError, readInput } from "./input.ts"
import type { CliIo } from "./parts.ts"

/** What in a folder is read. A file that is named on the command line is read whatever its ending. */
const ENDINGS: Readonly<Record<FileKind, RegExp>> = {
  certificate: /\.(pem|crt|cer|der)$/i,
  crl: /\.(pem|crl|der)$/i,
}

/** A CRL may have 32 MiB, and in PEM a third more. */
const BYTES_MAX: Readonly<Record<FileKind, number>> = { certificate: 4 << 20, crl: 48 << 20 }

/** Folders in folders. Makers' bundles have two levels; a loop of mounts has no end. */
const DEPTH_MAX = 16

/** What is in a folder and was not read, and why. */
export interface Skipped {
  readonly path: string
  readonly reason: string
}

/** What was found a second time. */
export interface Duplicate {
  readonly file: string
  readonly of: string
}

/** What files and folders hold. */
export interface Collected {
  readonly items: readonly FileItem[]
  readonly skipped: readonly Skipped[]
}

/**
 * Everything of one kind in files and folders. In a folder only files with a usual ending are read, in the order of their
 * names; a symbolic link there is not followed, for what it leads to is not what somebody put there. What is read has to
 * be whole.
 *
 * @throws {AssayError} INPUT for what cannot be read, or holds none of it: a folder too; LENGTH, PATH.
 */
export async function collectItems(paths: readonly string[], kind: FileKind, io: CliIo): Promise<Collected> {
  const items: FileItem[] = []
  const skipped: Skipped[] = []
  const read = async (path: string): Promise<void> => {
    items.push(...readItems(await readInput(path, io, BYTES_MAX[kind]), path, kind))
  }
  const walk = async (folder: string, depth: number): Promise<void> => {
    if (depth > DEPTH_MAX)
      throw new AssayError("INPUT", `${folder} is nested too deep`, {
        location: folder,
        expected: `at most ${DEPTH_MAX} folders in one another`,
      })
    for (const entry of await entriesOf(folder)) {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) await walk(path, depth + 1)
      else if (entry.isSymbolicLink()) skipped.push({ path, reason: "a symbolic link" })
      else if (!entry.isFile()) skipped.push({ path, reason: "no file" })
      else if (!ENDINGS[kind].test(entry.name)) skipped.push({ path, reason: "another ending" })
      else await read(path)
    }
  }
  for (const path of paths) {
    if (!(await isFolder(path))) {
      await read(path)
      continue
    }
    const before = items.length
    await walk(path, 1)
    if (items.length === before)
      throw new AssayError("INPUT", `${path} is a folder without any ${kind}`, {
        location: path,
        expected: `a file with the ending ${ENDINGS[kind].source.replace(/^\\\.\(|\)\$$/g, "").replaceAll("|", ", ")}`,
        actual: skipped.map((one) => `${one.path}: ${one.reason}`).join("; ") || "an empty folder",
      })
  }
  return { items, skipped }
}

const isFolder = async (path: string): Promise<boolean> => {
  if (path === "-") return false
  try {
    return (await stat(path)).isDirectory()
  } catch (error) {
    throw readError(path, error)
  }
}

const entriesOf = async (folder: string) => {
  try {
    const entries = await readdir(folder, { withFileTypes: true })
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1))
  } catch (error) {
    throw readError(folder, error)
  }
}

/** The server names an item by its place in the request, and people know it by its file. */
export const inFile = (
  error: unknown,
  lists: Readonly<Record<string, readonly { readonly file: string }[]>>,
): unknown => {
  if (!(error instanceof AssayError) || error.location === undefined) return error
  const named = (text: string): string =>
    text.replace(
      /\b([a-z]+)\[(\d+)\]/g,
      (place, list: string, index: string) => lists[list]?.[Number(index)]?.file ?? place,
    )
  const { code, message, location, expected, actual } = error
  return new AssayError(code, named(message), {
    location: named(location),
    ...(expected !== undefined && { expected }),
    ...(actual !== undefined && { actual }),
  })
}
