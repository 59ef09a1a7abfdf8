import { createHash, X509Certificate } from "node:crypto"
import fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, toHex, utf8 } from "../../../src/bytes.ts"
import { AssayError, type Code } from "../../../src/errors.ts"
import {
  CERTIFICATE_BYTES_MAX,
  certificateText,
  fingerprintOf,
  parseCertificate,
} from "../../../src/evidence/x509/certificate.ts"
import { nameText } from "../../../src/evidence/x509/name.ts"
import { throwsCode } from "../../support/assert.ts"
import { leastCpuMs } from "../../support/chain.ts"
import {
  AK_EXTENSIONS,
  basicConstraints,
  bitString,
  type CertificateParts,
  caExtensions,
  cn,
  dns,
  ECDSA_SHA256,
  EK_EXTENSIONS,
  extension,
  INTERMEDIATE_NAME,
  integer,
  LEAF_KEYS,
  makeChain,
  NULL,
  nestedIn,
  octets,
  oid,
  seq,
  subjectAltName,
  time,
  tlv,
} from "../../support/x509.ts"

const test = suite("parseCertificate")

const leafWith = (leaf: Partial<CertificateParts>): Uint8Array => makeChain("ak", { leaf }).leaf
const { leaf, intermediate } = makeChain("ek", {
  leaf: { subject: cn("Leaf"), serialNumber: integer(0xabcd) },
})

test("reads what a certificate says", () => {
  const certificate = parseCertificate(leaf)
  const node = new X509Certificate(leaf)
  assert.equal(certificate.bytes, leaf)
  assert.is(certificate.version, 3)
  assert.equal(certificate.serialNumber, Uint8Array.of(0, 0xab, 0xcd))
  assert.equal(certificate.signatureAlgorithm, { kind: "ecdsa", hash: "sha256" })
  assert.is(certificate.algorithmsAgree, true)
  assert.is(nameText(certificate.issuer), "CN=Test Intermediate")
  assert.is(nameText(certificate.subject), "CN=Leaf")
  assert.is(certificate.notBefore, Date.parse("2020-01-01T00:00:00Z"))
  assert.is(certificate.notAfter, Date.parse("2040-01-01T00:00:00Z"))
  assert.equal(certificate.spki, LEAF_KEYS.spki)
  assert.is(certificate.publicKey.kind, "ec")
  assert.is(certificate.deviations.size, 0)
  assert.is(fingerprintOf(certificate), createHash("sha256").update(leaf).digest("hex"))
  assert.is(fingerprintOf(certificate), node.fingerprint256.replaceAll(":", "").toLowerCase())
})

test("calls a certificate by its subject, or by what else it has", () => {
  assert.is(certificateText(parseCertificate(leaf)), "CN=Leaf")
  assert.is(
    certificateText(parseCertificate(leafWith({ subject: seq(), serialNumber: integer(0x1234) }))),
    "certificate 1234 of CN=Test Intermediate",
  )
})

test("reads its bytes where they are, and nothing around them", () => {
  const around = concat(Uint8Array.of(1, 2, 3), leaf, Uint8Array.of(4))
  assert.equal(parseCertificate(around.subarray(3, 3 + leaf.length)), parseCertificate(leaf))
  assert.equal(parseCertificate(Buffer.from(leaf)).tbs, parseCertificate(leaf).tbs)
})

const id = tlv(0x81, Uint8Array.of(0, 1))
const otherId = tlv(0x82, Uint8Array.of(0, 2))
test("reads versions 1 and 2, and the identifiers that nobody uses", () => {
  const bare = { extensions: [], subject: cn("Leaf") }
  assert.is(parseCertificate(leafWith({ ...bare, version: new Uint8Array() })).version, 1)
  assert.is(
    parseCertificate(leafWith({ ...bare, version: tlv(0xa0, integer(1)), more: concat(id, otherId) }))
      .version,
    2,
  )
  assert.is(parseCertificate(leafWith({ ...bare, more: otherId })).version, 3)
})

/** The certificate with its outermost parts changed. */
const outer = (...parts: readonly Uint8Array[]): Uint8Array => seq(...parts)
const { tbs, signature } = parseCertificate(leaf)
const signed = bitString(signature)

