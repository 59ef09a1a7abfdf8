import { createHash } from "node:crypto"
import fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, toHex, utf8 } from "../../src/bytes.ts"
import { createSoftwareDevice } from "../../src/device/software.ts"
import { createSoftwareKey } from "../../src/device/software-key.ts"
import type { Code } from "../../src/errors.ts"
import { LOG_BYTES_MAX } from "../../src/evidence/eventlog/eventlog.ts"
import { type Evidence, parseEvidence, parseSentLog, type RawEvidence } from "../../src/evidence/evidence.ts"
import type { HashName } from "../../src/evidence/tpm/algorithm.ts"
import { parseAttest } from "../../src/evidence/tpm/attest.ts"
import { parsePublic } from "../../src/evidence/tpm/public.ts"
import { parseSignature } from "../../src/evidence/tpm/signature.ts"
import { agileLog, patched, u16, withTrailing } from "../fixtures/evidence/build.ts"
import { readsOrRefuses } from "../fixtures/evidence/hostile.ts"
import { throwsCode } from "../support/assert.ts"
import { concatenatedPcrs, QUOTE_FIXTURES, type QuoteFixtureName, quoteFixture } from "../support/fixtures.ts"

const test = suite("parseEvidence")

const eventLog = agileLog(["sha256", "sha384"], { pcr: 7, type: 4, data: new Uint8Array(4) })

const raw = (name: QuoteFixtureName, log: Uint8Array | undefined = eventLog): RawEvidence => {
  const { akPublic, attest, signature, pcrs } = quoteFixture(name)
  return {
    akName: parsePublic(akPublic).name,
    attest,
    signature,
    pcrBanks: concatenatedPcrs(pcrs),
    eventLog: log,
  }
}
const genuine = raw("p256-two-banks")
/** All of it, the log too. */
const parseAll = (evidence: RawEvidence): Evidence => {
  const parsed = parseEvidence(evidence)
  if (parsed.log.kind === "sent") parseSentLog(parsed.log.bytes)
  return parsed
}
const digestOf = (evidence: RawEvidence): string => toHex(parseEvidence(evidence).digest)
const [sha256Bank, sha384Bank] = genuine.pcrBanks
if (sha256Bank === undefined || sha384Bank === undefined) throw new Error("p256-two-banks has two banks")

for (const name of QUOTE_FIXTURES)
  test(`accepts ${name}, part by part as the parsers do`, () => {
    const evidence = raw(name)
    const parsed = parseEvidence(evidence)
    assert.equal(parsed.akName, evidence.akName)
    assert.equal(parsed.attest, parseAttest(evidence.attest))
    assert.equal(parsed.attestBytes, evidence.attest)
    assert.equal(parsed.signature, parseSignature(evidence.signature))
    assert.equal(parsed.pcrs, { kind: "concatenated", banks: evidence.pcrBanks })
    assert.is(parsed.log.kind === "sent" && parseSentLog(parsed.log.bytes).events.length, 2)
    assert.is(parsed.digest.length, 32)
  })

test("accepts evidence without an event log, and an empty one is none", () => {
  const without = { ...genuine, eventLog: undefined }
  const empty = { ...genuine, eventLog: new Uint8Array() }
  assert.equal(parseEvidence(without).log, { kind: "none" })
  assert.equal(parseEvidence(empty).log, { kind: "none" })
  assert.is(digestOf(without), digestOf(empty))
})

test("accepts evidence without banks, which is for the verification to judge", () =>
  assert.equal(parseEvidence({ ...genuine, pcrBanks: [] }).pcrs.banks, []))

test("is not reached by a change of the input after the call", () => {
  const mine: RawEvidence = structuredClone(genuine)
  const before = structuredClone(parseEvidence(mine))
  const parsed = parseEvidence(mine)
  for (const bytes of [
    mine.akName,
    mine.attest,
    mine.signature,
    ...mine.pcrBanks.map(({ values }) => values),
  ])
    bytes.fill(0xee)
  mine.eventLog?.fill(0xee)
  assert.equal(structuredClone(parsed), before)
})

test("holds all of it but the log in one copy", () => {
  const { akName, attestBytes, attest, pcrs } = parseEvidence(genuine)
  const buffers = new Set([akName.buffer, attestBytes.buffer, attest.extraData.buffer])
  if (pcrs.kind === "concatenated") for (const { values } of pcrs.banks) buffers.add(values.buffer)
  assert.is(buffers.size, 1)
})

test("digests the same values under another bank's name to something else", () => {
  const of = (hash: HashName) => digestOf({ ...genuine, pcrBanks: [{ hash, values: new Uint8Array(96) }] })
  assert.not(of("sha256") === of("sha384"))
})

const sha256 = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash("sha256").update(bytes).digest())

