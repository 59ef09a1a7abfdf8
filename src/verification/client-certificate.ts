import { AssayError } from "../errors.ts"
import { type Certificate, certificateText } from "../evidence/x509/certificate.ts"
import { KEY_USAGE } from "../evidence/x509/extensions.ts"
import { type CertificatePath, verifyChain } from "./chain.ts"
import type { Trust } from "./trust.ts"
import type { Verified } from "./verified.ts"

const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"
const ANY_EKU = "2.5.29.37.0"

/**
 * Finds a path from the certificate that a TLS client has shown to an anchor of `trust`, and holds it to its purpose: no
 * CA, a key that may sign, and clientAuth said in so many words. CAs that list purposes have to list it too, or any.
 *
 * That the client holds the certificate's key is TLS's to prove, and whose certificate it is the caller's to read.
 *
 * @param shown Certificates that came with it.
 * @throws {AssayError} KEY_USAGE, EKU; whatever `verifyChain` throws.
 * @see RFC 5280, 4.2.1.12; RFC 8446, 4.4.2.4.
 */
export function verifyClientCertificate(
  leaf: Certificate,
  shown: readonly Certificate[],
  trust: Trust,
  at: Date,
): Verified<CertificatePath> {
  const { basicConstraints, keyUsage, extKeyUsage } = leaf.extensions
  if (leaf.version !== 3 || basicConstraints?.ca === true) throw usage(leaf, "no CA, and version 3")
  if (keyUsage !== undefined && (keyUsage & KEY_USAGE.digitalSignature) === 0)
    throw usage(leaf, "digitalSignature")
  if (extKeyUsage?.includes(CLIENT_AUTH) !== true) throw eku(leaf)
  const path = verifyChain(leaf, shown, trust, { purpose: "any", at })
  for (const ca of [...path.certificates.slice(1), path.anchor.certificate]) {
    const purposes = ca.extensions.extKeyUsage
    if (purposes !== undefined && !purposes.includes(CLIENT_AUTH) && !purposes.includes(ANY_EKU))
      throw eku(ca)
  }
  return path
}

const eku = (certificate: Certificate): AssayError =>
  new AssayError("EKU", "the certificate is not for TLS clients (extKeyUsage)", {
    location: certificateText(certificate),
    expected: CLIENT_AUTH,
    actual: certificate.extensions.extKeyUsage?.join(", ") ?? "no purposes",
  })

const usage = (certificate: Certificate, expected: string): AssayError =>
  new AssayError("KEY_USAGE", "the certificate is not one of a TLS client", {
    location: certificateText(certificate),
    expected,
  })
