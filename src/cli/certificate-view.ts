/** Certificates and CRLs as JSON has them: everything in them, extensions by their names. */
import { hash } from "node:crypto"
import { toHex } from "../bytes.ts"
import { algorithmText } from "../evidence/x509/algorithm.ts"
import { type Certificate, fingerprintOf } from "../evidence/x509/certificate.ts"
import type { Crl } from "../evidence/x509/crl.ts"
import { type Deviation, TAG } from "../evidence/x509/der.ts"
import { DerReader } from "../evidence/x509/der-reader.ts"
import type { DistributionPoint, PointName } from "../evidence/x509/distribution-point.ts"
import { type Extensions, KEY_USAGE } from "../evidence/x509/extensions.ts"
import { GCE_INSTANCE } from "../evidence/x509/gce-instance.ts"
import { nameText } from "../evidence/x509/name.ts"
import { publicKeyText } from "../evidence/x509/public-key.ts"
import { generalNameText } from "../verification/name-constraints.ts"
import { timeText } from "./chain-view.ts"

/** A certificate. Bytes in lowercase hexadecimal; `deviations` are those of what it came in, and its own. */
export const certificateJson = (certificate: Certificate, wrapping: readonly Deviation[] = []) => ({
  sha256: fingerprintOf(certificate),
  version: certificate.version,
  serialNumber: toHex(certificate.serialNumber),
  subject: nameText(certificate.subject),
  issuer: nameText(certificate.issuer),
  notBefore: timeText(certificate.notBefore),
  notAfter: timeText(certificate.notAfter),
  publicKey: publicKeyText(certificate.publicKey),
  spkiSha256: hash("sha256", certificate.spki, "hex"),
  signatureAlgorithm: algorithmText(certificate.signatureAlgorithm),
  algorithmsAgree: certificate.algorithmsAgree,
  signature: toHex(certificate.signature),
  deviations: [...wrapping, ...certificate.deviations],
  extensions: rawExtensions(certificate).map(({ oid, critical, content }) => ({
    oid,
    name: NAMES.get(oid) ?? null,
    critical,
    value: VALUES.get(oid)?.(certificate.extensions) ?? { der: toHex(content) },
  })),
})

/** A CRL, with the number of those that it revokes. */
export const crlJson = (crl: Crl) => ({
  sha256: hash("sha256", crl.bytes, "hex"),
  issuer: nameText(crl.issuer),
  number: crl.number === undefined ? null : toHex(crl.number),
  thisUpdate: timeText(crl.thisUpdate),
  nextUpdate: crl.nextUpdate === undefined ? null : timeText(crl.nextUpdate),
  revoked: crl.revoked.size,
  signatureAlgorithm: algorithmText(crl.signatureAlgorithm),
  algorithmsAgree: crl.algorithmsAgree,
  authorityKeyIdentifier: crl.authorityKeyIdentifier === undefined ? null : toHex(crl.authorityKeyIdentifier),
  delta: crl.isDelta,
  issuingDistributionPoint: scopeJson(crl),
  unknownCritical: [
    ...crl.unknownCritical,
    ...(crl.unknownCriticalEntry === undefined ? [] : [crl.unknownCriticalEntry]),
  ],
  deviations: [...crl.deviations],
})

const scopeJson = ({ issuingDistributionPoint: scope }: Crl) =>
  scope === undefined
    ? null
    : {
        ...scope,
        point: pointJson(scope.point),
        onlySomeReasons: reasonsJson(scope.onlySomeReasons),
      }

interface RawExtension {
  readonly oid: string
  readonly critical: boolean
  readonly content: Uint8Array
}

/** In the order of the certificate, which has passed the parser. */
const rawExtensions = ({ tbs }: Certificate): readonly RawExtension[] => {
  const fields = new DerReader(tbs, "tbsCertificate").sequence("fields")
  while (fields.tag !== 0 && fields.tag !== EXTENSIONS) fields.element("field")
  if (fields.tag === 0) return []
  return fields
    .constructed(EXTENSIONS, "extensions")
    .sequence("list")
    .all((list) => {
      const extension = list.sequence("extension")
      const oid = extension.oid("extnID")
      const critical = extension.optional(TAG.boolean, () => extension.boolean("critical")) ?? false
      return { oid, critical, content: extension.content(TAG.octetString, "extnValue") }
    })
}

const EXTENSIONS = 0xa3

