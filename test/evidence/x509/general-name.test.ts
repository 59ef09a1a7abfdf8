import { suite } from "uvu"
import * as assert from "uvu/assert"
import { utf8 } from "../../../src/bytes.ts"
import { DerReader } from "../../../src/evidence/x509/der-reader.ts"
import {
  type GeneralName,
  readGeneralName,
  readGeneralNames,
} from "../../../src/evidence/x509/general-name.ts"
import { nameText } from "../../../src/evidence/x509/name.ts"
import { throwsCode } from "../../support/assert.ts"
import {
  cn,
  directoryName,
  dns,
  email,
  integer,
  ip,
  NULL,
  oid,
  otherName,
  seq,
  tlv,
  uri,
} from "../../support/x509.ts"

const test = suite("readGeneralName")

const read = (encoded: Uint8Array): GeneralName => readGeneralName(new DerReader(encoded, "test"))

test("reads a name of each form", () => {
  assert.equal(read(dns("a.b")), { kind: "dns", text: "a.b" })
  assert.equal(read(email("a@b")), { kind: "email", text: "a@b" })
  assert.equal(read(uri("urn:x")), { kind: "uri", text: "urn:x" })
  assert.equal(read(ip(10, 0, 0, 1)), { kind: "ip", octets: Uint8Array.of(10, 0, 0, 1) })
  assert.equal(read(otherName("1.2.3")), { kind: "other", text: "1.2.3" })
  assert.equal(read(tlv(0x88, Uint8Array.of(42, 3))), { kind: "registered", text: "2a03" })
  assert.equal(read(tlv(0xa3, seq())), { kind: "x400", text: "" })
  assert.equal(read(tlv(0xa5, NULL)), { kind: "edi", text: "" })
  const directory = read(directoryName(cn("x")))
  assert.ok(directory.kind === "directory" && nameText(directory.name) === "CN=x")
})

const malformed: readonly [name: string, encoded: Uint8Array][] = [
  ["a form that there is not", tlv(0x89, utf8("x"))],
  ["no form at all", integer(1)],
  ["nothing", new Uint8Array()],
  ["a DNS name with a byte over 7F", tlv(0x82, Uint8Array.of(0x61, 0x80))],
  ["an e-mail address with a byte over 7F", tlv(0x81, utf8("ä@b"))],
  ["a URI with a byte over 7F", tlv(0x86, utf8("http://ä"))],
  ["a constructed DNS name", tlv(0xa2, utf8("x"))],
  ["a directory name without its wrapper", tlv(0xa4, integer(1))],
  ["X-14 a directory name with something behind it", tlv(0xa4, cn("x"), NULL)],
  ["an otherName without a type", tlv(0xa0, tlv(0xa0, NULL))],
  ["an otherName without a value", tlv(0xa0, oid("1.2.3"))],
  ["an otherName with a value that is not wrapped", tlv(0xa0, oid("1.2.3"), NULL)],
  ["X-14 an otherName with something behind it", tlv(0xa0, oid("1.2.3"), tlv(0xa0, NULL), NULL)],
]
for (const [name, encoded] of malformed)
  test(`refuses ${name}`, () => void throwsCode(() => read(encoded), "CERTIFICATE"))

test("reads lists of one and more, and refuses an empty one", () => {
  const list = (...names: readonly Uint8Array[]): GeneralName[] =>
    readGeneralNames(new DerReader(seq(...names), "test").sequence("names"))
  assert.equal(
    list(dns("a"), dns("b")).map(({ kind }) => kind),
    ["dns", "dns"],
  )
  throwsCode(() => list(), "CERTIFICATE")
})

test.run()
