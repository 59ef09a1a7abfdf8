import { suite } from "uvu"
import * as assert from "uvu/assert"
import { sessionKey } from "../../../src/appraisal/rules/session-key.ts"
import { verdictOf } from "../../support/core.ts"

const test = suite("sessionKey")

test("refuses a session for a device that quotes any nonce it is handed", () => {
  const terms = { "evidence.rawNonce": true }
  assert.equal(verdictOf(sessionKey, {}, terms), ["contraindicated", "SESSION_KEY_UNCERTIFIED"])
})
test("accepts a session for such a device that is bound to a key which its TPM certified", () => {
  const certifiedKey = { name: new Uint8Array(34), spki: new Uint8Array(91) }
  const terms = { "evidence.rawNonce": true }
  assert.equal(verdictOf(sessionKey, { certifiedKey }, terms), ["affirming", undefined])
  const epoch = { freshness: "epoch", audience: undefined } as const
  assert.equal(verdictOf(sessionKey, { certifiedKey }, terms, epoch), ["contraindicated", "RAW_NONCE"])
})
test("refuses N-04 an epoch that such a device may have been handed as a nonce", () => {
  const terms = { "evidence.rawNonce": true }
  const epoch = { freshness: "epoch", audience: undefined } as const
  assert.equal(verdictOf(sessionKey, {}, terms, epoch), ["contraindicated", "RAW_NONCE"])
})
test("accepts such a device for a relying party's nonce, which yields no session", () => {
  const terms = { "evidence.rawNonce": true }
  const nonce = { freshness: "nonce", audience: undefined } as const
  assert.equal(verdictOf(sessionKey, {}, terms, nonce), ["affirming", undefined])
})
test("accepts a session for a device that computes what it quotes", () => {
  assert.equal(verdictOf(sessionKey), ["affirming", undefined])
})

test.run()