const serials: readonly [name: string, serialNumber: Uint8Array, code: Code][] = [
  ["X-13 a negative serial number", tlv(2, Uint8Array.of(0xff)), "SERIAL"],
  ["X-13 a negative serial number of 20 octets", tlv(2, new Uint8Array(20).fill(0x80)), "SERIAL"],
  ["X-13 a serial number of 0", integer(0), "SERIAL"],
  ["X-13 a serial number of 21 octets", integer(2n ** 160n), "SERIAL"],
  ["X-13 a serial number of 20 octets that needs a 21st", integer(2n ** 160n - 1n), "SERIAL"],
  ["X-13 a serial number of 25 octets", integer(2n ** 199n), "SERIAL"],
  ["X-13 a serial number of 1,000 octets", integer(2n ** 7990n), "SERIAL"],
  ["X-13 X-11 a serial number with a zero before it", tlv(2, Uint8Array.of(0, 1)), "DER"],
  ["X-13 a serial number without content", tlv(2), "DER"],
  ["X-13 a serial number that is octets", octets(Uint8Array.of(1)), "CERTIFICATE"],
]
const malformed: readonly (readonly [name: string, bytes: Uint8Array, code: Code])[] = [
  ...serials.map(([name, serialNumber, code]) => [name, leafWith({ serialNumber }), code] as const),
  // Extra bytes.
  ["X-14 a byte behind the certificate", concat(leaf, Uint8Array.of(0)), "TRAILING"],
  ["X-14 padding behind the certificate", concat(leaf, new Uint8Array(100).fill(0xff)), "TRAILING"],
  ["X-14 a second certificate behind the first", concat(leaf, leaf), "TRAILING"],
  ["X-14 a field behind the signature", outer(tbs, ECDSA_SHA256, signed, NULL), "TRAILING"],
  ["X-14 a field behind the extensions", leafWith({ more: NULL }), "TRAILING"],
  ["X-14 extensions twice", leafWith({ more: tlv(0xa3, seq(basicConstraints(false))) }), "TRAILING"],
  ["X-14 a field between key and extensions", leafWith({ spki: concat(LEAF_KEYS.spki, NULL) }), "TRAILING"],
  [
    "X-14 a field behind the version",
    leafWith({ version: tlv(0xa0, integer(2), integer(2)) }),
    "CERTIFICATE",
  ],
  [
    "X-14 a third date",
    leafWith({
      validity: seq(
        time(new Date("2020-01-01Z")),
        time(new Date("2040-01-01Z")),
        time(new Date("2040-01-01Z")),
      ),
    }),
    "CERTIFICATE",
  ],
  ["X-14 identifiers in another order", leafWith({ extensions: [], more: concat(otherId, id) }), "TRAILING"],
  [
    "X-14 something behind the list of extensions",
    leafWith({ extensions: [], more: tlv(0xa3, seq(...AK_EXTENSIONS), NULL) }),
    "CERTIFICATE",
  ],
  [
    "X-14 the TCG header before a certificate that is not from NV",
    concat(Uint8Array.of(0x10, 1, 0, 0, 0, 0x10, 2), leaf),
    "DER",
  ],
  // What is not DER, and only the schema tells.
  ["X-11 version 1 spelled out", leafWith({ version: tlv(0xa0, integer(0)), extensions: [] }), "DER"],
  [
    "X-11 a BER boolean in basicConstraints",
    leafWith({ extensions: [extension("2.5.29.19", seq(tlv(1, Uint8Array.of(1))))] }),
    "DER",
  ],
  [
    "X-11 cA FALSE spelled out",
    leafWith({ extensions: [extension("2.5.29.19", seq(tlv(1, Uint8Array.of(0))))] }),
    "DER",
  ],
  [
    "X-11 critical FALSE spelled out",
    leafWith({ extensions: [seq(oid("2.5.29.19"), tlv(1, Uint8Array.of(0)), octets(seq()))] }),
    "DER",
  ],
  [
    "X-11 critical of 01",
    leafWith({ extensions: [seq(oid("2.5.29.19"), tlv(1, Uint8Array.of(1)), octets(seq()))] }),
    "DER",
  ],
  [
    "X-11 an indefinite length",
    concat(Uint8Array.of(0x30, 0x80), leaf.subarray(4), Uint8Array.of(0, 0)),
    "DER",
  ],
  [
    "X-11 a length in three octets where two do",
    concat(Uint8Array.of(0x30, 0x83, 0), leaf.subarray(2)),
    "DER",
  ],
  ["X-11 a signature that is constructed", outer(tbs, ECDSA_SHA256, tlv(0x23, signed)), "DER"],
  [
    "X-11 a signature with unused bits that are set",
    outer(tbs, ECDSA_SHA256, bitString(signature.with(-1, 0xff), 1)),
    "DER",
  ],
  [
    "X-11 a name whose attributes are out of order",
    leafWith({
      subject: seq(
        tlv(0x31, seq(oid("2.5.4.10"), tlv(0x0c, utf8("b"))), seq(oid("2.5.4.3"), tlv(0x0c, utf8("a")))),
      ),
    }),
    "DER",
  ],
  // Arcs.
  [
    "X-15 a purpose with an arc over 2^32",
    leafWith({
      extensions: [
        extension("2.5.29.37", seq(tlv(6, Uint8Array.of(0x67, 0x81, 5, 8, 0x90, 0x80, 0x80, 0x80, 3)))),
      ],
    }),
    "OID",
  ],
  [
    "X-15 an algorithm with a zero before an arc",
    leafWith({ outerAlgorithm: seq(tlv(6, Uint8Array.of(0x2a, 0x80, 3))) }),
    "OID",
  ],
  [
    "X-15 an attribute's type that is cut",
    leafWith({ subject: seq(tlv(0x31, seq(tlv(6, Uint8Array.of(0x55, 0x84)), tlv(0x0c)))) }),
    "OID",
  ],
  [
    "X-15 an extension's identifier without an arc",
    leafWith({ extensions: [seq(tlv(6), octets(NULL))] }),
    "OID",
  ],
  [
    "X-15 a key's algorithm with an arc over 2^64",
    leafWith({
      spki: seq(seq(tlv(6, Uint8Array.of(0x2a, 0x82, ...Array<number>(9).fill(0x80), 3))), bitString(NULL)),
    }),
    "OID",
  ],
  // Twice.
  [
    "X-12 basicConstraints that say no and then yes",
    leafWith({ extensions: [basicConstraints(false), ...caExtensions()] }),
    "DUP_EXT",
  ],
  [
    "X-12 two alternative names",
    leafWith({ extensions: [...AK_EXTENSIONS, subjectAltName([dns("a")])] }),
    "DUP_EXT",
  ],
  // What is no certificate.
  ["an unsigned certificate", outer(tbs, ECDSA_SHA256), "CERTIFICATE"],
  [
    "a signature of no whole octets",
    outer(tbs, ECDSA_SHA256, bitString(signature.with(-1, 0), 1)),
    "CERTIFICATE",
  ],
  ["version 4", leafWith({ version: tlv(0xa0, integer(3)) }), "CERTIFICATE"],
  ["a negative version", leafWith({ version: tlv(0xa0, tlv(2, Uint8Array.of(0xff))) }), "CERTIFICATE"],
  ["extensions in version 1", leafWith({ version: new Uint8Array() }), "CERTIFICATE"],
  ["extensions in version 2", leafWith({ version: tlv(0xa0, integer(1)) }), "CERTIFICATE"],
  ["identifiers in version 1", leafWith({ version: new Uint8Array(), extensions: [], more: id }), "TRAILING"],
  [
    "no extensions where there is a list",
    leafWith({ extensions: [], more: tlv(0xa3, seq()) }),
    "CERTIFICATE",
  ],
  ["a validity of one date", leafWith({ validity: seq(time(new Date("2020-01-01Z"))) }), "CERTIFICATE"],
  ["a validity of numbers", leafWith({ validity: seq(integer(1), integer(2)) }), "CERTIFICATE"],
  ["no issuer", leafWith({ issuer: new Uint8Array() }), "CERTIFICATE"],
  ["a key that is none", leafWith({ spki: NULL }), "CERTIFICATE"],
  ["a number", integer(5), "CERTIFICATE"],
  ["an empty sequence", seq(), "CERTIFICATE"],
  ["nothing", new Uint8Array(), "DER"],
  ["text", utf8("-----BEGIN CERTIFICATE-----"), "DER"],
  [
    "more than a certificate may have",
    leafWith({ extensions: [extension("1.2.3", new Uint8Array(CERTIFICATE_BYTES_MAX))] }),
    "LENGTH",
  ],
]
for (const [name, bytes, code] of malformed)
  test(`refuses ${name}`, () => {
    const error = throwsCode(() => parseCertificate(bytes), code)
    assert.is(error.kind, "malformed")
  })

