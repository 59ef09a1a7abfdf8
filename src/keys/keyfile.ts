import { createPrivateKey } from "node:crypto"
import { fromBase64Url, toBase64Url, utf8 } from "../bytes.ts"
import type { Clock, Random, SignatureAlgorithm } from "../service/ports.ts"
import {
  createSigningKey,
  generateSigningKey,
  type KeyPeriod,
  type SigningKey,
  signWith,
  verifiesWith,
} from "./key.ts"
import { encryptedPkcs8 } from "./pkcs8.ts"
import { createPrivateFile, fileError, readPrivateFile, usablePassphrase } from "./privatefile.ts"

/**
 * A signing key in a file of mode 0600: an encrypted PKCS#8 block that `openssl pkey` opens, and above it, where PEM
 * allows a line of text (RFC 7468 section 2), what the block has no room for:
 *
 *     Assay-Key: <compact JWS>
 *     -----BEGIN ENCRYPTED PRIVATE KEY-----
 *
 * Nothing in the line is trusted for being there. The algorithm and the kid follow from the key itself, and the period
 * is signed by it, so that who can write the file but does not know the passphrase cannot make a key last longer. CBC
 * alone does not notice alterations: one that changes the public half fails that signature, one that changes the
 * private half alone fails the proof that every signer gives at load.
 */

const FILE_FORM =
  /^Assay-Key: ([\w-]+\.[\w-]+)\.([\w-]+)\n(-----BEGIN ENCRYPTED PRIVATE KEY-----\n(?:[A-Za-z0-9+/=]{1,64}\n)+-----END ENCRYPTED PRIVATE KEY-----\n)$/

/** Keeps the line from being taken for any other token of this key, and any other token for the line. */
const TYP = "assay-key+jwt"

/**
 * The key as the text of such a file. Takes 0.2 s, which is what a guess at the passphrase costs.
 *
 * @throws {AssayError} SIGNER if the passphrase is not usable.
 */
export const encodeSigningKey = (key: SigningKey, passphrase: string): string => {
  const input = periodInput(key)
  const line = `Assay-Key: ${input}.${toBase64Url(signWith(key, utf8(input)))}\n`
  return line + encryptedPkcs8(key.privateKey, usablePassphrase(passphrase))
}

/**
 * The key that a text is. Takes 0.2 s.
 *
 * @param place Where the text is from, for errors.
 * @throws {AssayError} SIGNER if it is not of this form in whole, was altered, or does not open with this passphrase. Says
 *   nothing of what is in it.
 */
export const decodeSigningKey = (place: string, text: string, passphrase: string): SigningKey => {
  const [, input, signature, block] = FILE_FORM.exec(text) ?? []
  if (input === undefined || signature === undefined || block === undefined)
    throw fileError(place, "is not a whole key file of Assay")
  const key = decrypt(place, block, usablePassphrase(passphrase), readPeriod(place, input))
  const raw = fromBase64Url(signature)
  if (input !== periodInput(key) || raw === undefined || !verifiesWith(key, utf8(input), raw))
    throw fileError(place, "was altered: its first line is not signed by its key")
  return key
}

/**
 * Writes the key, encrypted.
 *
 * @returns Whether it was written; false if the file was already there, which is then left alone.
 * @throws {AssayError} SIGNER if the passphrase is not usable or the file cannot be written.
 */
export const writeKeyFile = (path: string, key: SigningKey, passphrase: string, random: Random): boolean =>
  createPrivateFile(path, utf8(encodeSigningKey(key, passphrase)), random)

/**
 * The key in the file, or nothing if there is no such file.
 *
 * @throws {AssayError} SIGNER if the file is open to others, and as `decodeSigningKey`.
 */
export const readKeyFile = (path: string, passphrase: string): SigningKey | undefined => {
  const bytes = readPrivateFile(path)
  return bytes === undefined ? undefined : decodeSigningKey(path, new TextDecoder().decode(bytes), passphrase)
}

const decrypt = (path: string, block: string, passphrase: string, period: KeyPeriod): SigningKey => {
  const open = () => {
    try {
      return createPrivateKey({ key: block, passphrase })
    } catch {
      // OpenSSL cannot tell the two apart, and its message may quote what it read.
      throw fileError(path, "does not open: the passphrase is wrong, or it is damaged")
    }
  }
  return createSigningKey(open(), period)
}

/** The JWS signing input that says for when the key is; the same key and period always give the same one. */
const periodInput = ({ publicJwk: { alg, kid }, createdAt, notAfter }: SigningKey): string => {
  const payload = { createdAt: createdAt.toISOString(), notAfter: notAfter.toISOString() }
  return [{ alg, kid, typ: TYP }, payload].map((part) => toBase64Url(utf8(JSON.stringify(part)))).join(".")
}

/** Reads the period, unproven until its signing input, made again from the key, is found to be the same. */
const readPeriod = (path: string, input: string): KeyPeriod => {
  try {
    const payload: unknown = JSON.parse(Buffer.from(input.split(".")[1] ?? "", "base64url").toString())
    if (typeof payload === "object" && payload !== null && "createdAt" in payload && "notAfter" in payload) {
      const period = {
        createdAt: new Date(`${payload.createdAt}`),
        notAfter: new Date(`${payload.notAfter}`),
      }
      if (!Number.isNaN(period.createdAt.getTime()) && !Number.isNaN(period.notAfter.getTime())) return period
    }
  } catch {
    // Told below.
  }
  throw fileError(path, "is not a whole key file of Assay")
}

/** A key to make if there is none. */
export interface NewKey {
  readonly algorithm: SignatureAlgorithm
  readonly lifetimeMs: number
}

/** A new key, from now on. */
export const newSigningKey = ({ algorithm, lifetimeMs }: NewKey, clock: Clock): SigningKey => {
  const createdAt = clock.now()
  return generateSigningKey(algorithm, { createdAt, notAfter: new Date(createdAt.getTime() + lifetimeMs) })
}

/**
 * As `readKeyFile`, but generates and writes a key first if there is none. For development mode: in production a
 * missing key file is a mistake, and a new key would only hide it.
 *
 * @throws {AssayError} SIGNER.
 */
export const ensureKeyFile = (
  path: string,
  passphrase: string,
  { algorithm, lifetimeMs }: NewKey,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): SigningKey => {
  const found = readKeyFile(path, passphrase)
  if (found !== undefined) return found
  writeKeyFile(path, newSigningKey({ algorithm, lifetimeMs }, clock), passphrase, random)
  // Read back: what counts is what a restart will find, and another process may have been first.
  const written = readKeyFile(path, passphrase)
  if (written === undefined) throw fileError(path, "is gone again after it was written")
  return written
}
