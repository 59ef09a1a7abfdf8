import { hash } from "node:crypto"
import { sameBytes, toHex } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { algorithmText } from "../evidence/x509/algorithm.ts"
import { type Certificate, certificateText, fingerprintOf } from "../evidence/x509/certificate.ts"
import { CRL_NUMBER, type Crl, crlText } from "../evidence/x509/crl.ts"
import type { RevokedCertificate } from "../evidence/x509/crl-entries.ts"
import { REASONS_ALL } from "../evidence/x509/distribution-point.ts"
import { KEY_USAGE } from "../evidence/x509/extensions.ts"
import { type Name, nameText } from "../evidence/x509/name.ts"
import type { Budget } from "./budget.ts"
import { isSignedBy } from "./certificate-key.ts"
import { reasonsFor } from "./crl-scope.ts"
import type { Trust } from "./trust.ts"

/**
 * How revocation is checked: a sure answer for every certificate; one for those whose issuer publishes CRLs, by what the
 * certificate says or by what is in the trust; or not at all.
 */
export type RevocationMode = "require" | "when-published" | "off"

/** What was found out about one certificate, and by which CRL: of several, the newest. */
export interface RevocationStatus {
  readonly certificate: string
  /** SHA-256 of the certificate, in hexadecimal. */
  readonly fingerprint: string
  readonly status: "good" | "not-published" | "not-checked"
  /** In hexadecimal. */
  readonly crlNumber?: string
  readonly thisUpdate?: Date
  readonly nextUpdate?: Date
}

/** What the status of certificates is found out with. */
export interface RevocationContext {
  readonly mode: RevocationMode
  readonly at: Date
  readonly trust: Trust
  readonly budget: Budget
  /** Certificates with this subject that may have signed a CRL. Nothing in them is trusted. */
  readonly signers: (name: Name) => readonly Certificate[]
  /** The path of such a certificate to the same anchor: itself first, the anchor left out. Nothing if there is none. */
  readonly pathOf: (signer: Certificate) => readonly Certificate[] | undefined
  /** Is told which certificate a good CRL revokes, before that is thrown. */
  readonly revoked?: (certificate: Certificate) => void
}

/** The answer for a whole path. */
export interface Revocation {
  readonly statuses: readonly RevocationStatus[]
  /** Milliseconds since 1970: until when the CRLs that gave it, and their signers' certificates, are current. */
  readonly validUntil: number
}

/** The last instant that a Date can be. */
const FOREVER = 8.64e15
/** Signers of one CRL whose answers are remembered: its issuer's keys, of which there are one or two. */
const SIGNERS_MAX = 16

/**
 * Checks the certificates of a path against the CRLs that are in the trust: direct and complete ones.
 *
 * A certificate is good if CRLs that can be used cover all reasons and none of them lists it; and is revoked if any of
 * them lists it, on hold included. Indirect and delta CRLs are not used, and where there is a delta CRL the complete
 * ones alone only say what is revoked, never what is good. Nothing is fetched.
 *
 * @param certificates The leaf first; without the anchor, which is trusted by decision.
 * @throws {AssayError} REVOKED; REVOCATION if there is no sure answer; PATH when the budget is spent. `location` names the
 *   certificate.
 * @see RFC 5280, 6.3.3.
 */
export function checkRevocation(
  certificates: readonly Certificate[],
  anchor: Certificate,
  context: RevocationContext,
): Revocation {
  const check = new Check(anchor, context)
  return { statuses: check.path(certificates), validUntil: check.validUntil }
}

type Answer = Omit<RevocationStatus, "certificate" | "fingerprint">

class Check {
  validUntil = FOREVER
  readonly #anchor: Certificate
  readonly #context: RevocationContext
  /** The instant in whole seconds, as CRLs have them. */
  readonly #at: number
  /** Certificates whose answer is being looked for, by their fingerprints. */
  readonly #open = new Set<string>()

  constructor(anchor: Certificate, context: RevocationContext) {
    this.#anchor = anchor
    this.#context = context
    this.#at = Math.floor(context.at.getTime() / 1000) * 1000
  }

  path(certificates: readonly Certificate[]): RevocationStatus[] {
    return certificates.map((certificate, i) => {
      const fingerprint = fingerprintOf(certificate)
      const issuer = certificates[i + 1] ?? this.#anchor
      return {
        certificate: certificateText(certificate),
        fingerprint,
        ...this.#answer(certificate, issuer, fingerprint),
      }
    })
  }