test("accepts serial numbers from 1 to 2^159 - 1", () => {
  for (const value of [1n, 127n, 128n, 2n ** 159n - 1n])
    assert.is(
      BigInt(`0x${toHex(parseCertificate(leafWith({ serialNumber: integer(value) })).serialNumber)}`),
      value,
    )
})

/** So many sequences, one in another. */
const DEEP = nestedIn(NULL, 10_000)
const deep: readonly [name: string, bytes: Uint8Array][] = [
  ["alone", DEEP],
  ["in place of the fields", outer(DEEP, ECDSA_SHA256, signed)],
  ["in place of the outer algorithm", outer(tbs, DEEP, signed)],
  ["in place of the key", leafWith({ spki: DEEP })],
  ["in an algorithm's parameters", leafWith({ innerAlgorithm: seq(oid("1.2.3"), DEEP) })],
  ["in a name", leafWith({ subject: seq(tlv(0x31, seq(oid("2.5.4.3"), DEEP))) })],
  ["in a known extension", leafWith({ extensions: [extension("2.5.29.32", DEEP)] })],
  [
    "in the alternative name",
    leafWith({ extensions: [subjectAltName([tlv(0xa0, oid("1.2.3"), tlv(0xa0, DEEP))])] }),
  ],
  ["in an unknown extension", leafWith({ extensions: [extension("1.2.3", DEEP)] })],
  ["in an unknown critical extension", leafWith({ extensions: [extension("1.2.3", DEEP, true)] })],
  ["in an RSA key", leafWith({ spki: seq(seq(oid("1.2.840.113549.1.1.1"), NULL), bitString(DEEP)) })],
]
for (const [name, bytes] of deep)
  test(`refuses X-16 10,000 nested sequences ${name}, within 20 ms`, () => {
    const ms = leastCpuMs(() => {
      assert.is(throwsCode(() => parseCertificate(bytes), "DEPTH").kind, "exhausted")
    })
    assert.ok(ms < 20, `${ms} ms`)
  })

