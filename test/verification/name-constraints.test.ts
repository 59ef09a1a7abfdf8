import fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { utf8 } from "../../src/bytes.ts"
import { parseCertificate } from "../../src/evidence/x509/certificate.ts"
import { generalNameText, isHostName } from "../../src/verification/name-constraints.ts"
import { throwsCode } from "../support/assert.ts"
import {
  type Case,
  caseOf,
  INTERMEDIATE,
  type Refused,
  ROOT,
  refusesEach,
  trustIn,
  verifyCase,
} from "../support/chain.ts"
import {
  caExtensions,
  cn,
  directoryName,
  dns,
  email,
  INTERMEDIATE_KEYS,
  INTERMEDIATE_NAME,
  ip,
  LEAF_KEYS,
  makeCertificate,
  makeChain,
  name,
  nameConstraints,
  oid,
  otherName,
  p256Keys,
  ROOT_KEYS,
  ROOT_NAME,
  seq,
  set,
  subjectAltName,
  tlv,
  uri,
} from "../support/x509.ts"

type Names = readonly Uint8Array[]
/** What the CA allows and what the leaf has. */
interface Space {
  readonly permitted?: Names
  readonly excluded?: Names
  readonly names?: Names
  readonly subject?: Uint8Array
}

const spaceCase = (
  { permitted = [], excluded = [], names = [], subject = seq() }: Space,
  place: "root" | "intermediate" = "intermediate",
): Case =>
  caseOf(
    makeChain("ak", {
      [place]: { extensions: [...caExtensions(), nameConstraints(permitted, excluded)] },
      leaf: { subject, extensions: names.length === 0 ? [] : [subjectAltName(names)] },
    }),
    { purpose: "any" },
  )

const registeredId = tlv(0x88, Uint8Array.of(42, 3))
const x400 = tlv(0xa3, tlv(0x30))
const edi = tlv(0xa5, tlv(0x81, utf8("x")))
const dn = (attributes: Readonly<Record<string, string>>): Uint8Array => directoryName(name(attributes))
const ORG = { "2.5.4.6": "DE", "2.5.4.10": "Org" }
const IP4 = [10, 1, 0, 0] as const
const MASK16 = [255, 255, 0, 0] as const
const ip6 = (...head: readonly number[]): readonly number[] => [
  ...head,
  ...Array<number>(16 - head.length).fill(0),
]

const test = suite("NameSpace")

