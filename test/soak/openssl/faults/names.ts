import { concat, utf8 } from "../../../../src/bytes.ts"
import { dns, name, oid, seq, set, subjectAltName, tlv } from "../../../support/x509.ts"
import { ID } from "../chain.ts"
import { attribute, INSIDE, inside, insideIn, utf16, utf32 } from "../names.ts"
import { type Fault, inOne, isAny, issuers, leaf, proven } from "./fault.ts"

/** The issuer's name as a certificate spells it, where the issuer spells its own otherwise. */
const spelled = (id: string, make: (commonName: string) => Uint8Array, harmless?: true): Fault => ({
  id,
  ...(harmless && { harmless }),
  apply: (chain) => {
    const [below = chain.leaf] = chain.proven
    below.issuer = make("Anchor")
  },
})

/** A name that a CA, and with it the issuer of what is below, has. */
const caName = (id: string, make: (draft: number) => Uint8Array, harmless?: true): Fault => ({
  id,
  ...(harmless && { harmless }),
  apply: inOne(issuers, (draft, { drafts }) => {
    draft.subject = make(drafts.indexOf(draft))
  }),
})

const leafName = (id: string, san: Uint8Array | undefined, harmless?: true): Fault => ({
  id,
  ...(harmless && { harmless }),
  fits: isAny,
  apply: ({ leaf }) => {
    leaf.subject = seq()
    leaf.extensions.delete(ID.subjectAltName)
    if (san !== undefined) leaf.extensions.set(ID.subjectAltName, san)
  },
})

const COMMON_NAME = "2.5.4.3"
const ORGANIZATION = "2.5.4.10"
const PRINTABLE = 0x13
const UTF8 = 0x0c
const two = [
  attribute(COMMON_NAME, UTF8, utf8("Two")),
  attribute(ORGANIZATION, UTF8, utf8("Inside")),
] as const
const country = set(attribute("2.5.4.6", UTF8, utf8("DE")))

/** Names, how they chain and how they are spelled. */
export const NAMES: readonly Fault[] = [
  {
    id: "issuer by another name",
    apply: inOne(proven, (draft) => {
      draft.issuer = inside("Somebody else")
    }),
  },
  spelled("issuer's name in other letters", (text) => inside(text.toUpperCase()), true),
  spelled("issuer's name with more spaces", (text) => inside(`  ${text.split("").join("")}  `), true),
  spelled("issuer's name as PrintableString", (text) => insideIn(PRINTABLE, text, utf8), true),
  spelled("issuer's name as TeletexString", (text) => insideIn(0x14, text, utf8), true),
  spelled("issuer's name as IA5String", (text) => insideIn(0x16, text, utf8), true),
  spelled("issuer's name as VisibleString", (text) => insideIn(0x1a, text, utf8), true),
  spelled("issuer's name as BMPString", (text) => insideIn(0x1e, text, utf16), true),
  spelled("issuer's name as UniversalString", (text) => insideIn(0x1c, text, utf32), true),
  spelled("issuer's name as OCTET STRING", (text) => insideIn(0x04, text, utf8)),
  spelled("issuer's name as NumericString", (text) => insideIn(0x12, text, utf8)),
  spelled("issuer's name in another order", (text) =>
    name({ "2.5.4.10": INSIDE["2.5.4.10"], "2.5.4.6": INSIDE["2.5.4.6"], "2.5.4.3": text }),
  ),
  spelled("issuer's name cut short", () => name(INSIDE)),
  spelled("issuer's name with an attribute more", (text) =>
    name({ ...INSIDE, "2.5.4.3": text, "2.5.4.5": "1" }),
  ),
  spelled("issuer's name with an accent", () => inside("Ánchor")),
  spelled("issuer's name with a zero byte", (text) => inside(`${text}\0`)),
  spelled("issuer's name in one set", (text) =>
    seq(
      set(
        attribute("2.5.4.6", UTF8, utf8("DE")),
        attribute(COMMON_NAME, UTF8, utf8(text)),
        attribute(ORGANIZATION, UTF8, utf8("Inside")),
      ),
    ),
  ),
  caName("name with several attributes in a set", () => seq(country, set(...two)), true),
  caName("name whose set is not in order", () => seq(country, set(...two.toReversed()))),
  caName("name with a set that is empty", () => seq(country, set())),
  caName("name of a type that nobody knows", () => name({ ...INSIDE, "1.3.6.1.4.1.99999.9": "x" }), true),
  caName("name with letters beyond ASCII", (n) => inside(`Größe ${n} 名`), true),
  caName("name that is not UTF-8", () =>
    seq(country, set(attribute(COMMON_NAME, UTF8, Uint8Array.of(0x41, 0xff)))),
  ),
  caName("BMPString of half a character", () =>
    seq(country, set(attribute(COMMON_NAME, 0x1e, Uint8Array.of(0, 0x41, 0)))),
  ),
  caName("PrintableString with an @", (n) => insideIn(PRINTABLE, `a@b ${n}`, utf8), true),
  caName("CA without a name", () => seq()),
  caName(
    "name of 200 attributes",
    () => seq(country, ...Array.from({ length: 200 }, () => set(two[0]))),
    true,
  ),
  leafName(
    "no subject, but a critical alternative name",
    subjectAltName([dns("a.inside.example")], true),
    true,
  ),
  leafName("no subject, but an alternative name", subjectAltName([dns("a.inside.example")]), true),
  leafName("no name at all", undefined),
  {
    id: "empty alternative name",
    apply: inOne(leaf, ({ extensions }) => extensions.set(ID.subjectAltName, subjectAltName([]))),
  },
  {
    id: "alternative name of a kind that there is not",
    apply: inOne(leaf, ({ extensions }) =>
      extensions.set(ID.subjectAltName, subjectAltName([tlv(0x89, utf8("x"))])),
    ),
  },
  {
    id: "alternative names of all kinds",
    harmless: true,
    fits: isAny,
    apply: inOne(leaf, ({ extensions }) =>
      extensions.set(
        ID.subjectAltName,
        subjectAltName([
          tlv(0xa0, concat(oid("1.3.6.1.4.1.99999.3"), tlv(0xa0, tlv(UTF8, utf8("x"))))),
          tlv(0x88, oid("1.3.6.1.4.1.99999.4").subarray(2)),
          dns("*.inside.example"),
        ]),
      ),
    ),
  },
]
