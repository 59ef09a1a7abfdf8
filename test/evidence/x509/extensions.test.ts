import { suite } from "uvu"
import * as assert from "uvu/assert"
import { utf8 } from "../../../src/bytes.ts"
import type { Code } from "../../../src/errors.ts"
import type { Deviation } from "../../../src/evidence/x509/der.ts"
import { DerReader } from "../../../src/evidence/x509/der-reader.ts"
import { KEY_USAGE, type ReadExtensions, readExtensions } from "../../../src/evidence/x509/extensions.ts"
import { throwsCode } from "../../support/assert.ts"
import {
  basicConstraints,
  bitString,
  boolean,
  cn,
  directoryName,
  dns,
  extension,
  extKeyUsage,
  inhibitAnyPolicy,
  integer,
  keyUsage,
  NULL,
  nameConstraints,
  nestedIn,
  octets,
  oid,
  policies,
  policyConstraints,
  policyMappings,
  seq,
  subjectAltName,
  subjectKeyId,
  tlv,
  uri,
} from "../../support/x509.ts"

const test = suite("readExtensions")

const read = (list: readonly Uint8Array[], deviations = new Set<Deviation>()): ReadExtensions =>
  readExtensions(
    new DerReader(seq(...list), "test").sequence("extensions"),
    new Set(["set-order"]),
    deviations,
  )

const ID = Uint8Array.of(1, 2, 3)
const AIA = "1.3.6.1.5.5.7.1.1"

test("reads what Assay knows", () => {
  const { extensions, present, critical, unknownCritical } = read([
    subjectKeyId(ID),
    keyUsage(5, 6),
    subjectAltName([dns("a.b")]),
    basicConstraints(true, 3),
    nameConstraints([dns("a")], [dns("b"), dns("c")]),
    policies("1.2.3", "2.5.29.32.0"),
    policyMappings(["1.2.3", "1.2.4"]),
    extension(
      "2.5.29.35",
      seq(tlv(0x80, ID), tlv(0xa1, directoryName(cn("x"))), tlv(0x82, Uint8Array.of(1))),
    ),
    policyConstraints({ explicit: 0, mapping: 2 }),
    extKeyUsage("1.2.3", "2.5.29.37.0"),
    inhibitAnyPolicy(1),
    extension(AIA, seq(seq(oid("1.3.6.1.5.5.7.48.2"), uri("http://a/ca")))),
  ])
  assert.equal(extensions.subjectKeyIdentifier, ID)
  assert.is(extensions.keyUsage, KEY_USAGE.keyCertSign | KEY_USAGE.cRLSign)
  assert.equal(extensions.basicConstraints, { ca: true, pathLen: 3 })
  assert.is(extensions.nameConstraints?.permitted.length, 1)
  assert.is(extensions.nameConstraints?.excluded.length, 2)
  assert.equal(extensions.policies, ["1.2.3", "2.5.29.32.0"])
  assert.equal(extensions.policyMappings, [["1.2.3", "1.2.4"]])
  assert.equal(extensions.authorityKeyIdentifier, {
    keyIdentifier: ID,
    hasIssuer: true,
    hasSerialNumber: true,
  })
  assert.equal(extensions.policyConstraints, { requireExplicitPolicy: 0, inhibitPolicyMapping: 2 })
  assert.equal(extensions.extKeyUsage, ["1.2.3", "2.5.29.37.0"])
  assert.is(extensions.inhibitAnyPolicy, 1)
  assert.equal(extensions.authorityInfoAccess, [
    { method: "1.3.6.1.5.5.7.48.2", location: { kind: "uri", text: "http://a/ca" } },
  ])
  assert.is(present.size, 12)
  assert.equal([...critical].sort(), [
    "2.5.29.15",
    "2.5.29.19",
    "2.5.29.30",
    "2.5.29.33",
    "2.5.29.36",
    "2.5.29.54",
  ])
  assert.equal(unknownCritical, [])
})

test("reads fields that are left out as absent", () => {
  const { extensions } = read([
    basicConstraints(false),
    extension("2.5.29.35", seq()),
    policyConstraints({ mapping: 1 }),
    nameConstraints([], [dns("b")]),
  ])
  assert.equal(extensions.basicConstraints, { ca: false, pathLen: undefined })
  assert.equal(extensions.authorityKeyIdentifier, {
    keyIdentifier: undefined,
    hasIssuer: false,
    hasSerialNumber: false,
  })
  assert.equal(extensions.policyConstraints, { requireExplicitPolicy: undefined, inhibitPolicyMapping: 1 })
  assert.equal(extensions.nameConstraints?.permitted, [])
  assert.equal(read([extension("2.5.29.37", seq())]).extensions.extKeyUsage, [])
  assert.equal(read([extension("2.5.29.33", seq())]).extensions.policyMappings, [])
})