const outside: readonly (readonly [name: string, space: Space])[] = [
  // Directory names.
  ["a subject in an excluded directory", { excluded: [dn(ORG)], subject: name({ ...ORG, "2.5.4.3": "x" }) }],
  ...["\u00c4vil", "A\u0308VIL", "\uff21vil", "\u00e4v\u00adil", "\u00e4\u200bvil"].map(
    (text): readonly [name: string, space: Space] => [
      `a subject that some take for the excluded directory, ${JSON.stringify(text)}`,
      { excluded: [dn({ "2.5.4.10": "\u00e4vil" })], subject: name({ "2.5.4.10": text }) },
    ],
  ),
  ["a subject that is the excluded directory", { excluded: [dn(ORG)], subject: name(ORG) }],
  [
    "a subject in an excluded directory, in other letters and spaces",
    { excluded: [dn(ORG)], subject: name({ "2.5.4.6": "de", "2.5.4.10": " ORG " }) },
  ],
  [
    "a subject outside of the permitted directory",
    { permitted: [dn(ORG)], subject: name({ "2.5.4.6": "DE", "2.5.4.10": "Other" }) },
  ],
  ["a subject above the permitted directory", { permitted: [dn(ORG)], subject: name({ "2.5.4.6": "DE" }) }],
  [
    "a subject with the permitted directory in another order",
    { permitted: [dn(ORG)], subject: name({ "2.5.4.10": "Org", "2.5.4.6": "DE" }) },
  ],
  [
    "a subject with the permitted directory behind something else",
    { permitted: [dn(ORG)], subject: name({ "2.5.4.3": "x", ...ORG }) },
  ],
  [
    "a subject that begins with the permitted value",
    { permitted: [dn(ORG)], subject: name({ "2.5.4.6": "DE", "2.5.4.10": "Organ" }) },
  ],
  [
    "a subject with the value under another attribute",
    { permitted: [dn(ORG)], subject: name({ "2.5.4.6": "DE", "2.5.4.11": "Org" }) },
  ],
  [
    "a subject with both values in one relative name",
    {
      permitted: [dn(ORG)],
      subject: seq(
        set(seq(oid("2.5.4.6"), tlv(0x0c, utf8("DE"))), seq(oid("2.5.4.10"), tlv(0x0c, utf8("Org")))),
      ),
    },
  ],
  [
    "an alternative directory name in an excluded one",
    { excluded: [dn(ORG)], names: [dn({ ...ORG, "2.5.4.3": "x" })] },
  ],
  [
    "an alternative directory name outside of the permitted one",
    { permitted: [dn(ORG)], subject: name(ORG), names: [dn({ "2.5.4.6": "FR" })] },
  ],
  ["any directory name, if all are excluded", { excluded: [directoryName(seq())], subject: cn("x") }],
  // DNS.
  ["a host that is excluded", { excluded: [dns("example.com")], names: [dns("example.com")] }],
  ["a host below an excluded one", { excluded: [dns("example.com")], names: [dns("a.b.example.com")] }],
  ["a host that is excluded, in capitals", { excluded: [dns("example.com")], names: [dns("EXAMPLE.COM")] }],
  ["a host by an exclusion in capitals", { excluded: [dns("Example.COM")], names: [dns("example.com")] }],
  [
    "a wildcard above an excluded host",
    { excluded: [dns("secret.example.com")], names: [dns("*.example.com")] },
  ],
  ["a wildcard at an excluded host", { excluded: [dns("example.com")], names: [dns("*.example.com")] }],
  [
    "a host that cannot be read where any is excluded",
    { excluded: [dns("example.com")], names: [dns("exa_mple.org")] },
  ],
  [
    "a host with a dot behind it where any is excluded",
    { excluded: [dns("example.com")], names: [dns("other.org.")] },
  ],
  ["any host, if all are excluded", { excluded: [dns("")], names: [dns("other.org")] }],
  ["a host outside of the permitted one", { permitted: [dns("example.com")], names: [dns("example.org")] }],
  [
    "a host that ends like the permitted one",
    { permitted: [dns("example.com")], names: [dns("notexample.com")] },
  ],
  ["a host above the permitted one", { permitted: [dns("a.example.com")], names: [dns("example.com")] }],
  [
    "a wildcard above the permitted host",
    { permitted: [dns("a.example.com")], names: [dns("*.example.com")] },
  ],
  ["a wildcard within a label", { permitted: [dns("example.com")], names: [dns("a*.example.com")] }],
  ["an empty host", { permitted: [dns("example.com")], names: [dns("")] }],
  ["a host with a zero byte", { permitted: [dns("example.com")], names: [dns("evil.org\0.example.com")] }],
  [
    "one good host and one that is not",
    { permitted: [dns("example.com")], names: [dns("a.example.com"), dns("evil.org")] },
  ],
  // Addresses.
  ["an address that is excluded", { excluded: [ip(...IP4, ...MASK16)], names: [ip(10, 1, 2, 3)] }],
  [
    "an address outside of the permitted net",
    { permitted: [ip(...IP4, ...MASK16)], names: [ip(10, 2, 2, 3)] },
  ],
  [
    "an address of version 6 where one of version 4 is permitted",
    { permitted: [ip(...IP4, ...MASK16)], names: [ip(...ip6(10, 1))] },
  ],
  [
    "an address of version 6 that is excluded",
    { excluded: [ip(...ip6(0x20, 1), ...ip6(255, 255))], names: [ip(...ip6(0x20, 1, 9))] },
  ],
  [
    "an address of five octets where any is excluded",
    { excluded: [ip(...IP4, ...MASK16)], names: [ip(1, 2, 3, 4, 5)] },
  ],
  [
    "an address of four octets and a mask where one is permitted",
    { permitted: [ip(...IP4, ...MASK16)], names: [ip(...IP4, ...MASK16)] },
  ],
  // E-mail.
  ["an address at an excluded host", { excluded: [email("example.com")], names: [email("a@example.com")] }],
  [
    "an address at an excluded host, in capitals",
    { excluded: [email("example.com")], names: [email("a@EXAMPLE.com")] },
  ],
  ["an excluded address", { excluded: [email("a@example.com")], names: [email("a@example.com")] }],
  [
    "an address below an excluded host",
    { excluded: [email(".example.com")], names: [email("a@b.example.com")] },
  ],
  [
    "an address that cannot be read where any is excluded",
    { excluded: [email("example.com")], names: [email('"a@b"@other.org')] },
  ],
  [
    "two addresses in one where any is excluded",
    { excluded: [email("example.com")], names: [email("a@other.org@x.org")] },
  ],
  [
    "an address in the subject",
    { permitted: [email("example.com")], subject: name({ "1.2.840.113549.1.9.1": "a@evil.org" }) },
  ],
  [
    "an address at a host below the permitted one",
    { permitted: [email("example.com")], names: [email("a@b.example.com")] },
  ],
  [
    "an address at the host whose hosts below are permitted",
    { permitted: [email(".example.com")], names: [email("a@example.com")] },
  ],
  [
    "another address than the permitted one",
    { permitted: [email("a@example.com")], names: [email("A@example.com")] },
  ],
  [
    "the permitted address at another host",
    { permitted: [email("a@example.com")], names: [email("a@example.org")] },
  ],
  ["a quoted address", { permitted: [email("example.com")], names: [email('"a"@example.com')] }],
  ["a host alone as an address", { permitted: [email("example.com")], names: [email("example.com")] }],
  ["an address without a local part", { permitted: [email("example.com")], names: [email("@example.com")] }],
  // URIs.
  ["a URI at an excluded host", { excluded: [uri("example.com")], names: [uri("https://example.com/x")] }],
  [
    "a URI at an excluded host, with all that can stand around it",
    { excluded: [uri("example.com")], names: [uri("https://u:p@EXAMPLE.com:443?x#y")] },
  ],
  [
    "a URI below an excluded host",
    { excluded: [uri(".example.com")], names: [uri("https://a.example.com/")] },
  ],
  ["a URI without a host where any is excluded", { excluded: [uri("example.com")], names: [uri("urn:x:y")] }],
  [
    "a URI at an address where any is excluded",
    { excluded: [uri("example.com")], names: [uri("https://10.0.0.1/")] },
  ],
  [
    "a URI at an address of version 6 where any is excluded",
    { excluded: [uri("example.com")], names: [uri("https://[::1]/")] },
  ],
  [
    "a URI at a host below the permitted one",
    { permitted: [uri("example.com")], names: [uri("https://a.example.com/")] },
  ],
  [
    "a URI at the host whose hosts below are permitted",
    { permitted: [uri(".example.com")], names: [uri("https://example.com/")] },
  ],
  [
    "a URI with the permitted host in its path",
    { permitted: [uri("example.com")], names: [uri("https://evil.org/example.com")] },
  ],
  [
    "a URI with the permitted host as its user",
    { permitted: [uri("example.com")], names: [uri("https://example.com@evil.org/")] },
  ],
  [
    "a URI with a user at the permitted host, which readers disagree about",
    { permitted: [uri("example.com")], names: [uri("https://a@example.com/")] },
  ],
  [
    "a URI with a user where any is excluded",
    { excluded: [uri("example.com")], names: [uri("https://a@example.org/")] },
  ],
  [
    "a URI with a backslash behind the permitted host",
    { permitted: [uri("example.com")], names: [uri("https://evil.org\\.example.com/")] },
  ],
  [
    "an address in UTF-8 where any address is excluded",
    { excluded: [email("example.com")], names: [otherName("1.3.6.1.5.5.7.8.9")] },
  ],
  [
    "an address in UTF-8 where one is permitted",
    { permitted: [email("example.com")], names: [otherName("1.3.6.1.5.5.7.8.9")] },
  ],
  [
    "a URI with the permitted host behind two users",
    { permitted: [uri("example.com")], names: [uri("https://a@b@example.com/")] },
  ],
  [
    "a URI without a host where one is permitted",
    { permitted: [uri("example.com")], names: [uri("mailto:a@example.com")] },
  ],
  [
    "a URI with user information, whose host readers disagree about",
    { permitted: [uri("good.example")], names: [uri("http://evil.example@good.example:80/")] },
  ],
  [
    "a URI with a backslash before the at sign",
    { permitted: [uri("good.example")], names: [uri("http://evil.example\\@good.example/")] },
  ],
  [
    "a URI with a backslash where its host may be excluded",
    { excluded: [uri("evil.example")], names: [uri("http://evil.example\\@good.example/")] },
  ],
  [
    "an address in UTF-8 where others are permitted",
    { permitted: [email("good.example")], names: [otherName("1.3.6.1.5.5.7.8.9")] },
  ],
  [
    "an address in UTF-8 where any is excluded",
    { excluded: [email("evil.example")], names: [otherName("1.3.6.1.5.5.7.8.9")] },
  ],
  [
    "a URI of more letters than are read",
    { permitted: [uri("example.com")], names: [uri(`https://example.com/${"a".repeat(2048)}`)] },
  ],
  [
    "an e-mail address of more letters than are read",
    { permitted: [email("example.com")], names: [email(`${"a".repeat(2048)}@example.com`)] },
  ],
  // Forms that are not compared.
  ["an otherName where any is excluded", { excluded: [otherName("1.2.3")], names: [otherName("1.2.4")] }],
  ["an otherName where any is permitted", { permitted: [otherName()], names: [otherName()] }],
  ["a registeredID where any is excluded", { excluded: [registeredId], names: [registeredId] }],
  ["a registeredID where any is permitted", { permitted: [registeredId], names: [registeredId] }],
  ["an x400Address where any is excluded", { excluded: [x400], names: [x400] }],
  ["an ediPartyName where any is permitted", { permitted: [edi], names: [edi] }],
]
for (const place of ["intermediate", "root"] as const)
  refusesEach(
    test,
    outside.map(
      ([what, space]): Refused => [`X-06 ${what}: the ${place}`, () => spaceCase(space, place), "NAME"],
    ),
  )

