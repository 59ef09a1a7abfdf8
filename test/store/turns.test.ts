import { setImmediate, setTimeout } from "node:timers/promises"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { Turns } from "../../src/store/turns.ts"

const test = suite("Turns")

/** Acts that end when they are told to, and the order in which they began. */
const bench = (atOnce: number, patienceMs = 5000) => {
  const turns = new Turns(atOnce, patienceMs)
  const begun: string[] = []
  const ends = new Map<string, () => void>()
  const take = (name: string): Promise<string> =>
    turns.take(async () => {
      begun.push(name)
      await new Promise<void>((resolve) => ends.set(name, resolve))
      if (name.startsWith("failing")) throw new Error(name)
      return name
    })
  const end = async (name: string): Promise<void> => {
    ends.get(name)?.()
    await setImmediate()
  }
  return { take, end, begun }
}

/** What comes of it, or that nothing does: a test must end. */
const soon = <T>(promise: Promise<T>): Promise<T | string> =>
  Promise.race([promise, setTimeout(500, "nothing")])

test("lets as many go on as it may, and the others in their order", async () => {
  const { take, end, begun } = bench(2)
  const all = ["a", "b", "c", "d"].map((name) => take(name))
  assert.equal(begun, ["a", "b"])
  await end("b")
  assert.equal(begun, ["a", "b", "c"])
  await end("a")
  await end("c")
  await end("d")
  assert.equal(await soon(Promise.all(all)), ["a", "b", "c", "d"])
  const again = take("e")
  assert.equal(begun.at(-1), "e")
  await end("e")
  assert.is(await soon(again), "e")
})

test("goes on after one that failed", async () => {
  const { take, end, begun } = bench(1)
  const failing = take("failing").catch((error: Error) => error.message)
  const next = take("next")
  await end("failing")
  assert.is(await failing, "failing")
  await end("next")
  assert.equal([await soon(next), begun], ["next", ["failing", "next"]])
})

test("refuses who would wait for longer than anybody waits, and lets nobody else wait for it", async () => {
  const { take, end, begun } = bench(1, 20)
  const first = take("a")
  const late = await soon(take("late").catch((error: Error) => error.message))
  assert.match(String(late), "wait for each other")
  const next = take("b")
  await end("a")
  await end("b")
  assert.equal([await soon(first), await soon(next), begun], ["a", "b", ["a", "b"]])
})

test.run()