test("lists unknown extensions that are critical, and known ones that never are", () => {
  const { unknownCritical } = read([
    extension("1.2.3", NULL, true),
    extension("1.2.4", NULL),
    extension("2.5.29.14", octets(ID), true),
  ])
  assert.equal(unknownCritical, ["1.2.3", "2.5.29.14"])
})

test("notes what a value departs from", () => {
  const deviations = new Set<Deviation>()
  read(
    [
      extension("2.5.29.15", bitString(Uint8Array.of(0x20), 0)),
      extension("2.5.29.9", seq(seq(oid("1.2.3"), tlv(0x31, integer(2), integer(1))))),
    ],
    deviations,
  )
  assert.equal([...deviations].sort(), ["named-bits", "set-order"])
})

test("lets values that nobody reads be anything, but not deep", () => {
  const deep = nestedIn(NULL, 10_000)
  for (const value of [new Uint8Array(), Uint8Array.of(0xff), seq(Uint8Array.of(1, 1, 1))])
    read([extension("1.2.3", value)])
  throwsCode(() => read([extension("1.2.3", deep)]), "DEPTH")
  throwsCode(() => read([extension("1.2.3", deep, true)]), "DEPTH")
  for (const known of ["2.5.29.17", "2.5.29.32", "2.5.29.9", AIA])
    throwsCode(() => read([extension(known, deep)]), "DEPTH")
})

const many = (count: number): readonly Uint8Array[] =>
  Array.from({ length: count }, (_, i) => extension(`1.2.3.${i}`, NULL))
test("reads as many as there may be", () => {
  read(many(64))
  read([extKeyUsage(...Array<string>(64).fill("1.2.3"))])
})