const noConstraint: readonly [name: string, base: Uint8Array][] = [
  ["a host with a dot before it", dns(".example.com")],
  ["a wildcard", dns("*.example.com")],
  ["a host with a dot behind it", dns("example.com.")],
  ["a host of 254 letters", dns(`${"a.".repeat(126)}aa`)],
  ["a label of 64 letters", dns("a".repeat(64))],
  ["a label with a hyphen at its end", dns("a-.com")],
  ["an address with two signs", email("a@b@c.com")],
  ["an empty e-mail address", email("")],
  ["an e-mail address at no host", email("a@b_c")],
  ["a URI in place of a host", uri("https://example.com")],
  ["an empty URI", uri("")],
  ["an IP address without a mask", ip(10, 0, 0, 1)],
  ["an IP address of twelve octets", ip(...ip6().slice(0, 12))],
  ["a mask with a hole", ip(...IP4, 255, 0, 255, 0)],
  ["a mask with a hole of version 6", ip(...ip6(1), ...ip6(255, 0, 1))],
]
for (const [key, place] of [
  ["permitted", "intermediate"],
  ["excluded", "root"],
] as const)
  refusesEach(
    test,
    noConstraint.map(
      ([what, base]): Refused => [
        `X-06 ${what} as a constraint, ${key}: the ${place}`,
        () => spaceCase({ [key]: [base], subject: cn("Leaf") }, place),
        "NAME",
        place === "root" ? ROOT : INTERMEDIATE,
      ],
    ),
  )

