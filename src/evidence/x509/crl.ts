import { sameBytes, toHex } from "../../bytes.ts"
import { AssayError, retold } from "../../errors.ts"
import { readSignatureAlgorithm, type SignatureAlgorithm } from "./algorithm.ts"
import { type RevokedCertificates, RevokedList } from "./crl-entries.ts"
import { checkDepth, DerGate, type Deviation, TAG } from "./der.ts"
import { DerReader } from "./der-reader.ts"
import { checkDeviations } from "./deviation.ts"
import { type PointName, readOptionalPoint } from "./distribution-point.ts"
import { readGeneralNames } from "./general-name.ts"
import { type Name, nameText, readName } from "./name.ts"

/** The longest CRL that is read: room for `CRL_ENTRIES_MAX` entries with short serial numbers. */
export const CRL_BYTES_MAX = 32 * 1024 * 1024

/** What a CRL says. Nothing of it is proven before `checkRevocation` has found its signer. */
export interface Crl {
  /** Exactly as it came. */
  readonly bytes: Uint8Array
  /** What the signature is over. */
  readonly tbs: Uint8Array
  readonly signatureAlgorithm: SignatureAlgorithm
  /** Whether the signed and the unsigned algorithm are the same, byte for byte (RFC 5280, 5.1.1.2). */
  readonly algorithmsAgree: boolean
  readonly signature: Uint8Array
  readonly issuer: Name
  /** Milliseconds since 1970. */
  readonly thisUpdate: number
  readonly nextUpdate: number | undefined
  readonly revoked: RevokedCertificates
  /** CRLNumber, big-endian. */
  readonly number: Uint8Array | undefined
  /** It tells what changed since another CRL, and not what is revoked. */
  readonly isDelta: boolean
  /** keyIdentifier of authorityKeyIdentifier: the key that signed. */
  readonly authorityKeyIdentifier: Uint8Array | undefined
  readonly issuingDistributionPoint: IssuingDistributionPoint | undefined
  /** Object identifiers of the critical extensions. */
  readonly critical: ReadonlySet<string>
  /** Of the critical ones, those that no check of Assay knows. */
  readonly unknownCritical: readonly string[]
  /** An entry's extension that is critical and not known, or that gives an entry another issuer. */
  readonly unknownCriticalEntry: string | undefined
  readonly deviations: ReadonlySet<Deviation>
}

/** Which certificates and reasons a CRL is for. @see RFC 5280, 5.2.5. */
export interface IssuingDistributionPoint {
  readonly point: PointName | undefined
  readonly onlyUserCerts: boolean
  readonly onlyCaCerts: boolean
  readonly onlyAttributeCerts: boolean
  /** Bits of ReasonFlags; nothing for all. */
  readonly onlySomeReasons: number | undefined
  /** It has certificates of other issuers too. */
  readonly indirect: boolean
}

/** id-ce-cRLNumber. */
export const CRL_NUMBER = "2.5.29.20"
const DELTA_CRL_INDICATOR = "2.5.29.27"
const ISSUING_DISTRIBUTION_POINT = "2.5.29.28"
const AUTHORITY_KEY_IDENTIFIER = "2.5.29.35"

/** RFC 5280, 5.2.3. */
const NUMBER_OCTETS_MAX = 20
/** TLVs, and entries, between two breaths: 50 microseconds, and a millisecond before the engine has compiled the code. */
const SLICE_TLVS = 250
const SLICE_ENTRIES = 100
/** Read and noted first, for whether it may be so depends on the issuer. */
const READ_ALL_THE_SAME: ReadonlySet<Deviation> = new Set(["set-order"])

/**
 * Parses a CRL, strictly, in one go. As `parseCrlSlices`.
 *
 * @throws {AssayError} DER, OID, DEPTH, TRAILING, DUP_EXT, CRL; LENGTH for one that is too long.
 */
export function parseCrl(bytes: Uint8Array, label = "CRL"): Crl {
  const slices = parseCrlSlices(bytes, label)
  let slice = slices.next()
  while (slice.done !== true) slice = slices.next()
  return slice.value
}

