import { setImmediate as turnOfLoop } from "node:timers/promises"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { type Channel, createChannel, type Item } from "../../src/workers/channel.ts"

const test = suite("createChannel")

type Theirs = { readonly echo: (text: string) => string }

/** A channel to nobody, and what was sent over it. */
const toNobody = (): readonly [Channel<Theirs>, (readonly Item[])[]] => {
  const sent: (readonly Item[])[] = []
  return [createChannel<Theirs>((items) => sent.push(items), {}), sent]
}

/** Longer than anything here takes that does not wait for it. */
const LIMIT_MS = 300
const reasonOf = (asked: Promise<unknown>): Promise<string> =>
  asked.then(
    () => "answered",
    ({ message }) => message,
  )

test("sends together what is said in one turn of the event loop", async () => {
  const [channel, sent] = toNobody()
  void channel.ask("echo", undefined, "one")
  channel.tell("echo", "two")
  assert.is(sent.length, 0)
  await turnOfLoop()
  assert.equal(
    sent.map((items) => items.map(({ kind }) => kind)),
    [["ask", "tell"]],
  )
})

test("refuses S-08 to wait for an answer that does not come in time", async () => {
  const [channel] = toNobody()
  assert.match(await reasonOf(channel.ask("echo", 20, "one")), /not answered in time/)
})

test("refuses S-08 to wait for one that has ended, whether it was asked before or after", async () => {
  const [channel] = toNobody()
  const before = reasonOf(channel.ask("echo", LIMIT_MS, "one"))
  channel.close()
  const after = reasonOf(channel.ask("echo", LIMIT_MS, "two"))
  assert.match(await before, /has ended/)
  assert.match(await after, /has ended/)
})

test.run()
