import { suite } from "uvu"
import * as assert from "uvu/assert"
import { Held, type Owners, ownersOf } from "../../src/server/held.ts"
import { throwsCode } from "../support/assert.ts"

const test = suite("Held")
const MIB = 1024 * 1024
const LIMITS = { bytesMax: 128 * MIB, callerBytesMax: 32 * MIB, messageBytesMax: 2 * MIB }

/** How many messages of so many bytes are held of `callers` in turns, each on a connection of its own, until one is refused. */
const taken = (held: Held, callers: readonly string[], bytes = 2 * MIB): number => {
  for (let count = 0; ; count++)
    try {
      const i = count % callers.length
      held.take(ownersOf(`connection ${i} of ${callers[0]}`, callers[i] ?? ""), bytes)
    } catch {
      return count
    }
}
const many = (count: number, kind: string): readonly string[] =>
  Array.from({ length: count }, (_, i) => `default ${kind}:${i}`)

for (const [whom, callers, most] of [
  ["one gateway", ["default gateway"], 16],
  ["one enrollment token", many(1, "enrollment"), 8],
  ["three enrollment tokens", many(3, "enrollment"), 16],
  ["forty enrollment tokens", many(40, "enrollment"), 16],
  ["forty devices", many(40, "device"), 16],
  ["forty connections that nobody is known on", many(40, "local"), 16],
] as const)
  test(`refuses G-06 to hold more than ${2 * most} MiB of ${whom}, and others have room`, () => {
    const held = new Held(LIMITS)
    assert.is(taken(held, callers), most)
    assert.is(taken(held, ["default backend"]), 16)
  })
test("G-06 has what is small of a caller held, whatever a party holds", () => {
  const held = new Held(LIMITS)
  taken(held, many(40, "enrollment"))
  taken(held, many(40, "enrollment"), 16 * 1024)
  assert.is(taken(held, ["default gateway"], 16 * 1024), 2048)
})
test("G-06 has room for the largest message of each caller, whatever its share is", () => {
  const held = new Held({ ...LIMITS, callerBytesMax: 3 * MIB })
  assert.is(taken(held, many(1, "device")), 1)
})
test("holds nothing of whoever is refused, and nothing once it is released", () => {
  const held = new Held(LIMITS)
  const owners: Owners = ownersOf("one", "default device:a")
  for (let i = 0; i < 8; i++) held.take(owners, 2 * MIB)
  throwsCode(() => held.take(owners, 1), "OVERLOADED")
  assert.is(held.total, 16 * MIB)
  for (let i = 0; i < 8; i++) held.release(owners, 2 * MIB)
  assert.is(held.total, 0)
  assert.is(taken(held, many(40, "device")), 16)
})
test.run()
