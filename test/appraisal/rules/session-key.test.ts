import { suite } from "uvu"
import * as assert from "uvu/assert"
import { sessionKey } from "../../../src/appraisal/rules/session-key.ts"
import { verdictOf } from "../../support/core.ts"

const test = suite("sessionKey")

test("refuses a session for a device that quotes any nonce it is handed", () => {
  const terms = { "evidence.rawNonce": true }
  assert.equal(verdictOf(sessionKey, {}, terms), ["contraindicated", "SESSION_KEY_UNCERTIFIED"])
})
test("accepts such a device where no session is asked for", () => {
  const terms = { "evidence.rawNonce": true }
  assert.equal(verdictOf(sessionKey, {}, terms, { audience: undefined }), ["affirming", undefined])
})
test("accepts a session for a device that computes what it quotes", () => {
  assert.equal(verdictOf(sessionKey), ["affirming", undefined])
})

test.run()