const large: readonly [name: string, parts: Partial<CertificateParts>][] = [
  ["a name of 200,000 spaces", { subject: cn(" ".repeat(200_000)) }],
  ["a name of 200,000 capitals and spaces", { subject: cn("A ".repeat(100_000)) }],
  [
    "an identifier of 200,000 arcs",
    { extensions: [extension("2.5.29.37", seq(tlv(6, new Uint8Array(200_000).fill(1))))] },
  ],
]
for (const [name, parts] of large)
  test(`reads ${name} in little time`, () => {
    const bytes = leafWith(parts)
    const ms = leastCpuMs(() => void parseCertificate(bytes))
    // A certificate on the wire has a sixteenth of this at most: 20 ms for all eight of a request.
    assert.ok(ms < 40, `${ms} ms`)
  })

const attributes = (count: number): Uint8Array[] =>
  Array<Uint8Array>(count).fill(seq(oid("2.5.4.3"), tlv(0x0c, utf8("a"))))
const crowded: readonly [name: string, subject: Uint8Array][] = [
  ["15,000 relative names", seq(...attributes(15_000).map((attribute) => tlv(0x31, attribute)))],
  ["257 relative names", seq(...attributes(257).map((attribute) => tlv(0x31, attribute)))],
  ["15,000 attributes in a relative name", seq(tlv(0x31, ...attributes(15_000)))],
]
test("refuses X-17 an alternative name of 20,000 names, in little time", () => {
  for (const count of [1025, 20_000]) {
    const names = subjectAltName(Array<Uint8Array>(count).fill(dns("a.example")))
    const bytes = leafWith({ extensions: [names] })
    const ms = leastCpuMs(() => void throwsCode(() => parseCertificate(bytes), "CERTIFICATE"))
    assert.ok(ms < 20, `${ms} ms`)
  }
})
for (const [name, subject] of crowded)
  test(`refuses X-17 a name of ${name}, in little time`, () => {
    const bytes = leafWith({ subject })
    const ms = leastCpuMs(() => void throwsCode(() => parseCertificate(bytes), "CERTIFICATE"))
    assert.ok(ms < 20, `${ms} ms`)
  })

test("refuses every proper prefix of a certificate", () => {
  for (const bytes of [leaf, intermediate])
    for (let size = 0; size < bytes.length; size++)
      assert.is(throwsCode(() => parseCertificate(bytes.subarray(0, size)), "DER").kind, "malformed")
})

const samples = [
  leaf,
  intermediate,
  leafWith({
    extensions: [...EK_EXTENSIONS, extension("1.2.3", seq(NULL), true)],
    issuer: INTERMEDIATE_NAME,
  }),
]
test("parses any flip of bits, or refuses it with a code", () => {
  fc.assert(
    fc.property(
      fc.nat(samples.length - 1),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (which, position, mask) => {
        const bytes = samples[which] ?? leaf
        const at = position % bytes.length
        const changed = bytes.with(at, (bytes[at] ?? 0) ^ mask)
        return isParsedOrRefused(changed)
      },
    ),
    { seed: 7, numRuns: 3000 },
  )
})

test("parses any certificate with a part cut out or put in, or refuses it with a code", () => {
  fc.assert(
    fc.property(fc.nat(leaf.length), fc.nat(8), fc.uint8Array({ maxLength: 8 }), (at, cut, put) =>
      isParsedOrRefused(concat(leaf.subarray(0, at), put, leaf.subarray(at + cut))),
    ),
    { seed: 8, numRuns: 2000 },
  )
})

const isParsedOrRefused = (bytes: Uint8Array): boolean => {
  try {
    return parseCertificate(bytes).bytes.length === bytes.length
  } catch (error) {
    if (!(error instanceof AssayError)) throw error
    return error.kind === "malformed" || error.code === "DEPTH"
  }
}

test.run()
