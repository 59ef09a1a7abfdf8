import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, isFilledWith, toHex, utf8 } from "../../../src/bytes.ts"
import type { Code } from "../../../src/errors.ts"
import { EV_NO_ACTION, LOG_BYTES_MAX, parseEventLog } from "../../../src/evidence/eventlog/eventlog.ts"
import { HASHES } from "../../../src/evidence/tpm/algorithm.ts"
import {
  agileLog,
  agileRecord,
  patched,
  sha1Record,
  specIdRecord,
  u16le,
  u32le,
  withTrailing,
} from "../../fixtures/evidence/build.ts"
import { refusesEveryPrefix, survivesAnything } from "../../fixtures/evidence/hostile.ts"
import { throwsCode } from "../../support/assert.ts"
import { needs, vector, vectorJson } from "../../support/vectors.ts"

const test = suite("parseEventLog")
const withVectors = needs("vectors", test)

const separator = { pcr: 7, type: 4, data: new Uint8Array(4) }
const action = { pcr: 5, type: 0x80000007, data: utf8("Exit Boot Services Invocation") }
const locality = { pcr: 0, type: EV_NO_ACTION, data: concat(utf8("StartupLocality\0"), Uint8Array.of(3)) }

const agile = agileLog(["sha1", "sha256"], locality, separator, action)
const sha1 = concat(sha1Record(separator), sha1Record(action))
/** Where the fields of the header, 69 bytes with two banks, and of the record behind it begin. */
const AT = {
  dataSize: 28,
  data: 32,
  algorithms: 56,
  firstBank: 60,
  vendorInfoSize: 68,
  record: 69,
  count: 77,
  bank: 81,
}

test("reads a crypto-agile log", () => {
  const log = parseEventLog(agile)
  assert.equal([log.format, log.banks, log.paddingBytes], ["crypto-agile", ["sha1", "sha256"], 0])
  assert.equal(
    log.events.map(({ sequence, pcr, untrustedType }) => [sequence, pcr, untrustedType]),
    [
      [0, 0, 3],
      [1, 0, 3],
      [2, 7, 4],
      [3, 5, 0x80000007],
    ],
  )
  assert.equal(
    log.events.map(({ digests }) => [...digests].map(([hash, { length }]) => [hash, length])),
    [
      [["sha1", 20]],
      ...Array(3).fill([
        ["sha1", 20],
        ["sha256", 32],
      ]),
    ],
  )
  assert.equal(log.events[3]?.untrustedData, action.data)
  assert.equal(log.events[1]?.offset, AT.record)
})

test("reads a log in the SHA-1 form", () => {
  const log = parseEventLog(sha1)
  assert.equal([log.format, log.banks], ["sha1", ["sha1"]])
  assert.equal(
    log.events.map(({ pcr, untrustedData }) => [pcr, toHex(untrustedData)]),
    [
      [7, "00000000"],
      [5, toHex(action.data)],
    ],
  )
})

test("reads a log as one in the SHA-1 form if its header is one of TPM 1.2, or an event", () => {
  const header = { pcr: 0, type: EV_NO_ACTION, data: concat(utf8("Spec ID Event02\0"), new Uint8Array(12)) }
  assert.is(parseEventLog(concat(sha1Record(header), sha1)).format, "sha1")
  const disguised = { ...header, type: 4, data: concat(utf8("Spec ID Event03\0"), new Uint8Array(12)) }
  assert.is(parseEventLog(concat(sha1Record(disguised), sha1)).format, "sha1")
})

test("reads past the digests of a hash that it does not compute", () => {
  const log = parseEventLog(
    concat(
      specIdRecord([
        [0x0012, 32],
        [0x000b, 32],
      ]),
      agileRecord([], {
        ...separator,
        digests: [
          [0x0012, new Uint8Array(32).fill(1)],
          [0x000b, new Uint8Array(32).fill(2)],
        ],
      }),
    ),
  )
  assert.equal(log.banks, ["sha256"])
  assert.equal([...(log.events[1]?.digests ?? [])], [["sha256", new Uint8Array(32).fill(2)]])
})

