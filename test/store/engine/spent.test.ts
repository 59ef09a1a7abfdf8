import fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { SpentSet } from "../../../src/store/engine/spent.ts"
import { afterNoon, NOON } from "../../support/ports/samples.ts"

const test = suite("SpentSet")

test("forgets an entry only once its whole second is over", () => {
  const spent = new SpentSet(10)
  spent.add("a", afterNoon(1500))
  for (const ms of [0, 1000, 1500, 1999]) {
    spent.forgetExpired(afterNoon(ms))
    assert.ok(spent.has("a", afterNoon(1500)), `after ${ms} ms`)
    assert.not(spent.isForgotten(afterNoon(1500)))
  }
  spent.forgetExpired(afterNoon(2000))
  assert.not(spent.has("a", afterNoon(1500)))
  assert.ok(spent.isForgotten(afterNoon(1500)))
  assert.is(spent.size, 0)
})

test("forgets nothing when the clock says nothing", () => {
  const spent = new SpentSet(10)
  spent.add("a", NOON)
  spent.forgetExpired(new Date(Number.NaN))
  assert.ok(spent.has("a", NOON))
})

test("goes on forgetting after the clock stepped back", () => {
  const spent = new SpentSet(1)
  spent.forgetExpired(afterNoon(86_400_000))
  spent.add("a", afterNoon(1000))
  assert.ok(spent.isFull)
  spent.forgetExpired(afterNoon(5000))
  assert.not(spent.isFull)
})

test("forgets a hundred thousand entries in a moment", () => {
  const spent = new SpentSet(200_000)
  for (let i = 0; i < 100_000; i++) spent.add(`${i}`, afterNoon(i))
  const start = performance.now()
  spent.forgetExpired(afterNoon(1_000_000))
  const ms = performance.now() - start
  assert.is(spent.size, 0)
  assert.ok(ms < 20, `${ms} ms`)
})

test("tells of each entry that it was spent or may have been, whatever the clock does", () => {
  const second = fc.integer({ min: 0, max: 20 })
  const step = fc.record({ now: second, lifetime: fc.integer({ min: 1, max: 5 }) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const spent = new SpentSet(100)
      const added: [key: string, expiresAt: Date][] = []
      steps.forEach(({ now, lifetime }, i) => {
        spent.forgetExpired(afterNoon(now * 1000))
        const expiresAt = afterNoon((now + lifetime) * 1000)
        if (!spent.isForgotten(expiresAt)) {
          spent.add(`${i}`, expiresAt)
          added.push([`${i}`, expiresAt])
        }
        for (const [key, expiry] of added) assert.ok(spent.has(key, expiry) || spent.isForgotten(expiry))
      })
    }),
  )
})

test.run()