/** RFC 5280, 4.2 and 5.2; RFC 6962; RFC 3739; RFC 6960; Microsoft and Google. */
const NAMES: ReadonlyMap<string, string> = new Map([
  ["2.5.29.9", "subjectDirectoryAttributes"],
  ["2.5.29.14", "subjectKeyIdentifier"],
  ["2.5.29.15", "keyUsage"],
  ["2.5.29.16", "privateKeyUsagePeriod"],
  ["2.5.29.17", "subjectAltName"],
  ["2.5.29.18", "issuerAltName"],
  ["2.5.29.19", "basicConstraints"],
  ["2.5.29.30", "nameConstraints"],
  ["2.5.29.31", "cRLDistributionPoints"],
  ["2.5.29.32", "certificatePolicies"],
  ["2.5.29.33", "policyMappings"],
  ["2.5.29.35", "authorityKeyIdentifier"],
  ["2.5.29.36", "policyConstraints"],
  ["2.5.29.37", "extKeyUsage"],
  ["2.5.29.46", "freshestCRL"],
  ["2.5.29.54", "inhibitAnyPolicy"],
  ["1.3.6.1.5.5.7.1.1", "authorityInfoAccess"],
  ["1.3.6.1.5.5.7.1.3", "qcStatements"],
  ["1.3.6.1.5.5.7.1.11", "subjectInfoAccess"],
  ["1.3.6.1.5.5.7.48.1.5", "ocspNoCheck"],
  ["1.3.6.1.4.1.311.21.1", "microsoftCaVersion"],
  ["1.3.6.1.4.1.11129.2.1.17", "androidKeyDescription"],
  ["1.3.6.1.4.1.11129.2.1.21", "googleInstanceIdentity"],
  ["1.3.6.1.4.1.11129.2.4.2", "signedCertificateTimestamps"],
])

type ValueOf = (extensions: Extensions) => unknown

/** What Assay reads of an extension. Of the rest, the bytes are told. */
const VALUES: ReadonlyMap<string, ValueOf> = new Map<string, ValueOf>([
  [
    "2.5.29.9",
    ({ tpm }) =>
      tpm && { specification: tpm.specification ?? null, securityAssertions: tpm.securityAssertions ?? null },
  ],
  ["2.5.29.14", ({ subjectKeyIdentifier }) => subjectKeyIdentifier && toHex(subjectKeyIdentifier)],
  ["2.5.29.15", ({ keyUsage }) => keyUsage !== undefined && usagesOf(keyUsage)],
  ["2.5.29.17", ({ subjectAltName }) => subjectAltName?.map(generalNameText)],
  ["2.5.29.19", ({ basicConstraints: basic }) => basic && { ca: basic.ca, pathLen: basic.pathLen ?? null }],
  [
    "2.5.29.30",
    ({ nameConstraints: names }) =>
      names && {
        permitted: names.permitted.map(generalNameText),
        excluded: names.excluded.map(generalNameText),
      },
  ],
  ["2.5.29.31", ({ crlDistributionPoints }) => crlDistributionPoints?.map(distributionPointJson)],
  ["2.5.29.32", ({ policies }) => policies],
  ["2.5.29.33", ({ policyMappings }) => policyMappings],
  [
    "2.5.29.35",
    ({ authorityKeyIdentifier: authority }) =>
      authority && {
        keyIdentifier: authority.keyIdentifier === undefined ? null : toHex(authority.keyIdentifier),
        hasIssuer: authority.hasIssuer,
        hasSerialNumber: authority.hasSerialNumber,
      },
  ],
  [
    "2.5.29.36",
    ({ policyConstraints: policy }) =>
      policy && {
        requireExplicitPolicy: policy.requireExplicitPolicy ?? null,
        inhibitPolicyMapping: policy.inhibitPolicyMapping ?? null,
      },
  ],
  ["2.5.29.37", ({ extKeyUsage }) => extKeyUsage],
  ["2.5.29.54", ({ inhibitAnyPolicy }) => inhibitAnyPolicy],
  [GCE_INSTANCE, ({ instance }) => instance],
  [
    "1.3.6.1.5.5.7.1.1",
    ({ authorityInfoAccess }) =>
      authorityInfoAccess?.map(({ method, location }) => ({ method, location: generalNameText(location) })),
  ],
])

const usagesOf = (bits: number): string[] =>
  Object.entries(KEY_USAGE).flatMap(([name, bit]) => ((bits & bit) === 0 ? [] : [name]))

const distributionPointJson = ({ point, reasons, crlIssuer }: DistributionPoint) => ({
  point: pointJson(point),
  reasons: reasonsJson(reasons),
  crlIssuer: crlIssuer?.map(generalNameText) ?? null,
})

const pointJson = (point: PointName | undefined) =>
  point === undefined ? null : (point.fullName?.map(generalNameText) ?? { relative: point.relativeKey ?? "" })

/** ReasonFlags (RFC 5280, 4.2.1.13), by their bits. */
const REASONS = [
  "unused",
  "keyCompromise",
  "cACompromise",
  "affiliationChanged",
  "superseded",
  "cessationOfOperation",
  "certificateHold",
  "privilegeWithdrawn",
  "aACompromise",
]

const reasonsJson = (bits: number | undefined): readonly string[] | null =>
  bits === undefined ? null : REASONS.filter((_, bit) => (bits & (1 << bit)) !== 0)
