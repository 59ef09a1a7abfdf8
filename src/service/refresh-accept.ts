import { hash } from "node:crypto"
import { lengthPrefixed, sameBytes, utf8 } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { type Certificate, parseCertificate } from "../evidence/x509/certificate.ts"
import { type Crl, crlText, parseCrlSlices } from "../evidence/x509/crl.ts"
import { DerGate, type Deviation, TAG } from "../evidence/x509/der.ts"
import { DerReader } from "../evidence/x509/der-reader.ts"
import { flawOf } from "../verification/revocation.ts"
import type { Trust } from "../verification/trust.ts"
import { readItems } from "./certificate-file.ts"
import { isLink, isOlder, signerOf } from "./crl-order.ts"
import type { KeptCrl } from "./parse-trust.ts"
import type { Breathe } from "./ports.ts"
import { type Source, urlOf } from "./refresh-sources.ts"

/** What a CRL is judged by before it is kept. */
export interface CrlInputs {
  readonly source: Source
  /** What is kept of all sources. */
  readonly kept: readonly KeptCrl[]
  readonly trust: Trust
  readonly at: Date
  readonly breathe: Breathe
}

/** A CRL that may be kept. */
export interface AcceptedCrl {
  readonly crl: Crl
  /** What it is kept as. */
  readonly source: string
  /** Whether it is kept already. */
  readonly isKept: boolean
}

/** CRLs that are kept of one URL: those of the last few keys and scopes of who publishes there. */
const LISTS_MAX = 8

/**
 * Reads a CRL that was loaded, and refuses what must not be kept: one of another issuer than a certificate has that names
 * the URL, one that nothing could be decided by, one that no certificate with a path to an anchor has signed, and one that
 * is older than what is kept of the same issuer, key and scope.
 *
 * It takes the place of that one alone, and not of whatever else came from the URL. So whoever stands between us and the
 * source can keep a list from us, and put one there of a CA that is trusted too; neither undoes what is kept, or keeps the
 * issuer's next list out. An issuer with a new key begins a new count.
 *
 * @throws {AssayError} REVOCATION; as `parseCrlSlices`.
 */
export async function acceptCrl(bytes: Uint8Array, inputs: CrlInputs): Promise<AcceptedCrl> {
  const { source, kept, trust, at, breathe } = inputs
  const slices = parseCrlSlices(bytes, source.url)
  let slice = slices.next()
  for (; slice.done !== true; slice = slices.next()) await breathe()
  const crl = slice.value
  const refuse = (why: string): AssayError =>
    new AssayError("REVOCATION", `${crlText(crl)} ${why}`, { location: source.url })
  if (!source.issuers.has(crl.issuer.key))
    throw refuse("is of another issuer than the certificate that names it")
  const flaw = flawOf(crl, Math.floor(at.getTime() / 1000) * 1000)
  if (flaw !== undefined) throw refuse(flaw)
  const signer = signerOf(crl, source.shown, trust, at)
  if (signer === undefined) throw refuse("is signed by nobody who leads to a trust anchor")
  const stored = loadedSource(source.url, crl, signer)
  const lists = kept.filter((list) => urlOf(list.source) === source.url)
  const before = lists.find((list) => list.source === stored)?.crl
  if (before === undefined && lists.length >= LISTS_MAX)
    throw refuse(`is by another key than the ${lists.length} lists that are kept of its URL`)
  if (before !== undefined && isOlder(crl, before)) throw refuse("is older than the one that is kept")
  return { crl, source: stored, isKept: before !== undefined && sameBytes(before.bytes, crl.bytes) }
}

/**
 * What a CRL that was loaded from a URL is kept as: the URL, with whose list it is and what for. The key is the signer's
 * own, for what a list and a certificate say of it is up to who made them.
 */
export const loadedSource = (
  url: string,
  { issuer, issuingDistributionPoint }: Crl,
  { spki }: Certificate,
): string => {
  const scope = JSON.stringify(issuingDistributionPoint ?? null)
  return `${url}#${hash("sha256", lengthPrefixed(utf8(issuer.key), spki, utf8(scope)), "hex")}`
}

/** Certificates in one answer. An issuer has a few, with its cross-certificates. */
const BUNDLE_MAX = 32
/** So many of the longest that makers issue, 6 KiB in PEM, and some room. What is longer would hold the event loop. */
export const BUNDLE_BYTES_MAX = 256 * 1024

