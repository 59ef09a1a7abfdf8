import { setTimeout as sleep } from "node:timers/promises"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { kept } from "../../src/web/kept.ts"
import { bucketOf } from "../support/buckets.ts"

const test = suite("kept")

/** What is kept as often as once a second, two at once, by a clock that is set. */
const counting = (make = async (count: number): Promise<number> => count) => {
  const clock = { ms: 0 }
  let count = 0
  const ask = kept(
    () => make(++count),
    bucketOf({ perSecond: 1, burst: 2 }),
    () => clock.ms,
  )
  return { clock, ask, made: () => count }
}

test("G-09 makes it anew for who asks seldom", async () => {
  const { clock, ask } = counting()
  for (const count of [1, 2, 3, 4, 5]) {
    assert.is(await ask(), count)
    clock.ms += 1000
  }
})

test("G-09 makes it no more often than it may, and never shows what is older", async () => {
  const { clock, ask, made } = counting()
  let madeMs = 0
  for (let count = 0; clock.ms < 10_000; clock.ms += 10) {
    await ask()
    if (made() > count) madeMs = clock.ms
    count = made()
    assert.ok(clock.ms - madeMs < 1000)
  }
  assert.is(made(), 12, "one that was not there, two at once, and nine in ten seconds")
})

test("G-09 makes one for all who ask at once", async () => {
  const waiting: ((count: number) => void)[] = []
  const { ask, made } = counting((_) => new Promise((resolve) => waiting.push(resolve)))
  const all = [ask(), ask(), ask()]
  assert.is(made(), 1)
  for (const resolve of waiting) resolve(7)
  assert.equal(await Promise.all(all), [7, 7, 7])
})

test("G-09 has nobody wait for one that does not end", async () => {
  const { clock, ask, made } = counting((count) =>
    count === 1 ? new Promise(() => {}) : Promise.resolve(count),
  )
  void ask()
  clock.ms = 1999
  void ask()
  assert.is(made(), 1)
  clock.ms = 2000
  assert.is(await Promise.race([ask(), sleep(1000)]), 2)
})

test("G-09 tells of a failure no longer than of anything else", async () => {
  const { clock, ask } = counting((count) =>
    count === 3 ? Promise.reject(new Error("once")) : Promise.resolve(count),
  )
  const outcome = (): Promise<number | string> => ask().catch(({ message }: Error) => message)
  assert.equal([await outcome(), await outcome(), await outcome(), await outcome()], [1, 2, "once", "once"])
  clock.ms = 1000
  assert.is(await outcome(), 4)
})

test("G-09 tells of what throws at once, too", async () => {
  const ask = kept(
    () => {
      throw new Error("at once")
    },
    bucketOf({ perSecond: 1, burst: 1 }),
  )
  assert.is(await ask().catch(({ message }: Error) => message), "at once")
})

test.run()