test("digests evidence alike whether its log was sent or named", () => {
  const named = { ...genuine, eventLog: undefined, eventLogDigest: sha256(eventLog) }
  assert.is(digestOf(named), digestOf(genuine))
  assert.equal(parseEvidence(named).log, { kind: "named", digest: sha256(eventLog) })
  assert.is(digestOf({ ...named, eventLog: new Uint8Array() }), digestOf(genuine))
  assert.not(digestOf({ ...named, eventLogDigest: new Uint8Array(32) }) === digestOf(genuine))
})

test("digests the parts with their lengths, in a fixed order", () => {
  const { akName, attest, signature } = genuine
  const hash = createHash("sha256")
  const head = [akName, attest, signature, sha256(eventLog), []]
  const parts = [...head, [0, 11], sha256Bank.values, [0, 12], sha384Bank.values]
  for (const part of parts) {
    const size = Buffer.alloc(4)
    size.writeUInt32BE(part.length)
    hash.update(size).update(Uint8Array.from(part))
  }
  assert.is(digestOf(genuine), hash.digest("hex"))
})

const key = createSoftwareDevice({ algorithm: "p256" })
const { certification } = key.certifying(createSoftwareKey())

test("digests each part of a certification", () => {
  const other = createSoftwareDevice({ algorithm: "p256" }).certifying(createSoftwareKey()).certification
  const { csr, keyPublic, attest, signature } = other
  const digests = [{ csr }, { keyPublic }, { attest }, { signature }].map((part) =>
    digestOf({ ...genuine, certification: { ...certification, ...part } }),
  )
  assert.is(new Set([...digests, digestOf({ ...genuine, certification })]).size, 5)
})

test("copies what is shown of a key: whoever holds the input cannot change what was checked", () => {
  const own = { ...certification, csr: certification.csr.slice(), attest: certification.attest.slice() }
  const parsed = parseEvidence({ ...genuine, certification: own })
  own.csr.fill(0)
  own.attest.fill(0)
  assert.equal(parsed.certification?.attestBytes, certification.attest)
  assert.is(parsed.certification?.csr.spki.length, 91)
})

test("keeps what may be held on to in memory that is not shared with others", () => {
  const parsed = parseEvidence({ ...genuine, certification })
  assert.ok((parsed.certification?.csr.spki.buffer.byteLength ?? 0) < 4096)
})

const others: [name: string, other: Partial<RawEvidence>][] = [
  ["another key's name", { akName: raw("p384-sha384").akName }],
  ["another quote", { attest: raw("p256-sha256").attest }],
  ["another signature", { signature: raw("p256-sha256").signature }],
  ["no log", { eventLog: undefined }],
  ["another log", { eventLog: agileLog(["sha256"]) }],
  ["the banks in another order", { pcrBanks: [sha384Bank, sha256Bank] }],
  ["one bank less", { pcrBanks: [sha256Bank] }],
  [
    "a value changed",
    { pcrBanks: [sha256Bank, { ...sha384Bank, values: patched(sha384Bank.values, 0, u16(0)) }] },
  ],
  ["the certification of a key", { certification }],
]
for (const [name, other] of others)
  test(`digests ${name} to something else`, () =>
    assert.not(digestOf({ ...genuine, ...other }) === digestOf(genuine)))

