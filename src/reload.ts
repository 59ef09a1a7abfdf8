/**
 * Files that operators replace while Assay runs: certificates, keys and lists of them. They are looked at again and again,
 * not watched: a file may lie behind a symbolic link that is turned, on a file system that tells nobody.
 */
import { hash } from "node:crypto"
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs"
import { open } from "node:fs/promises"
import { AssayError } from "./errors.ts"

/** Certificates, keys and key sets are far smaller. */
export const FILE_BYTES_MAX = 1024 * 1024

const INTERVAL_MS = 5000

/** A file to look at. */
export interface WatchedFile {
  readonly path: string
  /** Whether a file that everybody can read is refused. */
  readonly secret?: boolean
}

/** What to make of the files. */
export interface WatchOptions<T> {
  readonly files: readonly WatchedFile[]
  /** Makes something of the files' contents, in their order. @throws {AssayError} for what is not to be used. */
  readonly read: (contents: readonly Uint8Array[]) => T
  /** Told of each new value, after the first. */
  readonly changed?: (value: T) => void
  /** Told when files can no longer be used, and with nothing when they can again. */
  readonly alarm?: (error: AssayError | undefined) => void
  readonly intervalMs?: number
}

/** What was made of files, and is made again when they change. */
export interface Watched<T> {
  /** The last good value. */
  current(): T
  /** Why the files as they are now are not used, if so. The last good value is used meanwhile. */
  unready(): string | undefined
  /** Looks at the files now. Never rejects. */
  look(): Promise<void>
  close(): void
}

/**
 * Reads files, and reads them again until it is closed. Contents that `read` refuses, for they are half written or do not
 * fit together, leave the last good value in place.
 *
 * @throws {AssayError} INPUT if a file cannot be read, or as `read` does: there is no value to begin with then.
 */
export function watchFiles<T>(options: WatchOptions<T>): Watched<T> {
  const { files, read, changed, alarm, intervalMs = INTERVAL_MS } = options
  const first = files.map(readWatchedFile)
  let value = read(first)
  let seen = digestOf(first)
  let fault: AssayError | undefined

  const accept = (contents: readonly Uint8Array[]): void => {
    const digest = digestOf(contents)
    // What failed is read again all the same: whether a certificate is valid is also a matter of time.
    if (digest === seen && fault === undefined) return
    const next = read(contents)
    const isNew = digest !== seen
    seen = digest
    value = next
    if (fault !== undefined) alarm?.(undefined)
    fault = undefined
    if (isNew) changed?.(next)
  }
  const refuse = (error: unknown): void => {
    const before = fault
    fault =
      error instanceof AssayError
        ? error
        : new AssayError("INTERNAL", "a file cannot be judged", { cause: error })
    if (before?.message !== fault.message) alarm?.(fault)
  }
  let isClosed = false
  let looking: Promise<void> | undefined
  const look = (): Promise<void> => {
    // A file system that hangs gets no second look on top of the first.
    looking ??= Promise.all(files.map(readAgain))
      .then((contents) => {
        if (!isClosed) accept(contents)
      })
      .catch(refuse)
      .finally(() => {
        looking = undefined
      })
    return looking
  }
  const timer = setInterval(() => void look(), intervalMs)
  timer.unref()
  return {
    current: () => value,
    unready: () => fault?.message,
    look,
    close: () => {
      isClosed = true
      clearInterval(timer)
    },
  }
}

/** Opens one thing for each of `all`; if one cannot be opened, those before it are closed. */
export function openAll<T, U extends { close(): void }>(
  all: readonly T[],
  open: (one: T) => U,
): readonly U[] {
  const opened: U[] = []
  try {
    for (const one of all) opened.push(open(one))
    return opened
  } catch (error) {
    for (const one of opened) one.close()
    throw error
  }
}

/** Without O_NONBLOCK, opening a named pipe would wait for ever. */
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK

/** The bytes of a file. @throws {AssayError} INPUT. */
export function readWatchedFile(file: WatchedFile): Uint8Array {
  let handle: number | undefined
  try {
    handle = openSync(file.path, FLAGS)
    const { size } = checked(file, fstatSync(handle))
    const bytes = new Uint8Array(size + 1)
    return whole(file, bytes, readSync(handle, bytes))
  } catch (cause) {
    throw asInput(file, cause)
  } finally {
    if (handle !== undefined) closeSync(handle)
  }
}

const readAgain = async (file: WatchedFile): Promise<Uint8Array> => {
  try {
    await using handle = await open(file.path, FLAGS)
    const { size } = checked(file, await handle.stat())
    const bytes = new Uint8Array(size + 1)
    const { bytesRead } = await handle.read(bytes)
    return whole(file, bytes, bytesRead)
  } catch (cause) {
    throw asInput(file, cause)
  }
}

interface Status {
  readonly mode: number
  readonly size: number
  isFile(): boolean
}

const OTHERS = 0o007

function checked({ path, secret }: WatchedFile, status: Status): Status {
  if (!status.isFile()) throw refused(path, "is not a regular file")
  if (secret === true && (status.mode & OTHERS) !== 0)
    throw refused(path, "can be read by everybody; take that away and consider it known")
  if (status.size === 0) throw refused(path, "is empty")
  if (status.size > FILE_BYTES_MAX) throw refused(path, `has more than ${FILE_BYTES_MAX} bytes`)
  return status
}

/** All of a file, or nothing of it: there is room for one byte more than it had. */
function whole({ path }: WatchedFile, bytes: Uint8Array, size: number): Uint8Array {
  if (size !== bytes.length - 1) throw refused(path, "changed while it was read")
  return bytes.subarray(0, size)
}

const refused = (path: string, flaw: string, cause?: unknown): AssayError =>
  new AssayError("INPUT", `${path} ${flaw}`, { location: path, ...(cause === undefined ? {} : { cause }) })

const asInput = ({ path }: WatchedFile, cause: unknown): AssayError =>
  cause instanceof AssayError ? cause : refused(path, "cannot be read", cause)

const digestOf = (contents: readonly Uint8Array[]): string =>
  contents.map((bytes) => hash("sha256", bytes, "hex")).join()
