import { hash } from "node:crypto"
import { sameBytes, toHex } from "../../bytes.ts"
import { readSignatureAlgorithm, type SignatureAlgorithm } from "./algorithm.ts"
import { DerGate, type Deviation, TAG } from "./der.ts"
import { DerReader } from "./der-reader.ts"
import { checkDeviations } from "./deviation.ts"
import { type Extensions, readExtensions } from "./extensions.ts"
import { type Name, nameText, readName } from "./name.ts"
import { readPublicKey, type SubjectPublicKey } from "./public-key.ts"

/** The longest certificate that is read: ten times what TPM makers issue. */
export const CERTIFICATE_BYTES_MAX = 256 * 1024

/** What a certificate says. Nothing of it is proven before `verifyChain` has found its path. */
export interface Certificate {
  /** Exactly as it came. */
  readonly bytes: Uint8Array
  /** What the signature is over. */
  readonly tbs: Uint8Array
  readonly version: 1 | 2 | 3
  /** 1 to 20 octets, positive, big-endian. */
  readonly serialNumber: Uint8Array
  readonly signatureAlgorithm: SignatureAlgorithm
  /** Whether the signed and the unsigned algorithm are the same, byte for byte (RFC 5280, 4.1.1.2). */
  readonly algorithmsAgree: boolean
  readonly signature: Uint8Array
  readonly issuer: Name
  readonly subject: Name
  /** Milliseconds since 1970; both ends belong to the validity. */
  readonly notBefore: number
  readonly notAfter: number
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Uint8Array
  readonly publicKey: SubjectPublicKey
  readonly extensions: Extensions
  readonly present: ReadonlySet<string>
  readonly critical: ReadonlySet<string>
  readonly unknownCritical: readonly string[]
  readonly deviations: ReadonlySet<Deviation>
}

/** Read and noted first, for whether it may be so depends on the issuer. */
const READ_ALL_THE_SAME: ReadonlySet<Deviation> = new Set(["set-order"])
const SERIAL_OCTETS_MAX = 20
/** 99991231235959Z (RFC 5280, 4.1.2.5). */
const NO_EXPIRY = Date.UTC(9999, 11, 31, 23, 59, 59)

/**
 * Parses a certificate, strictly.
 *
 * Shape: Certificate of RFC 5280, 4.1, DER, at most `CERTIFICATE_BYTES_MAX` bytes. What it returns are views on the
 * input, which must not change afterwards.
 *
 * @throws {AssayError} DER, OID, DEPTH, TRAILING, DUP_EXT, SERIAL, CERTIFICATE; LENGTH for one that is too long.
 */