const refused: [name: string, other: Partial<RawEvidence>, code: Code, location: string][] = [
  ["Q-11 no name", { akName: new Uint8Array() }, "FRAMING", "ak_name"],
  ["Q-11 a name with a byte too many", { akName: withTrailing(genuine.akName) }, "FRAMING", "ak_name"],
  ["Q-11 no quote", { attest: new Uint8Array() }, "FRAMING", "attest"],
  ["Q-11 a byte behind the quote", { attest: withTrailing(genuine.attest) }, "FRAMING", "attest"],
  ["Q-11 no signature", { signature: new Uint8Array() }, "FRAMING", "signature"],
  [
    "Q-11 a byte behind the signature",
    { signature: withTrailing(genuine.signature) },
    "FRAMING",
    "signature",
  ],
  ["Q-11 a log cut short", { eventLog: eventLog.subarray(0, -1) }, "FRAMING", "event_log"],
  ["Q-11 zeros behind the log", { eventLog: concat(eventLog, new Uint8Array(64)) }, "EVENT", "event_log"],
  [
    "Q-11 ones behind the log",
    { eventLog: concat(eventLog, new Uint8Array(64).fill(255)) },
    "EVENT",
    "event_log",
  ],
  [
    "E-14 a log that extends PCR 24",
    { eventLog: agileLog(["sha256"], { pcr: 24, type: 5 }) },
    "EVENT",
    "event_log",
  ],
  [
    "E-14 a log that extends PCR 0xffffffff",
    { eventLog: agileLog(["sha256"], { pcr: 0xffffffff, type: 5 }) },
    "EVENT",
    "event_log",
  ],
  ["Q-11 text behind the log", { eventLog: concat(eventLog, utf8("text")) }, "FRAMING", "event_log"],
  ["Q-01 a quote that no TPM made", { attest: patched(genuine.attest, 0, u16(0)) }, "QUOTE_MAGIC", "attest"],
  [
    "Q-12 a quote with a signer of 0xffff bytes",
    { attest: patched(genuine.attest, 6, u16(0xffff)) },
    "LENGTH",
    "attest",
  ],
  [
    "Q-12 a signature of 0xffff bytes",
    { signature: patched(genuine.signature, 4, u16(0xffff)) },
    "LENGTH",
    "signature",
  ],
  [
    "Q-12 a bank without values",
    { pcrBanks: [sha256Bank, { hash: "sha384", values: new Uint8Array() }] },
    "LENGTH",
    "pcr_banks[1].values",
  ],
  [
    "Q-12 a bank with part of a value",
    { pcrBanks: [{ hash: "sha256", values: new Uint8Array(33) }] },
    "LENGTH",
    "pcr_banks[0].values",
  ],
  [
    "Q-12 a bank with values of another bank's size",
    { pcrBanks: [{ hash: "sha512", values: new Uint8Array(32) }] },
    "LENGTH",
    "pcr_banks[0].values",
  ],
  [
    "Q-12 a bank with 25 values",
    { pcrBanks: [{ hash: "sha1", values: new Uint8Array(500) }] },
    "LENGTH",
    "pcr_banks[0].values",
  ],
  ["Q-07 a bank twice", { pcrBanks: [sha256Bank, sha256Bank] }, "FIELD", "pcr_banks[1].hash"],
  [
    "Q-07 a bank twice with other values",
    { pcrBanks: [sha256Bank, { hash: "sha256", values: new Uint8Array(32) }] },
    "FIELD",
    "pcr_banks[1].hash",
  ],
  [
    "Q-07 a bank twice with another between",
    { pcrBanks: [sha256Bank, sha384Bank, sha256Bank] },
    "FIELD",
    "pcr_banks[2].hash",
  ],
  ["a log that is both sent and named", { eventLogDigest: sha256(eventLog) }, "FIELD", "event_log_digest"],
  ...[0, 31, 33, 64].map((size): [string, Partial<RawEvidence>, Code, string] => [
    `C-03 a log named by ${size} bytes`,
    { eventLog: undefined, eventLogDigest: new Uint8Array(size) },
    "LENGTH",
    "event_log_digest",
  ]),
  ["a log over 1 MiB", { eventLog: new Uint8Array(LOG_BYTES_MAX + 1) }, "LOG_SIZE", "event_log"],
]
for (const [name, other, code, location] of refused)
  test(`refuses ${name}, and names the field`, () => {
    const error = throwsCode(() => parseAll({ ...genuine, ...other }), code)
    assert.is(error.location, `evidence.tpm.${location}`)
  })

test("says in the message where in the field the fault is", () => {
  const error = throwsCode(
    () => parseEvidence({ ...genuine, attest: genuine.attest.subarray(0, 52) }),
    "FRAMING",
  )
  assert.match(error.message, /^TPMS_ATTEST\.extraData at byte 44: /)
  assert.equal([error.expected, error.actual], ["32 bytes", "8 bytes"])
})

test("refuses Q-11 every proper prefix of every part", () => {
  const { akName, attest, signature } = genuine
  for (let size = 0; size < akName.length; size++)
    throwsCode(() => parseEvidence({ ...genuine, akName: akName.subarray(0, size) }), "FRAMING")
  for (let size = 0; size < attest.length; size++)
    throwsCode(() => parseEvidence({ ...genuine, attest: attest.subarray(0, size) }), "FRAMING")
  for (let size = 0; size < signature.length; size++)
    throwsCode(() => parseEvidence({ ...genuine, signature: signature.subarray(0, size) }), "FRAMING")
  // A log that ends behind a record is one; the replay finds what is missing.
  const header = eventLog.length - 16 - (2 + 32) - (2 + 48) - 4
  for (let size = 1; size < eventLog.length; size++)
    if (size !== header)
      throwsCode(() => parseAll({ ...genuine, eventLog: eventLog.subarray(0, size) }), ["FRAMING", "EVENT"])
})

test("throws nothing but refusals, whatever the bytes", () => {
  const bytes = (sample: Uint8Array) =>
    fc.oneof(
      fc.constant(sample),
      fc.uint8Array({ maxLength: 300 }),
      fc.nat(sample.length * 8 - 1).map((bit) => {
        const flipped = Uint8Array.from(sample)
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        return flipped
      }),
    )
  const evidence = fc.record({
    akName: bytes(genuine.akName),
    attest: bytes(genuine.attest),
    signature: bytes(genuine.signature),
    pcrBanks: fc.array(
      fc.record({
        hash: fc.constantFrom("sha1", "sha256", "sha384", "sha512"),
        values: bytes(sha256Bank.values),
      }),
      { maxLength: 4 },
    ),
    eventLog: fc.option(bytes(eventLog), { nil: undefined }),
  })
  fc.assert(
    fc.property(evidence, (input) => readsOrRefuses(() => parseAll(input), input.attest)),
    { numRuns: 2000 },
  )
})

test.run()
