/** Certification requests made byte by byte, so that each test can get one thing wrong. */
import { bitString, integer, seq, tlv } from "./x509.ts"

/** What a request is made of. Every part may be wrong. */
export interface RequestParts {
  readonly version: Uint8Array
  readonly subject: Uint8Array
  readonly spki: Uint8Array
  readonly attributes: Uint8Array
  /** Between the attributes and the end of the info. */
  readonly more: Uint8Array
  readonly algorithm: Uint8Array
  /** Over the info. */
  readonly sign: (info: Uint8Array) => Uint8Array
  /** Behind the signature. */
  readonly after: Uint8Array
}

/** A BIT STRING of no unused bits, and an empty list of attributes. */
export const NO_ATTRIBUTES = tlv(0xa0)

/** A request for a key, without a subject and without attributes, with parts changed. */
export const makeRequest = (
  key: Pick<RequestParts, "spki" | "algorithm" | "sign">,
  changed: Partial<RequestParts> = {},
): Uint8Array => {
  const parts: RequestParts = {
    version: integer(0),
    subject: seq(),
    attributes: NO_ATTRIBUTES,
    more: new Uint8Array(),
    after: new Uint8Array(),
    ...key,
    ...changed,
  }
  const info = seq(parts.version, parts.subject, parts.spki, parts.attributes, parts.more)
  return seq(info, parts.algorithm, bitString(parts.sign(info)), parts.after)
}
