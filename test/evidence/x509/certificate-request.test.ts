import { createPublicKey, verify } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat } from "../../../src/bytes.ts"
import { createSoftwareKey, requestOf } from "../../../src/device/software-key.ts"
import type { Code } from "../../../src/errors.ts"
import { CSR_BYTES_MAX, parseCertificateRequest } from "../../../src/evidence/x509/certificate-request.ts"
import { nameText } from "../../../src/evidence/x509/name.ts"
import { survivesAnything } from "../../fixtures/evidence/hostile.ts"
import { throwsCode } from "../../support/assert.ts"
import { makeRequest, NO_ATTRIBUTES, type RequestParts } from "../../support/csr.ts"
import { ownKeys } from "../../support/rsa.ts"
import {
  bitString,
  cn,
  dns,
  ECDSA_SHA256,
  integer,
  LEAF_KEYS,
  NULL,
  octets,
  oid,
  seq,
  set,
  subjectAltName,
  tlv,
} from "../../support/x509.ts"

const request = (changed: Partial<RequestParts> = {}): Uint8Array => makeRequest(LEAF_KEYS, changed)

const INFO = seq(integer(0), seq(), LEAF_KEYS.spki, NO_ATTRIBUTES)
const EXTENSION_REQUEST = "1.2.840.113549.1.9.14"
const attribute = (type: string, ...values: readonly Uint8Array[]): Uint8Array =>
  seq(oid(type), set(...values))

const test = suite("parseCertificateRequest")

test("reads what a request says", () => {
  const extensions = attribute(EXTENSION_REQUEST, seq(subjectAltName([dns("gate.example")])))
  const bytes = request({ subject: cn("gate-7"), attributes: tlv(0xa0, extensions) })
  const csr = parseCertificateRequest(bytes)
  assert.is(nameText(csr.subject), "CN=gate-7")
  assert.equal(csr.spki, LEAF_KEYS.spki)
  assert.equal(csr.attributes, [EXTENSION_REQUEST])
  assert.equal(csr.signatureAlgorithm, { kind: "ecdsa", hash: "sha256" })
  assert.ok(verify("sha256", csr.tbs, createPublicKey(LEAF_KEYS.privateKey), csr.signature))
})

for (const algorithm of ["p256", "p384", "p521", "rsa-2048", "rsa-3072"] as const)
  test(`reads what devices write, ${algorithm}`, () => {
    const key = createSoftwareKey({ algorithm, keys: ownKeys(algorithm) })
    const csr = parseCertificateRequest(requestOf(key))
    assert.equal(csr.spki, key.spki)
    assert.is(csr.subject.key, "")
    assert.equal(csr.attributes, [])
  })

const refused: readonly [name: string, bytes: Uint8Array, code: Code][] = [
  ["nothing", new Uint8Array(), "DER"],
  ["a certificate's version", request({ version: integer(1) }), "CSR"],
  ["a request without a version", request({ version: new Uint8Array() }), "CSR"],
  ["a version in two octets", request({ version: tlv(0x02, Uint8Array.of(0, 0)) }), "DER"],
  ["a request without a subject", request({ subject: new Uint8Array() }), "CSR"],
  ["a subject that is a set", request({ subject: set() }), "CSR"],
  ["a request without a key", request({ spki: new Uint8Array() }), "CSR"],
  ["attributes that are left out", request({ attributes: new Uint8Array() }), "CSR"],
  ["attributes that are a set", request({ attributes: set() }), "CSR"],
  ["an attribute without values", request({ attributes: tlv(0xa0, seq(oid("1.2.3"))) }), "CSR"],
  ["an attribute that is none", request({ attributes: tlv(0xa0, oid("1.2.3")) }), "CSR"],
  [
    "an attribute with more than values",
    request({ attributes: tlv(0xa0, seq(oid("1.2.3"), set(), NULL)) }),
    "CSR",
  ],
  ["an element behind the attributes", request({ more: NULL }), "TRAILING"],
  ["an element behind the signature", request({ after: NULL }), "TRAILING"],
  ["bytes behind the request", concat(request(), Uint8Array.of(0)), "TRAILING"],
  ["ECDSA with a NULL for parameters", request({ algorithm: seq(oid("1.2.840.10045.4.3.2"), NULL) }), "CSR"],
  ["a signature that is no bit string", seq(INFO, ECDSA_SHA256, octets(Uint8Array.of(0, 1))), "CSR"],
  ["an algorithm that is none", request({ algorithm: oid("1.2.840.10045.4.3.2") }), "CSR"],
  ["X-11 a length in more octets than it needs", longLength(request()), "DER"],
  ["a signature with unused bits", seq(INFO, ECDSA_SHA256, bitString(Uint8Array.of(0), 3)), "CSR"],
  ["more bytes than a request has", request({ subject: cn("x".repeat(CSR_BYTES_MAX)) }), "LENGTH"],
  ["X-16 levels without an end", request({ attributes: nested(40) }), "DEPTH"],
]
for (const [name, bytes, code] of refused)
  test(`refuses ${name}`, () => void throwsCode(() => parseCertificateRequest(bytes), code))

function longLength(bytes: Uint8Array): Uint8Array {
  const [tag = 0, first = 0, ...rest] = bytes
  return first < 0x80 ? Uint8Array.of(tag, 0x81, first, ...rest) : Uint8Array.of(tag, first + 1, 0, ...rest)
}

function nested(levels: number): Uint8Array {
  let inner = tlv(0xa0)
  for (let i = 0; i < levels; i++) inner = tlv(0xa0, inner)
  return inner
}

test("refuses every proper prefix with a coded error", () => {
  const whole = request()
  for (let size = 0; size < whole.length; size++)
    throwsCode(() => parseCertificateRequest(whole.subarray(0, size)), ["DER", "CSR", "TRAILING"])
})

test("reads or refuses whatever it is given, and throws nothing else", () => {
  survivesAnything(parseCertificateRequest, [
    request(),
    requestOf(createSoftwareKey({ algorithm: "rsa-2048", keys: ownKeys("rsa-2048") })),
  ])
})

test("says where the fault is", () => {
  const { location } = throwsCode(() => parseCertificateRequest(request({ version: integer(1) })), "CSR")
  assert.match(location ?? "", /^CSR\.certificationRequestInfo\.fields\.version at byte \d+$/)
})

test.run()
