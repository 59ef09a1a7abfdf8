import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { Code } from "../../../src/errors.ts"
import {
  algorithmText,
  readSignatureAlgorithm,
  type SignatureAlgorithm,
} from "../../../src/evidence/x509/algorithm.ts"
import type { Deviation } from "../../../src/evidence/x509/der.ts"
import { DerReader } from "../../../src/evidence/x509/der-reader.ts"
import { throwsCode } from "../../support/assert.ts"
import {
  hashAlgorithm,
  integer,
  mgf1,
  NULL,
  oid,
  pssAlgorithm,
  pssParameters,
  seq,
  tlv,
} from "../../support/x509.ts"

const test = suite("readSignatureAlgorithm")

const read = (encoded: Uint8Array, deviations = new Set<Deviation>()): SignatureAlgorithm =>
  readSignatureAlgorithm(new DerReader(encoded, "test").sequence("algorithm"), deviations)

const RSA = "1.2.840.113549.1.1"
const ECDSA = "1.2.840.10045.4.3"
const known: readonly [id: string, text: string, parameters: readonly Uint8Array[]][] = [
  [`${RSA}.11`, "rsassa-sha256", [NULL]],
  [`${RSA}.12`, "rsassa-sha384", [NULL]],
  [`${RSA}.13`, "rsassa-sha512", []],
  [`${ECDSA}.2`, "ecdsa-sha256", []],
  [`${ECDSA}.3`, "ecdsa-sha384", []],
  [`${ECDSA}.4`, "ecdsa-sha512", []],
  ["1.3.101.112", "ed25519", []],
]
for (const [id, text, parameters] of known)
  test(`reads ${text}`, () => {
    const deviations = new Set<Deviation>()
    assert.is(algorithmText(read(seq(oid(id), ...parameters), deviations)), text)
    assert.is(deviations.size, 0)
  })

test("notes a NULL for parameters of ECDSA", () => {
  const deviations = new Set<Deviation>()
  assert.is(read(seq(oid(`${ECDSA}.3`), NULL), deviations).kind, "ecdsa")
  assert.equal([...deviations], ["null-parameters"])
})

const weak: readonly string[] = [
  `${RSA}.2`,
  `${RSA}.4`,
  `${RSA}.5`,
  `${RSA}.14`,
  "1.3.14.3.2.29",
  "1.2.840.10045.4.1",
  `${ECDSA}.1`,
  "1.2.840.10040.4.3",
  "2.16.840.1.101.3.4.3.1",
  "2.16.840.1.101.3.4.3.2",
]
for (const id of weak)
  test(`knows X-10 ${id} for weak`, () => assert.is(read(seq(oid(id), NULL)).kind, "weak"))

test("does not know anything else", () => {
  for (const id of ["1.2.3", `${RSA}.1`, "1.3.101.113", `${RSA}.11.1`])
    assert.equal(read(seq(oid(id))), { kind: "unsupported", text: id })
})

const sha256 = hashAlgorithm("2.16.840.1.101.3.4.2.1")
const sha1 = hashAlgorithm("1.3.14.3.2.26")
const [hashPart = NULL, maskPart = NULL, saltPart = NULL] = pssParameters("sha256", 32)

test("reads PSS with one hash for both, with or without its NULL, and any salt", () => {
  for (const hash of ["sha256", "sha384", "sha512"] as const)
    assert.equal(read(pssAlgorithm(...pssParameters(hash, 32))), { kind: "rsapss", hash, saltLength: 32 })
  assert.equal(read(pssAlgorithm(hashPart, maskPart)), { kind: "rsapss", hash: "sha256", saltLength: 20 })
  const bare = seq(oid("2.16.840.1.101.3.4.2.1"))
  assert.is(read(pssAlgorithm(tlv(0xa0, bare), tlv(0xa1, mgf1(sha256)), saltPart)).kind, "rsapss")
  assert.equal(read(pssAlgorithm(hashPart, maskPart, tlv(0xa2, integer(512)))), {
    kind: "rsapss",
    hash: "sha256",
    saltLength: 512,
  })
})

