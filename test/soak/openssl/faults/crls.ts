import {
  authorityKeyId,
  directoryName,
  extension,
  integer,
  NULL,
  oid,
  seq,
  tlv,
} from "../../../support/x509.ts"
import type { Chain, Draft } from "../chain.ts"
import { CRL_ID, type CrlDraft, entry, later, usualCrl } from "../crl.ts"
import { keyIdOf, keyOf, signingBy } from "../keys.ts"
import { inside } from "../names.ts"
import { type Fault, hasCa } from "./fault.ts"

const DAY = 86_400
const UNKNOWN = "1.3.6.1.4.1.99999.6"

/** CRLs for every certificate, and something about one of them. */
export const about = (
  id: string,
  change: (crl: CrlDraft, chain: Chain, crls: CrlDraft[]) => void,
  more: Partial<Fault> = {},
): Fault => ({
  id,
  ...more,
  apply: (chain, random) =>
    chain.useCrls((crls) => {
      if (crls.length > 0) change(random.pick(crls), chain, crls)
    }),
})
/** By itself no fault. */
export const harmless = { harmless: true } as const

/** The certificate that a CRL's issuer has issued in the chain. */
export const subjectOf = ({ about }: CrlDraft, { drafts, leaf }: Chain): Draft =>
  drafts[drafts.indexOf(about) + 1] ?? leaf

/** Lists a certificate. */
export const revoke = (crl: CrlDraft, { serial }: Draft, ...extensions: readonly Uint8Array[]): void => {
  crl.entries = [...crl.entries, entry(serial, ...extensions)]
}
const reason = (code: number): Uint8Array => extension("2.5.29.21", Uint8Array.of(0x0a, 1, code))

const revokedFor = (id: string, code: number): Fault =>
  about(id, (crl, chain) => revoke(crl, subjectOf(crl, chain), reason(code)))

/** Revocation: CRLs of each issuer, of which something is wrong. */
export const CRLS: readonly Fault[] = [
  about("CRLs for all", () => {}, harmless),
  about(
    "CRLs that list nobody",
    (crl) => {
      crl.entries = []
    },
    harmless,
  ),
  about("revoked", (crl, chain) => revoke(crl, subjectOf(crl, chain))),
  revokedFor("revoked: key compromise", 1),
  revokedFor("revoked: on hold", 6),
  { ...revokedFor("removeFromCRL in a complete CRL", 8), ...harmless },
  about(
    "anchor on its own CRL",
    (_, { anchor }, [first]) => {
      if (first !== undefined) revoke(first, anchor)
    },
    harmless,
  ),
  about(
    "another's serial number revoked",
    (crl, { leaf }) => revoke(crl, { ...leaf, serial: 4999 }),
    harmless,
  ),
  about("CRL missing", (crl, _, crls) => {
    crls.splice(crls.indexOf(crl), 1)
  }),
  about("CRL expired", (crl, { question }) => {
    crl.nextUpdate = later(question.at, -1)
  }),
  about(
    "CRL in its last second",
    (crl, { question }) => {
      crl.nextUpdate = question.at
    },
    harmless,
  ),
  about("CRL from tomorrow", (crl, { question }) => {
    crl.thisUpdate = later(question.at, DAY)
  }),
  about("CRL without nextUpdate", (crl) => {
    crl.nextUpdate = undefined
  }),
  about(
    "expired CRL beside a current one",
    (crl, { question }, crls) => {
      const old = usualCrl(crl.about, question.at)
      old.thisUpdate = later(question.at, -9 * DAY)
      old.nextUpdate = later(question.at, -8 * DAY)
      crls.unshift(old)
    },
    harmless,
  ),
  about("older CRL that revokes, beside a newer one that does not", (crl, chain, crls) => {
    const old = usualCrl(crl.about, chain.question.at)
    old.thisUpdate = later(chain.question.at, -DAY)
    revoke(old, subjectOf(crl, chain))
    crls.unshift(old)
  }),
  about("CRL by another key", (crl) => {
    crl.signer = keyOf("p256", 18)
  }),
  about("CRL with a broken signature", (crl) => {
    crl.signature = (tbs) => crl.signer.sign(tbs.map((byte, i) => (i === tbs.length - 1 ? byte ^ 1 : byte)))
  }),
  about("CRL under another name", (crl) => {
    crl.issuer = inside("Somebody else")
  }),
  about("CRL whose key identifier is another's", (crl) =>
    crl.extensions.set(CRL_ID.authorityKeyId, authorityKeyId(keyIdOf(keyOf("p256", 14)))),
  ),
  about("CRL without a key identifier", (crl) => crl.extensions.delete(CRL_ID.authorityKeyId), harmless),
  about("CRL without a number", (crl) => crl.extensions.delete(CRL_ID.number)),
  about("CRL with a critical number", (crl) =>
    crl.extensions.set(CRL_ID.number, extension(CRL_ID.number, integer(7), true)),
  ),
  about("CRL with a number below zero", (crl) =>
    crl.extensions.set(CRL_ID.number, extension(CRL_ID.number, tlv(0x02, Uint8Array.of(0xff)))),
  ),
  about("CRL with an unknown critical extension", (crl) =>
    crl.extensions.set(UNKNOWN, extension(UNKNOWN, NULL, true)),
  ),
  about(
    "CRL with an unknown extension",
    (crl) => crl.extensions.set(UNKNOWN, extension(UNKNOWN, NULL)),
    harmless,
  ),
  about("entry with an unknown critical extension", (crl) => {
    crl.entries = [entry(9, extension(UNKNOWN, NULL, true))]
  }),
  about("entry that names another issuer", (crl) => {
    crl.entries = [entry(9, extension("2.5.29.29", seq(directoryName(inside("X"))), true))]
  }),
  about("CRL of version 1", (crl) => {
    crl.version = new Uint8Array()
    crl.extensions.clear()
  }),
  about("CRL of version 1 with extensions", (crl) => {
    crl.version = new Uint8Array()
  }),
  about("CRL by SHA-1", (crl) => {
    crl.about.keys = keyOf("rsa2048", 0)
    crl.signer = signingBy(crl.about.keys, seq(oid("1.2.840.113549.1.1.5"), NULL), "sha1")
    crl.extensions.delete(CRL_ID.authorityKeyId)
  }),
  about("CRL whose algorithms differ", (crl) => {
    crl.innerAlgorithm = seq(oid("1.2.840.113549.1.1.13"), NULL)
  }),
  about("CRL with an empty list of entries", (crl) => {
    crl.entries = [new Uint8Array()]
  }),
  about("CRL with an entry twice", (crl) => {
    crl.entries = [entry(9), entry(9)]
  }),
  {
    id: "revoked intermediate",
    fits: hasCa,
    apply: (chain, random) => {
      const ca = random.pick(chain.cas)
      chain.useCrls((crls) => {
        for (const crl of crls) if (subjectOf(crl, chain) === ca) revoke(crl, ca, reason(2))
      })
    },
  },
  {
    id: "serial number on the CRL of another issuer",
    ...harmless,
    fits: hasCa,
    apply: (chain) => {
      chain.useCrls(([first]) => {
        if (first !== undefined) revoke(first, chain.leaf)
      })
    },
  },
]
