import { utf8 } from "../../../../src/bytes.ts"
import {
  boolean,
  directoryName,
  distributionPoint,
  dns,
  EKU_AK,
  EKU_EK,
  extension,
  extKeyUsage,
  integer,
  keyUsage,
  NULL,
  octets,
  oid,
  seq,
  set,
  subjectAltName,
  tlv,
} from "../../../support/x509.ts"
import { ID } from "../chain.ts"
import { keyIdOf, keyOf } from "../keys.ts"
import { inside, uri } from "../names.ts"
import { all, cas, type Fault, hasCa, inOne, isAny, issuers, leaf, proven } from "./fault.ts"

const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"
const UNKNOWN = "1.3.6.1.4.1.99999.1"

/** An extension in the place of the one with this identifier, if there is one. */
const put = (
  id: string,
  where: Parameters<typeof inOne>[0],
  extensionId: string,
  value: Uint8Array,
  harmless?: true,
): Fault => ({
  id,
  ...(harmless && { harmless }),
  apply: inOne(where, (draft) => draft.extensions.set(extensionId, value)),
})

const remove = (id: string, where: Parameters<typeof inOne>[0], extensionId: string): Fault => ({
  id,
  harmless: true,
  apply: inOne(where, (draft) => draft.extensions.delete(extensionId)),
})

const twice = (id: string, where: Parameters<typeof inOne>[0], value: Uint8Array): Fault => ({
  id,
  apply: inOne(where, (draft) => draft.extra.push(value)),
})

/** What the issuer's identifier may be by, beside its key (RFC 5280, 4.2.1.1). */
const byIssuer = (issuer: Uint8Array, serial: number): Uint8Array =>
  extension(
    ID.authorityKeyId,
    seq(tlv(0x80, new Uint8Array(20)), tlv(0xa1, directoryName(issuer)), tlv(0x82, Uint8Array.of(serial))),
  )

const accessTo = (critical: boolean): Uint8Array =>
  extension(
    ID.authorityInfoAccess,
    seq(seq(oid("1.3.6.1.5.5.7.48.2"), uri("http://inside.example/ca.cer"))),
    critical,
  )

const tpmSpecification = (critical: boolean): Uint8Array =>
  extension(
    ID.subjectDirectoryAttributes,
    seq(seq(oid("2.23.133.2.16"), set(seq(tlv(0x0c, utf8("2.0")), integer(0), integer(138))))),
    critical,
  )

