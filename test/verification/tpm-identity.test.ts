import { suite } from "uvu"
import * as assert from "uvu/assert"
import { utf8 } from "../../src/bytes.ts"
import { type Case, caseOf, LEAF, type Refused, refusesEach, verifyCase } from "../support/chain.ts"
import {
  AK_EXTENSIONS,
  boolean,
  directoryName,
  dns,
  EK_EXTENSIONS,
  extension,
  integer,
  makeChain,
  name,
  oid,
  seq,
  set,
  subjectAltName,
  tlv,
  tpmName,
  uri,
  withExtensions,
  withoutExtensions,
} from "../support/x509.ts"

const test = suite("tpmIdentityOf")

const MANUFACTURER = "2.23.133.2.1"
const MODEL = "2.23.133.2.2"
const VERSION = "2.23.133.2.3"
const GOOD = { [MANUFACTURER]: "id:49465800", [MODEL]: "SLB 9670", [VERSION]: "id:00070055" }
const SAN = "2.5.29.17"

/** An endorsement key with this alternative name; without one, with none. */
const ekWith = (altName: Uint8Array | undefined): Case =>
  caseOf(
    makeChain("ek", {
      leaf: {
        extensions:
          altName === undefined
            ? withoutExtensions(EK_EXTENSIONS, SAN)
            : withExtensions(EK_EXTENSIONS, altName),
      },
    }),
    { purpose: "ek" },
  )
/** With these attributes in place of the good ones. */
const attributes = (changed: Readonly<Record<string, string>>): Case =>
  ekWith(tpmName({ ...GOOD, ...changed }))
const without = (type: string): Case =>
  ekWith(tpmName(Object.fromEntries(Object.entries(GOOD).filter(([other]) => other !== type))))
const attribute = (type: string, value: Uint8Array): Uint8Array => set(seq(oid(type), value))

const refused: readonly [name: string, of: () => Case][] = [
  ["no alternative name", () => ekWith(undefined)],
  ["no manufacturer", () => without(MANUFACTURER)],
  ["no model", () => without(MODEL)],
  ["no version", () => without(VERSION)],
  ["a DNS name in place of a directory name", () => ekWith(subjectAltName([dns("tpm.example.com")]))],
  ["the attributes as URIs", () => ekWith(subjectAltName([uri("2.23.133.2.1=id:49465800")]))],
  [
    "two directory names with all attributes",
    () => ekWith(subjectAltName([directoryName(name(GOOD)), directoryName(name(GOOD))])),
  ],
  [
    "two manufacturers in two directory names",
    () =>
      ekWith(
        subjectAltName([directoryName(name(GOOD)), directoryName(name({ [MANUFACTURER]: "id:53544D20" }))]),
      ),
  ],
  [
    "two versions in one directory name",
    () =>
      ekWith(
        subjectAltName([
          directoryName(
            seq(
              ...Object.entries(GOOD).map(([type, text]) => attribute(type, tlv(0x0c, utf8(text)))),
              attribute(VERSION, tlv(0x0c, utf8("id:00070056"))),
            ),
          ),
        ]),
      ),
  ],
  ["a manufacturer without id:", () => attributes({ [MANUFACTURER]: "49465800" })],
  ["a manufacturer of seven digits", () => attributes({ [MANUFACTURER]: "id:4946580" })],
  ["a manufacturer of nine digits", () => attributes({ [MANUFACTURER]: "id:494658000" })],
  ["a manufacturer by its name", () => attributes({ [MANUFACTURER]: "IFX" })],
  ["a manufacturer with a line behind it", () => attributes({ [MANUFACTURER]: "id:49465800\n" })],
  ["a manufacturer with something before it", () => attributes({ [MANUFACTURER]: "xid:49465800" })],
  [
    "a manufacturer of letters that look like digits",
    () => attributes({ [MANUFACTURER]: "id:4946580\u0660" }),
  ],
  ["an empty manufacturer", () => attributes({ [MANUFACTURER]: "" })],
  ["an empty model", () => attributes({ [MODEL]: "" })],
  ["a model of 256 letters", () => attributes({ [MODEL]: "m".repeat(256) })],
  ["a version without id:", () => attributes({ [VERSION]: "7.85" })],
  ["a version without digits", () => attributes({ [VERSION]: "id:" })],
  ["a version of 17 digits", () => attributes({ [VERSION]: `id:${"0".repeat(17)}` })],
  ["a version with a space behind it", () => attributes({ [VERSION]: "id:00070055 " })],
  [
    "a version that is a number",
    () =>
      ekWith(
        subjectAltName([
          directoryName(
            seq(
              attribute(MANUFACTURER, tlv(0x0c, utf8("id:49465800"))),
              attribute(MODEL, tlv(0x0c, utf8("SLB 9670"))),
              attribute(VERSION, integer(70055)),
            ),
          ),
        ]),
      ),
  ],
]
refusesEach(
  test,
  refused.map(([what, of]): Refused => [`X-06 an EK that has ${what}`, of, "NAME", LEAF]),
)
refusesEach(test, [
  [
    "X-06 an AK without an alternative name",
    () => caseOf(makeChain("ak", { leaf: { extensions: withoutExtensions(AK_EXTENSIONS, SAN) } })),
    "NAME",
    LEAF,
  ],
])

test("accepts the attributes whether or not the name is critical, in one name or several, of any string type", () => {
  const list = Object.entries(GOOD)
  const several = list.map(([type, text]) => directoryName(name({ [type]: text })))
  const printable = directoryName(seq(...list.map(([type, text]) => attribute(type, tlv(0x13, utf8(text))))))
  for (const altName of [
    subjectAltName([directoryName(name(GOOD))], false),
    subjectAltName([directoryName(name(GOOD))], true),
    subjectAltName(several),
    subjectAltName([dns("tpm.example.com"), printable]),
    subjectAltName([directoryName(name({ ...GOOD, "2.5.4.3": "TPM" }))]),
  ])
    assert.is(verifyCase(ekWith(altName)).tpm?.model, "SLB 9670")
})

test("tells manufacturer, model and version as they are written, and the vendor that they mean", () => {
  const { tpm } = verifyCase(
    attributes({ [MANUFACTURER]: "id:53544D20", [MODEL]: "ST33", [VERSION]: "id:4A" }),
  )
  assert.equal(tpm, {
    manufacturer: "id:53544D20",
    vendor: "STM",
    model: "ST33",
    version: "id:4A",
    specification: undefined,
    securityAssertions: undefined,
  })
  assert.is(verifyCase(attributes({ [MANUFACTURER]: "id:00000000" })).tpm?.vendor, undefined)
})

test("tells the specification and the maker's assertions", () => {
  const specification = seq(oid("2.23.133.2.16"), set(seq(tlv(0x0c, utf8("2.0")), integer(0), integer(138))))
  const assertions = seq(
    oid("2.23.133.2.18"),
    set(seq(integer(1), boolean(true), tlv(0x80, Uint8Array.of(1)), tlv(0x81, Uint8Array.of(0)))),
  )
  const { tpm } = verifyCase(
    caseOf(
      makeChain("ek", {
        leaf: { extensions: [...EK_EXTENSIONS, extension("2.5.29.9", seq(specification, assertions))] },
      }),
      { purpose: "ek" },
    ),
  )
  assert.equal(tpm?.specification, { family: "2.0", level: 0, revision: 138 })
  assert.equal(tpm?.securityAssertions, { version: 1, fieldUpgradable: true, ekGenerationType: "injected" })
})

test.run()
