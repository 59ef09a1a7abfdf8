import type { DerReader } from "./der-reader.ts"
import { type GeneralName, readGeneralNames } from "./general-name.ts"
import { readRdn } from "./name.ts"

/** Bits of ReasonFlags (RFC 5280, 4.2.1.13), without the unused bit 0. */
export const REASONS_ALL = 0b1_1111_1110

/** The name of a distribution point. */
export interface PointName {
  readonly fullName: readonly GeneralName[] | undefined
  /** The key of a relative name that follows the CRL issuer's. */
  readonly relativeKey: string | undefined
}

/** Where a CRL for the certificate is, and which one. */
export interface DistributionPoint {
  readonly point: PointName | undefined
  /** Bits of ReasonFlags; nothing for all. */
  readonly reasons: number | undefined
  /** Somebody else who signs it: an indirect CRL. */
  readonly crlIssuer: readonly GeneralName[] | undefined
}

/** Reads CRLDistributionPoints. @throws {AssayError} CERTIFICATE. @see RFC 5280, 4.2.1.13. */
export function readDistributionPoints(value: DerReader): DistributionPoint[] {
  const r = value.sequence("crlDistributionPoints")
  if (r.tag === 0) throw r.error("CERTIFICATE", undefined, "an empty list of distribution points")
  return r.all(() => {
    const item = r.sequence("distributionPoint")
    const point = readOptionalPoint(item)
    const reasons = item.optional(0x81, () => item.namedBits("reasons", 0x81))
    const crlIssuer = item.optional(0xa2, () => readGeneralNames(item.constructed(0xa2, "cRLIssuer")))
    item.end()
    if (point === undefined && crlIssuer === undefined)
      throw item.error("CERTIFICATE", undefined, "a distribution point without a name")
    return { point, reasons, crlIssuer }
  })
}

/** Reads an optional `distributionPoint [0] DistributionPointName`. @throws {AssayError} CERTIFICATE. */
export const readOptionalPoint = (r: DerReader): PointName | undefined =>
  r.optional(0xa0, () => {
    const outer = r.constructed(0xa0, "distributionPoint")
    const fullName = outer.optional(0xa0, () => readGeneralNames(outer.constructed(0xa0, "fullName")))
    const relativeKey =
      fullName === undefined ? readRdn(outer.constructed(0xa1, "nameRelativeToCRLIssuer"), []) : undefined
    outer.end()
    return { fullName, relativeKey }
  })
