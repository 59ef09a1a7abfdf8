import { isFilledWith } from "../../bytes.ts"
import { Reader } from "../reader.ts"
import { type Certificate, parseCertificate } from "./certificate.ts"
import type { Deviation } from "./der.ts"

/** TCG_TAG_PCCLIENT_STORED_CERT, and TCG_TAG_PCCLIENT_FULL_CERT behind the size. */
const STORED_CERT = 0x1001
const FULL_CERT = 0x1002
const TYPE_FULL = 0

/** What was read from an NV index, reduced to the certificate in it. */
export interface Unwrapped {
  readonly der: Uint8Array
  readonly deviations: readonly Deviation[]
}

/**
 * The certificate in what an NV index of a TPM holds: without the 7-byte TCG header, if there is one, and without the
 * bytes of one value, FF or 00, that fill the index behind it.
 *
 * Shape of the header, big-endian: tag u16 1001, type u8 00, size u16 of what follows, tag u16 1002. Only what is
 * returned may be hashed, kept or checked; the wrapping is nothing that anybody signed.
 *
 * @throws {AssayError} FRAMING, LENGTH for a header that does not fit; TRAILING for any other bytes behind.
 * @see TCG PC Client Specific Implementation Specification for Conventional BIOS 1.21, 7.3.2.
 */
export function unwrapNv(bytes: Uint8Array): Unwrapped {
  const deviations: Deviation[] = []
  let der = bytes
  if (bytes[0] === STORED_CERT >> 8 && bytes[1] === (STORED_CERT & 0xff)) {
    const r = new Reader(bytes, "TCG_PCCLIENT_STORED_CERT")
    r.u16("tag")
    if (r.u8("certType") !== TYPE_FULL) throw r.error("FRAMING", "certType", "not a whole certificate")
    const size = r.u16("certSize")
    if (size < 2 || size > r.remaining)
      throw r.error("LENGTH", "certSize", "does not fit what follows", {
        expected: `2 to ${r.remaining}`,
        actual: String(size),
      })
    if (r.u16("certificate.tag") !== FULL_CERT) throw r.error("FRAMING", "certificate.tag", "not 1002")
    der = r.take("certificate", size - 2)
    deviations.push("tcg-header")
    if (r.remaining > 0) deviations.push("nv-padding")
    checkPadding(r)
    return { der, deviations }
  }
  const size = sizeOf(bytes)
  if (size !== undefined && size < bytes.length) {
    const r = new Reader(bytes, "NV index")
    der = r.take("certificate", size)
    checkPadding(r)
    deviations.push("nv-padding")
  }
  return { der, deviations }
}

/**
 * Parses a certificate that may come from an NV index; its deviations say what was around it.
 *
 * @throws {AssayError} as `unwrapNv` and `parseCertificate`.
 */
export function parseNvCertificate(bytes: Uint8Array, label?: string): Certificate {
  const { der, deviations } = unwrapNv(bytes)
  const certificate = parseCertificate(der, label)
  return deviations.length === 0
    ? certificate
    : { ...certificate, deviations: new Set([...certificate.deviations, ...deviations]) }
}

/** Whole size of the outermost SEQUENCE, if there is one with a length of two octets, as every certificate has. */
const sizeOf = (bytes: Uint8Array): number | undefined =>
  bytes[0] === 0x30 && bytes[1] === 0x82 ? 4 + (bytes[2] ?? 0) * 256 + (bytes[3] ?? 0) : undefined

const checkPadding = (r: Reader): void => {
  const left = new Uint8Array(r.remaining === 0 ? [] : r.rest())
  if (!isFilledWith(left, 0xff) && !isFilledWith(left, 0x00))
    throw r.error("TRAILING", undefined, "bytes behind the certificate that are no padding", {
      actual: `${left.length} bytes`,
    })
}
