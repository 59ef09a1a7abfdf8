import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, utf8 } from "../../../src/bytes.ts"
import type { Code } from "../../../src/errors.ts"
import { parseCertificate } from "../../../src/evidence/x509/certificate.ts"
import { DerReader } from "../../../src/evidence/x509/der-reader.ts"
import { readExtensions } from "../../../src/evidence/x509/extensions.ts"
import { readGceInstance } from "../../../src/evidence/x509/gce-instance.ts"
import { throwsCode } from "../../support/assert.ts"
import { instanceExtension, instanceValue, text } from "../../support/instances.ts"
import { needs, vector } from "../../support/vectors.ts"
import { boolean, extension, integer, NULL, octets, seq, tlv } from "../../support/x509.ts"

const test = suite("readGceInstance")
const check = needs("vectors", test)

const read = (value: Uint8Array) => readGceInstance(new DerReader(value, "test"))
const VM = { provider: "gce", project: "presses", zone: "europe-west3-a", id: "8001", name: "vm-12" } as const

test("reads which machine a key is for", () => {
  assert.equal(read(instanceValue()), VM)
  const far = instanceValue({ id: 2n ** 64n - 1n, project: "example.com:presses" })
  assert.equal(read(far), { ...VM, id: "18446744073709551615", project: "example.com:presses" })
})

test("reads no machine out of what is not of production", () => {
  assert.is(read(instanceValue({ production: false })), undefined)
  assert.is(read(instanceValue({ production: undefined })), undefined)
  assert.is(read(seq(...FIVE, tlv(0xa0, seq()))), undefined)
})

const GENUINE = ["ecc_enc", "ecc_sign", "rsa_enc", "rsa_sign"]
for (const path of GENUINE.map((key) => `ek-certs/gce/uca_tpm_${key}_cert.pem`))
  check(`reads the machine of a genuine certificate, ${path}`, () => {
    const [, body = ""] =
      /-----BEGIN CERTIFICATE-----([^-]*)/.exec(Buffer.from(vector(path)).toString()) ?? []
    const { extensions } = parseCertificate(new Uint8Array(Buffer.from(body, "base64")))
    assert.equal(extensions.instance, {
      provider: "gce",
      project: "google.com:wuale-gcp-testing",
      zone: "us-central1-a",
      id: "5780156274199835632",
      name: "cs-debug",
    })
  })

const FIVE = [text("z"), integer(1), text("p"), integer(2), text("n")] as const
const [ZONE, NUMBER, PROJECT, ID, NAME] = FIVE
const properties = (...fields: readonly Uint8Array[]): Uint8Array => seq(...FIVE, tlv(0xa0, seq(...fields)))
const PRODUCTION = tlv(0xa1, boolean(true))

const malformed: readonly (readonly [name: string, value: Uint8Array, code: Code])[] = [
  ["something else than a SEQUENCE", octets(instanceValue()), "CERTIFICATE"],
  ["nothing", seq(), "CERTIFICATE"],
  ["a machine without a name", seq(ZONE, NUMBER, PROJECT, ID), "CERTIFICATE"],
  ["fields in another order", seq(NUMBER, ZONE, PROJECT, ID, NAME), "CERTIFICATE"],
  ["X-14 something behind", seq(...FIVE, tlv(0xa0, seq(PRODUCTION)), NULL), "CERTIFICATE"],
  ["X-14 a second machine behind", seq(...FIVE, ...FIVE), "CERTIFICATE"],
  ["a name of another type", seq(ZONE, NUMBER, PROJECT, ID, tlv(0x13, utf8("n"))), "CERTIFICATE"],
  ["an empty name", seq(ZONE, NUMBER, PROJECT, ID, text("")), "CERTIFICATE"],
  ["a name of 256 characters", seq(ZONE, NUMBER, PROJECT, ID, text("n".repeat(256))), "CERTIFICATE"],
  ["a name with a zero in it", seq(ZONE, NUMBER, PROJECT, ID, text("vm-12\0")), "CERTIFICATE"],
  ["a name with a space", seq(ZONE, NUMBER, PROJECT, ID, text("vm 12")), "CERTIFICATE"],
  ["a name that looks like another", seq(ZONE, NUMBER, PROJECT, ID, text("vm-1\u{ff12}")), "CERTIFICATE"],
  ["a name that is no UTF-8", seq(ZONE, NUMBER, PROJECT, ID, tlv(0x0c, Uint8Array.of(0xff))), "CERTIFICATE"],
  ["a project with a line's end", seq(ZONE, NUMBER, text("p\n"), ID, NAME), "CERTIFICATE"],
  ["a zone of nothing", seq(text(""), NUMBER, PROJECT, ID, NAME), "CERTIFICATE"],
  ["a negative id", seq(ZONE, NUMBER, PROJECT, tlv(0x02, Uint8Array.of(0xff)), NAME), "CERTIFICATE"],
  ["an id of 65 bits", seq(ZONE, NUMBER, PROJECT, integer(2n ** 64n), NAME), "CERTIFICATE"],
  ["an id of many bytes", seq(ZONE, NUMBER, PROJECT, integer(2n ** 800n), NAME), "CERTIFICATE"],
  ["X-11 a longer id than it needs", seq(ZONE, NUMBER, PROJECT, tlv(0x02, Uint8Array.of(0, 1)), NAME), "DER"],
  ["a negative project", seq(ZONE, tlv(0x02, Uint8Array.of(0x80)), PROJECT, ID, NAME), "CERTIFICATE"],
  ["properties of another type", seq(...FIVE, tlv(0xa0, octets(PRODUCTION))), "CERTIFICATE"],
  ["X-14 properties twice", seq(...FIVE, tlv(0xa0, seq(PRODUCTION), seq())), "CERTIFICATE"],
  ["X-11 a production that is neither", properties(tlv(0xa1, tlv(0x01, Uint8Array.of(1)))), "DER"],
  ["X-14 a production of two", properties(tlv(0xa1, boolean(false), boolean(true))), "CERTIFICATE"],
  ["X-14 production before the version", properties(PRODUCTION, tlv(0xa0, integer(0))), "CERTIFICATE"],
  ["X-14 a version of two", properties(tlv(0xa0, integer(0), integer(0)), PRODUCTION), "CERTIFICATE"],
  ["X-14 a production twice", properties(PRODUCTION, PRODUCTION), "CERTIFICATE"],
]
for (const [name, value, code] of malformed)
  test(`refuses ${name}`, () => {
    throwsCode(() => read(value), code)
  })

const readAll = (...list: readonly Uint8Array[]) =>
  readExtensions(new DerReader(seq(...list), "test").sequence("extensions"), new Set(), new Set())

test("reads it as an extension that is never critical, and comes once", () => {
  const { extensions, unknownCritical } = readAll(instanceExtension())
  assert.equal([extensions.instance, unknownCritical], [VM, []])
  const id = "1.3.6.1.4.1.11129.2.1.21"
  assert.equal(readAll(extension(id, instanceValue(), true)).unknownCritical, [id])
  throwsCode(() => readAll(instanceExtension(), instanceExtension()), "DUP_EXT")
  throwsCode(() => readAll(extension(id, concat(instanceValue(), NULL))), "TRAILING")
})

test.run()
