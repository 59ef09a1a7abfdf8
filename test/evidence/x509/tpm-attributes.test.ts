import { suite } from "uvu"
import * as assert from "uvu/assert"
import { utf8 } from "../../../src/bytes.ts"
import type { Code } from "../../../src/errors.ts"
import { DerReader } from "../../../src/evidence/x509/der-reader.ts"
import { readTpmAttributes, type TpmAttributes } from "../../../src/evidence/x509/tpm-attributes.ts"
import { throwsCode } from "../../support/assert.ts"
import { boolean, integer, NULL, oid, seq, set, tlv } from "../../support/x509.ts"

const test = suite("readTpmAttributes")

const SPECIFICATION = "2.23.133.2.16"
const ASSERTIONS = "2.23.133.2.18"
const read = (...attributes: readonly Uint8Array[]): TpmAttributes =>
  readTpmAttributes(new DerReader(seq(...attributes), "test"))
const attribute = (type: string, ...values: readonly Uint8Array[]): Uint8Array =>
  seq(oid(type), set(...values))
const family = (text: string): Uint8Array => tlv(0x0c, utf8(text))
const specification = (...fields: readonly Uint8Array[]): Uint8Array =>
  attribute(SPECIFICATION, seq(...fields))
const assertions = (...fields: readonly Uint8Array[]): Uint8Array => attribute(ASSERTIONS, seq(...fields))
const good = specification(family("2.0"), integer(0), integer(138))

test("reads the specification and the assertions, and passes over the rest", () => {
  const all = read(
    attribute("2.23.133.2.23", NULL, NULL),
    good,
    assertions(integer(1), boolean(true), tlv(0x80, Uint8Array.of(0)), tlv(0x81, Uint8Array.of(9)), NULL),
  )
  assert.equal(all.specification, { family: "2.0", level: 0, revision: 138 })
  assert.equal(all.securityAssertions, { version: 1, fieldUpgradable: true, ekGenerationType: "internal" })
})

test("reads what is left out as its default", () => {
  assert.equal(read(), { specification: undefined, securityAssertions: undefined })
  assert.equal(read(assertions()).securityAssertions, {
    version: 0,
    fieldUpgradable: false,
    ekGenerationType: undefined,
  })
})

test("reads how the key came to be", () => {
  const types = [0, 1, 2, 3].map(
    (type) => read(assertions(tlv(0x80, Uint8Array.of(type)))).securityAssertions?.ekGenerationType,
  )
  assert.equal(types, ["internal", "injected", "internal-revocable", "injected-revocable"])
})

const malformed: readonly [name: string, read: () => unknown, code: Code][] = [
  [
    "X-12 two specifications",
    () => read(good, specification(family("1.2"), integer(0), integer(1))),
    "DUP_EXT",
  ],
  ["X-12 the same specification twice", () => read(good, good), "DUP_EXT"],
  ["X-12 two assertions", () => read(assertions(), assertions(boolean(true))), "DUP_EXT"],
  [
    "X-12 an attribute that nobody reads twice",
    () => read(attribute("1.2.3", NULL), attribute("1.2.3", NULL)),
    "DUP_EXT",
  ],
  [
    "X-12 two values of a specification",
    () =>
      read(
        attribute(
          SPECIFICATION,
          seq(family("2.0"), integer(0), integer(1)),
          seq(family("2.0"), integer(0), integer(2)),
        ),
      ),
    "CERTIFICATE",
  ],
  [
    "X-12 two values of the assertions",
    () => read(attribute(ASSERTIONS, seq(), seq(boolean(true)))),
    "CERTIFICATE",
  ],
  ["a specification without a value", () => read(attribute(SPECIFICATION)), "CERTIFICATE"],
  ["a specification without a revision", () => read(specification(family("2.0"), integer(0))), "CERTIFICATE"],
  [
    "X-14 something behind a specification",
    () => read(specification(family("2.0"), integer(0), integer(1), NULL)),
    "CERTIFICATE",
  ],
  [
    "a family that is no UTF8String",
    () => read(specification(tlv(0x13, utf8("2.0")), integer(0), integer(1))),
    "CERTIFICATE",
  ],
  [
    "a level over 32 bits",
    () => read(specification(family("2.0"), integer(2 ** 32), integer(1))),
    "CERTIFICATE",
  ],
  [
    "a negative revision",
    () => read(specification(family("2.0"), integer(0), tlv(2, Uint8Array.of(0xff)))),
    "CERTIFICATE",
  ],
  ["a fifth way to come to be", () => read(assertions(tlv(0x80, Uint8Array.of(4)))), "CERTIFICATE"],
  [
    "X-14 something behind an attribute's values",
    () => read(seq(oid("1.2.3"), set(NULL), NULL)),
    "CERTIFICATE",
  ],
  ["an attribute without values", () => read(seq(oid("1.2.3"))), "CERTIFICATE"],
  ["something else than attributes", () => read(NULL), "CERTIFICATE"],
]
for (const [name, act, code] of malformed) test(`refuses ${name}`, () => void throwsCode(act, code))

test.run()
