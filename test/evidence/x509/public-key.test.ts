import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { Code } from "../../../src/errors.ts"
import { DerReader } from "../../../src/evidence/x509/der-reader.ts"
import {
  bitLength,
  publicKeyText,
  readPublicKey,
  type SubjectPublicKey,
} from "../../../src/evidence/x509/public-key.ts"
import { throwsCode } from "../../support/assert.ts"
import {
  bitString,
  ecKeys,
  ecSpki,
  ed25519Keys,
  integer,
  NULL,
  oid,
  p256Keys,
  pointOf,
  rsaSpki,
  seq,
  tlv,
} from "../../support/x509.ts"

const test = suite("readPublicKey")

const read = (spki: Uint8Array): SubjectPublicKey =>
  readPublicKey(new DerReader(spki, "test").sequence("spki"))

const RSA = seq(oid("1.2.840.113549.1.1.1"), NULL)
const OAEP = oid("1.2.840.113549.1.1.7")
const ED25519 = seq(oid("1.3.101.112"))
const P256 = oid("1.2.840.10045.3.1.7")
const POINT = pointOf(p256Keys())

test("reads an RSA key without the zeros before its numbers, under either algorithm", () => {
  const key = { kind: "rsa", modulus: Uint8Array.of(0xc1, 1), exponent: Uint8Array.of(1, 0, 1) }
  assert.equal(read(rsaSpki(integer(0xc101), integer(65537))), { ...key, oaep: false })
  for (const algorithm of [seq(OAEP), seq(OAEP, NULL), seq(OAEP, seq())])
    assert.equal(read(rsaSpki(integer(0xc101), integer(65537), algorithm)), { ...key, oaep: true })
})

test("reads a key on each curve, its point in whatever form", () => {
  for (const curve of ["P-256", "P-384", "P-521"] as const) {
    const key = read(ecKeys(curve).spki)
    assert.ok(key.kind === "ec" && key.curve === curve && key.point[0] === 4)
    assert.is(publicKeyText(key), curve)
  }
  assert.equal(read(ecSpki(P256, Uint8Array.of(0))), { kind: "ec", curve: "P-256", point: Uint8Array.of(0) })
})

test("reads an Ed25519 key, and what it is called", () => {
  const { spki } = ed25519Keys()
  const key = read(spki)
  assert.equal(key, { kind: "ed25519", key: spki.subarray(-32) })
  assert.is(publicKeyText(key), "Ed25519")
})

const kinds: readonly [name: string, spki: Uint8Array, kind: SubjectPublicKey["kind"], text: string][] = [
  [
    "X-09 a curve that is spelled out",
    ecSpki(seq(integer(1)), POINT),
    "ec-parameters",
    "a curve that is spelled out",
  ],
  ["X-09 the curve of the issuer", ecSpki(NULL, POINT), "ec-parameters", "no named curve"],
  ["X-09 no curve", ecSpki(new Uint8Array(), POINT), "ec-parameters", "no named curve"],
  ["X-10 another curve", ecSpki(oid("1.3.132.0.10"), POINT), "weak", "curve 1.3.132.0.10"],
  ["X-10 DSA", seq(seq(oid("1.2.840.10040.4.1"), NULL), bitString(integer(4))), "weak", "DSA"],
  ["X-10 another algorithm", seq(seq(oid("1.2.3")), bitString(POINT)), "unsupported", "1.2.3"],
]
for (const [name, spki, kind, text] of kinds)
  test(`tells ${name}`, () => {
    const key = read(spki)
    assert.is(key.kind, kind)
    assert.is(publicKeyText(key), text)
  })

const malformed: readonly [name: string, spki: Uint8Array, code: Code][] = [
  [
    "an RSA key without its NULL",
    rsaSpki(integer(5), integer(3), seq(oid("1.2.840.113549.1.1.1"))),
    "CERTIFICATE",
  ],
  [
    "X-14 something behind the NULL of an RSA key",
    rsaSpki(integer(5), integer(3), seq(oid("1.2.840.113549.1.1.1"), NULL, NULL)),
    "CERTIFICATE",
  ],
  ["X-14 something behind an RSA key", seq(RSA, bitString(seq(integer(5), integer(3))), NULL), "CERTIFICATE"],
  [
    "X-14 something behind an OAEP key",
    seq(seq(OAEP), bitString(seq(integer(5), integer(3))), NULL),
    "CERTIFICATE",
  ],
  [
    "X-14 a number behind those of an RSA key",
    seq(RSA, bitString(seq(integer(5), integer(3), integer(1)))),
    "CERTIFICATE",
  ],
  [
    "X-14 bytes behind the sequence of an RSA key",
    seq(RSA, bitString(Uint8Array.of(...seq(integer(5), integer(3)), 0))),
    "TRAILING",
  ],
  ["an RSA key without an exponent", seq(RSA, bitString(seq(integer(5)))), "CERTIFICATE"],
  ["an RSA key that is no sequence", seq(RSA, bitString(integer(5))), "CERTIFICATE"],
  ["X-11 a modulus with a zero before it", rsaSpki(tlv(2, Uint8Array.of(0, 5)), integer(3)), "DER"],
  ["X-11 an exponent with a zero before it", rsaSpki(integer(5), tlv(2, Uint8Array.of(0, 3))), "DER"],
  ["X-11 an RSA key in BER", seq(RSA, bitString(Uint8Array.of(0x30, 0x80, 2, 1, 5, 2, 1, 3, 0, 0))), "DER"],
  [
    "an RSA key of no whole octets",
    seq(RSA, bitString(Uint8Array.of(...seq(integer(5), integer(3)).slice(0, -1), 2), 1)),
    "CERTIFICATE",
  ],
  [
    "X-14 something behind the curve",
    seq(seq(oid("1.2.840.10045.2.1"), P256, NULL), bitString(POINT)),
    "CERTIFICATE",
  ],
  [
    "X-14 something behind a point",
    seq(seq(oid("1.2.840.10045.2.1"), P256), bitString(POINT), NULL),
    "CERTIFICATE",
  ],
  [
    "a point of no whole octets",
    seq(seq(oid("1.2.840.10045.2.1"), P256), bitString(POINT.with(64, 0), 3)),
    "CERTIFICATE",
  ],
  ["parameters of Ed25519", seq(seq(oid("1.3.101.112"), NULL), bitString(new Uint8Array(32))), "CERTIFICATE"],
  ["X-14 something behind an Ed25519 key", seq(ED25519, bitString(new Uint8Array(32)), NULL), "CERTIFICATE"],
  ["no algorithm", seq(bitString(POINT)), "CERTIFICATE"],
]
for (const [name, spki, code] of malformed)
  test(`refuses ${name}`, () => void throwsCode(() => read(spki), code))

test("makes negative numbers into none", () => {
  const key = read(rsaSpki(tlv(2, Uint8Array.of(0x80)), tlv(2, Uint8Array.of(0xff))))
  assert.equal(key, { kind: "rsa", modulus: new Uint8Array(), exponent: new Uint8Array(), oaep: false })
})

test("counts the bits of a number", () => {
  for (const [octets, bits] of [
    [[], 0],
    [[1], 1],
    [[0x80], 8],
    [[1, 0], 9],
    [[0xff, 0xff], 16],
  ] as const)
    assert.is(bitLength(Uint8Array.from(octets)), bits)
})

test.run()
