import type { Crl } from "../evidence/x509/crl.ts"
import { nameText } from "../evidence/x509/name.ts"
import type { Trust } from "../verification/trust.ts"
import type { ParsedTrust } from "./parse-trust.ts"
import { pathOf } from "./refresh-sources.ts"

/** CRLs without which nothing under an anchor is accepted. */
export interface RequiredCrl {
  /** Its issuer, as people read it. */
  readonly issuer: string
  /** The latest nextUpdate of those that are kept; nothing if there is none. */
  readonly nextUpdate: number | undefined
}

/**
 * The CRLs that have to be there and current: of each anchor that requires revocation to be checked, and of each issuer
 * under it of whom there are CRLs. CRLs of one issuer for different certificates count apart.
 */
export function requiredCrls(parsed: ParsedTrust, trust: Trust, at: Date): readonly RequiredCrl[] {
  const isRequired = ({ issuer }: Crl): boolean =>
    trust.anchorsOf(issuer).some(({ revocation }) => revocation === "require") ||
    trust
      .intermediatesOf(issuer)
      .some((certificate) => pathOf({ certificate, shown: [] }, trust, at)?.anchor.revocation === "require")
  const crls = parsed.crls.map(({ crl }) => crl).filter((crl) => !crl.isDelta)
  const groups = Map.groupBy(crls, (crl) => `${crl.issuer.key}\n${scopeOf(crl)}`)
  const kept = [...groups.values()].flatMap(([first, ...more]) =>
    first !== undefined && isRequired(first) ? [requiredOf(first, more)] : [],
  )
  const missing = parsed.anchors
    .filter(
      ({ certificate, revocation }) =>
        revocation === "require" && trust.crlsOf(certificate.subject).length === 0,
    )
    .map(({ certificate }) => ({ issuer: nameText(certificate.subject), nextUpdate: undefined }))
  return [...kept, ...missing]
}

const requiredOf = (first: Crl, more: readonly Crl[]): RequiredCrl => ({
  issuer: nameText(first.issuer),
  nextUpdate: Math.max(...[first, ...more].map(({ nextUpdate = 0 }) => nextUpdate)),
})

/** Which certificates a CRL is for, in words that are equal for equal scopes. */
const scopeOf = ({ issuingDistributionPoint: scope }: Crl): string =>
  scope === undefined
    ? ""
    : JSON.stringify([
        scope.onlyUserCerts,
        scope.onlyCaCerts,
        scope.onlyAttributeCerts,
        scope.onlySomeReasons ?? null,
        scope.point?.relativeKey ?? null,
        (scope.point?.fullName ?? []).map((name) => ("text" in name ? name.text : name.kind)),
      ])

/** Why nothing is accepted under some anchor at this instant. */
export const reasonsOf = (required: readonly RequiredCrl[], at: Date): readonly string[] =>
  required.flatMap(({ issuer, nextUpdate }) => {
    if (nextUpdate === undefined) return [`there is no CRL of ${issuer}`]
    return at.getTime() > nextUpdate ? [`the CRL of ${issuer} has expired`] : []
  })
