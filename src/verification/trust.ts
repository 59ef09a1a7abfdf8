import type { Certificate } from "../evidence/x509/certificate.ts"
import type { Crl } from "../evidence/x509/crl.ts"
import type { Name } from "../evidence/x509/name.ts"
import type { Purpose } from "./purpose.ts"
import type { RevocationMode } from "./revocation.ts"
import type { DeniedKeys } from "./weak-key.ts"

/** A certificate that is trusted by decision, not by a signature. */
export interface Anchor {
  readonly certificate: Certificate
  /** What its paths may be for; `any` for every purpose. */
  readonly purpose: Purpose
  /** How revocation is checked on its paths. */
  readonly revocation: RevocationMode
}

/** What paths are verified against: one tenant's, as of one generation. Built once, and never changed. */
export interface Trust {
  readonly anchorCount: number
  anchorsOf(subject: Name): readonly Anchor[]
  /** Certificates that may help to build a path. Nothing is believed because of being among them. */
  intermediatesOf(subject: Name): readonly Certificate[]
  crlsOf(issuer: Name): readonly Crl[]
  readonly denied: DeniedKeys
}

/** Indexes trust by name, so that 1,000 anchors cost a path no more than ten. */
export function createTrust(parts: {
  readonly anchors: readonly Anchor[]
  readonly intermediates: readonly Certificate[]
  readonly crls: readonly Crl[]
  readonly denied: DeniedKeys
}): Trust {
  const anchors = Map.groupBy(parts.anchors, ({ certificate }) => certificate.subject.key)
  const intermediates = Map.groupBy(parts.intermediates, ({ subject }) => subject.key)
  const crls = Map.groupBy(parts.crls, ({ issuer }) => issuer.key)
  return {
    anchorCount: parts.anchors.length,
    anchorsOf: ({ key }) => anchors.get(key) ?? [],
    intermediatesOf: ({ key }) => intermediates.get(key) ?? [],
    crlsOf: ({ key }) => crls.get(key) ?? [],
    denied: parts.denied,
  }
}
