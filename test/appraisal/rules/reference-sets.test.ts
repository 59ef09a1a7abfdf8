import { suite } from "uvu"
import * as assert from "uvu/assert"
import { referenceSets } from "../../../src/appraisal/rules/reference-sets.ts"
import { toHex } from "../../../src/bytes.ts"
import type { Code } from "../../../src/errors.ts"
import type { HashName } from "../../../src/evidence/tpm/algorithm.ts"
import type { PcrValues } from "../../../src/evidence/tpm/pcrs.ts"
import { goodClaims, policyWith } from "../../support/core.ts"

const test = suite("referenceSets")

const SIZES = { sha256: 32, sha384: 48 } as const
type Bank = keyof typeof SIZES
/** The value of a PCR in a release: each release has its own in every PCR. */
const value = (bank: Bank, release: number): Uint8Array => new Uint8Array(SIZES[bank]).fill(release)
type Measured = readonly (readonly [bank: Bank, pcr: number, release: number])[]

const quoted = (measured: Measured): PcrValues => {
  const banks = new Map<HashName, Map<number, Uint8Array>>()
  for (const [bank, pcr, release] of measured)
    banks.set(bank, (banks.get(bank) ?? new Map()).set(pcr, value(bank, release)))
  return banks
}
const setOf = (name: string, measured: Measured) => {
  const pcrs: Partial<Record<Bank, Record<string, string>>> = {}
  for (const [bank, pcr, release] of measured)
    pcrs[bank] = { ...pcrs[bank], [String(pcr)]: toHex(value(bank, release)) }
  return { name, pcrs }
}

const A: Measured = [
  ["sha256", 0, 0xa1],
  ["sha256", 7, 0xa2],
]
const B: Measured = [
  ["sha256", 0, 0xb1],
  ["sha256", 7, 0xb2],
]
const required = { "evidence.pcrs": [0, 7], "evidence.banks": ["sha256"] }
const judge = (
  measured: Measured,
  references: readonly object[],
  terms: Readonly<Record<string, unknown>> = required,
) => referenceSets(policyWith({ ...terms, references }))({ ...goodClaims, pcrs: quoted(measured) })

const AB = [setOf("a", A), setOf("b", B)]

test("accepts a quote that matches one set as a whole, whichever it is", () => {
  for (const measured of [A, B]) assert.is(judge(measured, AB).tier, "affirming")
  assert.equal(judge(A, AB).claim, ["executables", 3])
})
test("accepts a quote over more PCRs than a set has", () => {
  assert.is(judge([...A, ["sha256", 10, 0xcc]], AB).tier, "affirming")
})

/** Two banks, two releases: each set has values of both banks. */
const wide = { "evidence.pcrs": [0, 7], "evidence.banks": ["sha256", "sha384"] }
const wideSet = (release: number): Measured => [
  ["sha256", 0, release],
  ["sha256", 7, release],
  ["sha384", 0, release],
  ["sha384", 7, release],
]
const wideSets = [setOf("a", wideSet(0xa0)), setOf("b", wideSet(0xb0))]
test("accepts a quote over two banks that matches one set in both", () => {
  assert.is(judge(wideSet(0xb0), wideSets, wide).tier, "affirming")
})

