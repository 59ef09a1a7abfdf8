import { AssayError, type Code } from "../errors.ts"
import { type Certificate, certificateText } from "../evidence/x509/certificate.ts"
import { KEY_USAGE } from "../evidence/x509/extensions.ts"
import { algorithmError, plainSpkiOf } from "./certificate-key.ts"
import { isSelfIssued, type PolicyInputs, PolicySet } from "./certificate-policies.ts"
import { NameSpace } from "./name-constraints.ts"
import { checkNestedPurpose, type Purpose } from "./purpose.ts"
import { checkServerCa } from "./server-name.ts"
import type { Trust } from "./trust.ts"
import { checkNotDenied } from "./weak-key.ts"

/** What is asked of a path beside its signatures. */
export interface PathInputs {
  readonly purpose: Purpose
  readonly policies: PolicyInputs
  /** Intermediate certificates that are not self-issued, at most. */
  readonly maxDepth: number
  /** A web server's name, if the leaf has to be its certificate. */
  readonly serverName: string | undefined
}

/** Whether `at`, cut to whole seconds, is within the validity; both ends belong to it (RFC 5280, 4.1.2.5). */
export function checkValidity(certificate: Certificate, at: number): void {
  const { notBefore, notAfter } = certificate
  const second = Math.floor(at / 1000) * 1000
  if (notBefore > notAfter) throw flaw("VALIDITY", certificate, "ends before it begins")
  if (second >= notBefore && second <= notAfter) return
  throw flaw("VALIDITY", certificate, second < notBefore ? "is not yet valid" : "has expired", {
    expected: `${dateText(notBefore)} to ${dateText(notAfter)}`,
    actual: dateText(second),
  })
}

const dateText = (time: number): string => new Date(time).toISOString()

/**
 * What can be wrong with any certificate of a path by itself, its validity apart.
 *
 * @throws {AssayError} CRITICAL_EXT, NAME, ALG_MISMATCH, WEAK_ALG, SIG_ALG, EC_PARAMS, WEAK_KEY, ROCA, KEY_DENIED.
 */
export function checkCertificate(certificate: Certificate, trust: Trust, isAnchor: boolean): void {
  const { unknownCritical, algorithmsAgree, signatureAlgorithm } = certificate
  if (unknownCritical.length > 0)
    throw flaw("CRITICAL_EXT", certificate, "has a critical extension that Assay does not know", {
      actual: unknownCritical.join(", "),
    })
  if (
    certificate.extensions.subjectAltName?.some((name) => name.kind === "ip" && !isAddress(name.octets)) ===
    true
  )
    throw flaw("NAME", certificate, "has an iPAddress that is no address", { expected: "4 or 16 octets" })
  if (!algorithmsAgree)
    throw flaw("ALG_MISMATCH", certificate, "names one signature algorithm inside and another outside")
  // The signature of an anchor is not what it is trusted by.
  if (!isAnchor && (signatureAlgorithm.kind === "weak" || signatureAlgorithm.kind === "unsupported"))
    throw algorithmError(signatureAlgorithm, certificateText(certificate))
  checkNotDenied(plainSpkiOf(certificate), trust.denied, certificateText(certificate))
}

/** IPv4 or IPv6. In a constraint, with its mask, it is twice that. */
const isAddress = ({ length }: Uint8Array): boolean => length === 4 || length === 16

/**
 * Whether a certificate may issue others.
 *
 * @throws {AssayError} ISSUER_NOT_CA; NAME for a CA without a name.
 * @see RFC 5280, 6.1.4 (k) to (n).
 */
export function checkCa(ca: Certificate): void {
  const { basicConstraints, keyUsage } = ca.extensions
  if (ca.version !== 3) throw flaw("ISSUER_NOT_CA", ca, `is of version ${ca.version}, and no CA`)
  if (basicConstraints?.ca !== true)
    throw flaw("ISSUER_NOT_CA", ca, "issued a certificate and is no CA", {
      expected: "basicConstraints with cA",
      actual: basicConstraints === undefined ? "no basicConstraints" : "cA is false",
    })
  if (keyUsage !== undefined && (keyUsage & KEY_USAGE.keyCertSign) === 0)
    throw flaw("ISSUER_NOT_CA", ca, "issued a certificate and may not", { expected: "keyCertSign" })
  if (ca.subject.key === "") throw flaw("NAME", ca, "is a CA without a name")
}

/**
 * What can be wrong with a leaf that is nobody's issuer.
 *
 * @throws {AssayError} NAME, KEY_USAGE.
 */
export function checkLeaf(leaf: Certificate): void {
  const { basicConstraints, keyUsage = 0, nameConstraints } = leaf.extensions
  if (leaf.issuer.key === "") throw flaw("NAME", leaf, "has an issuer without a name")
  if (leaf.subject.key === "" && leaf.extensions.subjectAltName === undefined)
    throw flaw("NAME", leaf, "has neither a subject nor an alternative name")
  if (leaf.version === 2) throw flaw("NAME", leaf, "is of version 2, which nobody issues")
  if (basicConstraints?.ca === true) return
  if ((keyUsage & KEY_USAGE.keyCertSign) !== 0)
    throw flaw("KEY_USAGE", leaf, "may sign certificates and is no CA")
  if (basicConstraints?.pathLen !== undefined)
    throw flaw("PATH_LEN", leaf, "has a pathLenConstraint and is no CA")
  if (nameConstraints !== undefined) throw flaw("NAME", leaf, "constrains names and is no CA")
}

/**
 * Walks a path from its anchor down to the leaf, as RFC 5280, 6.1.3 to 6.1.5, without the steps that look at one
 * certificate alone. The anchor's own constraints count (RFC 5937).
 *
 * @param path The leaf first; without the anchor.
 * @returns The certificate policies that the path is valid under; `undefined` for any.
 * @throws {AssayError} PATH_LEN, NAME, EKU, CERTIFICATE_POLICY; PATH for more names than are compared.
 */
export function walkPath(
  path: readonly Certificate[],
  anchor: Certificate,
  inputs: PathInputs,
): readonly string[] | undefined {
  const names = new NameSpace()
  const policies = new PolicySet(inputs.policies, path.length)
  const [leaf = anchor] = path
  let pathLen = inputs.maxDepth
  /** What a CA leaves to the certificates below it. */
  const descend = (ca: Certificate): void => {
    const { basicConstraints, nameConstraints } = ca.extensions
    checkNestedPurpose(ca, leaf, inputs.purpose, inputs.serverName !== undefined)
    if (inputs.serverName !== undefined) checkServerCa(ca, ca === anchor)
    if (nameConstraints !== undefined) names.narrow(nameConstraints, ca)
    pathLen = Math.min(pathLen, basicConstraints?.pathLen ?? pathLen)
    policies.prepare(ca, ca === anchor)
  }
  descend(anchor)
  for (let i = path.length - 1; i >= 0; i--) {
    const certificate = path[i] ?? leaf
    const isLeaf = i === 0
    if (isLeaf || !isSelfIssued(certificate)) names.check(certificate)
    policies.process(certificate, isLeaf)
    if (isLeaf) continue
    if (!isSelfIssued(certificate) && --pathLen < 0)
      throw flaw("PATH_LEN", certificate, "is one CA more than a certificate above it allows")
    descend(certificate)
  }
  return policies.finish(leaf)
}

/** What is wrong with a certificate. */
export const flaw = (
  code: Code,
  certificate: Certificate,
  message: string,
  details: { expected?: string; actual?: string } = {},
): AssayError => {
  const location = certificateText(certificate)
  return new AssayError(code, `${location} ${message}`, { location, ...details })
}