const critical = (value: Uint8Array): Uint8Array => seq(oid("2.5.29.14"), value, octets(octets(ID)))
const malformed: readonly [name: string, list: readonly Uint8Array[], code: Code][] = [
  // Twice.
  [
    "X-12 basicConstraints that say no and then yes",
    [basicConstraints(false), basicConstraints(true)],
    "DUP_EXT",
  ],
  [
    "X-12 basicConstraints that say yes and then no",
    [basicConstraints(true), keyUsage(5), basicConstraints(false)],
    "DUP_EXT",
  ],
  ["X-12 the same basicConstraints twice", [basicConstraints(true), basicConstraints(true)], "DUP_EXT"],
  ["X-12 two alternative names", [subjectAltName([dns("a")]), subjectAltName([dns("b")])], "DUP_EXT"],
  ["X-12 two usages of the key", [keyUsage(0), keyUsage(5)], "DUP_EXT"],
  ["X-12 two lists of purposes", [extKeyUsage("1.2.3"), extKeyUsage("1.2.4")], "DUP_EXT"],
  ["X-12 two constraints on names", [nameConstraints([dns("a")]), nameConstraints([dns("b")])], "DUP_EXT"],
  [
    "X-12 an unknown extension twice",
    [extension("1.2.3", NULL), extension("1.2.4", NULL), extension("1.2.3", NULL)],
    "DUP_EXT",
  ],
  [
    "X-12 an extension that is critical once of two times",
    [extension("1.2.3", NULL), extension("1.2.3", NULL, true)],
    "DUP_EXT",
  ],
  ["X-12 a policy twice", [policies("1.2.3", "1.2.4", "1.2.3")], "CERTIFICATE"],
  // Framing.
  ["an empty list", [], "CERTIFICATE"],
  ["more extensions than there may be", many(65), "CERTIFICATE"],
  ["X-11 critical FALSE spelled out", [critical(boolean(false))], "DER"],
  ["X-11 cA FALSE spelled out", [extension("2.5.29.19", seq(boolean(false)))], "DER"],
  ["X-11 cA of 01", [extension("2.5.29.19", seq(tlv(1, Uint8Array.of(1))))], "DER"],
  ["X-14 something behind an extension", [seq(oid("1.2.3"), octets(NULL), NULL)], "CERTIFICATE"],
  [
    "X-14 something behind a value",
    [extension("2.5.29.14", Uint8Array.of(...octets(ID), ...octets(ID)))],
    "TRAILING",
  ],
  ["X-14 a byte behind a value", [extension("2.5.29.19", Uint8Array.of(...seq(), 0))], "TRAILING"],
  ["an extension without a value", [seq(oid("1.2.3"))], "CERTIFICATE"],
  ["a known extension with no value", [extension("2.5.29.14", new Uint8Array())], "DER"],
  ["X-11 BER in a value", [extension("2.5.29.37", Uint8Array.of(0x30, 0x80, 0, 0))], "DER"],
  [
    "X-15 an arc over 2^32 in a purpose",
    [extension("2.5.29.37", seq(tlv(6, Uint8Array.of(0x67, 0x81, 5, 8, 0x90, 0x80, 0x80, 0x80, 3))))],
    "OID",
  ],
  // Values.
  ["an identifier of a key that is no octets", [extension("2.5.29.14", NULL)], "CERTIFICATE"],
  ["a usage that is no bits", [extension("2.5.29.15", integer(1))], "CERTIFICATE"],
  ["X-11 a usage of three octets", [extension("2.5.29.15", bitString(Uint8Array.of(1, 1, 1)))], "DER"],
  ["an empty alternative name", [subjectAltName([])], "CERTIFICATE"],
  ["an alternative name of a form that there is not", [subjectAltName([tlv(0x8a)])], "CERTIFICATE"],
  [
    "X-14 something behind basicConstraints' path length",
    [extension("2.5.29.19", seq(boolean(true), integer(1), integer(2)))],
    "CERTIFICATE",
  ],
  [
    "X-03 a negative path length",
    [extension("2.5.29.19", seq(boolean(true), tlv(2, Uint8Array.of(0xff))))],
    "CERTIFICATE",
  ],
  [
    "X-03 a path length of nine octets",
    [extension("2.5.29.19", seq(boolean(true), integer(2n ** 64n)))],
    "CERTIFICATE",
  ],
  ["X-03 a path length before cA", [extension("2.5.29.19", seq(integer(1), boolean(true)))], "CERTIFICATE"],
  ["X-06 name constraints of none", [extension("2.5.29.30", seq())], "CERTIFICATE"],
  ["X-06 an empty list of permitted names", [extension("2.5.29.30", seq(tlv(0xa0)))], "CERTIFICATE"],
  ["X-06 an empty list of excluded names", [extension("2.5.29.30", seq(tlv(0xa1)))], "CERTIFICATE"],
  [
    "X-06 a minimum in a name constraint",
    [extension("2.5.29.30", seq(tlv(0xa0, seq(dns("a"), tlv(0x80, Uint8Array.of(1))))))],
    "CERTIFICATE",
  ],
  [
    "X-06 a maximum in a name constraint",
    [extension("2.5.29.30", seq(tlv(0xa1, seq(dns("a"), tlv(0x81, Uint8Array.of(1))))))],
    "CERTIFICATE",
  ],
  [
    "X-06 excluded names before permitted ones",
    [extension("2.5.29.30", seq(tlv(0xa1, seq(dns("a"))), tlv(0xa0, seq(dns("b")))))],
    "CERTIFICATE",
  ],
  ["an empty list of policies", [policies()], "CERTIFICATE"],
  [
    "X-14 something behind a policy's qualifiers",
    [extension("2.5.29.32", seq(seq(oid("1.2.3"), seq(), NULL)))],
    "CERTIFICATE",
  ],
  ["a mapping of one policy", [extension("2.5.29.33", seq(seq(oid("1.2.3"))))], "CERTIFICATE"],
  [
    "X-14 a mapping of three policies",
    [extension("2.5.29.33", seq(seq(oid("1.2.3"), oid("1.2.4"), oid("1.2.5"))))],
    "CERTIFICATE",
  ],
  [
    "X-14 something behind an authority's identifier",
    [extension("2.5.29.35", seq(tlv(0x80, ID), NULL))],
    "CERTIFICATE",
  ],
  ["an authority of no name", [extension("2.5.29.35", seq(tlv(0xa1)))], "CERTIFICATE"],
  [
    "X-13 an authority's serial number with a zero before it",
    [extension("2.5.29.35", seq(tlv(0x82, Uint8Array.of(0, 1))))],
    "DER",
  ],
  ["policy constraints of none", [extension("2.5.29.36", seq())], "CERTIFICATE"],
  [
    "a negative number of certificates to skip",
    [extension("2.5.29.36", seq(tlv(0x80, Uint8Array.of(0xff))))],
    "CERTIFICATE",
  ],
  [
    "X-14 something behind policy constraints",
    [extension("2.5.29.36", seq(tlv(0x80, Uint8Array.of(1)), NULL))],
    "CERTIFICATE",
  ],
  ["more purposes than there may be", [extKeyUsage(...Array<string>(65).fill("1.2.3"))], "CERTIFICATE"],
  ["a purpose that is no identifier", [extension("2.5.29.37", seq(NULL))], "CERTIFICATE"],
  [
    "a negative number of certificates before any policy is inhibited",
    [extension("2.5.29.54", tlv(2, Uint8Array.of(0x80)))],
    "CERTIFICATE",
  ],
  ["access to nothing", [extension(AIA, seq())], "CERTIFICATE"],
  [
    "X-14 something behind an access description",
    [extension(AIA, seq(seq(oid("1.2.3"), uri("http://a"), NULL)))],
    "CERTIFICATE",
  ],
  ["text in place of extensions", [tlv(0x0c, utf8("x"))], "CERTIFICATE"],
]
for (const [name, list, code] of malformed)
  test(`refuses ${name}`, () => void throwsCode(() => read(list), code))

test.run()
