import { sameBytes } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { type Certificate, certificateText } from "../evidence/x509/certificate.ts"
import type { GeneralName } from "../evidence/x509/general-name.ts"
import { valuesOf } from "../evidence/x509/name.ts"
import { isSelfIssued } from "./certificate-policies.ts"
import { isHostName } from "./name-constraints.ts"

/**
 * Web servers' certificates, for whoever gives a name to check: what RFC 5280, section 4, demands of conforming CAs, and
 * the CA/Browser Forum's rules about names. Certificates of TPMs follow other profiles and are not held to this.
 *
 * Wildcards are not matched at all: no list of public suffixes is kept, and without one they cannot be judged.
 */

const COMMON_NAME = "2.5.4.3"
const SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
/** serverAuth, and clientAuth beside it. */
const SERVER_PURPOSES: readonly string[] = [SERVER_AUTH, "1.3.6.1.5.5.7.3.2"]
const ID = {
  subjectKeyIdentifier: "2.5.29.14",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  nameConstraints: "2.5.29.30",
  policyConstraints: "2.5.29.36",
  extKeyUsage: "2.5.29.37",
} as const

/**
 * Whether the leaf is the certificate of the server `name`: a host name, or an IP address as text.
 *
 * @throws {AssayError} NAME, EKU, KEY_USAGE.
 */
export function checkServerName(leaf: Certificate, name: string): void {
  const { basicConstraints, crlDistributionPoints = [], extKeyUsage, subjectAltName = [] } = leaf.extensions
  if (basicConstraints?.ca === true) throw refused("KEY_USAGE", leaf, "no CA", "a CA")
  if (
    extKeyUsage?.includes(SERVER_AUTH) !== true ||
    !extKeyUsage.every((oid) => SERVER_PURPOSES.includes(oid))
  )
    throw refused(
      "EKU",
      leaf,
      `${SERVER_AUTH} and no foreign purpose`,
      extKeyUsage?.join(", ") ?? "no purposes",
    )
  if (leaf.critical.has(ID.extKeyUsage))
    throw refused("EKU", leaf, "purposes that are not critical", "critical ones")
  if (leaf.critical.has(ID.subjectAltName) !== (leaf.subject.key === ""))
    throw refused(
      "NAME",
      leaf,
      "an alternative name that is critical if there is no subject, and only then",
      "otherwise",
    )
  if (subjectAltName.some((one) => one.kind === "dns" && !isServerName(one.text)))
    throw refused("NAME", leaf, "host names", "something else")
  if (crlDistributionPoints.some(({ point }) => point?.fullName?.some(({ kind }) => kind !== "uri")))
    throw refused("NAME", leaf, "distribution points with addresses", "other names")
  const texts = subjectAltName.flatMap(textOf)
  const kind = isAddress(name) ? "ip" : "dns"
  if (
    !subjectAltName.some((one) => one.kind === kind && textOf(one).join().toLowerCase() === canonical(name))
  )
    throw refused("NAME", leaf, name, texts.join(", ") || "no names")
  for (const common of valuesOf(leaf.subject, COMMON_NAME))
    if (!texts.includes(common)) throw refused("NAME", leaf, "a common name of the alternative names", common)
}

/**
 * Whether a CA, the anchor among them, is of the profile.
 *
 * @throws {AssayError} NAME for what is missing or marked wrongly, EKU for an anchor with purposes.
 */
export function checkServerCa(ca: Certificate, isAnchor: boolean): void {
  const { extensions, critical, present } = ca
  const wrong = (expected: string): AssayError => refused("NAME", ca, expected, "otherwise")
  if (!present.has(ID.subjectKeyIdentifier)) throw wrong("a subject key identifier")
  if (!critical.has(ID.basicConstraints)) throw wrong("critical basic constraints")
  for (const id of [ID.nameConstraints, ID.policyConstraints])
    if (present.has(id) && !critical.has(id)) throw wrong(`extension ${id} to be critical`)
  checkServerCertificate(ca)
  if (!isAnchor) return
  if (extensions.extKeyUsage !== undefined && isSelfIssued(ca))
    throw refused("EKU", ca, "no purposes", "some")
  const authority = extensions.authorityKeyIdentifier
  if (authority === undefined || !isSelfIssued(ca)) return
  const { keyIdentifier, hasIssuer, hasSerialNumber } = authority
  if (keyIdentifier === undefined || hasIssuer || hasSerialNumber)
    throw wrong("an authority key identifier of a key alone")
  if (!sameBytes(keyIdentifier, extensions.subjectKeyIdentifier ?? new Uint8Array()))
    throw wrong("an authority key identifier of its own key")
}

/**
 * What holds for every certificate: its issuer's key has an identifier, and a usage of its own that is stated is one.
 *
 * @throws {AssayError} NAME, KEY_USAGE.
 */
export function checkServerCertificate(certificate: Certificate): void {
  const { extensions } = certificate
  if (!isSelfIssued(certificate) && extensions.authorityKeyIdentifier?.keyIdentifier === undefined)
    throw refused("NAME", certificate, "an authority key identifier", "none")
  if (extensions.keyUsage === 0) throw refused("KEY_USAGE", certificate, "a usage of the key", "none")
}

const refused = (
  code: "NAME" | "EKU" | "KEY_USAGE",
  certificate: Certificate,
  expected: string,
  actual: string,
): AssayError =>
  new AssayError(code, "not of the profile of web servers' certificates", {
    location: certificateText(certificate),
    expected,
    actual,
  })

/** A wildcard is well formed, and no name to match. Addresses of a single label are none of the Internet's. */
const isServerName = (text: string): boolean =>
  isHostName(text.replace(/^\*\.(?=.*\.)/, "")) && !isAddress(text)

/** An address is never taken for a host name, nor a host name for an address. */
const isAddress = (name: string): boolean => name.includes(":") || /^[0-9.]+$/.test(name)

const textOf = (name: GeneralName): string[] => {
  if (name.kind === "dns") return [name.text]
  return name.kind === "ip" ? [ipText(name.octets)] : []
}

/** The one spelling of an address: dotted decimals, or RFC 5952 as `URL` writes it. */
const ipText = (octets: Uint8Array): string => {
  if (octets.length === 4) return octets.join(".")
  if (octets.length !== 16) return ""
  const groups = Buffer.from(octets)
    .toString("hex")
    .replace(/(....)(?=.)/g, "$1:")
  return withoutBrackets(new URL(`http://[${groups}]/`).hostname)
}

const withoutBrackets = (text: string): string => text.replace(/^\[|\]$/g, "")

const canonical = (name: string): string =>
  name.includes(":") && URL.canParse(`http://[${name}]/`)
    ? withoutBrackets(new URL(`http://[${name}]/`).hostname)
    : name.toLowerCase()
