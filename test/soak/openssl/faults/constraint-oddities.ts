import { utf8 } from "../../../../src/bytes.ts"
import {
  basicConstraints,
  dns,
  extension,
  integer,
  keyUsage,
  nameConstraints,
  oid,
  seq,
  set,
  tlv,
} from "../../../support/x509.ts"
import { type Chain, ID } from "../chain.ts"
import { attribute, email, inside, ip, ip6, uri } from "../names.ts"
import type { Random } from "../random.ts"
import { constrain, MASK, rename } from "./constraints.ts"
import { type Fault, hasCaIsAny, isAny, issuers } from "./fault.ts"

const ORGANIZATION = "2.5.4.10"
const UTF8 = 0x0c
const IA5 = 0x16
const MAIL = "1.2.840.113549.1.9.1"
const other = tlv(0xa0, oid("1.3.6.1.4.1.99999.3"), tlv(0xa0, tlv(0x0c)))

/** A raw NameConstraints, critical. */
const raw = (...parts: readonly Uint8Array[]): Uint8Array =>
  extension(ID.nameConstraints, seq(...parts), true)

const rawAt =
  (value: Uint8Array, names: readonly Uint8Array[] = []) =>
  (chain: Chain, random: Random): void => {
    random.pick(issuers(chain)).extensions.set(ID.nameConstraints, value)
    rename(chain, names)
  }

/** Name constraints in odd places, of odd forms, and names that look like others. */
export const ODD_CONSTRAINTS: readonly Fault[] = [
  {
    id: "constraints that are not critical, and violated",
    fits: isAny,
    apply: rawAt(extension(ID.nameConstraints, seq(tlv(0xa0, seq(dns("inside.example"))))), [
      dns("outside.example"),
    ]),
  },
  {
    id: "two CAs that permit nothing in common",
    fits: hasCaIsAny,
    apply: (chain) => {
      const [first = chain.anchor, second = chain.anchor] = chain.issuers.slice(-2)
      first.extensions.set(ID.nameConstraints, nameConstraints([dns("inside.example")]))
      second.extensions.set(ID.nameConstraints, nameConstraints([dns("outside.example")]))
      rename(chain, [dns("a.outside.example")])
    },
  },
  {
    id: "a CA that excludes what the one above permits",
    fits: hasCaIsAny,
    apply: (chain) => {
      const [first = chain.anchor, second = chain.anchor] = chain.issuers.slice(-2)
      first.extensions.set(ID.nameConstraints, nameConstraints([dns("inside.example")]))
      second.extensions.set(ID.nameConstraints, nameConstraints([], [dns("a.inside.example")]))
      rename(chain, [dns("x.a.inside.example")])
    },
  },
  {
    id: "mail address in the subject, outside",
    fits: isAny,
    apply: (chain, random) => {
      constrain([email("inside.example")], [], [])(chain, random)
      const mail = attribute(MAIL, IA5, utf8("x@outside.example"))
      chain.leaf.subject = seq(set(attribute(ORGANIZATION, UTF8, utf8("Inside"))), set(mail))
    },
  },
  {
    id: "host name as common name, outside",
    harmless: true,
    fits: isAny,
    apply: (chain, random) => {
      constrain([dns("inside.example")], [], [])(chain, random)
      chain.leaf.subject = inside("a.outside.example")
    },
  },
  {
    id: "wildcard that stands for what is excluded",
    fits: isAny,
    apply: constrain([], [dns("a.inside.example")], [dns("*.inside.example")]),
  },
  {
    id: "wildcard within what is permitted",
    harmless: true,
    fits: isAny,
    apply: constrain([dns("inside.example")], [], [dns("*.inside.example")]),
  },
  {
    id: "constraint of hosts with a dot before",
    fits: isAny,
    apply: constrain([dns(".inside.example")], [], [dns("a.inside.example")]),
  },
  {
    id: "every host excluded",
    fits: isAny,
    apply: constrain([], [dns("")], [dns("a.inside.example")]),
  },
  {
    id: "address as the host of a URI",
    fits: isAny,
    apply: constrain([uri(".inside.example")], [], [uri("https://192.0.2.1/")]),
  },
  {
    id: "URI without a host",
    fits: isAny,
    apply: constrain([uri(".inside.example")], [], [uri("urn:uuid:1")]),
  },
  {
    id: "URI whose user looks like a host",
    fits: isAny,
    apply: constrain([uri(".inside.example")], [], [uri("https://a.inside.example@outside.example/")]),
  },
  {
    id: "mail address with two @",
    fits: isAny,
    apply: constrain([email("inside.example")], [], [email("a@outside.example@inside.example")]),
  },
  {
    id: "mail address in quotes",
    fits: isAny,
    apply: constrain([email("inside.example")], [], [email('"a@outside.example"@inside.example')]),
  },
  {
    id: "IPv4 address against a constraint for IPv6",
    fits: isAny,
    apply: constrain([ip6(5, ...new Uint8Array(6).fill(255), ...new Uint8Array(10))], [], [ip(192, 0, 2, 1)]),
  },
  {
    id: "mask with a hole",
    fits: isAny,
    apply: constrain([ip(192, 0, 2, 0, 255, 0, 255, 0)], [], [ip(192, 0, 2, 1)]),
  },
  {
    id: "address of five octets",
    fits: isAny,
    apply: constrain([ip(192, 0, 2, 0, ...MASK)], [], [ip(192, 0, 2, 1, 1)]),
  },
  {
    id: "constraint of a kind that is not compared",
    fits: isAny,
    apply: constrain([other], [], [other]),
  },
  {
    id: "excluded kind that is not compared",
    fits: isAny,
    apply: constrain([], [other], [other]),
  },
  {
    id: "constraint of a kind that the leaf does not have",
    harmless: true,
    fits: isAny,
    apply: constrain([ip(192, 0, 2, 0, ...MASK)], [ip6(5, ...new Uint8Array(16))], [dns("a.example")]),
  },
  { id: "empty name constraints", apply: rawAt(raw()) },
  { id: "empty list of permitted names", apply: rawAt(raw(tlv(0xa0))) },
  {
    id: "constraint with a minimum",
    fits: isAny,
    apply: rawAt(raw(tlv(0xa0, seq(dns("inside.example"), tlv(0x80, Uint8Array.of(1))))), [
      dns("a.inside.example"),
    ]),
  },
  {
    id: "constraint with a maximum",
    fits: isAny,
    apply: rawAt(raw(tlv(0xa0, seq(dns("inside.example"), tlv(0x81, Uint8Array.of(9))))), [
      dns("a.inside.example"),
    ]),
  },
  {
    id: "name constraints on a leaf",
    apply: ({ leaf }) => leaf.extensions.set(ID.nameConstraints, nameConstraints([dns("inside.example")])),
  },
  {
    id: "leaf that is a CA, outside",
    fits: isAny,
    apply: (chain, random) => {
      constrain([dns("inside.example")], [], [dns("outside.example")])(chain, random)
      chain.leaf.extensions.set(ID.basicConstraints, basicConstraints(true))
      chain.leaf.extensions.set(ID.keyUsage, keyUsage(5, 6))
      chain.leaf.changed = { ...chain.leaf.changed, serialNumber: integer(9) }
    },
  },
]
