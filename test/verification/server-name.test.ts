/** Paths of web servers, for whoever asks for one by name: what is asked of them beyond all others. */
import { suite } from "uvu"
import type { Code } from "../../src/errors.ts"
import {
  type Case,
  INTERMEDIATE,
  LEAF,
  type Refused,
  ROOT,
  refusesEach,
  trustIn,
  verifyCase,
} from "../support/chain.ts"
import {
  authorityKeyId,
  basicConstraints,
  type ChainChanges,
  caExtensions,
  cn,
  directoryName,
  dns,
  extension,
  extKeyUsage,
  ip,
  keyUsage,
  makeChain,
  nameConstraints,
  oid,
  policyConstraints,
  ROOT_NAME,
  seq,
  subjectAltName,
  subjectKeyId,
  tlv,
  uri,
  withExtensions,
  withoutExtensions,
} from "../support/x509.ts"

const SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"
const SKI = "2.5.29.14"
const SAN = "2.5.29.17"
const AKI = "2.5.29.35"
const BASIC_CONSTRAINTS = "2.5.29.19"

const ROOT_ID = Uint8Array.of(1)
const CA_ID = Uint8Array.of(2)
const OF = {
  root: [...caExtensions(), subjectKeyId(ROOT_ID)],
  intermediate: [...caExtensions(), subjectKeyId(CA_ID), authorityKeyId(ROOT_ID)],
  leaf: [
    basicConstraints(false),
    keyUsage(0),
    extKeyUsage(SERVER_AUTH),
    authorityKeyId(CA_ID),
    subjectAltName([dns("www.example.com")], true),
  ],
} as const
type Place = keyof typeof OF

const HOST = "www.example.com"
const serverCase = (changes: ChainChanges = {}, serverName = HOST): Case => {
  const { root, intermediate, leaf } = makeChain("ak", {
    root: { extensions: OF.root, ...changes.root },
    intermediate: { extensions: OF.intermediate, ...changes.intermediate },
    leaf: { extensions: OF.leaf, ...changes.leaf },
  })
  return { leaf, shown: [intermediate], trust: trustIn([root]), options: { purpose: "any", serverName } }
}
const having = (place: Place, ...changed: readonly Uint8Array[]): ChainChanges => ({
  [place]: { extensions: withExtensions(OF[place], ...changed) },
})
const lacking = (place: Place, id: string): ChainChanges => ({
  [place]: { extensions: withoutExtensions(OF[place], id) },
})
const named = (...names: readonly Uint8Array[]): ChainChanges => having("leaf", subjectAltName(names, true))
/** With a subject beside its alternative name, which then is not critical. */
const withSubject = (
  subject: Uint8Array,
  critical: boolean,
  ...names: readonly Uint8Array[]
): ChainChanges => ({
  leaf: { subject, extensions: withExtensions(OF.leaf, subjectAltName(names, critical)) },
})
const ip6 = ip(0x20, 0x01, 0x0d, 0xb8, ...Array<number>(11).fill(0), 1)

const test = suite("checkServerName")

const accepted: readonly [name: string, changes: ChainChanges, serverName?: string][] = [
  ["its one name", {}],
  ["its name in other letters", {}, "WWW.Example.com"],
  ["one of several names", named(dns("a.b"), dns(HOST))],
  ["a name beside a wildcard", named(dns("*.example.com"), dns(HOST))],
  ["an address", named(ip(10, 0, 0, 1)), "10.0.0.1"],
  ["an address of version 6, however it is written", named(ip6), "2001:DB8:0:0::1"],
  ["a purpose of clients beside its own", having("leaf", extKeyUsage(CLIENT_AUTH, SERVER_AUTH))],
  ["a common name that is among its names", withSubject(cn(HOST), false, dns(HOST))],
  [
    "a common name that is one of its addresses",
    withSubject(cn("10.0.0.1"), false, dns(HOST), ip(10, 0, 0, 1)),
  ],
  ["CAs with the purpose of servers", having("intermediate", extKeyUsage(SERVER_AUTH))],
  [
    "critical constraints of the intermediate",
    having("intermediate", nameConstraints([dns("example.com")]), policyConstraints({ mapping: 0 })),
  ],
  ["a root that names its own key", having("root", authorityKeyId(ROOT_ID))],
  [
    "distribution points with addresses",
    having("leaf", extension("2.5.29.31", seq(seq(tlv(0xa0, tlv(0xa0, uri("http://a"))))))),
  ],
]
for (const [name, changes, serverName] of accepted)
  test(`accepts ${name}`, () => void verifyCase(serverCase(changes, serverName)))