const inside: readonly [name: string, space: Space][] = [
  [
    "a subject in the permitted directory",
    { permitted: [dn(ORG)], subject: name({ ...ORG, "2.5.4.3": "x" }) },
  ],
  [
    "a subject in the permitted directory, in other letters, spaces and strings",
    {
      permitted: [dn(ORG)],
      subject: seq(
        set(seq(oid("2.5.4.6"), tlv(0x13, utf8("dE")))),
        set(seq(oid("2.5.4.10"), tlv(0x1e, Uint8Array.of(0, 0x4f, 0, 0x72, 0, 0x67)))),
      ),
    },
  ],
  ["a subject beside the excluded directory", { excluded: [dn(ORG)], subject: name({ "2.5.4.6": "DE" }) }],
  ["an empty subject where a directory is permitted", { permitted: [dn(ORG)], names: [dns("x.org")] }],
  [
    "a host in the permitted one",
    { permitted: [dns("example.com")], names: [dns("a.EXAMPLE.com"), dns("example.com")] },
  ],
  [
    "a host in one of two permitted",
    { permitted: [dns("example.org"), dns("example.com")], names: [dns("example.com")] },
  ],
  [
    "a host beside the excluded one",
    { excluded: [dns("example.com")], names: [dns("notexample.com"), dns("com")] },
  ],
  ["a wildcard in the permitted host", { permitted: [dns("example.com")], names: [dns("*.example.com")] }],
  ["a wildcard beside the excluded host", { excluded: [dns("example.com")], names: [dns("*.example.org")] }],
  ["any host, if all are permitted", { permitted: [dns("")], names: [dns("a.b")] }],
  ["an address in the permitted net", { permitted: [ip(...IP4, ...MASK16)], names: [ip(10, 1, 255, 0)] }],
  [
    "an address of version 6 in the permitted net",
    { permitted: [ip(...ip6(0x20, 1), ...ip6(255, 255))], names: [ip(...ip6(0x20, 1, 9))] },
  ],
  [
    "an address beside the excluded net",
    { excluded: [ip(...IP4, ...MASK16)], names: [ip(10, 2, 0, 0), ip(...ip6(10, 1))] },
  ],
  ["any address, if the mask is empty", { permitted: [ip(1, 2, 3, 4, 0, 0, 0, 0)], names: [ip(9, 9, 9, 9)] }],
  ["a permitted e-mail address", { permitted: [email("a@example.com")], names: [email("a@EXAMPLE.com")] }],
  [
    "an e-mail address at the permitted host",
    { permitted: [email("example.com")], names: [email("a@example.com")] },
  ],
  [
    "an e-mail address below the permitted host",
    { permitted: [email(".example.com")], names: [email("a@b.example.com")] },
  ],
  [
    "an e-mail address beside the excluded ones",
    { excluded: [email("a@example.com")], names: [email("b@example.com")] },
  ],
  [
    "a permitted e-mail address in the subject",
    { permitted: [email("example.com")], subject: name({ "1.2.840.113549.1.9.1": "a@example.com" }) },
  ],
  [
    "a URI at the permitted host",
    { permitted: [uri("example.com")], names: [uri("https://Example.com:80/evil@evil.org")] },
  ],
  [
    "a URI below the permitted host",
    { permitted: [uri(".example.com")], names: [uri("ftp://a.example.com")] },
  ],
  [
    "a URI beside the excluded host",
    { excluded: [uri("example.com")], names: [uri("https://a.example.com/")] },
  ],
  [
    "a form of name that nothing is said about",
    { permitted: [dns("example.com")], excluded: [email("x.org")], names: [uri("urn:x"), otherName()] },
  ],
]
for (const [what, space] of inside) test(`accepts ${what}`, () => void verifyCase(spaceCase(space)))