test("reads vendor information, events without data, fewer digests than banks, and any PCR index", () => {
  const banks = [
    [0x0004, 20],
    [0x000b, 32],
  ] as const
  const log = parseEventLog(
    concat(
      specIdRecord(banks, utf8("vendor")),
      agileRecord(["sha256"], { pcr: 0xffffffff, type: EV_NO_ACTION }),
      agileRecord([], { pcr: 24, type: 0xffffffff }),
    ),
  )
  assert.equal(
    log.events.slice(1).map(({ pcr, untrustedType, digests }) => [pcr, untrustedType, digests.size]),
    [
      [0xffffffff, 3, 1],
      [24, 0xffffffff, 0],
    ],
  )
})

for (const [name, fill] of [
  ["zeros", 0x00],
  ["ones", 0xff],
] as const)
  test(`counts ${name} behind the last record as padding`, () => {
    for (const size of [1, 3, 16, 64, 5000]) {
      const padded = parseEventLog(concat(agile, new Uint8Array(size).fill(fill)))
      assert.equal([padded.events.length, padded.paddingBytes], [4, size])
    }
  })

test("takes the zeros at the end of the last record's data for data", () => {
  const log = parseEventLog(agileLog(["sha256"], { ...separator, data: new Uint8Array(100) }))
  assert.equal([log.paddingBytes, log.events[1]?.untrustedData.length], [0, 100])
})

test("reads a log of zeros with one other byte at its end without looking ahead at each record", () => {
  const start = performance.now()
  throwsCode(
    () => parseEventLog(concat(agile, withTrailing(new Uint8Array(1 << 19), 1))),
    ["LOG_SIZE", "FRAMING"],
  )
  assert.ok(performance.now() - start < 2000)
})

const refused: [name: string, bytes: Uint8Array, code: Code][] = [
  ["Q-11 no bytes", new Uint8Array(), "FRAMING"],
  ["Q-11 a record cut short", agile.subarray(0, -1), "FRAMING"],
  [
    "Q-11 bytes behind the last record that are neither a record nor padding",
    concat(agile, utf8("more")),
    "FRAMING",
  ],
  ["Q-11 padding of two values", concat(agile, new Uint8Array(8), Uint8Array.of(0xff)), "FRAMING"],
  ["Q-11 header data one byte shorter than it is", patched(agile, AT.dataSize, u32le(36)), "FRAMING"],
  ["Q-11 header data one byte longer than it is", patched(agile, AT.dataSize, u32le(38)), "FRAMING"],
  ["Q-11 one bank less than the header has", patched(agile, AT.algorithms, u32le(1)), "FRAMING"],
  ["Q-11 one bank more than the header has", patched(agile, AT.algorithms, u32le(3)), "FRAMING"],
  [
    "Q-11 vendor information that is not there",
    patched(agile, AT.vendorInfoSize, Uint8Array.of(1)),
    "FRAMING",
  ],
  ["Q-11 one digest more than the record has", patched(agile, AT.count, u32le(3)), "EVENT"],
  ["Q-12 a header of 0xffffffff bytes", patched(agile, AT.dataSize, u32le(0xffffffff)), "LENGTH"],
  ["Q-12 a header of 2^31 bytes", patched(agile, AT.dataSize, u32le(0x80000000)), "LENGTH"],
  ["Q-12 2^31 banks", patched(agile, AT.algorithms, u32le(0x80000000)), "LENGTH"],
  ["Q-12 0xffffffff banks", patched(agile, AT.algorithms, u32le(0xffffffff)), "LENGTH"],
  ["Q-12 17 banks", patched(agile, AT.algorithms, u32le(17)), "LENGTH"],
  ["Q-12 2^31 digests", patched(agile, AT.count, u32le(0x80000000)), "LENGTH"],
  ["Q-12 0xffffffff digests", patched(agile, AT.count, u32le(0xffffffff)), "LENGTH"],
  [
    "Q-12 an event of 2^31 bytes",
    concat(agile.subarray(0, -action.data.length - 4), u32le(0x80000000)),
    "LENGTH",
  ],
  [
    "Q-12 an event of 512 KiB that is not there",
    concat(agile.subarray(0, -action.data.length - 4), u32le(1 << 19)),
    "FRAMING",
  ],
  ["Q-12 an event of 0xffffffff bytes in the SHA-1 form", patched(sha1, 28, u32le(0xffffffff)), "LENGTH"],
  ["a header without banks", specIdRecord([]), "SPEC_ID"],
  [
    "a header with a bank twice",
    specIdRecord([
      [11, 32],
      [11, 32],
    ]),
    "SPEC_ID",
  ],
  ["a header with another digest size for SHA-256", specIdRecord([[11, 20]]), "SPEC_ID"],
  ["a header with another digest size for SHA-1", specIdRecord([[4, 32]]), "SPEC_ID"],
  ["a header with a digest size of 0xffff", specIdRecord([[0x0012, 0xffff]]), "SPEC_ID"],
  ["a digest of a bank that the header does not name", patched(agile, AT.bank, u16le(0x000d)), "EVENT"],
  [
    "two digests of one bank",
    concat(
      specIdRecord([[11, 32]]),
      agileRecord([], {
        ...separator,
        digests: [
          [11, new Uint8Array(32)],
          [11, new Uint8Array(32)],
        ],
      }),
    ),
    "EVENT",
  ],
  ["a log over 1 MiB", concat(agile, new Uint8Array(LOG_BYTES_MAX)), "LOG_SIZE"],
  [
    "a log of more than 4096 records",
    concat(agile, ...Array(20_000).fill(agileRecord([], { pcr: 1, type: 1 }))),
    "LOG_SIZE",
  ],
]
for (const [name, bytes, code] of refused)
  test(`refuses ${name}`, () => void throwsCode(() => parseEventLog(bytes), code))