const refused: readonly [
  name: string,
  changes: ChainChanges,
  code: Code,
  location: string,
  serverName?: string,
][] = [
  ["X-06 another name", {}, "NAME", LEAF, "example.com"],
  ["X-06 a name below its own", {}, "NAME", LEAF, "a.www.example.com"],
  ["X-06 a name that begins like its own", {}, "NAME", LEAF, "www.example.com.evil.org"],
  ["X-06 a name that a wildcard would match", named(dns("*.example.com")), "NAME", LEAF],
  ["X-06 a wildcard, asked for", named(dns("*.example.com")), "NAME", LEAF, "*.example.org"],
  ["X-06 no names", named(uri("https://www.example.com")), "NAME", LEAF],
  ["X-06 an address as a host name", named(dns("10.0.0.1")), "NAME", LEAF, "10.0.0.1"],
  ["X-06 an address of version 6 as a host name", named(dns("2001:db8::1")), "NAME", LEAF, "2001:db8::1"],
  ["X-06 another address", named(ip(10, 0, 0, 2)), "NAME", LEAF, "10.0.0.1"],
  ["X-06 an address of five octets", named(ip(10, 0, 0, 1, 0)), "NAME", LEAF, "10.0.0.1"],
  ["X-06 a name that is none beside its own", named(dns(HOST), dns("a_b.example.com")), "NAME", LEAF],
  ["X-06 an address as a host name beside its own", named(dns(HOST), dns("10.0.0.1")), "NAME", LEAF],
  ["X-06 a wildcard of everything beside its own", named(dns(HOST), dns("*")), "NAME", LEAF],
  ["X-06 a wildcard of a top-level domain beside its own", named(dns(HOST), dns("*.com")), "NAME", LEAF],
  ["X-06 a wildcard in the middle beside its own", named(dns(HOST), dns("a.*.com")), "NAME", LEAF],
  ["X-06 its name as the common name alone", withSubject(cn(HOST), false, dns("a.b")), "NAME", "CN=www"],
  [
    "X-06 a common name that is not among its names",
    withSubject(cn("a.b"), false, dns(HOST)),
    "NAME",
    "CN=a.b",
  ],
  [
    "X-06 a critical alternative name beside a subject",
    withSubject(cn(HOST), true, dns(HOST)),
    "NAME",
    "CN=www",
  ],
  [
    "X-06 an alternative name that is not critical where there is no subject",
    withSubject(seq(), false, dns(HOST)),
    "NAME",
    LEAF,
  ],
  [
    "X-06 no alternative name",
    { leaf: { subject: cn(HOST), extensions: withoutExtensions(OF.leaf, SAN) } },
    "NAME",
    "CN=www",
  ],
  ["X-05 no purpose", lacking("leaf", "2.5.29.37"), "EKU", LEAF],
  ["X-05 a purpose of clients alone", having("leaf", extKeyUsage(CLIENT_AUTH)), "EKU", LEAF],
  [
    "X-05 a foreign purpose beside its own",
    having("leaf", extKeyUsage(SERVER_AUTH, "2.23.133.8.3")),
    "EKU",
    LEAF,
  ],
  ["X-05 any purpose", having("leaf", extKeyUsage("2.5.29.37.0")), "EKU", LEAF],
  [
    "X-05 critical purposes",
    having("leaf", extension("2.5.29.37", seq(oid(SERVER_AUTH)), true)),
    "EKU",
    LEAF,
  ],
  ["X-02 a CA as a server", having("leaf", basicConstraints(true)), "KEY_USAGE", LEAF],
  [
    "distribution points without addresses",
    having("leaf", extension("2.5.29.31", seq(seq(tlv(0xa0, tlv(0xa0, directoryName(cn("x")))))))),
    "NAME",
    LEAF,
  ],
  ["X-18 a leaf without an authority key identifier", lacking("leaf", AKI), "NAME", LEAF],
  ["X-18 a leaf with an empty authority key identifier", having("leaf", extension(AKI, seq())), "NAME", LEAF],
  [
    "X-18 an intermediate without an authority key identifier",
    lacking("intermediate", AKI),
    "NAME",
    INTERMEDIATE,
  ],
  [
    "X-18 an intermediate without a subject key identifier",
    lacking("intermediate", SKI),
    "NAME",
    INTERMEDIATE,
  ],
  ["X-18 a root without a subject key identifier", lacking("root", SKI), "NAME", ROOT],
  [
    "X-18 a root with another's authority key identifier",
    having("root", authorityKeyId(CA_ID)),
    "NAME",
    ROOT,
  ],
  [
    "X-18 a root with an authority that has no key identifier",
    having("root", extension(AKI, seq())),
    "NAME",
    ROOT,
  ],
  [
    "X-18 a root with an authority that has a serial number",
    having("root", extension(AKI, seq(tlv(0x80, ROOT_ID), tlv(0x82, Uint8Array.of(1))))),
    "NAME",
    ROOT,
  ],
  [
    "X-18 a root with an authority that has an issuer",
    having("root", extension(AKI, seq(tlv(0x80, ROOT_ID), tlv(0xa1, directoryName(ROOT_NAME))))),
    "NAME",
    ROOT,
  ],
  ["X-05 a root with purposes", having("root", extKeyUsage(SERVER_AUTH)), "EKU", ROOT],
  [
    "X-05 an intermediate with purposes of clients alone",
    having("intermediate", extKeyUsage(CLIENT_AUTH)),
    "EKU",
    INTERMEDIATE,
  ],
  [
    "X-05 an intermediate with purposes of clients alone, above a leaf for both",
    {
      ...having("intermediate", extKeyUsage(CLIENT_AUTH)),
      ...having("leaf", extKeyUsage(SERVER_AUTH, CLIENT_AUTH)),
    },
    "EKU",
    INTERMEDIATE,
  ],
  [
    "a leaf whose key may do nothing",
    having("leaf", extension("2.5.29.15", tlv(3, Uint8Array.of(0)), true)),
    "KEY_USAGE",
    LEAF,
  ],
]
for (const place of ["intermediate", "root"] as const)
  refusesEach(
    test,
    (
      [
        [BASIC_CONSTRAINTS, seq(tlv(1, Uint8Array.of(255)))],
        ["2.5.29.30", seq(tlv(0xa0, seq(dns("example.com"))))],
        ["2.5.29.36", seq(tlv(0x81, Uint8Array.of(0)))],
      ] as const
    ).map(
      ([id, value]): Refused => [
        `X-04 extension ${id} that is not critical: the ${place}`,
        () => serverCase(having(place, extension(id, value))),
        "NAME",
        place === "root" ? ROOT : INTERMEDIATE,
      ],
    ),
  )
refusesEach(
  test,
  refused.map(
    ([name, changes, code, location, serverName]): Refused => [
      name,
      () => serverCase(changes, serverName),
      code,
      location,
    ],
  ),
)

test.run()
