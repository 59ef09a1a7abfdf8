import { createPrivateKey } from "node:crypto"
import { utf8 } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { certificatePem } from "../evidence/x509/certificate.ts"
import type { Clock, Random } from "../service/ports.ts"
import { type Authority, authorityOf, generateAuthority } from "./authority.ts"
import { encryptedPkcs8 } from "./pkcs8.ts"
import { createPrivateFile, fileError, readPrivateFile, usablePassphrase } from "./privatefile.ts"

/**
 * An authority as text: its certificate, and below it its key, encrypted as signing keys are, each a PEM block that openssl
 * reads. In a file of mode 0600, or wherever else keys that replicas share are kept.
 */

const FORM =
  /^-----BEGIN CERTIFICATE-----\n((?:[A-Za-z0-9+/=]{1,64}\n)+)-----END CERTIFICATE-----\n(-----BEGIN ENCRYPTED PRIVATE KEY-----\n(?:[A-Za-z0-9+/=]{1,64}\n)+-----END ENCRYPTED PRIVATE KEY-----\n)$/

/**
 * The authority as text. Takes 0.2 s, which is what a guess at the passphrase costs.
 *
 * @throws {AssayError} SIGNER if the passphrase is not usable.
 */
export const encodeAuthority = ({ certificate, privateKey }: Authority, passphrase: string): string =>
  certificatePem(certificate.bytes) + encryptedPkcs8(privateKey, usablePassphrase(passphrase))

/**
 * The authority that a text is. Takes 0.2 s.
 *
 * @param place Where the text is from, for errors.
 * @throws {AssayError} SIGNER if it is not of this form in whole, does not open with this passphrase, or was altered: the
 *   certificate is signed by the key, and the key is the certificate's. Says nothing of what is in it.
 */
export const decodeAuthority = (place: string, text: string, passphrase: string): Authority => {
  const [, certificate, key] = FORM.exec(text) ?? []
  if (certificate === undefined || key === undefined)
    throw fileError(place, "is not the whole file of a device CA")
  const privateKey = opened(place, key, usablePassphrase(passphrase))
  try {
    return authorityOf(privateKey, new Uint8Array(Buffer.from(certificate, "base64")))
  } catch (error) {
    throw error instanceof AssayError ? fileError(place, `is ${error.message}`) : error
  }
}

const opened = (place: string, key: string, passphrase: string) => {
  try {
    return createPrivateKey({ key, passphrase })
  } catch {
    // OpenSSL cannot tell the two apart, and its message may quote what it read.
    throw fileError(place, "does not open: the passphrase is wrong, or it is damaged")
  }
}

/** The authority in a file, or nothing if there is no such file. @throws {AssayError} SIGNER, as `decodeAuthority`. */
export const readAuthorityFile = (path: string, passphrase: string): Authority | undefined => {
  const bytes = readPrivateFile(path)
  return bytes === undefined ? undefined : decodeAuthority(path, new TextDecoder().decode(bytes), passphrase)
}

/**
 * As `readAuthorityFile`, but makes an authority first if there is none: for `assay init` and development mode. In
 * production a missing file is a mistake, and a new authority would only hide it.
 *
 * @throws {AssayError} SIGNER, RNG.
 */
export const ensureAuthorityFile = async (
  path: string,
  passphrase: string,
  trustDomain: string,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): Promise<Authority> => {
  const found = readAuthorityFile(path, passphrase)
  if (found !== undefined) return found
  const made = await generateAuthority(trustDomain, clock.now(), random)
  if (createPrivateFile(path, utf8(encodeAuthority(made, passphrase)), random)) return made
  // Another process was first, and its authority is what counts.
  const written = readAuthorityFile(path, passphrase)
  if (written === undefined) throw fileError(path, "is gone again after it was written")
  return written
}
