import { hash as digest } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, toHex, utf8 } from "../../src/bytes.ts"
import type { BootEvent } from "../../src/device/boot.ts"
import { standardBoot } from "../../src/device/boot.ts"
import { encodeCryptoAgileLog, type LogRecord, startupLocalityRecord } from "../../src/device/eventlog.ts"
import { createSoftwareDevice, type SoftwareDevice } from "../../src/device/software.ts"
import { EV_NO_ACTION, type EventLog, parseEventLog } from "../../src/evidence/eventlog/eventlog.ts"
import { HASHES, type HashName } from "../../src/evidence/tpm/algorithm.ts"
import type { PcrValues } from "../../src/evidence/tpm/pcrs.ts"
import type { PcrSelection } from "../../src/evidence/tpm/selection.ts"
import { createLogOutcome } from "../../src/verification/log-outcome.ts"
import {
  compareBank,
  isResetValue,
  type Replay,
  replayBank,
  resetValue,
  verifyReplay as verifyOutcome,
} from "../../src/verification/replay.ts"
import type { Verified } from "../../src/verification/verified.ts"
import { throwsCode } from "../support/assert.ts"
import { p256Device, pcrsOf } from "../support/core.ts"
import { needs, vector, vectorJson } from "../support/vectors.ts"

const test = suite("verifyReplay")

const verifyReplay = (pcrs: Verified<PcrValues>, log: EventLog): Verified<Replay> =>
  verifyOutcome(
    pcrs,
    createLogOutcome(() => log),
  )
const withVectors = needs("vectors", test)

// Logs of many machines, against what others replayed from them.

type Pcrs = Readonly<Record<string, Readonly<Record<string, string>>>>
interface ExpectedLog {
  readonly replayedPcrs?: Pcrs
  readonly upstreamPcrs?: Pcrs
}
const hexOf = (log: EventLog, bank: HashName): Record<string, string> =>
  Object.fromEntries([...replayBank(log, bank).values].map(([pcr, value]) => [String(pcr), toHex(value)]))
const isHash = (name: string): name is HashName => name in HASHES

withVectors("leads to the published PCRs of every bank of every log", () => {
  const logs = vectorJson<Record<string, ExpectedLog>>("eventlogs/expected.json")
  let banks = 0
  for (const [name, { replayedPcrs }] of Object.entries(logs)) {
    if (replayedPcrs === undefined) continue
    const log = parseEventLog(vector(`eventlogs/${name}`))
    for (const [bank, expected] of Object.entries(replayedPcrs)) {
      if (!isHash(bank)) throw new TypeError(`${name}: ${bank}`)
      assert.equal(hexOf(log, bank), { ...expected }, `${name} ${bank}`)
      banks += 1
    }
  }
  assert.ok(banks > 50, `${banks} banks`)
})

withVectors("leads to the PCRs that the machines themselves had, where they are known", () => {
  const logs = vectorJson<Record<string, ExpectedLog>>("eventlogs/expected.json")
  for (const [name, { upstreamPcrs }] of Object.entries(logs)) {
    if (upstreamPcrs === undefined) continue
    const log = parseEventLog(vector(`eventlogs/${name}`))
    for (const [bank, expected] of Object.entries(upstreamPcrs)) {
      if (!isHash(bank)) throw new TypeError(`${name}: ${bank}`)
      const replayed = hexOf(log, bank)
      for (const [pcr, value] of Object.entries(expected))
        assert.is(replayed[pcr] ?? toHex(resetValue(bank, Number(pcr))), value, `${name} ${bank}:${pcr}`)
    }
  }
})

// A device's own log, taken apart and put together again.

const device = p256Device()
const pcrs = pcrsOf(device)
const values = pcrs.get("sha256") ?? new Map<number, Uint8Array>()
const log = parseEventLog(device.eventLog)
const events = log.events.slice(1)
const EV_SEPARATOR = 4

const recordOf = ({ pcr, untrustedType, digests, untrustedData }: EventLog["events"][number]): LogRecord => ({
  pcr,
  type: untrustedType,
  digests,
  data: untrustedData,
})
const records: readonly LogRecord[] = events.map(recordOf)
const logOf = (changed: readonly LogRecord[], banks: readonly HashName[] = ["sha256"]): EventLog =>
  parseEventLog(encodeCryptoAgileLog(banks, changed))
const eventOf = (pcr: number, text = "another event"): LogRecord => ({
  pcr,
  type: EV_SEPARATOR,
  digests: new Map([["sha256", digest("sha256", utf8(text), "buffer")]]),
  data: utf8(text),
})

test("accepts the log that leads to the quote, and says which PCRs it explains", () => {
  const { explained } = verifyReplay(pcrs, logOf(records))
  assert.equal(explained.get("sha256")?.toSorted(), [0, 1, 2, 3, 4, 5, 6, 7])
})