const mixes: [
  name: string,
  measured: Measured,
  references: readonly object[],
  terms?: Readonly<Record<string, unknown>>,
][] = [
  [
    "P-05 PCR 0 of one set with PCR 7 of another",
    [
      ["sha256", 0, 0xa1],
      ["sha256", 7, 0xb2],
    ],
    AB,
  ],
  [
    "P-05 PCR 7 of one set with PCR 0 of another",
    [
      ["sha256", 0, 0xb1],
      ["sha256", 7, 0xa2],
    ],
    AB,
  ],
  [
    "P-05 one bank of one set with another bank of another",
    [
      ["sha256", 0, 0xa0],
      ["sha256", 7, 0xa0],
      ["sha384", 0, 0xb0],
      ["sha384", 7, 0xb0],
    ],
    wideSets,
    wide,
  ],
  [
    "P-05 sets that cross between two banks",
    [
      ["sha256", 0, 0xa0],
      ["sha256", 7, 0xb0],
      ["sha384", 0, 0xb0],
      ["sha384", 7, 0xa0],
    ],
    wideSets,
    wide,
  ],
  [
    "P-05 a third of each of three sets",
    [
      ["sha256", 0, 1],
      ["sha256", 4, 2],
      ["sha256", 7, 3],
    ],
    [1, 2, 3].map((release) =>
      setOf(`r${release}`, [
        ["sha256", 0, release],
        ["sha256", 4, release],
        ["sha256", 7, release],
      ]),
    ),
    { "evidence.pcrs": [0, 4, 7] },
  ],
  [
    "P-05 a set that matches but for a PCR that only it names",
    [...A, ["sha256", 4, 9]],
    [setOf("a", [...A, ["sha256", 4, 1]]), setOf("b", [...B, ["sha256", 4, 9]])],
  ],
  [
    "P-05 the values of a set in each other's places",
    [
      ["sha256", 0, 0xa2],
      ["sha256", 7, 0xa1],
    ],
    AB,
  ],
  [
    "P-05 values that are in no set",
    [
      ["sha256", 0, 5],
      ["sha256", 7, 6],
    ],
    AB,
  ],
]
for (const [name, measured, references, terms] of mixes)
  test(`refuses ${name}`, () => {
    const finding = judge(measured, references, terms)
    assert.is(finding.tier, "contraindicated")
    assert.is(finding.code, "REFERENCE_SET")
    assert.equal(finding.claim, ["executables", 96])
  })

test("names what differs from the nearest set, with what was expected and what was found", () => {
  const finding = judge(
    [
      ["sha256", 0, 0xa1],
      ["sha256", 7, 0xee],
    ],
    AB,
  )
  assert.is(finding.location, "sha256:7 of a")
  assert.is(finding.expected, "a2".repeat(32))
  assert.is(finding.actual, "ee".repeat(32))
})

const missing: [
  name: string,
  measured: Measured,
  references: readonly object[],
  location: string,
  terms?: Readonly<Record<string, unknown>>,
][] = [
  ["P-02 a required PCR for which no set has a value", A, [setOf("a", [["sha256", 0, 0xa1]])], "sha256:7"],
  [
    "P-02 required PCRs that are spread over two sets",
    A,
    [setOf("a", [["sha256", 0, 0xa1]]), setOf("b", [["sha256", 7, 0xa2]])],
    "sha256:7",
  ],
  ["P-02 a required bank for which no set has values", wideSet(0xa0), AB, "sha384:0", wide],
  [
    "P-02 a required PCR of zeros for which no set has a value",
    [
      ["sha256", 0, 0xa1],
      ["sha256", 7, 0],
    ],
    [setOf("a", [["sha256", 0, 0xa1]])],
    "sha256:7",
  ],
  ["P-02 a reference whose PCR was not quoted", A, [setOf("a", [...A, ["sha256", 14, 1]])], "sha256:14"],
  ["P-02 a reference whose bank was not quoted", A, [setOf("a", [...A, ["sha384", 0, 1]])], "sha384:0"],
  [
    "P-02 a reference of zeros whose PCR was not quoted",
    A,
    [setOf("a", [...A, ["sha256", 16, 0]])],
    "sha256:16",
  ],
  ["P-02 a quote without a required PCR", [["sha256", 0, 0xa1]], AB, "sha256:7"],
  ["P-02 a quote over nothing", [], AB, "sha256:0"],
]
for (const [name, measured, references, location, terms] of missing)
  test(`refuses ${name}`, () => {
    const finding = judge(measured, references, terms)
    const code: Code = "NO_REFERENCE"
    assert.equal([finding.tier, finding.code], ["contraindicated", code])
    assert.is(finding.location, location)
  })

test("accepts a set that was quoted beside one that was not", () => {
  assert.is(judge(A, [setOf("b", [...B, ["sha256", 14, 1]]), setOf("a", A)]).tier, "affirming")
})

test.run()
