import { setImmediate as turnOfLoop } from "node:timers/promises"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { Turns } from "../../src/store/turns.ts"
import { shareTurns } from "../../src/workers/turns.ts"

const test = suite("shareTurns")

/** Three processes that take turns, and whose turn has come. */
const scene = () => {
  const shared = shareTurns(new Turns(1, 500))
  const came: string[] = []
  const one = (name: string, member: number) => {
    const { turn, turnEnds } = shared.join(member)
    const asks = (): Promise<void> =>
      turn().then(
        () => void came.push(name),
        () => void came.push(`${name} waited too long`),
      )
    return { asks, turnEnds, leaves: () => shared.leave(member) }
  }
  return { came, a: one("a", 1), b: one("b", 2), c: one("c", 3) }
}

test("gives the turn to one at a time, in the order in which they asked", async () => {
  const { came, a, b, c } = scene()
  await a.asks()
  const others = [b.asks(), c.asks()]
  await turnOfLoop()
  assert.equal(came, ["a"])
  a.turnEnds()
  await others[0]
  await turnOfLoop()
  assert.equal(came, ["a", "b"])
  b.turnEnds()
  await others[1]
  assert.equal(came, ["a", "b", "c"])
})

test("refuses S-08 a turn to one that ended while it waited, for nobody would end it", async () => {
  const { came, a, b, c } = scene()
  await a.asks()
  void b.asks()
  b.leaves()
  a.turnEnds()
  await c.asks()
  assert.equal(came, ["a", "c"])
})

test("refuses S-08 a turn for ever to one that ended while it had it", async () => {
  const { came, a, c } = scene()
  await a.asks()
  a.leaves()
  await c.asks()
  assert.equal(came, ["a", "c"])
})

test("gives those that come in the place of one that ended turns of their own", async () => {
  const shared = shareTurns(new Turns(1, 500))
  await shared.join(1).turn()
  shared.leave(1)
  const next = shared.join(1)
  await next.turn()
  next.turnEnds()
  await shared.join(2).turn()
})

test.run()
