import { suite } from "uvu"
import * as assert from "uvu/assert"
import { newCallId } from "../../src/server/call-id.ts"

const test = suite("newCallId")

test("gives each of many calls an id of its own, of 128 bits", () => {
  const ids = Array.from({ length: 10_000 }, newCallId)
  assert.is(new Set(ids).size, ids.length)
  for (const id of ids) assert.match(id, /^[0-9a-f]{32}$/)
})
test("gives ids that agree in no more than chance has it, those drawn together too", () => {
  const ids = Array.from({ length: 1000 }, newCallId)
  const parts = ids.flatMap((id) => [id.slice(0, 16), id.slice(16)])
  assert.is(new Set(parts).size, parts.length)
})
test.run()
