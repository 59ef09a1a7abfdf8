import { toHex } from "../bytes.ts"
import type { Certificate } from "../evidence/x509/certificate.ts"
import type { Crl } from "../evidence/x509/crl.ts"
import { type PointName, REASONS_ALL } from "../evidence/x509/distribution-point.ts"
import type { GeneralName } from "../evidence/x509/general-name.ts"
import type { Name } from "../evidence/x509/name.ts"

/**
 * The reasons for which the CRL speaks about the certificate; 0 if it does not.
 *
 * @see RFC 5280, 6.3.3 (b), (d) and (e). A distribution point with a cRLIssuer is one of an indirect CRL.
 */
export const reasonsFor = (certificate: Certificate, crl: Crl): number => {
  const scope = crl.issuingDistributionPoint
  const isCa = certificate.extensions.basicConstraints?.ca === true
  if (scope?.onlyAttributeCerts === true || (isCa ? scope?.onlyUserCerts : scope?.onlyCaCerts) === true)
    return 0
  const points = certificate.extensions.crlDistributionPoints ?? [pointOf(certificate.issuer)]
  const wanted = scope?.point === undefined ? undefined : namesOf(scope.point, crl.issuer)
  let reasons = 0
  for (const { point, crlIssuer, reasons: some = REASONS_ALL } of points) {
    if (crlIssuer !== undefined || point === undefined) continue
    const names = namesOf(point, certificate.issuer)
    if (wanted === undefined || names.some((name) => wanted.includes(name))) reasons |= some
  }
  return reasons & (scope?.onlySomeReasons ?? REASONS_ALL) & REASONS_ALL
}

/** Where the CRL of a certificate without distribution points is: under its issuer's name. */
const pointOf = (name: Name): { point: PointName; crlIssuer?: undefined; reasons?: undefined } => ({
  point: { fullName: [{ kind: "directory", name }], relativeKey: undefined },
})

/** Keys that are equal for equal names. A relative name goes behind its issuer's. */
const namesOf = ({ fullName, relativeKey = "" }: PointName, issuer: Name): string[] =>
  fullName === undefined
    ? [`directory ${[...issuer.keys, relativeKey].join("\n")}`]
    : fullName.map(nameKey).filter((key) => key !== undefined)

/** Names that are read in part only are equal to none. */
const nameKey = (name: GeneralName): string | undefined => {
  switch (name.kind) {
    case "uri":
    case "dns":
    case "email":
    case "registered":
      return `${name.kind} ${name.text}`
    case "ip":
      return `ip ${toHex(name.octets)}`
    case "directory":
      return `directory ${name.name.key}`
    case "other":
    case "x400":
    case "edi":
      return undefined
  }
}
