import { concat } from "../bytes.ts"

/**
 * Writes the one kind of certification request that devices send: for a key, without a subject and without attributes. By
 * hand, for the private key may be one that only a TPM can use, and the certificate library wants to sign by itself.
 *
 * @see RFC 2986, 4; RFC 5758, 3.2; RFC 4055, 5.
 */

/** How a key signs requests. */
export type RequestAlgorithm = keyof typeof ALGORITHMS

const tlv = (tag: number, ...contents: readonly Uint8Array[]): Uint8Array => {
  const content = concat(...contents)
  return concat(Uint8Array.of(tag, ...lengthOctets(content.length)), content)
}

/** Of at most 65,535 bytes, which no request has. */
const lengthOctets = (size: number): readonly number[] => {
  if (size < 0x80) return [size]
  return size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff]
}

const sequence = (...contents: readonly Uint8Array[]): Uint8Array => tlv(0x30, ...contents)
const identifier = (hex: string): Uint8Array => tlv(0x06, new Uint8Array(Buffer.from(hex, "hex")))

const NULL = tlv(0x05)
const ALGORITHMS = {
  "ecdsa-sha256": sequence(identifier("2a8648ce3d040302")),
  "ecdsa-sha384": sequence(identifier("2a8648ce3d040303")),
  "ecdsa-sha512": sequence(identifier("2a8648ce3d040304")),
  "rsassa-sha256": sequence(identifier("2a864886f70d01010b"), NULL),
} as const satisfies Record<string, Uint8Array>

const VERSION_0 = tlv(0x02, Uint8Array.of(0))
const NO_ATTRIBUTES = tlv(0xa0)

/** CertificationRequestInfo: what the key signs. @param spki SubjectPublicKeyInfo, DER. */
export const requestInfo = (spki: Uint8Array): Uint8Array =>
  sequence(VERSION_0, sequence(), spki, NO_ATTRIBUTES)

/** CertificationRequest, DER. @param signature Of the info: RSA's octets, or an Ecdsa-Sig-Value. */
export const certificationRequest = (
  info: Uint8Array,
  algorithm: RequestAlgorithm,
  signature: Uint8Array,
): Uint8Array => sequence(info, ALGORITHMS[algorithm], tlv(0x03, Uint8Array.of(0), signature))
