import { toHex, utf8 } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { type Certificate, fingerprintOf, parseCertificate } from "../evidence/x509/certificate.ts"
import { isSignedBy } from "../verification/certificate-key.ts"
import { isSelfIssued } from "../verification/certificate-policies.ts"
import { checkCa, checkCertificate, checkValidity, flaw } from "../verification/path.ts"
import { createTrust, type Trust } from "../verification/trust.ts"
import type { DeniedKeys } from "../verification/weak-key.ts"
import { actOf } from "./act.ts"
import { checkCrl, type NewCrl, newCrl } from "./import-crls.ts"
import { hashInSlices, prefixedPieces } from "./long-hash.ts"
import type {
  Act,
  AnchorRecord,
  Breathe,
  Caller,
  ImportedTrust,
  ListedEk,
  Ports,
  TrustImport,
} from "./ports.ts"

/** A certificate to trust, DER, and what for. */
export type NewAnchor = Pick<AnchorRecord, "certificate" | "label" | "purpose" | "revocation" | "provenance">

/** What to add. Nothing may be in it twice. */
export interface ImportTrustInput {
  readonly anchors: readonly NewAnchor[]
  /** DER. */
  readonly intermediates: readonly Uint8Array[]
  /** DER. */
  readonly crls: readonly Uint8Array[]
  readonly eks: readonly Pick<ListedEk, "digest" | "label">[]
}

/** What the use cases of trust need. */
export type TrustPorts = Pick<Ports, "clock" | "breathe" | "trust" | "loadTrust" | "denied">

/**
 * Adds to what a tenant trusts: all of it, or nothing. A certificate that could issue nothing, or nothing good, never
 * gets as far as the store, and the first one at fault is named by its place in the request, as in `anchors[3]`.
 *
 * An anchor is a CA within its validity, with a key that is neither weak nor known to others. One that is its own issuer
 * is signed by its own key: a damaged file does not become an anchor. A signature by SHA-1 says nothing, and an anchor is
 * trusted by decision, so that one is let pass. An intermediate is held to its validity when a path is built.
 *
 * @throws {AssayError} INPUT for nothing at all, and for the same thing twice; DER, OID, DEPTH, TRAILING, DUP_EXT, SERIAL,
 *   CERTIFICATE, CRL, LENGTH; ISSUER_NOT_CA, NAME, VALIDITY, CHAIN, CRITICAL_EXT, ALG_MISMATCH, EC_PARAMS, WEAK_ALG,
 *   WEAK_KEY, ROCA, KEY_DENIED; TRUST_FULL; SNAPSHOT_MOVED if trust changes all the time; TRUST, REGISTRY,
 *   JOURNAL.
 */
export const createImportTrust =
  (ports: TrustPorts) =>
  async (input: ImportTrustInput, caller: Caller): Promise<ImportedTrust> => {
    const { clock, breathe, denied } = ports
    const at = clock.now()
    if (Object.values(input).every(({ length }) => length === 0))
      throw new AssayError("INPUT", "there is nothing to import", {
        expected: "anchors, intermediates, revocation lists or endorsement keys",
      })
    const issuers = issuerChecks(denied, at)
    const certificates = {
      anchors: await each("anchors", input.anchors, breathe, (anchor) => ({
        ...anchor,
        id: issuers.anchor(anchor.certificate),
      })),
      intermediates: await each("intermediates", input.intermediates, breathe, (certificate) => ({
        certificate,
        id: issuers.intermediate(certificate),
        source: "import",
      })),
    }
    const crls = await each("crls", input.crls, breathe, (crl) => newCrl(crl, at, breathe))
    const parts: TrustImport = { ...certificates, crls: crls.map(({ record }) => record), eks: input.eks }
    checkDistinct("anchors", parts.anchors, ({ id }) => id)
    checkDistinct("intermediates", parts.intermediates, ({ id }) => id)
    checkDistinct("crls", parts.crls, ({ source }) => source)
    checkDistinct("eks", parts.eks, ({ digest }) => toHex(digest))
    const act = actOf(ports, caller, "import-trust", await digestOfImport(parts, breathe))
    return importCompared(ports, caller.tenant, { parts, crls, act })
  }

/** Checks one item after another, and says which one was at fault. Others work in between: there may be 1,000 of them. */
const each = async <T, R>(
  list: string,
  items: readonly T[],
  breathe: Breathe,
  check: (item: T) => R | Promise<R>,
): Promise<readonly R[]> => {
  const checked: R[] = []
  for (const [i, item] of items.entries()) {
    try {
      checked.push(await check(item))
    } catch (error) {
      throw error instanceof AssayError ? located(`${list}[${i}]`, error) : error
    }
    await breathe()
  }
  return checked
}

