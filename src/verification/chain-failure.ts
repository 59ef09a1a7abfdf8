import { sameBytes } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { type Certificate, certificateText, fingerprintOf } from "../evidence/x509/certificate.ts"
import { nameText } from "../evidence/x509/name.ts"

/** How telling a failure is. The highest is reported; of equals the first. */
export const RANK = { noIssuer: 0, badLink: 1, untrustedRoot: 2, flawed: 3, anchored: 4 } as const

/** The most telling failure so far. */
export interface Failure {
  readonly rank: number
  readonly error: AssayError
}

/** Those whose subject key identifier is the one that the certificate names come first; it is a hint and no more. */
export const byKeyIdentifier = <T>(
  head: Certificate,
  list: readonly T[],
  certificateOf: (item: T) => Certificate,
): T[] => {
  const wanted = head.extensions.authorityKeyIdentifier?.keyIdentifier
  const fits = (item: T): boolean => {
    const identifier = certificateOf(item).extensions.subjectKeyIdentifier
    return wanted !== undefined && identifier !== undefined && sameBytes(wanted, identifier)
  }
  return list.length < 2 ? [...list] : [...list.filter(fits), ...list.filter((item) => !fits(item))]
}

/** Nobody who is known issued `head`. */
export const noIssuer = (head: Certificate): AssayError =>
  new AssayError("UNTRUSTED_ROOT", `no trusted issuer for ${certificateText(head)}`, {
    location: certificateText(head),
    expected: "an issuer among the trust anchors, or one that leads to them",
    actual: `issued by ${nameText(head.issuer)}`,
  })

/** The path ends in a self-issued certificate that is no anchor. */
export const untrustedRoot = (root: Certificate): AssayError =>
  new AssayError("UNTRUSTED_ROOT", `the path ends in a root that is not trusted: ${certificateText(root)}`, {
    location: certificateText(root),
    expected: "a trust anchor",
    actual: `SHA-256 ${fingerprintOf(root)}`,
  })

/** Who has the issuer's name did not sign. */
export const badLink = (subject: Certificate, issuer: Certificate): AssayError =>
  new AssayError("CHAIN", `the issuer by name did not sign ${certificateText(subject)}`, {
    location: certificateText(subject),
    expected: `a signature by ${certificateText(issuer)}, SHA-256 ${fingerprintOf(issuer)}`,
    actual: "another's",
  })

/** The path goes on behind the greatest depth. */
export const tooLong = (leaf: Certificate, max: number): AssayError =>
  new AssayError("PATH", "no path within the limit of certificates", {
    location: certificateText(leaf),
    expected: `at most ${max} between leaf and anchor`,
  })