  #answer(certificate: Certificate, issuer: Certificate, fingerprint: string): Answer {
    const { mode, trust } = this.#context
    if (mode === "off") return { status: "not-checked" }
    const crls = trust.crlsOf(certificate.issuer)
    const isPublished = crls.length > 0 || certificate.extensions.crlDistributionPoints !== undefined
    if (mode === "when-published" && !isPublished) return { status: "not-published" }
    if (this.#open.has(fingerprint)) throw unknown(certificate, "the answer depends on itself")
    this.#open.add(fingerprint)
    try {
      return this.#search(certificate, issuer, crls)
    } finally {
      this.#open.delete(fingerprint)
    }
  }

  /** Looks into every CRL that can be used, the newest first. */
  #search(certificate: Certificate, issuer: Certificate, crls: readonly Crl[]): Answer {
    const flaws: string[] = []
    let uncovered = REASONS_ALL
    let newest: Crl | undefined
    const hasDelta = crls.some(({ isDelta }) => isDelta)
    for (const crl of crls.toSorted((a, b) => b.thisUpdate - a.thisUpdate)) {
      const reasons = reasonsFor(certificate, crl)
      const { nextUpdate = this.#at } = crl
      // A list past its end says of nobody that he is good. Whom it revokes is revoked all the same.
      const isPast = this.#at > nextUpdate
      const flaw =
        flawOf(crl, Math.min(this.#at, nextUpdate)) ??
        (reasons === 0 ? "is not for this certificate" : undefined) ??
        this.#flawOfSigners(crl, issuer)
      if (flaw !== undefined) {
        flaws.push(`${crlText(crl)} ${flaw}`)
        continue
      }
      const entry = crl.revoked.find(certificate.serialNumber)
      // What is on hold may have been taken back since, by a delta CRL or a later one; all else is final.
      if (entry !== undefined && !((hasDelta || isPast) && entry.reason === CERTIFICATE_HOLD)) {
        this.#context.revoked?.(certificate)
        throw revoked(certificate, crl, entry)
      }
      if (isPast) {
        flaws.push(`${crlText(crl)} ${flawOf(crl, this.#at)}`)
        continue
      }
      if ((reasons & uncovered) === 0) continue
      uncovered &= ~reasons
      newest ??= crl
      this.validUntil = Math.min(this.validUntil, crl.nextUpdate ?? this.#at)
    }
    if (hasDelta) throw unknown(certificate, "its issuer has delta CRLs, which Assay does not read")
    if (uncovered === 0 && newest !== undefined) return goodBy(newest)
    if (newest !== undefined) flaws.unshift(`${crlText(newest)} does not cover all reasons`)
    if (crls.length === 0) flaws.push(`there is no CRL of ${nameText(certificate.issuer)}`)
    throw unknown(certificate, flaws.join("; "))
  }

  /** Why no certificate that may sign the CRL has; nothing if one has. @see RFC 5280, 6.3.3 (f) and (g). */
  #flawOfSigners(crl: Crl, issuer: Certificate): string | undefined {
    let flaw = flawOfSigner(crl, issuer)
    if (flaw === undefined) {
      if (this.#isSigned(crl, issuer)) return undefined
      flaw = "is not signed by its issuer's key"
    }
    for (const signer of [this.#anchor, ...this.#context.signers(crl.issuer)]) {
      this.#context.budget.candidate()
      if (signer.subject.key !== crl.issuer.key || sameBytes(signer.bytes, issuer.bytes)) continue
      // A path comes before the signature: hashing a long CRL is only worth it for a key that somebody vouches for.
      if (flawOfSigner(crl, signer) !== undefined) continue
      const path = this.#signerPath(signer)
      if (path === undefined || !this.#isSigned(crl, signer)) continue
      try {
        this.path(path)
      } catch (error) {
        if (!(error instanceof AssayError) || (error.code !== "REVOKED" && error.code !== "REVOCATION"))
          throw error
        flaw = `has a signer whose certificate is ${error.code === "REVOKED" ? "revoked" : "perhaps revoked"}`
        continue
      }
      this.validUntil = Math.min(this.validUntil, ...path.map(({ notAfter }) => notAfter))
      return undefined
    }
    return flaw
  }

  #signerPath(signer: Certificate): readonly Certificate[] | undefined {
    return signer === this.#anchor ? [] : this.#context.pathOf(signer)
  }

  /** The budget is charged for what is remembered too, so that no answer depends on what came before. */
  #isSigned(crl: Crl, signer: Certificate): boolean {
    this.#context.budget.signature(signer.publicKey)
    const known = signatures.get(crl) ?? new Map<string, boolean>()
    signatures.set(crl, known)
    const key = hash("sha256", signer.spki, "hex")
    const before = known.get(key)
    if (before !== undefined) return before
    const isSigned = isSignedBy(crl, signer)
    if (known.size >= SIGNERS_MAX) known.clear()
    known.set(key, isSigned)
    return isSigned
  }
}

/** Whether keys, by the digest of their SPKI, made the signature of a CRL: it may be long, and is hashed once. */
const signatures = new WeakMap<Crl, Map<string, boolean>>()

/** Why the CRL can be used for nobody, whoever signed it; nothing if it can. */
export const flawOf = (crl: Crl, at: number): string | undefined => {
  const { signatureAlgorithm: algorithm, thisUpdate, nextUpdate, unknownCritical, unknownCriticalEntry } = crl
  if (crl.isDelta) return "is a delta CRL"
  if (crl.issuingDistributionPoint?.indirect === true) return "is an indirect CRL"
  if (unknownCritical.length > 0)
    return `has a critical extension that Assay does not know, ${unknownCritical[0]}`
  if (unknownCriticalEntry !== undefined)
    return `has an entry with a critical extension that Assay does not know, ${unknownCriticalEntry}`
  if (crl.critical.has(CRL_NUMBER)) return "has a critical cRLNumber"
  if (crl.number === undefined) return "has no cRLNumber"
  if (!crl.algorithmsAgree) return "names one signature algorithm inside and another outside"
  if (algorithm.kind === "weak" || algorithm.kind === "unsupported")
    return `is signed by ${algorithmText(algorithm)}`
  if (at < thisUpdate) return `is not yet valid: thisUpdate is ${dateText(thisUpdate)}`
  if (nextUpdate === undefined) return "has no nextUpdate"
  if (at > nextUpdate) return `has expired: nextUpdate was ${dateText(nextUpdate)}`
  return undefined
}

/** Why the certificate cannot have signed the CRL, as far as they say; nothing if it can. */
export const flawOfSigner = (crl: Crl, { extensions }: Certificate): string | undefined => {
  const { keyUsage, subjectKeyIdentifier } = extensions
  const { authorityKeyIdentifier } = crl
  if (keyUsage !== undefined && (keyUsage & KEY_USAGE.cRLSign) === 0)
    return "has an issuer that may not sign CRLs (cRLSign)"
  if (authorityKeyIdentifier === undefined || subjectKeyIdentifier === undefined) return undefined
  return sameBytes(authorityKeyIdentifier, subjectKeyIdentifier)
    ? undefined
    : "is signed by another key than its issuer's"
}

const goodBy = ({ number, thisUpdate, nextUpdate }: Crl): Answer => ({
  status: "good",
  ...(number !== undefined && { crlNumber: toHex(number) }),
  thisUpdate: new Date(thisUpdate),
  ...(nextUpdate !== undefined && { nextUpdate: new Date(nextUpdate) }),
})

const CERTIFICATE_HOLD = 6

/** By their numbers (RFC 5280, 5.3.1). */
const REASON_NAMES = [
  "unspecified",
  "keyCompromise",
  "cACompromise",
  "affiliationChanged",
  "superseded",
  "cessationOfOperation",
  "certificateHold",
  undefined,
  "removeFromCRL",
  "privilegeWithdrawn",
  "aACompromise",
]

const revoked = (
  certificate: Certificate,
  crl: Crl,
  { revokedAt, reason }: RevokedCertificate,
): AssayError => {
  const location = certificateText(certificate)
  return new AssayError("REVOKED", `${location} has been revoked`, {
    location,
    expected: `not on ${crlText(crl)}`,
    actual: `${REASON_NAMES[reason ?? 0] ?? "unspecified"}, ${dateText(revokedAt)}`,
  })
}

const unknown = (certificate: Certificate, why: string): AssayError => {
  const location = certificateText(certificate)
  const addresses = (certificate.extensions.crlDistributionPoints ?? []).flatMap(({ point }) =>
    (point?.fullName ?? []).flatMap((name) => (name.kind === "uri" ? [name.text] : [])),
  )
  const published =
    addresses.length === 0 ? "" : `, published at ${addresses.slice(0, ADDRESSES_MAX).join(" ")}`
  return new AssayError("REVOCATION", `whether ${location} is revoked cannot be told`, {
    location,
    expected: `current CRLs of its issuer for all reasons${published}`,
    actual: why,
  })
}

/** Told of a certificate that names many. */
const ADDRESSES_MAX = 2

const dateText = (time: number): string => new Date(time).toISOString()
