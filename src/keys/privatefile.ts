import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readSync,
  rmSync,
  writeSync,
} from "node:fs"
import { dirname } from "node:path"
import { toBase64Url, toHex, utf8 } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import type { Random } from "../service/ports.ts"

/** No key file and no passphrase file is larger. */
const FILE_BYTES_MAX = 16_384

/** Permissions of others than the owner. */
const OTHERS = 0o077

const OWNER_ONLY = 0o600

/** OpenSSL takes at most 1023 bytes of a passphrase. */
const PASSPHRASE_BYTES_MAX = 1023

const SECRET_BYTES = 32

/** What a passphrase begins with that Assay made: nobody has to guess at what follows, 32 random bytes in base64url. */
const MADE = "random-256-bit."
const MADE_FORM = /^random-256-bit\.[\w-]{43}$/

/**
 * The bytes of a file that nobody but its owner can read, or nothing if there is no such file. Permissions are those
 * of the file that was opened, so that it cannot be exchanged in between.
 *
 * @throws {AssayError} SIGNER if it is no regular file, open to group or others, too large, or cannot be read.
 */
export const readPrivateFile = (path: string): Uint8Array | undefined => {
  const file = openToRead(path)
  if (file === undefined) return undefined
  try {
    const status = fstatSync(file)
    if (!status.isFile()) throw fileError(path, "is not a regular file")
    if ((status.mode & OTHERS) !== 0)
      throw fileError(path, "can be read by group or others; set its mode to 0600 and consider it known", {
        expected: "0600",
        actual: `0${(status.mode & 0o777).toString(8)}`,
      })
    const bytes = new Uint8Array(FILE_BYTES_MAX + 1)
    const size = readSync(file, bytes)
    if (size > FILE_BYTES_MAX) throw fileError(path, `has more than ${FILE_BYTES_MAX} bytes`)
    return bytes.subarray(0, size)
  } finally {
    closeSync(file)
  }
}

const openToRead = (path: string): number | undefined => {
  try {
    // Without O_NONBLOCK, opening a named pipe would wait for ever.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (cause) {
    if (isSystemError(cause, "ENOENT")) return undefined
    throw fileError(path, "cannot be opened", { cause })
  }
}

/**
 * Writes a file of mode 0600 that is there in whole and durably, or not at all. A file that is already there is never
 * overwritten: a signing key that is lost takes every token with it.
 *
 * @returns Whether it was written; false if the file was already there.
 * @throws {AssayError} SIGNER if it cannot be written.
 */
export const createPrivateFile = (path: string, bytes: Uint8Array, random: Random): boolean => {
  const temporary = `${path}.${toHex(random.bytes(8))}.tmp`
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    try {
      writeDurably(temporary, bytes)
      if (!linkNew(temporary, path)) return false
    } finally {
      rmSync(temporary, { force: true })
    }
    syncFolder(dirname(path))
    return true
  } catch (cause) {
    throw fileError(path, "cannot be written", { cause })
  }
}

/** A link and not a rename, which would replace what is there. */
const linkNew = (from: string, to: string): boolean => {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if (isSystemError(error, "EEXIST")) return false
    throw error
  }
}

const writeDurably = (path: string, bytes: Uint8Array): void => {
  const file = openSync(path, "wx", OWNER_ONLY)
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

const syncFolder = (path: string): void => {
  const folder = openSync(path, "r")
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

/**
 * The passphrase in a file: its text without the line feed at its end.
 *
 * @throws {AssayError} SIGNER as `readPrivateFile`, and if the file is missing or holds no usable passphrase.
 */
export const readPassphraseFile = (path: string): string => {
  const bytes = readPrivateFile(path)
  if (bytes === undefined) throw fileError(path, "is not there")
  return usablePassphrase(new TextDecoder().decode(bytes).replace(/\r?\n$/, ""))
}

/**
 * As `readPassphraseFile`, but makes a file with a random passphrase first if there is none. For development mode.
 *
 * @throws {AssayError} SIGNER as `readPassphraseFile`, and if the file cannot be written; RNG.
 */
export const ensurePassphraseFile = (path: string, random: Random): string => ensureSecret(path, MADE, random)

/** Whether a passphrase is of the form that `ensurePassphraseFile` makes: as hard to guess as a key, without stretching. */
export const isMadePassphrase = (passphrase: string): boolean => MADE_FORM.test(passphrase)

/** As `ensurePassphraseFile`, for a local caller's credential: 43 characters of base64url. @throws {AssayError} the same. */
export const ensureCredentialFile = (path: string, random: Random): string => ensureSecret(path, "", random)

const ensureSecret = (path: string, prefix: string, random: Random): string => {
  createPrivateFile(path, utf8(`${prefix}${toBase64Url(random.bytes(SECRET_BYTES))}\n`), random)
  return readPassphraseFile(path)
}

/**
 * The passphrase itself, if openssl and we can both use it.
 *
 * @throws {AssayError} SIGNER if it is empty, longer than 1023 bytes, or has a line feed or a zero in it.
 */
export const usablePassphrase = (passphrase: string): string => {
  const size = utf8(passphrase).length
  if (size === 0 || size > PASSPHRASE_BYTES_MAX || /[\0\r\n]/.test(passphrase))
    throw new AssayError("SIGNER", "the key file's passphrase is empty, too long or not one line", {
      expected: `one line of 1 to ${PASSPHRASE_BYTES_MAX} bytes`,
    })
  return passphrase
}

/** An error about one file of keys or secrets. */
export const fileError = (
  path: string,
  flaw: string,
  details: { readonly expected?: string; readonly actual?: string; readonly cause?: unknown } = {},
): AssayError => new AssayError("SIGNER", `${path} ${flaw}`, { location: path, ...details })

const isSystemError = (error: unknown, code: string): boolean =>
  error instanceof Error && "code" in error && error.code === code
