import { suite } from "uvu"
import * as assert from "uvu/assert"
import { eventLog } from "../../../src/appraisal/rules/event-log.ts"
import { verdictOf } from "../../support/core.ts"

const test = suite("eventLog")

test("accepts a log that was proven, required or not", () => {
  assert.equal(verdictOf(eventLog), ["affirming", undefined])
  assert.equal(verdictOf(eventLog, {}, { "evidence.eventLog": "optional" }), ["affirming", undefined])
})
test("refuses E-04 a quote without the log that the policy requires", () => {
  assert.equal(verdictOf(eventLog, { replay: undefined }), ["contraindicated", "EVENT_LOG_MISSING"])
})
test("refuses Q-09 a log that says nothing of a required bank", () => {
  for (const explained of [new Map(), new Map([["sha384", [0]]] as const)])
    assert.equal(verdictOf(eventLog, { replay: { explained } }), ["contraindicated", "EVENT_LOG_BANK"])
})
test("accepts a quote without a log where it is optional", () => {
  const terms = { "evidence.eventLog": "optional" }
  assert.equal(verdictOf(eventLog, { replay: undefined }, terms), ["affirming", undefined])
})

test.run()