/**
 * Parses a CRL, strictly, in slices of less than a millisecond: the caller may let others work between them.
 *
 * Shape: CertificateList of RFC 5280, 5.1, DER, at most `CRL_BYTES_MAX` bytes and `CRL_ENTRIES_MAX` entries. What it returns
 * are views on the input, which must not change from the first slice on.
 *
 * @throws {AssayError} DER, OID, DEPTH, TRAILING, DUP_EXT, CRL; LENGTH for one that is too long.
 */
export function* parseCrlSlices(input: Uint8Array, label = "CRL"): Generator<void, Crl> {
  try {
    return yield* readCrl(new Uint8Array(input.buffer, input.byteOffset, input.byteLength), label)
  } catch (error) {
    // Readers that certificates and CRLs share call what is not as it should be a certificate's fault.
    throw error instanceof AssayError && error.code === "CERTIFICATE" ? retold(error, { code: "CRL" }) : error
  }
}

function* readCrl(bytes: Uint8Array, label: string): Generator<void, Crl> {
  const outer = new DerReader(bytes, label)
  if (bytes.length > CRL_BYTES_MAX)
    throw outer.error("LENGTH", undefined, "longer than a CRL may be", {
      expected: `at most ${CRL_BYTES_MAX} bytes`,
      actual: `${bytes.length} bytes`,
    })
  const gate = new DerGate(bytes, label, READ_ALL_THE_SAME)
  while (!gate.step(SLICE_TLVS)) yield
  const deviations = new Set(gate.deviations)
  const list = outer.sequence("certificateList")
  const tbsStart = list.offset
  const tbs = list.element("tbsCertList", TAG.sequence)
  const tbsEnd = list.offset
  const outerAlgorithm = list.element("signatureAlgorithm", TAG.sequence)
  const signature = list.bits("signatureValue")
  list.end("TRAILING")

  const r = new DerReader(bytes, `${label}.tbsCertList`, tbsStart, tbsEnd).sequence("fields")
  const isVersion2 = r.optional(TAG.integer, () => readVersion(r)) ?? false
  const innerAlgorithm = r.element("signature", TAG.sequence)
  const issuer = readName(r, "issuer")
  if (issuer.key === "") throw r.error("CRL", "issuer", "an issuer without a name")
  const thisUpdate = r.time("thisUpdate")
  const hasNextUpdate = r.tag === TAG.utcTime || r.tag === TAG.generalizedTime
  const nextUpdate = hasNextUpdate ? r.time("nextUpdate") : undefined
  const entriesStart = r.offset
  r.optional(TAG.sequence, () => r.element("revokedCertificates"))
  const revoked = new RevokedList(bytes, `${label}.revokedCertificates`, entriesStart, r.offset, isVersion2)
  while (!revoked.step(SLICE_ENTRIES)) yield
  const extensions = r.optional(0xa0, () => {
    if (!isVersion2) throw r.error("CRL", "crlExtensions", "a CRL before version 2 has none")
    const wrapper = r.constructed(0xa0, "crlExtensions")
    const read = readExtensions(wrapper.sequence("list"), deviations)
    wrapper.end()
    return read
  })
  r.end("TRAILING")

  const algorithm = new DerReader(outerAlgorithm, `${label}.signatureAlgorithm`).sequence("fields")
  const signatureAlgorithm = readSignatureAlgorithm(algorithm, deviations)
  checkDeviations(deviations, issuer, label)
  return {
    bytes,
    tbs,
    signatureAlgorithm,
    algorithmsAgree: sameBytes(innerAlgorithm, outerAlgorithm),
    signature,
    issuer,
    thisUpdate,
    nextUpdate,
    revoked,
    ...(extensions ?? NO_EXTENSIONS),
    unknownCriticalEntry: revoked.unknownCritical,
    deviations,
  }
}

/** Where there is a version it is 2, written as 1 (RFC 5280, 5.1.2.1). */
const readVersion = (r: DerReader): true => {
  if (r.smallInteger("version", 1) !== 1) throw r.error("CRL", "version", "neither left out nor 2")
  return true
}

type ExtensionFields = Pick<
  Crl,
  | "number"
  | "isDelta"
  | "authorityKeyIdentifier"
  | "issuingDistributionPoint"
  | "critical"
  | "unknownCritical"
>

const NO_EXTENSIONS: ExtensionFields = {
  number: undefined,
  isDelta: false,
  authorityKeyIdentifier: undefined,
  issuingDistributionPoint: undefined,
  critical: new Set(),
  unknownCritical: [],
}

