import { suite } from "uvu"
import * as assert from "uvu/assert"
import { sameBytes } from "../../src/bytes.ts"
import { replayLog } from "../../src/service/replay-log.ts"
import { throwsCode } from "../support/assert.ts"
import { testDevice } from "../support/world.ts"

const test = suite("replayLog")

test("leads to the PCRs of the device that wrote the log, in all of its banks", () => {
  const device = testDevice({ banks: ["sha256", "sha384"], sharedKeys: true })
  const { format, banks, gaps, eventCount, startupLocality, paddingBytes } = replayLog(device.eventLog)
  assert.equal([format, gaps, startupLocality, paddingBytes], ["crypto-agile", [], undefined, 0])
  assert.equal([...banks.keys()], ["sha256", "sha384"])
  assert.ok(eventCount > 1)
  for (const [hash, values] of banks)
    for (const [pcr, value] of values)
      assert.ok(sameBytes(value, device.pcrValues([{ hash, pcrs: [pcr] }])), `${hash}:${pcr}`)
})

test("says what PCR 0 began with", () => {
  const device = testDevice({ sharedKeys: true })
  for (const startupLocality of [3, 4] as const) {
    device.boot(undefined, { startupLocality })
    assert.is(replayLog(device.eventLog).startupLocality, startupLocality)
  }
})

test("throws for what is no log", () => {
  throwsCode(() => replayLog(new Uint8Array()), "FRAMING")
  throwsCode(() => replayLog(testDevice({ sharedKeys: true }).eventLog.subarray(1)), ["FRAMING", "LENGTH"])
})

test.run()
