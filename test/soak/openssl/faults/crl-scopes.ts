import { utf8 } from "../../../../src/bytes.ts"
import {
  authorityKeyId,
  distributionPoint,
  extension,
  integer,
  keyUsage,
  seq,
  tlv,
} from "../../../support/x509.ts"
import { type Chain, type Draft, ID } from "../chain.ts"
import { CRL_ID, type CrlDraft, usualCrl } from "../crl.ts"
import { keyIdOf, keyOf } from "../keys.ts"
import type { Random } from "../random.ts"
import { about, harmless, revoke, subjectOf } from "./crls.ts"
import { type Fault, hasCa } from "./fault.ts"

const URI = "http://inside.example/x.crl"

const scope = (...parts: readonly Uint8Array[]): Uint8Array =>
  extension(CRL_ID.issuingDistributionPoint, seq(...parts), true)
const TRUE = Uint8Array.of(0xff)
const onlyUser = scope(tlv(0x81, TRUE))
const onlyCa = scope(tlv(0x82, TRUE))
const onlyAttributes = scope(tlv(0x85, TRUE))
const indirect = scope(tlv(0x84, TRUE))
const atPoint = (uri: string): Uint8Array => scope(tlv(0xa0, tlv(0xa0, tlv(0x86, utf8(uri)))))
const someReasons = (bits: number): Uint8Array => scope(tlv(0x83, Uint8Array.of(0, bits)))

const withScope = (id: string, value: Uint8Array, more: Partial<Fault> = {}): Fault =>
  about(id, (crl) => crl.extensions.set(CRL_ID.issuingDistributionPoint, value), more)

/** The scope of one CRL. */
const scoped = (
  id: string,
  value: Uint8Array,
  which: (crls: readonly CrlDraft[]) => CrlDraft | undefined,
  more: Partial<Fault> = {},
): Fault =>
  about(id, (_, __, crls) => which(crls)?.extensions.set(CRL_ID.issuingDistributionPoint, value), more)

const delta = (chain: Chain, crl: CrlDraft): CrlDraft => {
  const next = usualCrl(crl.about, chain.question.at)
  next.extensions.set(CRL_ID.deltaIndicator, extension(CRL_ID.deltaIndicator, integer(7), true))
  next.extensions.set(CRL_ID.number, extension(CRL_ID.number, integer(8)))
  return next
}

/** Another key under the issuer's name that signs its CRLs. */
const crlSigner = (chain: Chain, issuer: Draft, random: Random, signs: boolean): Draft => {
  const signer = chain.end(keyOf("p256", 16 + random.below(3)), issuer.subject, [
    [ID.keyUsage, signs ? keyUsage(6) : keyUsage(0)],
  ])
  chain.arrange((files) => ({
    ...files,
    shown: [...files.shown, chain.makeUnder(signer, issuer.keys, issuer.subject)],
  }))
  return signer
}

const separateSigner = (id: string, signs: boolean, more: Partial<Fault> = {}): Fault => ({
  id,
  ...more,
  apply: (chain, random) => {
    const issuer = random.pick(chain.issuers)
    const signer = crlSigner(chain, issuer, random, signs)
    chain.useCrls((crls) => {
      for (const crl of crls)
        if (crl.about === issuer) {
          crl.signer = signer.keys
          crl.extensions.set(CRL_ID.authorityKeyId, authorityKeyId(keyIdOf(signer.keys)))
        }
    })
  },
})

/** CRLs that are for some certificates only, by other signers, or not complete. */
export const CRL_SCOPES: readonly Fault[] = [
  about("delta CRL beside the complete one", (crl, chain, crls) => {
    crls.push(delta(chain, crl))
  }),
  about("delta CRL alone", (crl, chain, crls) => {
    crls.splice(crls.indexOf(crl), 1, delta(chain, crl))
  }),
  about("delta CRL that revokes", (crl, chain, crls) => {
    const next = delta(chain, crl)
    revoke(next, subjectOf(crl, chain))
    crls.push(next)
  }),
  scoped("CRL for leaves only, about a leaf", onlyUser, (crls) => crls.at(-1), { ...harmless, fits: hasCa }),
  scoped("CRL for leaves only, about a CA", onlyUser, ([first]) => first, { fits: hasCa }),
  scoped("CRL for CAs only, about a CA", onlyCa, ([first]) => first, { ...harmless, fits: hasCa }),
  scoped("CRL for CAs only, about a leaf", onlyCa, (crls) => crls.at(-1)),
  withScope("CRL for attribute certificates", onlyAttributes),
  withScope("indirect CRL", indirect),
  withScope("empty scope of a CRL", scope()),
  withScope("CRL for some reasons", someReasons(0x40)),
  withScope("CRL of a distribution point that nobody names", atPoint(URI)),
  {
    id: "CRL of the distribution point that is named",
    ...harmless,
    apply: (chain) => {
      for (const draft of chain.drafts) draft.extensions.set(ID.crlDistributionPoints, distributionPoint(URI))
      chain.useCrls((crls) => {
        for (const crl of crls) crl.extensions.set(CRL_ID.issuingDistributionPoint, atPoint(URI))
      })
    },
  },
  {
    id: "CRL of another distribution point than the one that is named",
    apply: (chain, random) => {
      random.pick(chain.proven).extensions.set(ID.crlDistributionPoints, distributionPoint(`${URI}.other`))
      chain.useCrls((crls) => {
        for (const crl of crls) crl.extensions.set(CRL_ID.issuingDistributionPoint, atPoint(URI))
      })
    },
  },
  {
    id: "issuer that may not sign CRLs",
    apply: (chain, random) => {
      random.pick(chain.issuers).extensions.set(ID.keyUsage, keyUsage(5))
      chain.useCrls()
    },
  },
  separateSigner("CRL by a signer of its own", true),
  separateSigner("CRL by a certificate that may not sign it", false),
]