const located = (location: string, { code, message, expected, actual, cause }: AssayError): AssayError =>
  new AssayError(code, message, {
    location,
    ...(expected !== undefined && { expected }),
    ...(actual !== undefined && { actual }),
    cause,
  })

/** Checks of certificates that are to issue others; each gives the certificate's id. */
const issuerChecks = (denied: DeniedKeys, at: Date) => {
  const nothing: Trust = createTrust({ anchors: [], intermediates: [], crls: [], denied })
  const issuer = (der: Uint8Array): Certificate => {
    const certificate = parseCertificate(der)
    checkCa(certificate)
    checkCertificate(certificate, nothing, true)
    return certificate
  }
  return {
    anchor: (der: Uint8Array): string => {
      const certificate = issuer(der)
      checkValidity(certificate, at.getTime())
      checkOwnSignature(certificate)
      return fingerprintOf(certificate)
    },
    intermediate: (der: Uint8Array): string => fingerprintOf(issuer(der)),
  }
}

const checkOwnSignature = (anchor: Certificate): void => {
  const { kind } = anchor.signatureAlgorithm
  if (!isSelfIssued(anchor) || kind === "weak" || kind === "unsupported" || isSignedBy(anchor, anchor)) return
  throw flaw("CHAIN", anchor, "is its own issuer, and not signed by its own key: is the file damaged?")
}

/** How often an import is compared with the store, which others may write to meanwhile. */
const TRIES_MAX = 3

interface Checked {
  readonly parts: TrustImport
  readonly crls: readonly NewCrl[]
  readonly act: Act
}

/** Stores what was compared with one generation into that one. CRLs alone depend on what is there. */
const importCompared = async (
  ports: TrustPorts,
  tenant: string,
  checked: Checked,
): Promise<ImportedTrust> => {
  const { parts, crls, act } = checked
  if (crls.length === 0) return ports.trust.importTrust(tenant, parts, act)
  for (let tries = 1; ; tries++)
    try {
      const generation = await compare(ports, tenant, checked)
      return await ports.trust.importTrust(tenant, parts, act, generation)
    } catch (error) {
      const hasMoved = error instanceof AssayError && error.code === "SNAPSHOT_MOVED"
      if (!hasMoved || tries === TRIES_MAX) throw error
    }
}

/** @returns The generation that every CRL may be kept in. */
const compare = async (
  { trust: store, loadTrust, breathe }: TrustPorts,
  tenant: string,
  { parts, crls, act }: Checked,
): Promise<number> => {
  const { generation, crls: stored } = await store.trust(tenant)
  const kept = new Map(stored.map((record) => [record.source, record]))
  const trust = await trustWith(await loadTrust(tenant, generation), parts, breathe)
  await each("crls", crls, breathe, (crl) => checkCrl(crl, { kept, trust, at: act.at, breathe }))
  return generation
}

/** The trust as it will be with the certificates of an import. */
const trustWith = async (trust: Trust, parts: TrustImport, breathe: Breathe): Promise<Trust> => {
  const imported = createTrust({
    anchors: await each("anchors", parts.anchors, breathe, (anchor) => ({
      ...anchor,
      certificate: parseCertificate(anchor.certificate),
    })),
    intermediates: await each("intermediates", parts.intermediates, breathe, ({ certificate }) =>
      parseCertificate(certificate),
    ),
    crls: [],
    denied: trust.denied,
  })
  return {
    ...trust,
    anchorsOf: (name) => [...trust.anchorsOf(name), ...imported.anchorsOf(name)],
    intermediatesOf: (name) => [...trust.intermediatesOf(name), ...imported.intermediatesOf(name)],
  }
}

/** Two settings for one thing cannot both be meant. */
const checkDistinct = <T>(list: string, items: readonly T[], nameOf: (item: T) => string): void => {
  const seen = new Map<string, number>()
  for (const [i, item] of items.entries()) {
    const before = seen.get(nameOf(item))
    if (before !== undefined)
      throw new AssayError("INPUT", `${list}[${i}] is ${list}[${before}] again`, {
        location: `${list}[${i}]`,
      })
    seen.set(nameOf(item), i)
  }
}

/** SHA-256 over all that an import adds: what its record names it by. */
export const digestOfImport = (
  { anchors, intermediates, crls, eks }: TrustImport,
  breathe: Breathe,
): Promise<Uint8Array> => {
  const lists = [
    ...anchors.map(({ certificate, label, purpose, revocation, provenance }) => [
      utf8("anchor"),
      certificate,
      ...[label, purpose, revocation, provenance].map(utf8),
    ]),
    ...intermediates.map(({ certificate }) => [utf8("intermediate"), certificate]),
    ...crls.map(({ crl }) => [utf8("crl"), crl]),
    ...eks.map(({ digest, label }) => [utf8("ek"), digest, utf8(label)]),
  ]
  return hashInSlices(prefixedPieces(lists), breathe)
}
