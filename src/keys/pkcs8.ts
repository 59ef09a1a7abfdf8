import { createCipheriv, type KeyObject, randomBytes, scryptSync } from "node:crypto"
import { concat, fromHex } from "../bytes.ts"
import { isMadePassphrase } from "./privatefile.ts"

/**
 * Encrypted private keys as openssl reads them: PKCS#8 with PBES2, scrypt and AES-256-CBC (RFC 5958, RFC 8018,
 * RFC 7914). `KeyObject.export` would do, but stretches the passphrase with no more than 2048 rounds of PBKDF2,
 * and has no setting for it. Reading is left to `createPrivateKey`.
 */

/** 16 MiB and about 0.2 s for each guess: the most that openssl computes without being asked (32 MiB). */
const STRETCHED = { N: 16_384, r: 8, p: 5 }
/** For a passphrase that is a random key already: guesses at 256 bits need not be made slower, starts should not be. */
const UNSTRETCHED = { N: 16, r: 8, p: 1 }
const SALT_BYTES = 16
const IV_BYTES = 16
const KEY_BYTES = 32

/** The private key as an encrypted PKCS#8 PEM block, with a line feed at its end. */
export const encryptedPkcs8 = (privateKey: KeyObject, passphrase: string): string => {
  const cost = isMadePassphrase(passphrase) ? UNSTRETCHED : STRETCHED
  const salt = randomBytes(SALT_BYTES)
  const iv = randomBytes(IV_BYTES)
  const cipher = createCipheriv("aes-256-cbc", scryptSync(passphrase, salt, KEY_BYTES, cost), iv)
  const plain = privateKey.export({ type: "pkcs8", format: "der" })
  const encrypted = concat(cipher.update(plain), cipher.final())
  plain.fill(0)

  const scrypt = sequence(
    OID_SCRYPT,
    sequence(octets(salt), integer(cost.N), integer(cost.r), integer(cost.p)),
  )
  const aes = sequence(OID_AES_256_CBC, octets(iv))
  const der = sequence(sequence(OID_PBES2, sequence(scrypt, aes)), octets(encrypted))
  const lines = Buffer.from(der)
    .toString("base64")
    .replace(/.{1,64}/g, "$&\n")
  return `-----BEGIN ENCRYPTED PRIVATE KEY-----\n${lines}-----END ENCRYPTED PRIVATE KEY-----\n`
}

const tlv = (tag: number, ...contents: readonly Uint8Array[]): Uint8Array => {
  const content = concat(...contents)
  return concat(Uint8Array.of(tag, ...lengthOctets(content.length)), content)
}
const lengthOctets = (size: number): readonly number[] => {
  if (size < 0x80) return [size]
  return size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff]
}
const sequence = (...contents: readonly Uint8Array[]): Uint8Array => tlv(0x30, ...contents)
const octets = (bytes: Uint8Array): Uint8Array => tlv(0x04, bytes)
const integer = (value: number): Uint8Array => tlv(0x02, bigEndian(value))
const bigEndian = (value: number): Uint8Array =>
  value < 0x80 ? Uint8Array.of(value) : Uint8Array.of(value >> 8, value)

const objectIdentifier = (hex: string): Uint8Array => tlv(0x06, fromHex(hex) ?? new Uint8Array())
/** 1.2.840.113549.1.5.13 */
const OID_PBES2 = objectIdentifier("2a864886f70d01050d")
/** 1.3.6.1.4.1.11591.4.11 */
const OID_SCRYPT = objectIdentifier("2b06010401da47040b")
/** 2.16.840.1.101.3.4.1.42 */
const OID_AES_256_CBC = objectIdentifier("60864801650304012a")