/** Reads the elements of crlExtensions. @see RFC 5280, 5.2: at most one of a kind. */
function readExtensions(list: DerReader, deviations: Set<Deviation>): ExtensionFields {
  const values = new Map<string, Uint8Array>()
  const critical = new Set<string>()
  if (list.tag === 0) throw list.error("CRL", undefined, "an empty list of extensions")
  while (list.tag !== 0) {
    const extension = list.sequence("extension")
    const oid = extension.oid("extnID")
    if (values.has(oid)) throw list.error("DUP_EXT", undefined, `extension ${oid} occurs twice`)
    if (extension.optional(TAG.boolean, () => readTrue(extension, "critical")) === true) critical.add(oid)
    values.set(oid, extension.content(TAG.octetString, "extnValue"))
    extension.end()
  }
  const read = <T>(oid: string, reader: (value: DerReader) => T): T | undefined => {
    const content = values.get(oid)
    if (content === undefined) return undefined
    for (const deviation of DerGate.check(content, `extension ${oid}`, READ_ALL_THE_SAME))
      deviations.add(deviation)
    const value = new DerReader(content, `extension ${oid}`)
    const result = reader(value)
    value.end()
    return result
  }
  const fields = {
    number: read(CRL_NUMBER, readNumber),
    isDelta: read(DELTA_CRL_INDICATOR, readNumber) !== undefined,
    authorityKeyIdentifier: read(AUTHORITY_KEY_IDENTIFIER, readKeyIdentifier),
    issuingDistributionPoint: read(ISSUING_DISTRIBUTION_POINT, readIssuingDistributionPoint),
  }
  for (const [oid, content] of values) if (!KNOWN.has(oid)) checkDepth(content)
  return { ...fields, critical, unknownCritical: [...critical].filter((oid) => !KNOWN.has(oid)) }
}

const KNOWN: ReadonlySet<string> = new Set([
  CRL_NUMBER,
  DELTA_CRL_INDICATOR,
  ISSUING_DISTRIBUTION_POINT,
  AUTHORITY_KEY_IDENTIFIER,
])

/** A BOOLEAN whose default is FALSE, so that only TRUE is ever written (X.690, 11.5). */
const readTrue = (r: DerReader, field: string, tag: number = TAG.boolean): boolean => {
  if (!r.boolean(field, tag)) throw r.error("DER", field, "a default that is spelled out")
  return true
}

const readNumber = (value: DerReader): Uint8Array => {
  const number = value.integer("number")
  if ((number[0] ?? 0) >= 0x80 || number.length > NUMBER_OCTETS_MAX)
    throw value.error("CRL", "number", `negative, or of more than ${NUMBER_OCTETS_MAX} octets`)
  return number
}

const readKeyIdentifier = (value: DerReader): Uint8Array | undefined => {
  const r = value.sequence("authorityKeyIdentifier")
  const keyIdentifier = r.optional(0x80, () => r.content(0x80, "keyIdentifier"))
  r.optional(0xa1, () => readGeneralNames(r.constructed(0xa1, "issuer")))
  r.optional(0x82, () => r.integer("serialNumber", 0x82))
  r.end()
  return keyIdentifier
}

const readIssuingDistributionPoint = (value: DerReader): IssuingDistributionPoint => {
  const r = value.sequence("issuingDistributionPoint")
  if (r.tag === 0) throw r.error("CRL", undefined, "a distribution point that says nothing")
  const flag = (tag: number, field: string): boolean =>
    r.optional(tag, () => readTrue(r, field, tag)) ?? false
  const point = readOptionalPoint(r)
  const onlyUserCerts = flag(0x81, "onlyContainsUserCerts")
  const onlyCaCerts = flag(0x82, "onlyContainsCACerts")
  const onlySomeReasons = r.optional(0x83, () => r.namedBits("onlySomeReasons", 0x83))
  const indirect = flag(0x84, "indirectCRL")
  const onlyAttributeCerts = flag(0x85, "onlyContainsAttributeCerts")
  r.end()
  return { point, onlyUserCerts, onlyCaCerts, onlyAttributeCerts, onlySomeReasons, indirect }
}

/** How errors and lists call the CRL: its number and issuer. */
export const crlText = ({ number, issuer }: Crl): string =>
  `CRL ${number === undefined ? "without a number" : toHex(number)} of ${nameText(issuer)}`
