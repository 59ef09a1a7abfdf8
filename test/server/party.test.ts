import { suite } from "uvu"
import * as assert from "uvu/assert"
import { lineOf } from "../../src/server/call.ts"
import { partyOf } from "../../src/server/party.ts"

const test = suite("partyOf")

for (const [id, party] of [
  ["enrollment:one", "acme enrollment:"],
  ["enrollment:another", "acme enrollment:"],
  ["device:press-3", "acme device:"],
  ["local:127.0.0.1:50123", "acme local:"],
  ["local:unix", "acme local:"],
  ["cert:edge:spiffe://acme/gateway/1", "acme cert:edge:spiffe://acme/gateway/1"],
  ["jwt:idp:device:7", "acme jwt:idp:device:7"],
  ["backend", "acme backend"],
  ["device", "acme device"],
  ["local", "acme local"],
] as const)
  test(`N-07 takes the turns of ${id} as those of ${party}`, () => {
    assert.is(partyOf(lineOf({ tenant: "acme", id })), party)
  })
test.run()