/** A CA between the usual intermediate and the leaf, with a name and constraints of its own. */
const below = (upper: Uint8Array, lower: Uint8Array | undefined, caName: Uint8Array, names: Names): Case => {
  const keys = p256Keys()
  return {
    leaf: makeCertificate(keys, keys, seq(), caName, [subjectAltName(names)]),
    shown: [
      makeCertificate(keys, INTERMEDIATE_KEYS, caName, INTERMEDIATE_NAME, [
        ...caExtensions(),
        ...(lower === undefined ? [] : [lower]),
      ]),
      makeCertificate(INTERMEDIATE_KEYS, ROOT_KEYS, INTERMEDIATE_NAME, ROOT_NAME, [...caExtensions(), upper]),
    ],
    trust: trustIn([makeChain("ak").root]),
    options: { purpose: "any" },
  }
}
const host = (text: string): Uint8Array => nameConstraints([dns(text)])
refusesEach(test, [
  [
    "X-06 a host that the lower of two CAs permits and the upper does not",
    () => below(host("a.com"), host("b.com"), cn("CA"), [dns("b.com")]),
    "NAME",
  ],
  [
    "X-06 a host that the upper of two CAs permits and the lower does not",
    () => below(host("a.com"), host("b.com"), cn("CA"), [dns("a.com")]),
    "NAME",
  ],
  [
    "X-06 a host that the upper excludes and the lower permits",
    () => below(nameConstraints([], [dns("a.com")]), host("a.com"), cn("CA"), [dns("a.com")]),
    "NAME",
  ],
  [
    "X-06 a CA whose own name is outside",
    () => below(nameConstraints([dn(ORG)]), undefined, cn("CA"), [dns("a.com")]),
    "NAME",
    "CN=CA",
  ],
  [
    "X-06 a CA whose own name is excluded",
    () => below(nameConstraints([], [dn({ "2.5.4.3": "CA" })]), undefined, cn("CA"), [dns("a.com")]),
    "NAME",
    "CN=CA",
  ],
])