const lastOf = (pcr: number): number => records.findLastIndex((record) => record.pcr === pcr)
const firstOf = (pcr: number): number => records.findIndex((record) => record.pcr === pcr)
const secondOf = (pcr: number): number =>
  records.findIndex((record, i) => record.pcr === pcr && i > firstOf(pcr))

const changes: [name: string, change: () => readonly LogRecord[], pcr: number][] = [
  ["without the first event of PCR 0", () => records.toSpliced(firstOf(0), 1), 0],
  ["without the last event of PCR 4", () => records.toSpliced(lastOf(4), 1), 4],
  ["without an event in the middle of PCR 7", () => records.toSpliced(secondOf(7), 1), 7],
  ["without any event of PCR 2", () => records.filter(({ pcr }) => pcr !== 2), 2],
  [
    "with the first event of PCR 0 twice",
    () => records.toSpliced(firstOf(0), 0, records[firstOf(0)] ?? eventOf(0)),
    0,
  ],
  ["with the last event of PCR 5 twice", () => [...records, records[lastOf(5)] ?? eventOf(5)], 5],
  ["with two events of PCR 0 exchanged", () => exchanged(firstOf(0), secondOf(0)), 0],
  ["with two events of PCR 7 exchanged", () => exchanged(firstOf(7), lastOf(7)), 7],
  ["with an event inserted before all of PCR 1", () => [eventOf(1), ...records], 1],
  ["with an event inserted in PCR 4", () => records.toSpliced(secondOf(4), 0, eventOf(4)), 4],
  ["with an event behind all of PCR 6", () => [...records, eventOf(6)], 6],
  [
    "with an event moved to another PCR",
    () => records.map((r, i) => (i === firstOf(0) ? { ...r, pcr: 1 } : r)),
    0,
  ],
  ["of other PCRs alone", () => records.filter(({ pcr }) => pcr > 7), 0],
  ["without any event", () => [], 0],
  [
    "with an event declared as one that is not extended",
    () => records.map((r, i) => (i === lastOf(3) ? { ...r, type: EV_NO_ACTION } : r)),
    3,
  ],
]
const exchanged = (a: number, b: number): readonly LogRecord[] =>
  records.map((record, i) => records[i === a ? b : i === b ? a : i] ?? record)
for (const [name, change, pcr] of changes)
  test(`refuses E-04 a log ${name}`, () => {
    const error = throwsCode(() => verifyReplay(pcrs, logOf(change())), "EVENT_LOG_REPLAY")
    assert.match(error.location ?? "", new RegExp(`^sha256:${pcr}, `))
  })

test("accepts a log whose events of different PCRs changed places: each PCR has its own order", () => {
  const sorted = records.toSorted((a, b) => a.pcr - b.pcr)
  assert.ok(verifyReplay(pcrs, logOf(sorted)))
})

test("accepts a log with a record that is not extended, whatever its digest", () => {
  const note = { ...eventOf(0), type: EV_NO_ACTION }
  assert.ok(verifyReplay(pcrs, logOf([note, ...records, note])))
})

test("refuses E-04 a boot PCR that has a value and no event, and says so", () => {
  const other = p256Device()
  other.boot([])
  other.extend(6, utf8("behind the log's back"))
  const error = throwsCode(
    () => verifyReplay(pcrsOf(other), parseEventLog(other.eventLog)),
    "EVENT_LOG_REPLAY",
  )
  assert.is(error.location, "sha256:6, no event of the log extends it")
  assert.is(error.expected, `${"00".repeat(32)} by the log`)
})

test("names the event that was added, and the first one of a PCR where no part of the log leads to the quote", () => {
  const added = throwsCode(() => verifyReplay(pcrs, logOf([...records, eventOf(6)])), "EVENT_LOG_REPLAY")
  assert.is(added.location, `sha256:6, event ${records.length + 1}`)
  const lost = throwsCode(
    () => verifyReplay(pcrs, logOf(records.toSpliced(lastOf(4), 1))),
    "EVENT_LOG_REPLAY",
  )
  assert.is(lost.location, `sha256:4, event ${firstOf(4) + 1}`)
  const inserted = records.toSpliced(secondOf(4), 0, eventOf(4))
  const [mismatch] = compareBank(
    createLogOutcome(() => logOf(inserted)),
    "sha256",
    replayBank(logOf(inserted), "sha256").values,
    values,
  )
  assert.is(mismatch?.pcr, 4)
  assert.is(mismatch?.event?.sequence, firstOf(4) + 1)
})

test("lists every PCR that differs, for those who want the whole list", () => {
  const changed = logOf([...records, eventOf(2), eventOf(5), eventOf(9)])
  const mismatches = compareBank(
    createLogOutcome(() => changed),
    "sha256",
    replayBank(changed, "sha256").values,
    values,
  )
  assert.equal(
    mismatches.map(({ pcr }) => pcr),
    [2, 5],
  )
})

