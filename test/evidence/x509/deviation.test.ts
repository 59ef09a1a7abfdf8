import { suite } from "uvu"
import * as assert from "uvu/assert"
import { utf8 } from "../../../src/bytes.ts"
import { type Certificate, parseCertificate } from "../../../src/evidence/x509/certificate.ts"
import type { Deviation } from "../../../src/evidence/x509/der.ts"
import { TOLERATED_OF } from "../../../src/evidence/x509/deviation.ts"
import { throwsCode } from "../../support/assert.ts"
import { caseOf, verifyCase } from "../../support/chain.ts"
import {
  AK_EXTENSIONS,
  type CertificateParts,
  caExtensions,
  extension,
  makeChain,
  NULL,
  name,
  oid,
  seq,
  tlv,
  withExtensions,
} from "../../support/x509.ts"

const test = suite("checkDeviations")

const attribute = (type: string, text: string): Uint8Array => seq(oid(type), tlv(0x0c, utf8(text)))
/** A subject of one relative name whose attributes are out of order. */
const unsorted = seq(tlv(0x31, attribute("2.5.4.10", "b"), attribute("2.5.4.3", "a")))
const paddedUsage = extension("2.5.29.15", tlv(3, Uint8Array.of(0, 0x80)), true)
const ECDSA_NULL = seq(oid("1.2.840.10045.4.3.2"), NULL)

const leaves: Readonly<Record<string, Partial<CertificateParts>>> = {
  "set-order": { subject: unsorted },
  "named-bits": { extensions: withExtensions(AK_EXTENSIONS, paddedUsage) },
  "null-parameters": { innerAlgorithm: ECDSA_NULL, outerAlgorithm: ECDSA_NULL },
}

const issuerOf = (organization: string, type = "2.5.4.10"): Uint8Array =>
  name({ [type]: organization, "2.5.4.3": "CA" })
/** A leaf that departs in some way, of some issuer, in a chain that holds. */
const chainOf = (deviation: string, issuer: Uint8Array): ReturnType<typeof makeChain> =>
  makeChain("ak", {
    intermediate: { subject: issuer, extensions: caExtensions() },
    leaf: { issuer, ...leaves[deviation] },
  })
const parse = (deviation: string, issuer: Uint8Array): Certificate =>
  parseCertificate(chainOf(deviation, issuer).leaf)

const makers: readonly [deviation: Deviation, organizations: readonly string[]][] = [
  ["set-order", ["Nuvoton Technology Corporation", "STMicroelectronics NV"]],
  ["named-bits", ["Infineon Technologies AG"]],
  ["null-parameters", ["Intel Corporation"]],
]
test("is the list that this file tests", () => {
  assert.equal(TOLERATED_OF, Object.fromEntries(makers))
})

for (const [deviation, organizations] of makers) {
  for (const organization of organizations)
    test(`accepts ${deviation} of ${organization}, and says so`, () => {
      const path = verifyCase(caseOf(chainOf(deviation, issuerOf(organization))))
      assert.equal(path.deviations, [deviation])
    })
  const others = makers.flatMap(([other, list]) => (other === deviation ? [] : list))
  for (const organization of [...others, "", "Somebody"])
    test(`refuses X-11 ${deviation} of "${organization}"`, () => {
      throwsCode(() => parse(deviation, issuerOf(organization)), "DER")
    })
  const [maker = ""] = organizations
  const lookAlikes: readonly [name: string, issuer: Uint8Array][] = [
    ["a longer name", issuerOf(`${maker}.`)],
    ["the name in other letters", issuerOf(maker.toUpperCase())],
    ["another attribute", issuerOf(maker, "2.5.4.11")],
    ["the first word", issuerOf(maker.split(" ")[0] ?? "")],
    ["no name", seq()],
  ]
  for (const [what, issuer] of lookAlikes)
    test(`refuses X-11 ${deviation} of an issuer that is not ${maker}, by ${what}`, () => {
      throwsCode(() => parse(deviation, issuer), "DER")
    })
  test(`refuses X-11 ${deviation} of a subject that is ${maker} and an issuer that is not`, () => {
    const subject =
      deviation === "set-order"
        ? seq(tlv(0x31, attribute("2.5.4.10", maker), attribute("2.5.4.3", "a")))
        : issuerOf(maker)
    throwsCode(
      () => parseCertificate(makeChain("ak", { leaf: { ...leaves[deviation], subject } }).leaf),
      "DER",
    )
  })
}

test("refuses X-11 an issuer that says of itself whom it may be, without a chain that proves it", () => {
  const { leaf, root } = chainOf("named-bits", issuerOf("Infineon Technologies AG"))
  throwsCode(
    () =>
      verifyCase({
        ...caseOf(chainOf("named-bits", issuerOf("Infineon Technologies AG"))),
        leaf,
        shown: [root],
      }),
    "UNTRUSTED_ROOT",
  )
})

test("tells no expiry of anybody", () => {
  const validity = seq(tlv(0x17, utf8("200101000000Z")), tlv(0x18, utf8("99991231235959Z")))
  assert.equal(verifyCase(caseOf(makeChain("ak", { leaf: { validity } }))).deviations, ["no-expiry"])
  const almost = seq(tlv(0x17, utf8("200101000000Z")), tlv(0x18, utf8("99991231235958Z")))
  assert.equal(verifyCase(caseOf(makeChain("ak", { leaf: { validity: almost } }))).deviations, [])
})

test.run()
