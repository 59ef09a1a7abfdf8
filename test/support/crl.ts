import { concat, utf8 } from "../../src/bytes.ts"
import { type Certificate, parseCertificate } from "../../src/evidence/x509/certificate.ts"
import { type Crl, parseCrl } from "../../src/evidence/x509/crl.ts"
import {
  bitString,
  boolean,
  cn,
  extension,
  type Keys,
  makeCertificate,
  nestedIn,
  octets,
  oid,
  p256Keys,
  seq,
  time,
  tlv,
} from "./x509.ts"

/** Bytes of hexadecimal digits. */
export const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"))
/** An INTEGER by its content octets, in hexadecimal: it may be negative, or not in its shortest form. */
export const rawInteger = (hex: string): Uint8Array => tlv(0x02, bytesOf(hex))

/** A name with a key: who issues certificates and CRLs. */
export interface Authority {
  readonly name: Uint8Array
  readonly keys: Keys
}

export const authority = (commonName: string, keys = p256Keys()): Authority => ({
  name: cn(commonName),
  keys,
})

/** A parsed certificate of `subject`. @param serial Content octets, in hexadecimal. */
export const certified = (
  subject: Authority,
  issuer: Authority,
  extensions: readonly Uint8Array[] = [],
  serial = "01",
): Certificate =>
  parseCertificate(
    makeCertificate(subject.keys, issuer.keys, subject.name, issuer.name, extensions, {
      serialNumber: rawInteger(serial),
    }),
  )

/** The day on which the certificates of a CRL are revoked, if nothing else is said. */
export const REVOKED_AT = new Date("2024-01-01T12:00:00Z")

/** An entry of a CRL. @param serial Content octets, in hexadecimal. */
export const entry = (serial: string, ...extensions: readonly Uint8Array[]): Uint8Array =>
  seq(rawInteger(serial), time(REVOKED_AT), ...(extensions.length === 0 ? [] : [seq(...extensions)]))

export const reasonCode = (reason: number, critical = false): Uint8Array =>
  extension("2.5.29.21", Uint8Array.of(0x0a, 1, reason), critical)

/** @param hex Content octets. */
export const crlNumber = (hex: string, critical = false): Uint8Array =>
  extension("2.5.29.20", rawInteger(hex), critical)
export const DELTA = extension("2.5.29.27", rawInteger("01"), true)

/** issuingDistributionPoint, of its fields. */
export const scope = (...fields: readonly Uint8Array[]): Uint8Array =>
  extension("2.5.29.28", seq(...fields), true)
/** A field that is TRUE, or FALSE. */
export const flag = (tag: number, value = true): Uint8Array => tlv(tag, boolean(value).subarray(2))
/** DistributionPointName with one name. */
export const fullName = (generalName: Uint8Array): Uint8Array => tlv(0xa0, tlv(0xa0, generalName))
export const uri = (text: string): Uint8Array => tlv(0x86, utf8(text))
/** DistributionPointName that goes behind the issuer's name. */
export const relativeName = (commonName: string): Uint8Array =>
  tlv(0xa0, tlv(0xa1, seq(oid("2.5.4.3"), tlv(0x0c, utf8(commonName)))))
/** cRLDistributionPoints: each point of its fields. */
export const distributionPoints = (...points: readonly (readonly Uint8Array[])[]): Uint8Array =>
  extension("2.5.29.31", seq(...points.map((fields) => seq(...fields))))

/** Content of ReasonFlags under a context tag: bits by their numbers, below 8. */
export const reasonFlags = (tag: number, ...bits: readonly number[]): Uint8Array => {
  const octet = bits.reduce((sum, bit) => sum | (0x80 >> bit), 0)
  return tlv(tag, Uint8Array.of(7 - Math.max(...bits), octet))
}

/** What a CRL is made of. Every part may be wrong; `undefined` leaves it out. */
export interface CrlParts {
  readonly version: Uint8Array | undefined
  readonly innerAlgorithm: Uint8Array
  readonly outerAlgorithm: Uint8Array
  readonly issuer: Uint8Array
  readonly thisUpdate: Uint8Array
  readonly nextUpdate: Uint8Array | undefined
  readonly entries: readonly Uint8Array[] | undefined
  readonly extensions: readonly Uint8Array[] | undefined
  /** Between the extensions and the end of tbsCertList. */
  readonly more: Uint8Array
  readonly signer: Keys
}

export const THIS_UPDATE = new Date("2024-01-01T00:00:00Z")
export const NEXT_UPDATE = new Date("2024-02-01T00:00:00Z")

/** A CRL of January 2024, number 01, that revokes nothing, but for the changes. */
export const makeCrl = (issuer: Authority, changed: Partial<CrlParts> = {}): Uint8Array => {
  const { algorithm } = changed.signer ?? issuer.keys
  const parts: CrlParts = {
    version: rawInteger("01"),
    innerAlgorithm: algorithm,
    outerAlgorithm: algorithm,
    issuer: issuer.name,
    thisUpdate: time(THIS_UPDATE),
    nextUpdate: time(NEXT_UPDATE),
    entries: undefined,
    extensions: [crlNumber("01")],
    more: new Uint8Array(),
    signer: issuer.keys,
    ...changed,
  }
  const { version, nextUpdate, entries, extensions } = parts
  const tbs = seq(
    version ?? NOTHING,
    parts.innerAlgorithm,
    parts.issuer,
    parts.thisUpdate,
    nextUpdate ?? NOTHING,
    entries === undefined ? NOTHING : seq(Buffer.concat(entries)),
    extensions === undefined ? NOTHING : tlv(0xa0, seq(concat(...extensions))),
    parts.more,
  )
  return seq(tbs, parts.outerAlgorithm, bitString(parts.signer.sign(tbs)))
}

const NOTHING = new Uint8Array()

/** As `makeCrl`, parsed. */
export const crlOf = (issuer: Authority, changed: Partial<CrlParts> = {}): Crl =>
  parseCrl(makeCrl(issuer, changed))

/** `count` SEQUENCEs, one in the other. */
export const nested = (count: number): Uint8Array => nestedIn(NOTHING, count)

/** An extension whose value is an OCTET STRING's worth of anything. */
export const unknownExtension = (critical = false, value = octets()): Uint8Array =>
  extension("1.2.3.4", value, critical)
