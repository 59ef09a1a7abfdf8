import { suite } from "uvu"
import * as assert from "uvu/assert"
import {
  advisoriesFor,
  firmwareOfCertificate,
  firmwareOfQuote,
  parseAdvisories,
  type TpmModel,
  vendorOf,
} from "../../src/verification/advisory.ts"
import { throwsCode } from "../support/assert.ts"

const vendor = suite("vendorOf")

const vendors: readonly [id: string, name: string | undefined][] = [
  ["id:49465800", "IFX"],
  ["id:53544D20", "STM"],
  ["id:53544d20", "STM"],
  ["id:494E5443", "INTC"],
  ["id:414D4400", "AMD"],
  ["id:4E544300", "NTC"],
  ["id:474F4F47", "GOOG"],
  ["id:4D534654", "MSFT"],
  ["id:00001014", undefined],
  ["id:FFFFF1D0", undefined],
  ["id:53544D00", undefined],
  ["id:4946580", undefined],
  ["id:494658000", undefined],
  ["id:49465800\n", undefined],
  ["ID:49465800", undefined],
  ["49465800", undefined],
  ["id: 49465800", undefined],
  ["IFX", undefined],
  ["__proto__", undefined],
  ["", undefined],
]
for (const [id, name] of vendors)
  vendor(`gives ${name ?? "no name"} for ${JSON.stringify(id)}`, () => {
    assert.is(vendorOf(id), name)
  })

vendor.run()

const firmware = suite("firmwareOfCertificate")

/** As TPMS_ATTEST states it, of four numbers of 16 bits. */
const number = (...parts: readonly [number, number, number, number]): bigint =>
  parts.reduce((sum, part) => (sum << 16n) | BigInt(part), 0n)

const versions: readonly [text: string, major: number, minor: number][] = [
  ["id:000D000C", 13, 12],
  ["id:00070002", 7, 2],
  ["id:00070055", 7, 85],
  ["id:0000ffff", 0, 65535],
  ["id:053E", 5, 62],
  ["id:0D0C", 13, 12],
]
for (const [text, major, minor] of versions)
  firmware(`reads ${text} as ${major}.${minor}, whatever follows`, () => {
    assert.equal(firmwareOfCertificate(text), {
      first: number(major, minor, 0, 0),
      last: number(major, minor, 0xffff, 0xffff),
    })
  })

for (const text of [
  "id:130",
  "id:13",
  "id:720",
  "id:",
  "id:0007000",
  "id:000700020",
  "00070002",
  "7.2",
  "",
  "id:0007000G",
])
  firmware(`reads nothing from ${JSON.stringify(text)}`, () => {
    assert.is(firmwareOfCertificate(text), undefined)
  })

firmware.run()

const advisory = suite("advisoriesFor")

const range = { manufacturer: "IFX", from: "7.0", to: "7.61", fixedIn: "7.62" }
const first = {
  id: "CVE-2017-15361",
  title: "ROCA",
  severity: "critical",
  source: "https://example.com/roca",
  published: "2017-10-16",
  note: "a note",
  affected: [{ manufacturer: "IFX", from: "5.0", to: "5.61", fixedIn: "5.62" }, range],
}
const second = {
  id: "CVE-2025-2884",
  title: "A read",
  severity: "medium",
  source: "https://example.com/read",
  published: "2025-06-10",
  affected: [
    { manufacturer: "NTC", models: ["NPCT7"], from: "7.2.0.1", to: "7.2.4.0", fixedIn: "7.2.4.1" },
    { manufacturer: "AMD", from: "3.0", to: "3.65535" },
  ],
}
const document = { version: 1, advisories: [first, second] }
const advisories = parseAdvisories(document)