const kinds: readonly [name: string, encoded: Uint8Array, kind: SignatureAlgorithm["kind"]][] = [
  ["X-10 PSS without parameters", seq(oid(`${RSA}.10`)), "weak"],
  ["X-10 PSS with empty parameters", pssAlgorithm(), "weak"],
  ["X-10 PSS with SHA-1 spelled out", pssAlgorithm(tlv(0xa0, sha1), maskPart), "weak"],
  ["X-10 PSS with SHA-224", pssAlgorithm(tlv(0xa0, hashAlgorithm("2.16.840.1.101.3.4.2.4"))), "weak"],
  ["X-10 PSS with a hash by default", pssAlgorithm(maskPart, saltPart), "weak"],
  ["X-10 PSS with a mask by default", pssAlgorithm(hashPart, saltPart), "unsupported"],
  ["X-10 PSS with SHA-1 in its mask", pssAlgorithm(hashPart, tlv(0xa1, mgf1(sha1)), saltPart), "unsupported"],
  [
    "X-10 PSS with another mask than MGF1",
    pssAlgorithm(hashPart, tlv(0xa1, seq(oid("1.2.3"), sha256)), saltPart),
    "unsupported",
  ],
]
for (const [name, encoded, kind] of kinds)
  test(`takes ${name} for ${kind}`, () => assert.is(read(encoded).kind, kind))

const malformed: readonly [name: string, encoded: Uint8Array, code: Code][] = [
  ["parameters of RSA that are not NULL", seq(oid(`${RSA}.11`), seq()), "CERTIFICATE"],
  ["X-14 something behind the parameters of RSA", seq(oid(`${RSA}.11`), NULL, NULL), "CERTIFICATE"],
  ["a NULL for parameters of Ed25519", seq(oid("1.3.101.112"), NULL), "CERTIFICATE"],
  ["a curve for parameters of ECDSA", seq(oid(`${ECDSA}.2`), oid("1.2.840.10045.3.1.7")), "CERTIFICATE"],
  ["no identifier", seq(NULL), "CERTIFICATE"],
  ["parameters of PSS that are NULL", seq(oid(`${RSA}.10`), NULL), "CERTIFICATE"],
  [
    "X-14 something behind the parameters of PSS",
    seq(oid(`${RSA}.10`), seq(hashPart, maskPart), NULL),
    "CERTIFICATE",
  ],
  ["X-14 something behind the hash of PSS", pssAlgorithm(tlv(0xa0, sha256, NULL), maskPart), "CERTIFICATE"],
  [
    "X-14 something behind the mask of PSS",
    pssAlgorithm(hashPart, tlv(0xa1, mgf1(sha256), NULL)),
    "CERTIFICATE",
  ],
  [
    "X-14 something behind the mask's hash",
    pssAlgorithm(hashPart, tlv(0xa1, seq(oid("1.2.840.113549.1.1.8"), sha256, NULL))),
    "CERTIFICATE",
  ],
  [
    "X-14 something behind the salt of PSS",
    pssAlgorithm(hashPart, maskPart, tlv(0xa2, integer(32), NULL)),
    "CERTIFICATE",
  ],
  [
    "X-14 something behind the hash's parameters",
    pssAlgorithm(tlv(0xa0, seq(oid("2.16.840.1.101.3.4.2.1"), NULL, NULL)), maskPart),
    "CERTIFICATE",
  ],
  [
    "parameters of the hash that are not NULL",
    pssAlgorithm(tlv(0xa0, hashAlgorithm("2.16.840.1.101.3.4.2.1", seq())), maskPart),
    "CERTIFICATE",
  ],
  [
    "X-11 the default salt of PSS spelled out",
    pssAlgorithm(hashPart, maskPart, tlv(0xa2, integer(20))),
    "DER",
  ],
  [
    "X-11 the default trailer of PSS spelled out",
    pssAlgorithm(hashPart, maskPart, saltPart, tlv(0xa3, integer(1))),
    "CERTIFICATE",
  ],
  [
    "another trailer of PSS",
    pssAlgorithm(hashPart, maskPart, saltPart, tlv(0xa3, integer(2))),
    "CERTIFICATE",
  ],
  [
    "a negative salt",
    pssAlgorithm(hashPart, maskPart, tlv(0xa2, tlv(2, Uint8Array.of(0xff)))),
    "CERTIFICATE",
  ],
  ["a salt over the limit", pssAlgorithm(hashPart, maskPart, tlv(0xa2, integer(513))), "CERTIFICATE"],
  ["parameters of PSS in another order", pssAlgorithm(maskPart, hashPart), "CERTIFICATE"],
]
for (const [name, encoded, code] of malformed)
  test(`refuses ${name}`, () => void throwsCode(() => read(encoded), code))

test.run()
