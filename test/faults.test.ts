import { suite } from "uvu"
import * as assert from "uvu/assert"
import { readConfig } from "../src/config.ts"
import { FAULT, withFaults } from "../src/faults.ts"
import { rejectsCode, throwsCode } from "./support/assert.ts"
import { withService } from "./support/service.ts"

const test = suite("faults")

test("passes a point before and after each call of a port, and changes no answer", async () => {
  await withService(async ({ ports }) => {
    const points: string[] = []
    const faulty = withFaults(ports, (point) => points.push(point))
    assert.equal(await faulty.trust.trustState("default"), await ports.trust.trustState("default"))
    assert.equal(points, ["trust.trustState:before", "trust.trustState:after"])
    await rejectsCode(() => faulty.registry.device("default", "nobody"), "DEVICE_NOT_FOUND")
    assert.equal(points.slice(2), ["registry.device:before"])
    for (const point of points) assert.match(point, FAULT)
  })
})

test("leaves what is asked in every breath alone", async () => {
  await withService(async ({ ports }) => {
    const points: string[] = []
    const faulty = withFaults(ports, (point) => points.push(point))
    faulty.clock.now()
    assert.is(faulty.settings.build, "test")
    assert.equal(points, [])
  })
})

test("is there in development mode alone", () => {
  const fault = "journal.append:before"
  assert.is(readConfig({}, { ASSAY_FAULT: fault, ASSAY_DEVELOPMENT: "1" }, undefined).fault, fault)
  throwsCode(() => readConfig({}, { ASSAY_FAULT: fault }, undefined), "INPUT")
  for (const wrong of ["journal.append", "all", "journal.append:during", "a b:after"])
    throwsCode(() => readConfig({}, { ASSAY_FAULT: wrong, ASSAY_DEVELOPMENT: "1" }, undefined), "INPUT")
})

test.run()