const at = (...parts: readonly [number, number, number, number]) => firmwareOfQuote(number(...parts))
const nuvoton = (...parts: readonly [number, number, number, number]): TpmModel => ({
  manufacturer: "NTC",
  model: "NPCT75x",
  firmware: at(...parts),
})
const infineon = (...parts: readonly [number, number, number, number]): TpmModel => ({
  manufacturer: "IFX",
  model: "SLB9670",
  firmware: at(...parts),
})
const certificate = (manufacturer: string, model: string, version: string): TpmModel => ({
  manufacturer,
  model,
  firmware: firmwareOfCertificate(version),
})

const NONE: readonly string[] = []
const edges: readonly [
  name: string,
  tpm: TpmModel,
  certain: readonly string[],
  possible: readonly string[],
][] = [
  ["K-08 the first affected version", infineon(7, 0, 0, 0), ["CVE-2017-15361"], NONE],
  ["K-08 the last affected version", infineon(7, 61, 0xffff, 0xffff), ["CVE-2017-15361"], NONE],
  [
    "K-08 a version within the range",
    infineon(7, 40, 2098 >> 8, (2098 & 0xff) << 8),
    ["CVE-2017-15361"],
    NONE,
  ],
  ["K-08 a version of another range of the same advisory", infineon(5, 61, 0, 0), ["CVE-2017-15361"], NONE],
  ["the version after the last", infineon(7, 62, 0, 0), NONE, NONE],
  ["the version before the first", infineon(6, 0xffff, 0xffff, 0xffff), NONE, NONE],
  ["a version between two ranges", infineon(5, 62, 0, 0), NONE, NONE],
  ["K-08 the first affected version, to the last number", nuvoton(7, 2, 0, 1), ["CVE-2025-2884"], NONE],
  ["K-08 the last affected version, to the last number", nuvoton(7, 2, 4, 0), ["CVE-2025-2884"], NONE],
  ["the version just before the first", nuvoton(7, 2, 0, 0), NONE, NONE],
  ["the version just after the last", nuvoton(7, 2, 4, 1), NONE, NONE],
  [
    "K-08 the largest version of a whole major",
    { ...nuvoton(3, 0xffff, 0xffff, 0xffff), manufacturer: "AMD" },
    ["CVE-2025-2884"],
    NONE,
  ],
  [
    "an affected version of another manufacturer",
    { ...infineon(7, 0, 0, 0), manufacturer: "STM" },
    NONE,
    NONE,
  ],
  ["an affected version of another model", { ...nuvoton(7, 2, 1, 0), model: "NPCT65x" }, NONE, NONE],
  ["K-08 a model in other letters", { ...nuvoton(7, 2, 1, 0), model: "npct 75x" }, ["CVE-2025-2884"], NONE],
  [
    "K-08 an EK certificate, within the range",
    certificate("IFX", "SLB 9665", "id:053D"),
    ["CVE-2017-15361"],
    NONE,
  ],
  ["an EK certificate, outside of the range", certificate("IFX", "SLB 9665", "id:053E"), NONE, NONE],
  [
    "K-08 an EK certificate that does not say enough",
    certificate("NTC", "NPCT75x", "id:00070002"),
    NONE,
    ["CVE-2025-2884"],
  ],
  [
    "K-08 an EK certificate that says nothing of the version",
    certificate("NTC", "NPCT75x", "id:720"),
    NONE,
    ["CVE-2025-2884"],
  ],
  ["K-08 a TPM of unknown model", { manufacturer: "NTC", firmware: at(7, 2, 1, 0) }, NONE, ["CVE-2025-2884"]],
  ["K-08 a TPM of which the manufacturer alone is known", { manufacturer: "IFX" }, NONE, ["CVE-2017-15361"]],
]
for (const [name, tpm, certain, possible] of edges)
  advisory(`knows what there is about ${name}`, () => {
    const matches = advisoriesFor(advisories, tpm)
    const ids = (sure: boolean) => matches.filter((match) => match.certain === sure).map(({ id }) => id)
    assert.equal(ids(true), certain)
    assert.equal(ids(false), possible)
  })

