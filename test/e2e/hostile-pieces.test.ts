/** Messages in frames of a byte, before the running service: each frame costs what a large one does, whoever sends it. */
import { constants } from "node:http2"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { frame, framed, until } from "../server/raw.ts"
import {
  CHECK,
  callHeaders,
  DATA,
  END_STREAM,
  type Header,
  headersOf,
  STREAM,
  VERIFY,
  type Victim,
  victimOf,
  type Wire,
  wholeCall,
  wire,
} from "./hostile.ts"

const test = suite("messages in pieces")
const victim = victimOf(test)
let addresses = 0
/** One that nobody has connected from. */
const newAddress = (): string => `127.0.11.${++addresses}`
/** A connection from an address. */
const from = (address: string): Promise<Wire> => wire(victim().address, undefined, address)

/** A message of so many bytes, in frames of so many. */
const inFrames = (stream: number, bytes: number, each: number): Buffer => {
  const message = framed(Buffer.alloc(bytes, 7))
  const frames = Array.from({ length: Math.ceil(message.length / each) }, (_, i) =>
    frame(DATA, 0, stream, message.subarray(i * each, (i + 1) * each)),
  )
  return Buffer.concat([...frames, frame(DATA, END_STREAM, stream)])
}
const saying = (headers: readonly Header[], credential: string): readonly Header[] =>
  headers.map(([name, value]) => [name, name === "authorization" ? `Bearer ${credential}` : value])

const calls: [what: string, headers: (found: Victim) => readonly Header[], bytes: number, each: number][] = [
  ["of a gateway's, a byte each", (found) => callHeaders(found, VERIFY), 3500, 1],
  ["of a gateway's, 200 bytes each", (found) => callHeaders(found, VERIFY), 150_000, 200],
  ["of a gateway's stream", (found) => callHeaders(found, STREAM), 3500, 1],
  [
    "of a credential that is nobody's",
    (found) => saying(callHeaders(found, VERIFY), "x".repeat(43)),
    3500,
    1,
  ],
  ["to a method that nobody serves", (found) => callHeaders(found, `${VERIFY}s`), 3500, 1],
  ["that anyone may send", (found) => callHeaders(found, CHECK), 3500, 1],
]
for (const [what, headers, bytes, each] of calls)
  test(`refuses G-05 a message in frames ${what}, and closes the connection`, async () => {
    const one = await from(newAddress())
    await one.send(headersOf(1, headers(victim())), inFrames(1, bytes, each))
    await until(() => one.isClosed())
    assert.is(one.goaway(), constants.NGHTTP2_ENHANCE_YOUR_CALM)
    await victim().unharmed()
  })

test("refuses G-05 connections from an address that goes on with that, and from no other", async () => {
  const address = newAddress()
  const closed = async (one: Wire): Promise<number | undefined> => {
    await until(() => one.isClosed())
    return one.goaway()
  }
  for (let i = 0; i < 3; i += 1) {
    const one = await from(address)
    await one.send(headersOf(1, callHeaders(victim(), VERIFY)), inFrames(1, 3500, 1))
    assert.is(await closed(one), constants.NGHTTP2_ENHANCE_YOUR_CALM)
  }
  assert.is(await closed(await from(address)), undefined, "it was let in")
  const other = await from(newAddress())
  await other.send(wholeCall(1, callHeaders(victim())))
  await until(() => other.isAnswered(1))
  other.close()
})

test("keeps nobody out whose address another known caller calls from, as from behind a proxy", async () => {
  const address = newAddress()
  const known = await from(address)
  await known.send(wholeCall(1, callHeaders(victim())))
  await until(() => known.isAnswered(1))
  for (let i = 0; i < 6; i += 1) {
    const one = await from(address)
    await one.send(headersOf(1, saying(callHeaders(victim(), VERIFY), "x".repeat(43))), inFrames(1, 3500, 1))
    await until(() => one.isClosed())
    assert.is(one.goaway(), constants.NGHTTP2_ENHANCE_YOUR_CALM)
  }
  assert.is(known.isClosed(), false)
  known.close()
})

const taken: [what: string, bytes: number, each: number][] = [
  ["of a byte, few enough of them", 400, 1],
  ["of what a packet holds", 2_000_000, 1400],
]
for (const [what, bytes, each] of taken)
  test(`reads a message in frames ${what}, and answers`, async () => {
    const one = await from(newAddress())
    await one.send(headersOf(1, callHeaders(victim(), VERIFY)), inFrames(1, bytes, each))
    await until(() => one.isAnswered(1))
    assert.is(one.goaway(), undefined)
    one.close()
  })

test.run()