/**
 * Reads certificates that were loaded: one in DER, PEM, or a certs-only CMS message. Gives those that issued a
 * certificate which names the source, by its name and its signature; the others are of no use to anybody.
 *
 * @param bytes At most `BUNDLE_BYTES_MAX`.
 * @throws {AssayError} TRUST if there is none, or there are too many; CERTIFICATE for a CMS message that is put together
 *   otherwise; as `readItems` and `parseCertificate`.
 * @see RFC 5280, 4.2.2.1; RFC 5652, 5.1; RFC 8551, 3.8.
 */
export async function acceptCertificates(
  bytes: Uint8Array,
  { url, namedBy }: Source,
  breathe: Breathe,
): Promise<readonly Certificate[]> {
  const refuse = (message: string, actual: string): AssayError =>
    new AssayError("TRUST", message, { location: url, actual })
  if (bytes.length > BUNDLE_BYTES_MAX)
    throw refuse("longer than an issuer's certificates are", `${bytes.length} bytes`)
  const ders = isCms(bytes)
    ? await readCms(bytes, url, breathe)
    : readItems(bytes, url, "certificate", BUNDLE_MAX).map(({ der }) => der)
  if (ders.length > BUNDLE_MAX)
    throw refuse("more certificates than an issuer has", `${ders.length} certificates`)
  const issuers: Certificate[] = []
  for (const der of ders) {
    await breathe()
    const certificate = parseCertificate(der, url)
    if (issuers.some((other) => sameBytes(other.bytes, der))) continue
    if (await hasIssued(certificate, namedBy, breathe)) issuers.push(certificate)
  }
  if (issuers.length === 0)
    throw refuse("the issuer's certificate is not among what is there", `${ders.length} certificates`)
  return issuers
}

const hasIssued = async (
  candidate: Certificate,
  namedBy: readonly Certificate[],
  breathe: Breathe,
): Promise<boolean> => {
  for (const one of namedBy) {
    if (one.issuer.key !== candidate.subject.key) continue
    await breathe()
    if (isLink(one, candidate)) return true
  }
  return false
}

/** The certificates of a CMS message stand in the order of whoever made it. */
const CMS_DEVIATIONS: ReadonlySet<Deviation> = new Set(["set-order"])
const SIGNED_DATA = "1.2.840.113549.1.7.2"
/** TLVs of the gate between two breaths: 50 microseconds, and a millisecond before the engine has compiled the code. */
const SLICE_TLVS = 250

/** A ContentInfo begins with an object identifier where a certificate has a SEQUENCE. */
const isCms = (bytes: Uint8Array): boolean => {
  if (bytes[0] !== TAG.sequence) return false
  const first = bytes[1] ?? 0
  return bytes[first < 0x80 ? 2 : 2 + (first & 0x7f)] === TAG.oid
}

/**
 * The certificates in a CMS message, `BUNDLE_MAX` and one at most. Read by hand: pkijs takes a quarter of a second, in one
 * go, for 24 KB of digest algorithms. Nothing else that is in the message is of any use here.
 */
const readCms = async (
  bytes: Uint8Array,
  label: string,
  breathe: Breathe,
): Promise<readonly Uint8Array[]> => {
  const gate = new DerGate(bytes, label, CMS_DEVIATIONS)
  while (!gate.step(SLICE_TLVS)) await breathe()
  const contentInfo = new DerReader(bytes, label).sequence("contentInfo")
  const type = contentInfo.oid("contentType")
  if (type !== SIGNED_DATA)
    throw new AssayError("TRUST", "a CMS message that is no SignedData", { location: label, actual: type })
  const signedData = contentInfo.constructed(0xa0, "content").sequence("signedData")
  signedData.integer("version")
  signedData.element("digestAlgorithms", TAG.set)
  signedData.element("encapContentInfo", TAG.sequence)
  const list = signedData.optional(0xa0, () => signedData.constructed(0xa0, "certificates"))
  const certificates: Uint8Array[] = []
  while (list !== undefined && list.tag !== 0 && certificates.length <= BUNDLE_MAX)
    certificates.push(list.element("certificate"))
  return certificates
}