test("takes Q-11 no proper prefix for the whole log", () => {
  for (const whole of [agile, sha1]) {
    const offsets = parseEventLog(whole).events.map(({ offset }) => offset)
    for (let size = 1; size < whole.length; size++) {
      const prefix = whole.subarray(0, size)
      const start = offsets.findLast((offset) => offset <= size) ?? 0
      // Between records it is a shorter log; the first zeros of a record for PCR 0 look like padding.
      if (start === size) assert.is(parseEventLog(prefix).events.length, offsets.indexOf(size))
      else if (start > 0 && isFilledWith(prefix.subarray(start), 0))
        assert.is(parseEventLog(prefix).paddingBytes, size - start)
      else throwsCode(() => parseEventLog(prefix), "FRAMING")
    }
  }
})

test("refuses Q-11 every proper prefix of a header", () =>
  refusesEveryPrefix(parseEventLog, agile.subarray(0, AT.record)))

test("throws nothing but refusals, whatever the bytes", () =>
  survivesAnything(parseEventLog, [agile, sha1, agileLog(["sha256", "sha384", "sha512"], separator, action)]))

interface ExpectedLog {
  readonly polarity: string
  readonly format: string
  readonly events: number
  readonly algorithms: readonly string[]
  readonly startupLocality: readonly number[]
}

withVectors("reads every log of the vectors, with the expected events, banks and localities", () => {
  let read = 0
  for (const [file, expected] of Object.entries(
    vectorJson<Record<string, ExpectedLog>>("eventlogs/expected.json"),
  )) {
    if (expected.polarity !== "positive") continue
    const bytes = vector(`eventlogs/${file}`)
    const log = parseEventLog(bytes)
    assert.ok(expected.format.startsWith(log.format === "sha1" ? "legacy SHA-1" : log.format), file)
    assert.is(log.events.length, expected.events, file)
    assert.equal(log.banks, expected.algorithms, file)
    const localities = log.events.filter(
      ({ untrustedType, untrustedData }) =>
        untrustedType === EV_NO_ACTION &&
        Buffer.from(untrustedData.subarray(0, 15)).toString() === "StartupLocality",
    )
    assert.equal(
      localities.map(({ untrustedData }) => untrustedData[16]),
      expected.startupLocality,
      file,
    )
    // Every byte is one of a record or padding.
    const sizes = log.events.map(({ digests, untrustedData }, i) =>
      log.format === "sha1" || i === 0
        ? 32 + untrustedData.length
        : 16 +
          [...digests.keys()].reduce((sum, hash) => sum + 2 + HASHES[hash].sizeBytes, 0) +
          untrustedData.length,
    )
    assert.is(sizes.reduce((a, b) => a + b, 0) + log.paddingBytes, bytes.length, file)
    if (file === "ccel-ovmf.bin") assert.ok(log.paddingBytes > 0, file)
    read++
  }
  assert.ok(read >= 31)
})

withVectors("throws nothing but refusals for mutations of genuine logs", () =>
  survivesAnything(
    parseEventLog,
    [
      "gce-arch-linux-workstation.bin",
      "guard-binary_bios_measurements_15.bin",
      "ccel-unpadded.bin",
      "tpm2tools-event.bin",
    ].map((file) => vector(`eventlogs/${file}`)),
  ),
)

test.run()
