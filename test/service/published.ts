import { hash } from "node:crypto"
import { utf8 } from "../../src/bytes.ts"
import { AssayError } from "../../src/errors.ts"
import { type Certificate, parseCertificate } from "../../src/evidence/x509/certificate.ts"
import type { Fetch, Published, TrustImport } from "../../src/service/ports.ts"
import type { RevocationMode } from "../../src/verification/revocation.ts"
import type { DeniedKeys } from "../../src/verification/weak-key.ts"
import { type Authority, authority, type CrlParts, crlNumber, makeCrl } from "../support/crl.ts"
import { afterNoon, NOON, trustOf } from "../support/ports/samples.ts"
import {
  AK_EXTENSIONS,
  caExtensions,
  distributionPoint,
  extension,
  LEAF_KEYS,
  makeCertificate,
  oid,
  seq,
  time,
  tlv,
} from "../support/x509.ts"

/** A maker of TPMs who publishes CRLs and certificates at pki.example. */

export const MINUTE = 60_000
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR

export const HOST = "pki.example"
export const ROOT_CRL = `http://${HOST}/root.crl`
export const ROOT_CER = `http://${HOST}/root.cer`
export const ICA_CRL = `http://${HOST}/ica.crl`
export const ICA_CER = `http://${HOST}/ica.cer`

/** authorityInfoAccess with the issuer's certificate at a URL. */
export const issuerAt = (url: string): Uint8Array =>
  extension("1.3.6.1.5.5.7.1.1", seq(seq(oid("1.3.6.1.5.5.7.48.2"), tlv(0x86, utf8(url)))))

export const ROOT = authority("Maker Root")
export const ICA = authority("Maker Intermediate")
/** Calls itself as the maker's intermediate does, and is somebody else. */
export const IMPOSTOR = authority("Maker Intermediate")

export const rootDer = makeCertificate(ROOT.keys, ROOT.keys, ROOT.name, ROOT.name, [
  ...caExtensions(),
  distributionPoint(ROOT_CRL),
])
export const icaDer = makeCertificate(ICA.keys, ROOT.keys, ICA.name, ROOT.name, [
  ...caExtensions(0),
  distributionPoint(ROOT_CRL),
  issuerAt(ROOT_CER),
])
/** A leaf of `issuer` that names these URLs. */
export const leafOf = (issuer: Authority, crlUrl = ICA_CRL, issuerUrl = ICA_CER): Certificate =>
  parseCertificate(
    makeCertificate(LEAF_KEYS, issuer.keys, seq(), issuer.name, [
      ...AK_EXTENSIONS,
      distributionPoint(crlUrl),
      issuerAt(issuerUrl),
    ]),
  )
export const ica = parseCertificate(icaDer)
export const leaf = leafOf(ICA)

/** A CRL of the week that began a day before `at`; its number is in hexadecimal. */
export const crlAt = (
  issuer: Authority,
  at: Date = NOON,
  number = "05",
  changed: Partial<CrlParts> = {},
): Uint8Array =>
  makeCrl(issuer, {
    thisUpdate: time(new Date(at.getTime() - DAY)),
    nextUpdate: time(new Date(at.getTime() + 6 * DAY)),
    extensions: [crlNumber(number)],
    ...changed,
  })

const idOf = (bytes: Uint8Array): string => hash("sha256", bytes, "hex")

/** The maker's root as the one anchor, and what else is to be kept. */
export const rootImport = (
  revocation: RevocationMode = "when-published",
  others: {
    readonly intermediates?: readonly Uint8Array[]
    readonly crls?: Readonly<Record<string, Uint8Array>>
  } = {},
): TrustImport =>
  trustOf({
    anchors: [
      {
        id: idOf(rootDer),
        certificate: rootDer,
        label: "root",
        purpose: "any",
        revocation,
        provenance: "test",
      },
    ],
    intermediates: (others.intermediates ?? []).map((certificate) => ({
      id: idOf(certificate),
      certificate,
      source: "import",
    })),
    crls: Object.entries(others.crls ?? {}).map(([source, crl]) => ({ source, id: idOf(crl), crl })),
  })

export const NONE_DENIED: DeniedKeys = { size: 0, find: () => undefined }

/** What is published, by URL. What is not there cannot be loaded. */
export interface Site {
  readonly pages: Map<string, Uint8Array>
  /** URLs in the order in which they were asked for. */
  readonly asked: string[]
  readonly fetch: Fetch
}

export const site = (pages: Readonly<Record<string, Uint8Array>> = {}): Site => {
  const all = new Map(Object.entries(pages))
  const asked: string[] = []
  const codes: Readonly<Record<Published, "REVOCATION" | "TRUST">> = {
    crl: "REVOCATION",
    certificates: "TRUST",
  }
  return {
    pages: all,
    asked,
    async fetch(url, kind) {
      asked.push(url)
      const page = all.get(url)
      if (page === undefined) throw new AssayError(codes[kind], "another answer than 200", { location: url })
      return page
    },
  }
}

/** All that the maker publishes at noon. */
export const fullSite = (): Site =>
  site({
    [ROOT_CRL]: crlAt(ROOT),
    [ROOT_CER]: rootDer,
    [ICA_CRL]: crlAt(ICA),
    [ICA_CER]: icaDer,
  })

export { afterNoon, NOON }
