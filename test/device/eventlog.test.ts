import { hash as digest } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, toHex, utf8 } from "../../src/bytes.ts"
import { EV_SEPARATOR, standardBoot } from "../../src/device/boot.ts"
import type { StartupLocality } from "../../src/device/eventlog.ts"
import { createSoftwareDevice, type SoftwareDevice } from "../../src/device/software.ts"
import { EV_NO_ACTION, parseEventLog } from "../../src/evidence/eventlog/eventlog.ts"
import { HASHES, type HashName } from "../../src/evidence/tpm/algorithm.ts"
import { needs } from "../support/vectors.ts"
import { output, withFiles } from "./judges.ts"

const BANKS = ["sha1", "sha256", "sha384", "sha512"] as const
const PCRS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]

const make = (): SoftwareDevice => createSoftwareDevice({ algorithm: "p256", banks: BANKS })
const value = (device: SoftwareDevice, hash: HashName, pcr: number): string =>
  toHex(device.pcrValues([{ hash, pcrs: [pcr] }]))

/** Replays by hand, from the log's digests alone. */
const replayed = (log: Uint8Array, hash: HashName, pcr: number, locality = 0): string => {
  let running = new Uint8Array(HASHES[hash].sizeBytes)
  if (pcr === 0) running[running.length - 1] = locality
  for (const event of parseEventLog(log).events) {
    const extended = event.digests.get(hash)
    if (event.pcr === pcr && event.untrustedType !== EV_NO_ACTION && extended !== undefined)
      running = new Uint8Array(digest(hash, concat(running, extended), "buffer"))
  }
  return toHex(running)
}

const test = suite("event log")
test("of a standard boot replays to the PCRs in every bank", () => {
  const device = make()
  const log = parseEventLog(device.eventLog)
  assert.is(log.format, "crypto-agile")
  assert.equal(log.banks, [...BANKS])
  assert.is(log.paddingBytes, 0)
  for (const hash of BANKS)
    for (const pcr of PCRS) assert.is(replayed(device.eventLog, hash, pcr), value(device, hash, pcr))
})

test("has one separator in each of the PCRs 0 to 7", () => {
  const separators = parseEventLog(make().eventLog).events.filter((e) => e.untrustedType === EV_SEPARATOR)
  assert.equal(
    separators.map(({ pcr, untrustedData }) => [pcr, toHex(untrustedData)]),
    [0, 1, 2, 3, 4, 5, 6, 7].map((pcr) => [pcr, "00000000"]),
  )
})

test("in the SHA-1 form replays to the SHA-1 bank", () => {
  const device = make()
  device.boot(standardBoot(), { log: "sha1" })
  assert.is(parseEventLog(device.eventLog).format, "sha1")
  for (const pcr of PCRS) assert.is(replayed(device.eventLog, "sha1", pcr), value(device, "sha1", pcr))
})

for (const startupLocality of [3, 4] satisfies StartupLocality[])
  test(`tells startup locality ${startupLocality}, from which PCR 0 begins`, () => {
    const device = make()
    const plain = value(device, "sha256", 0)
    device.boot(standardBoot(), { startupLocality })
    assert.is(replayed(device.eventLog, "sha256", 0, startupLocality), value(device, "sha256", 0))
    assert.is.not(value(device, "sha256", 0), plain)
    const record = parseEventLog(device.eventLog).events[1]
    assert.equal(record?.untrustedData, concat(utf8("StartupLocality\0"), Uint8Array.of(startupLocality)))
  })

test("never extends a record of type EV_NO_ACTION", () => {
  const device = make()
  device.boot([{ pcr: 4, type: EV_NO_ACTION, data: utf8("says something") }])
  assert.is(value(device, "sha256", 4), "00".repeat(32))
  assert.is(parseEventLog(device.eventLog).events.length, 2)
})

test("says nothing of what was extended behind its back", () => {
  const device = make()
  const before = device.eventLog
  device.extend(4, utf8("another boot loader"))
  assert.is(device.eventLog, before)
  assert.is.not(replayed(device.eventLog, "sha256", 4), value(device, "sha256", 4))
})

needs("swtpm", test)("is replayed by tpm2_eventlog to the same PCRs in every bank", () => {
  const device = make()
  const yaml = withFiles({ log: device.eventLog }, (folder) => output(folder, "tpm2_eventlog", "log"))
  const seen = new Set<string>()
  let bank = ""
  for (const line of yaml.slice(yaml.indexOf("\npcrs:")).split("\n")) {
    bank = /^ {2}(sha\d+):/.exec(line)?.[1] ?? bank
    const [, pcr, hex] = /^ {4}(\d+) *: 0x([0-9a-f]+)/.exec(line) ?? []
    const hash = BANKS.find((name) => name === bank)
    if (pcr === undefined || hash === undefined) continue
    assert.is(hex, value(device, hash, Number(pcr)))
    seen.add(`${bank}:${pcr}`)
  }
  assert.is(seen.size, BANKS.length * PCRS.length)
  assert.match(yaml, /EventType: EV_EFI_BOOT_SERVICES_APPLICATION/)
  assert.match(yaml, /UnicodeName: SecureBoot/)
})
test.run()