advisory("tells id, title, severity, source and the version that is fixed", () => {
  assert.equal(advisoriesFor(advisories, infineon(7, 61, 0, 0)), [
    {
      id: "CVE-2017-15361",
      title: "ROCA",
      severity: "critical",
      source: "https://example.com/roca",
      fixedIn: "7.62",
      certain: true,
    },
  ])
})

advisory("prefers the range that is certain, and tells its fixed version", () => {
  const both = parseAdvisories({
    version: 1,
    advisories: [{ ...first, affected: [{ ...range, models: ["SLB"], fixedIn: "7.70" }, range] }],
  })
  const [match] = advisoriesFor(both, { manufacturer: "IFX", firmware: at(7, 1, 0, 0) })
  assert.is(match?.certain, true)
  assert.is(match?.fixedIn, "7.62")
})

advisory("is not sure of a version that may be before the first or after the last", () => {
  const tpm = certificate("IFX", "SLB9670", "id:00070002")
  for (const ends of [
    { from: "7.2.0.1", to: "7.2" },
    { from: "7.2", to: "7.2.65535.65534" },
  ]) {
    const list = parseAdvisories({
      version: 1,
      advisories: [{ ...first, affected: [{ ...range, ...ends }] }],
    })
    assert.is(advisoriesFor(list, tpm)[0]?.certain, false)
  }
})

advisory("cannot be changed", () => {
  const [one] = advisories
  assert.ok(Object.isFrozen(advisories) && Object.isFrozen(one) && Object.isFrozen(one?.affected))
})

const withRange = (change: Readonly<Record<string, unknown>>): unknown => ({
  version: 1,
  advisories: [{ ...first, affected: [{ ...range, ...change }] }],
})
const RANGE = "advisories.0.affected.0"
const faults: readonly [name: string, document: unknown, location: string][] = [
  ["nothing", null, "(document)"],
  ["another version", { ...document, version: "1" }, "version"],
  ["an unknown member", { ...document, tpms: [] }, "(document)"],
  ["an advisory twice", { version: 1, advisories: [first, first] }, "advisories"],
  [
    "an advisory about nothing",
    { version: 1, advisories: [{ ...first, affected: [] }] },
    "advisories.0.affected",
  ],
  [
    "a severity of its own",
    { version: 1, advisories: [{ ...first, severity: "bad" }] },
    "advisories.0.severity",
  ],
  [
    "a source without https",
    { version: 1, advisories: [{ ...first, source: "ftp://x.com" }] },
    "advisories.0.source",
  ],
  [
    "a date that is none",
    { version: 1, advisories: [{ ...first, published: "2017" }] },
    "advisories.0.published",
  ],
  ["a manufacturer that is not registered", withRange({ manufacturer: "ACME" }), `${RANGE}.manufacturer`],
  ["a manufacturer with its padding", withRange({ manufacturer: "STM " }), `${RANGE}.manufacturer`],
  ["models without one", withRange({ models: [] }), `${RANGE}.models`],
  ["a model that nothing is compared with", withRange({ models: ["SLB 9670"] }), `${RANGE}.models.0`],
  ["a version of one number", withRange({ from: "7" }), `${RANGE}.from`],
  ["a version of five numbers", withRange({ to: "7.1.1.1.1" }), `${RANGE}.to`],
  ["a version of more than 16 bits", withRange({ to: "7.65536" }), `${RANGE}.to`],
  ["a version that is a number", withRange({ to: 7.61 }), `${RANGE}.to`],
  ["a range that ends before it begins", withRange({ from: "7.62", fixedIn: "7.63" }), RANGE],
  ["a fixed version within the range", withRange({ fixedIn: "7.61" }), RANGE],
  ["an unknown member of a range", withRange({ until: "7.62" }), RANGE],
]
for (const [name, faulty, location] of faults)
  advisory(`refuses ${name}`, () => {
    assert.is(throwsCode(() => parseAdvisories(faulty), "INPUT").location, location)
  })

advisory.run()