test("accepts a host that both of two CAs permit", () => {
  verifyCase(below(host("com"), host("a.com"), cn("CA"), [dns("x.a.com")]))
})

test("does not hold self-issued CAs to names, and holds their leaf to them", () => {
  const keys = p256Keys()
  const constraints = nameConstraints([], [directoryName(INTERMEDIATE_NAME)])
  const made = (subject: Uint8Array): Case => ({
    leaf: makeCertificate(LEAF_KEYS, keys, subject, INTERMEDIATE_NAME, []),
    shown: [
      makeCertificate(keys, INTERMEDIATE_KEYS, INTERMEDIATE_NAME, INTERMEDIATE_NAME, caExtensions()),
      makeCertificate(INTERMEDIATE_KEYS, ROOT_KEYS, INTERMEDIATE_NAME, ROOT_NAME, [
        ...caExtensions(),
        constraints,
      ]),
    ],
    trust: trustIn([makeChain("ak").root]),
    options: { purpose: "any" },
  })
  verifyCase(made(cn("Leaf")))
  throwsCode(() => verifyCase(made(INTERMEDIATE_NAME)), "NAME")
})

test("never permits and excludes a name at once, for any host", () => {
  const label = fc.stringMatching(/^[a-zA-Z0-9*_-]{1,5}$/)
  const anyHost = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join("."))
  fc.assert(
    fc.property(anyHost, anyHost, (text, base) => {
      const accepts = (space: Space): boolean => {
        try {
          verifyCase(spaceCase(space))
          return true
        } catch {
          return false
        }
      }
      const names = [dns(text)]
      return !(accepts({ permitted: [dns(base)], names }) && accepts({ excluded: [dns(base)], names }))
    }),
    { numRuns: 40, seed: 3 },
  )
})

test("knows host names", () => {
  for (const good of ["a", "a.b", "1.2", "a-b.c", `${"a".repeat(63)}.b`, "xn--bcher-kva.example"])
    assert.ok(isHostName(good), good)
  for (const bad of [
    "",
    ".",
    "a.",
    ".a",
    "a..b",
    "-a",
    "a-",
    "a_b",
    "*.a",
    "a b",
    "ä.de",
    `${"a".repeat(64)}.b`,
    `${"a.".repeat(127)}a`,
  ])
    assert.is(isHostName(bad), false, bad)
})

test("writes names as people read them", () => {
  const names = [
    dns("a.b"),
    email("a@b"),
    uri("urn:x"),
    ip(10, 0, 0, 1),
    ip(...IP4, ...MASK16),
    ip(...ip6(1)),
    dn(ORG),
    registeredId,
    otherName("1.2.3"),
  ]
  const { extensions } = parseCertificate(
    makeChain("ak", { leaf: { extensions: [subjectAltName(names)] } }).leaf,
  )
  assert.equal(extensions.subjectAltName?.map(generalNameText), [
    "dns:a.b",
    "email:a@b",
    "uri:urn:x",
    "ip:10.0.0.1",
    "ip:10.1.0.0/255.255.0.0",
    "ip:01000000000000000000000000000000",
    "directory:C=DE, O=Org",
    "registered:2a03",
    "other:1.2.3",
  ])
})

test.run()