/** Extensions that nobody knows, that occur twice, and identifiers of keys. */
export const EXTENSIONS: readonly Fault[] = [
  put("unknown critical extension", all, UNKNOWN, extension(UNKNOWN, NULL, true)),
  put("unknown critical extension that is no DER", proven, UNKNOWN, extension(UNKNOWN, utf8("?"), true)),
  put("unknown extension", all, UNKNOWN, extension(UNKNOWN, NULL), true),
  put("unknown extension that is no DER", all, UNKNOWN, extension(UNKNOWN, utf8("?")), true),
  put("critical alternative name of the issuer", all, ID.issuerAltName, issuerAltName(true)),
  put("alternative name of the issuer", all, ID.issuerAltName, issuerAltName(false), true),
  put("critical authority information access", all, ID.authorityInfoAccess, accessTo(true)),
  put("authority information access", all, ID.authorityInfoAccess, accessTo(false), true),
  put("critical TPM attributes", leaf, ID.subjectDirectoryAttributes, tpmSpecification(true)),
  put("TPM attributes", leaf, ID.subjectDirectoryAttributes, tpmSpecification(false), true),
  put(
    "distribution point",
    proven,
    ID.crlDistributionPoints,
    distributionPoint("http://inside.example/x.crl"),
    true,
  ),
  put(
    "critical distribution point",
    proven,
    ID.crlDistributionPoints,
    extension(
      ID.crlDistributionPoints,
      seq(seq(tlv(0xa0, tlv(0xa0, uri("http://inside.example/x.crl"))))),
      true,
    ),
    true,
  ),
  twice("basicConstraints twice", all, extension(ID.basicConstraints, seq(boolean(true)), true)),
  twice("keyUsage twice", all, keyUsage(5)),
  twice("key identifier twice", all, extension(ID.subjectKeyId, octets(new Uint8Array(20)))),
  {
    id: "alternative name twice",
    apply: inOne(leaf, (draft) => {
      draft.extensions.set(ID.subjectAltName, subjectAltName([dns("a.example")]))
      draft.extra.push(subjectAltName([dns("b.example")]))
    }),
  },
  {
    id: "unknown extension twice",
    apply: inOne(all, (draft) => draft.extra.push(extension(UNKNOWN, NULL), extension(UNKNOWN, NULL))),
  },
  put(
    "issuer's key identifier is another's",
    proven,
    ID.authorityKeyId,
    extension(ID.authorityKeyId, seq(tlv(0x80, keyIdOf(keyOf("p256", 14))))),
    true,
  ),
  remove("no identifier of the issuer's key", proven, ID.authorityKeyId),
  { ...remove("no identifier of a CA's key", cas, ID.subjectKeyId), fits: hasCa },
  put(
    "issuer's key identifier is empty",
    proven,
    ID.authorityKeyId,
    extension(ID.authorityKeyId, seq()),
    true,
  ),
  put(
    "issuer's key identifier is of no bytes",
    proven,
    ID.authorityKeyId,
    extension(ID.authorityKeyId, seq(tlv(0x80))),
    true,
  ),
  put("issuer by another's serial number", proven, ID.authorityKeyId, byIssuer(inside("Nobody"), 1), true),
  {
    id: "critical identifier of the issuer's key",
    apply: inOne(proven, (draft) =>
      draft.extensions.set(ID.authorityKeyId, ({ issuerKeys }) =>
        extension(ID.authorityKeyId, seq(tlv(0x80, keyIdOf(issuerKeys))), true),
      ),
    ),
  },
  {
    id: "critical identifier of a key",
    apply: inOne(all, (draft) =>
      draft.extensions.set(ID.subjectKeyId, ({ keys }) =>
        extension(ID.subjectKeyId, octets(keyIdOf(keys)), true),
      ),
    ),
  },
  {
    id: "the same key identifier in all CAs",
    apply: (chain) => {
      const same = new Uint8Array(20).fill(7)
      for (const draft of chain.drafts) {
        draft.extensions.set(ID.subjectKeyId, extension(ID.subjectKeyId, octets(same)))
        draft.extensions.set(ID.authorityKeyId, extension(ID.authorityKeyId, seq(tlv(0x80, same))))
      }
    },
    harmless: true,
  },
  put("CA for other purposes", issuers, ID.extKeyUsage, extKeyUsage("1.3.6.1.5.5.7.3.8")),
  put("CA for these purposes", issuers, ID.extKeyUsage, extKeyUsage(CLIENT_AUTH, EKU_AK, EKU_EK), true),
  put("CA for any purpose", issuers, ID.extKeyUsage, extKeyUsage("2.5.29.37.0"), true),
  put("CA for no purpose", issuers, ID.extKeyUsage, extKeyUsage()),
  put("leaf for no purpose", leaf, ID.extKeyUsage, extKeyUsage()),
  {
    ...put("leaf for another purpose", leaf, ID.extKeyUsage, extKeyUsage("1.3.6.1.5.5.7.3.8")),
    fits: (chain) => !isAny(chain),
  },
  {
    id: "leaf with critical purposes",
    harmless: true,
    apply: inOne(leaf, (draft, { question }) => {
      const purpose = { any: CLIENT_AUTH, ak: EKU_AK, ek: EKU_EK }[question.purpose]
      draft.extensions.set(ID.extKeyUsage, extension(ID.extKeyUsage, seq(oid(purpose)), true))
    }),
  },
  {
    ...put("leaf for an EK and an AK", leaf, ID.extKeyUsage, extKeyUsage(EKU_AK, EKU_EK)),
    fits: (chain) => !isAny(chain),
  },
  {
    id: "no purposes, below a CA that has some",
    fits: (chain) => isAny(chain) && hasCa(chain),
    apply: (chain, random) => {
      chain.leaf.extensions.delete(ID.extKeyUsage)
      random.pick(chain.cas).extensions.set(ID.extKeyUsage, extKeyUsage(EKU_AK))
    },
    harmless: true,
  },
]

function issuerAltName(critical: boolean): Uint8Array {
  return extension(ID.issuerAltName, seq(dns("inside.example")), critical)
}