export function parseCertificate(input: Uint8Array, label = "certificate"): Certificate {
  const bytes = new Uint8Array(input.buffer, input.byteOffset, input.byteLength)
  const outer = new DerReader(bytes, label)
  if (bytes.length > CERTIFICATE_BYTES_MAX)
    throw outer.error("LENGTH", undefined, "longer than a certificate may be", {
      expected: `at most ${CERTIFICATE_BYTES_MAX} bytes`,
      actual: `${bytes.length} bytes`,
    })
  const deviations = new Set(DerGate.check(bytes, label, READ_ALL_THE_SAME))
  const certificate = outer.sequence("certificate")
  const tbsStart = certificate.offset
  const tbs = certificate.element("tbsCertificate", TAG.sequence)
  const outerStart = certificate.offset
  const outerAlgorithm = certificate.element("signatureAlgorithm", TAG.sequence)
  const signature = certificate.bits("signatureValue")
  certificate.end("TRAILING")

  const r = new DerReader(bytes, `${label}.tbsCertificate`, tbsStart, outerStart).sequence("fields")
  const version = r.optional(0xa0, () => readVersion(r.constructed(0xa0, "version"))) ?? 1
  const serialNumber = readSerial(r)
  const innerAlgorithm = r.element("signature", TAG.sequence)
  const issuer = readName(r, "issuer")
  const validity = r.sequence("validity")
  const notBefore = validity.time("notBefore")
  const notAfter = validity.time("notAfter")
  validity.end()
  if (notAfter === NO_EXPIRY) deviations.add("no-expiry")
  const subject = readName(r, "subject")
  const spkiStart = r.offset
  const spki = r.element("subjectPublicKeyInfo", TAG.sequence)
  const publicKey = readPublicKey(
    new DerReader(bytes, `${label}.subjectPublicKeyInfo`, spkiStart, r.offset).sequence("fields"),
  )
  if (publicKey.kind === "rsa" && publicKey.oaep) deviations.add("rsaes-oaep-key")
  if (version >= 2) for (const tag of UNIQUE_IDS) r.optional(tag, () => r.content(tag, "uniqueID"))
  const extensions = r.optional(0xa3, () => {
    if (version !== 3) throw r.error("CERTIFICATE", "extensions", "a certificate before version 3 has none")
    const wrapper = r.constructed(0xa3, "extensions")
    const read = readExtensions(wrapper.sequence("list"), READ_ALL_THE_SAME, deviations)
    wrapper.end()
    return read
  }) ?? { extensions: {}, present: NONE, critical: NONE, unknownCritical: [] }
  r.end("TRAILING")

  const algorithm = new DerReader(outerAlgorithm, `${label}.signatureAlgorithm`).sequence("fields")
  const signatureAlgorithm = readSignatureAlgorithm(algorithm, deviations)
  checkDeviations(deviations, issuer, label)
  return {
    bytes,
    tbs,
    version,
    serialNumber,
    signatureAlgorithm,
    algorithmsAgree: sameBytes(innerAlgorithm, outerAlgorithm),
    signature,
    issuer,
    subject,
    notBefore,
    notAfter,
    spki,
    publicKey,
    ...extensions,
    deviations,
  }
}

const NONE: ReadonlySet<string> = new Set()
/** issuerUniqueID and subjectUniqueID. */
const UNIQUE_IDS = [0x81, 0x82]

const readVersion = (r: DerReader): 2 | 3 => {
  const version = r.smallInteger("version", 2)
  r.end()
  if (version === 0) throw r.error("DER", undefined, "a default that is spelled out")
  return version === 1 ? 2 : 3
}

/** RFC 5280, 4.1.2.2: positive, at most 20 octets. */
const readSerial = (r: DerReader): Uint8Array => {
  const serial = r.integer("serialNumber")
  const [first = 0] = serial
  if (first >= 0x80 || (first === 0 && serial.length === 1) || serial.length > SERIAL_OCTETS_MAX)
    throw r.error("SERIAL", "serialNumber", "not a positive number of at most 20 octets", {
      actual: toHex(serial.subarray(0, SERIAL_OCTETS_MAX + 1)),
    })
  return serial
}

/** SHA-256 of the certificate, in hexadecimal: its name in lists. */
export const fingerprintOf = (certificate: Certificate): string => {
  const known = fingerprints.get(certificate)
  if (known !== undefined) return known
  const fingerprint = hash("sha256", certificate.bytes, "hex")
  fingerprints.set(certificate, fingerprint)
  return fingerprint
}

const fingerprints = new WeakMap<Certificate, string>()

/** DER as the PEM block of a certificate, with a line feed at its end (RFC 7468, 5). */
export const certificatePem = (der: Uint8Array): string => {
  const lines = Buffer.from(der.buffer, der.byteOffset, der.length)
    .toString("base64")
    .replace(/.{1,64}/g, "$&\n")
  return `-----BEGIN CERTIFICATE-----\n${lines}-----END CERTIFICATE-----\n`
}

/** How errors and lists call the certificate: its subject, or what else it has. */
export const certificateText = (certificate: Certificate): string =>
  certificate.subject.key === ""
    ? `certificate ${toHex(certificate.serialNumber)} of ${nameText(certificate.issuer)}`
    : nameText(certificate.subject)