// Startup locality.

const booted = (startupLocality: 0 | 3 | 4): SoftwareDevice => {
  const other = p256Device()
  other.boot(undefined, { startupLocality })
  return other
}
const locality = startupLocalityRecord
for (const value of [3, 4] as const)
  test(`accepts a log that begins with startup locality ${value}`, () => {
    const other = booted(value)
    assert.ok(verifyReplay(pcrsOf(other), parseEventLog(other.eventLog)))
  })

const withoutLocality = (other: SoftwareDevice): readonly LogRecord[] =>
  parseEventLog(other.eventLog).events.slice(2).map(recordOf)
const started = booted(3)
const rest = withoutLocality(started)
const localities: [name: string, log: () => readonly LogRecord[]][] = [
  ["without the startup locality that the TPM had", () => rest],
  ["with another startup locality", () => [locality(4), ...rest]],
  ["with the startup locality twice", () => [locality(3), locality(3), ...rest]],
  ["with a second, other startup locality", () => [locality(3), locality(4), ...rest]],
  ["with the startup locality behind the first event of PCR 0", () => rest.toSpliced(1, 0, locality(3))],
  ["with the startup locality at its end", () => [...rest, locality(3)]],
  [
    "with a startup locality of another spelling",
    () => [{ ...locality(3), data: utf8("StartupLocality\x03") }, ...rest],
  ],
  [
    "with a startup locality and a byte behind it",
    () => [{ ...locality(3), data: concat(locality(3).data, Uint8Array.of(0)) }, ...rest],
  ],
]
for (const [name, made] of localities)
  test(`refuses E-08 a log ${name}`, () => {
    const error = throwsCode(() => verifyReplay(pcrsOf(started), logOf(made())), "EVENT_LOG_REPLAY")
    assert.match(error.location ?? "", /^(PCR|sha256):0, event \d+$/)
  })
test("accepts a startup locality behind events of other PCRs: PCR 0 still has none", () => {
  const events = rest.toSorted((a, b) => Number(a.pcr === 0) - Number(b.pcr === 0))
  const firstOf0 = events.findIndex(({ pcr }) => pcr === 0)
  assert.ok(verifyReplay(pcrsOf(started), logOf(events.toSpliced(firstOf0, 0, locality(3)))))
})

test("accepts a startup locality that nothing of PCR 0 follows: PCR 0 holds just that", () => {
  const other = p256Device()
  other.boot(
    standardBoot().filter(({ pcr }) => pcr !== 0),
    { startupLocality: 3 },
  )
  assert.ok(verifyReplay(pcrsOf(other), parseEventLog(other.eventLog)))
})

// Banks.

test("refuses E-09 a log of the SHA-1 form beside a quote over sha256", () => {
  const other = createSoftwareDevice({ algorithm: "p256", sharedKeys: true, banks: ["sha1", "sha256"] })
  other.boot(undefined, { log: "sha1" })
  throwsCode(() => verifyReplay(pcrsOf(other), parseEventLog(other.eventLog)), "EVENT_LOG_BANK")
})

const twoBanks: readonly PcrSelection[] = [
  { hash: "sha256", pcrs: [0, 4, 7] },
  { hash: "sha384", pcrs: [0, 4, 7] },
]
const double = createSoftwareDevice({
  algorithm: "p256",
  sharedKeys: true,
  banks: ["sha256", "sha384"],
})
const doubleRecords = parseEventLog(double.eventLog).events.slice(1).map(recordOf)
const doubleLog = (changed: readonly LogRecord[]): EventLog => logOf(changed, ["sha256", "sha384"])

test("accepts a log that leads to both quoted banks", () => {
  const { explained } = verifyReplay(pcrsOf(double, twoBanks), doubleLog(doubleRecords))
  assert.equal([...explained.keys()], ["sha256", "sha384"])
})
const inBank: [name: string, bank: HashName][] = [
  ["the first", "sha256"],
  ["the second", "sha384"],
]
for (const [name, bank] of inBank)
  test(`refuses E-10 a log in which ${name} of two banks disagrees`, () => {
    const changed = doubleRecords.map((record, i) =>
      i === doubleRecords.findLastIndex(({ pcr }) => pcr === 4)
        ? { ...record, digests: new Map([...record.digests, [bank, new Uint8Array(HASHES[bank].sizeBytes)]]) }
        : record,
    )
    const error = throwsCode(
      () => verifyReplay(pcrsOf(double, twoBanks), doubleLog(changed)),
      "EVENT_LOG_REPLAY",
    )
    assert.match(error.location ?? "", new RegExp(`^${bank}:4`))
  })

