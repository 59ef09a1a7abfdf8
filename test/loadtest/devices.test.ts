import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { type FleetReport, overBounds, tableOf } from "../../loadtest/devices-measure.ts"

const test = suite("make devices")
const run = promisify(execFile)

test("loads a fleet, finds every device of it, and says how long that took", async () => {
  const options = ["loadtest/devices.ts", "--devices", "2000", "-o", "json"]
  // On a busy machine the figures may be over their bounds, and then it ends with status 1.
  const { stdout } = await run(process.execPath, options).catch(({ code, ...ended }) => {
    assert.is(code, 1)
    return ended
  })
  const report: FleetReport = JSON.parse(stdout)
  assert.is(report.devices, 2000)
  for (const figure of [report.loadMs, report.sizeBytes, report.openMs, report.firstLookupMs])
    assert.ok(figure > 0)
  const { pages } = report
  assert.ok(Object.keys(pages).length > 8)
  for (const { median, max } of Object.values(pages)) assert.ok(0 < median && median <= max)
  assert.is(pages["seen lately, which none was"]?.devices, 0)
  assert.ok((pages["all, by id"]?.devices ?? 0) > 1000)
  assert.ok((pages["a state of few"]?.devices ?? 0) >= 2)
})

test("says which figures are over their bounds", () => {
  const page = { median: 1, max: 1, devices: 1 }
  const good: FleetReport = {
    devices: 1_000_000,
    loadMs: 1,
    sizeBytes: 1,
    openMs: 10,
    firstLookupMs: 0.5,
    firstPageMs: 1,
    lookupMs: { median: 0.1, max: 1 },
    pages: { all: page },
    memoryBytes: 1,
  }
  assert.equal(overBounds(good), [])
  assert.is(overBounds({ ...good, openMs: 501 }).length, 1)
  assert.is(overBounds({ ...good, firstLookupMs: 1.1 }).length, 1)
  assert.is(overBounds({ ...good, lookupMs: { median: 1.1, max: 2 } }).length, 1)
  assert.is(overBounds({ ...good, pages: { all: { ...page, median: 51 }, few: page } }).length, 1)
  assert.match(tableOf(good), /1,000,000/)
})

test("refuses a fleet that it could not load", async () => {
  for (const option of ["--devices=0", "--devices=x", "--output=xml"])
    assert.is.not(await run(process.execPath, ["loadtest/devices.ts", option]).catch(({ code }) => code), 0)
})

test.run()
