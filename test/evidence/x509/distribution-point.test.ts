import { suite } from "uvu"
import * as assert from "uvu/assert"
import { utf8 } from "../../../src/bytes.ts"
import type { Code } from "../../../src/errors.ts"
import { DerReader } from "../../../src/evidence/x509/der-reader.ts"
import {
  type DistributionPoint,
  readDistributionPoints,
} from "../../../src/evidence/x509/distribution-point.ts"
import { throwsCode } from "../../support/assert.ts"
import { cn, directoryName, NULL, oid, seq, tlv, uri } from "../../support/x509.ts"

const test = suite("readDistributionPoints")

const read = (...points: readonly Uint8Array[]): DistributionPoint[] =>
  readDistributionPoints(new DerReader(seq(...points), "test"))

const fullName = tlv(0xa0, tlv(0xa0, uri("http://a/crl"), uri("ldap://a")))
const attribute = seq(oid("2.5.4.3"), tlv(0x0c, utf8("part")))
const relative = tlv(0xa0, tlv(0xa1, attribute))
const reasons = tlv(0x81, Uint8Array.of(5, 0x60))
const issuer = tlv(0xa2, directoryName(cn("x")))

test("reads full and relative names, reasons, and another issuer", () => {
  const [full, part, other] = read(seq(fullName), seq(relative, reasons), seq(issuer))
  assert.equal(full, {
    point: {
      fullName: [
        { kind: "uri", text: "http://a/crl" },
        { kind: "uri", text: "ldap://a" },
      ],
      relativeKey: undefined,
    },
    reasons: undefined,
    crlIssuer: undefined,
  })
  assert.equal(part?.point, { fullName: undefined, relativeKey: "2.5.4.3=4:part" })
  assert.is(part?.reasons, 0b110)
  assert.is(other?.crlIssuer?.length, 1)
  assert.is(other?.point, undefined)
})

const malformed: readonly [name: string, read: () => unknown, code: Code][] = [
  ["an empty list", () => read(), "CERTIFICATE"],
  ["a point without a name", () => read(seq()), "CERTIFICATE"],
  ["a point with nothing but reasons", () => read(seq(reasons)), "CERTIFICATE"],
  ["a point with an empty name", () => read(seq(tlv(0xa0))), "CERTIFICATE"],
  ["a full name of none", () => read(seq(tlv(0xa0, tlv(0xa0)))), "CERTIFICATE"],
  ["a relative name of none", () => read(seq(tlv(0xa0, tlv(0xa1)))), "CERTIFICATE"],
  [
    "a point with two names",
    () => read(seq(tlv(0xa0, tlv(0xa0, uri("http://a")), tlv(0xa1, attribute)))),
    "CERTIFICATE",
  ],
  ["an issuer of no name", () => read(seq(tlv(0xa2))), "CERTIFICATE"],
  ["X-14 something behind a point", () => read(seq(fullName, NULL)), "CERTIFICATE"],
  ["fields in another order", () => read(seq(reasons, fullName)), "CERTIFICATE"],
  [
    "X-11 reasons with zeros behind them",
    () => read(seq(fullName, tlv(0x81, Uint8Array.of(0, 0x60)))),
    "DER",
  ],
  ["something else than points", () => read(NULL), "CERTIFICATE"],
]
for (const [name, act, code] of malformed) test(`refuses ${name}`, () => void throwsCode(act, code))

test.run()