test("refuses E-10 a log in which an event has no digest for a quoted bank", () => {
  const parsed = doubleLog(doubleRecords)
  const gappy: EventLog = {
    ...parsed,
    events: parsed.events.map((event) =>
      event.sequence === 5
        ? { ...event, digests: new Map([...event.digests].filter(([hash]) => hash !== "sha384")) }
        : event,
    ),
  }
  const error = throwsCode(() => verifyReplay(pcrsOf(double, twoBanks), gappy), "EVENT_LOG_REPLAY")
  assert.match(error.location ?? "", /^sha384:\d+, event 5$/)
  assert.is(replayBank(gappy, "sha384").gap?.sequence, 5)
  assert.is(replayBank(gappy, "sha256").gap, undefined)
})

test("refuses E-09 a log without the bank that was quoted", () => {
  throwsCode(() => verifyReplay(pcrsOf(double, twoBanks), logOf(records)), "EVENT_LOG_BANK")
})

// A bank that the firmware leaves alone, and out of its log.

const untouched = (): SoftwareDevice => {
  const other = createSoftwareDevice({ algorithm: "p256", sharedKeys: true, banks: ["sha256", "sha384"] })
  other.boot([])
  for (const { pcr, type, digests } of records) if (type !== EV_NO_ACTION) other.extend(pcr, digests)
  return other
}
const besides = (pcrs: readonly number[]): readonly PcrSelection[] => [
  { hash: "sha256", pcrs: [0, 7] },
  { hash: "sha384", pcrs },
]
test("accepts a bank that the log leaves out and that shows that it was left alone, and explains nothing of it", () => {
  const { explained } = verifyReplay(pcrsOf(untouched(), besides([0, 4, 7])), logOf(records))
  assert.equal([...explained.keys()], ["sha256"])
})
for (const pcr of [0, 4, 7])
  test(`refuses Q-09 a bank that the log leaves out although PCR ${pcr} of it was extended`, () => {
    const other = untouched()
    other.extend(pcr, new Map([["sha384", new Uint8Array(48).fill(1)]]))
    throwsCode(() => verifyReplay(pcrsOf(other, besides([0, 4, 7])), logOf(records)), "EVENT_LOG_BANK")
  })
test("refuses Q-09 a bank that the log leaves out and that shows no PCR which could tell", () => {
  throwsCode(() => verifyReplay(pcrsOf(untouched(), besides([16, 23])), logOf(records)), "EVENT_LOG_BANK")
})

// PCRs of the operating system, and of a dynamic launch.

test("accepts a quoted PCR over 7 that no event extends: the operating system extended it", () => {
  const other = p256Device()
  other.extend(10, utf8("an IMA measurement"))
  const { explained } = verifyReplay(
    pcrsOf(other, [{ hash: "sha256", pcrs: [0, 10] }]),
    parseEventLog(other.eventLog),
  )
  assert.equal(explained.get("sha256"), [0])
})
test("refuses E-04 a quoted PCR over 7 that the log does not lead to", () => {
  const other = p256Device()
  other.extend(9, utf8("after the log"))
  const selection: readonly PcrSelection[] = [{ hash: "sha256", pcrs: [0, 9] }]
  throwsCode(() => verifyReplay(pcrsOf(other, selection), parseEventLog(other.eventLog)), "EVENT_LOG_REPLAY")
})
test("begins PCRs 17 to 22 with ones, and all others with zeros", () => {
  for (let pcr = 0; pcr < 24; pcr++)
    assert.equal(
      resetValue("sha384", pcr),
      new Uint8Array(48).fill(pcr >= 17 && pcr <= 22 ? 0xff : 0),
      `${pcr}`,
    )
  const other = p256Device()
  const launched: BootEvent = { pcr: 17, type: 0x0d, data: utf8("a dynamic launch") }
  other.boot([launched])
  const selection: readonly PcrSelection[] = [{ hash: "sha256", pcrs: [17] }]
  assert.ok(verifyReplay(pcrsOf(other, selection), parseEventLog(other.eventLog)))
})

const resetValues: [name: string, pcr: number, value: Uint8Array, isReset: boolean][] = [
  ["zeros in PCR 0", 0, new Uint8Array(32), true],
  ["locality 3 in PCR 0", 0, withLast(3), true],
  ["locality 4 in PCR 0", 0, withLast(4), true],
  ["more than a locality in PCR 0", 0, withLast(5), false],
  ["a locality in PCR 1", 1, withLast(3), false],
  ["a first byte in PCR 0", 0, withLast(0).fill(1, 0, 1), false],
]
function withLast(byte: number): Uint8Array {
  return new Uint8Array(32).fill(byte, 31)
}
for (const [name, pcr, value, isReset] of resetValues)
  test(`takes ${name} for ${isReset ? "a" : "no"} reset value`, () => {
    assert.is(isResetValue(pcr, value), isReset)
  })

test.run()
