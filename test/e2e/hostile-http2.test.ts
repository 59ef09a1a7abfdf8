/**
 * HTTP/2 as no client speaks it, before the running service: calls that are none, calls that are taken back, headers without
 * an end, and frames that only cost. Whatever a connection does ends with that connection; the process stays as it was.
 */
import { constants } from "node:http2"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { frame, pause, SETTINGS, until } from "../server/raw.ts"
import {
  ACK,
  CHECK,
  CONTINUATION,
  callHeaders,
  DATA,
  END_HEADERS,
  END_STREAM,
  GOAWAY,
  type Header,
  headersOf,
  PING,
  PRIORITY,
  RST_STREAM,
  u32,
  VERIFY,
  type Victim,
  victimOf,
  WINDOW_UPDATE,
  type Wire,
  wholeCall,
  wire,
} from "./hostile.ts"

const test = suite("hostile HTTP/2")
const victim = victimOf(test)

/** One attack on one connection, after which nothing is different for anybody else. */
const attack = (
  name: string,
  act: (one: Wire, found: Victim) => Promise<void>,
  settings?: Uint8Array,
): void => {
  test(name, async () => {
    const one = await wire(victim().address, settings)
    try {
      await act(one, victim())
    } finally {
      one.close()
    }
    await victim().unharmed()
  })
}

/** Sends something again and again until the connection is closed, or it was sent so often. */
const flood = async (one: Wire, times: number, make: (i: number) => Uint8Array): Promise<void> => {
  for (let i = 0; i < times && !one.isClosed() && one.goaway() === undefined; i++) await one.send(make(i))
}
const ended = (one: Wire): boolean => one.isClosed() || one.goaway() !== undefined

test("answers a whole call that is written by hand", async () => {
  const one = await wire(victim().address)
  await one.send(wholeCall(1, callHeaders(victim())))
  await until(() => one.isAnswered(1))
  assert.equal([one.resetOf(1), one.goaway()], [undefined, undefined])
  one.close()
})

const without = (headers: readonly Header[], name: string): Header[] =>
  headers.filter(([key]) => key !== name)
const replaced = (headers: readonly Header[], name: string, value: string): Header[] =>
  headers.map(([key, old]) => [key, key === name ? value : old])
const wrong: [name: string, change: (headers: readonly Header[]) => readonly Header[]][] = [
  ["without a method", (headers) => without(headers, ":method")],
  ["without a path", (headers) => without(headers, ":path")],
  ["without a scheme", (headers) => without(headers, ":scheme")],
  ["with an empty path", (headers) => replaced(headers, ":path", "")],
  ["with two methods", (headers) => [[":method", "POST"], ...headers]],
  ["with two paths", (headers) => [[":path", VERIFY], ...headers]],
  ["with a pseudo-header that nobody has defined", (headers) => [[":status", "200"], ...headers]],
  ["with a pseudo-header behind the others", (headers) => [...without(headers, ":path"), [":path", VERIFY]]],
  ["with a header in capitals", (headers) => [...headers, ["X-Request", "1"]]],
  ["with a header of HTTP/1", (headers) => [...headers, ["connection", "close"]]],
  ["with a transfer coding", (headers) => [...headers, ["transfer-encoding", "chunked"]]],
  ["with a size that is not that of what comes", (headers) => [...headers, ["content-length", "3"]]],
]
for (const [name, change] of wrong)
  attack(`refuses G-02 a call ${name}`, async (one, found) => {
    await one.send(wholeCall(1, change(callHeaders(found))))
    await until(() => one.resetOf(1) !== undefined || ended(one))
    assert.not.ok(one.isAnswered(1) && one.resetOf(1) === undefined && !ended(one))
  })

const malformed: [name: string, make: (found: Victim) => Uint8Array][] = [
  ["headers by an index of 0", () => headersOf(1, Buffer.of(0x80))],
  ["headers by an index that no table has", () => headersOf(1, Buffer.of(0xff, 0xff, 0xff, 0x0f))],
  ["headers with a number that does not end", () => headersOf(1, Buffer.alloc(64, 0xff))],
  ["headers cut in the middle of a text", () => headersOf(1, Buffer.of(0x00, 0x7e, 0x61))],
  [
    "headers whose Huffman code is none",
    () => headersOf(1, Buffer.of(0x00, 0x84, 255, 255, 255, 255, 0x01, 0x61)),
  ],
  [
    "headers that make their table larger than it may be",
    () => headersOf(1, Buffer.of(0x3f, 0xe1, 0xff, 0xff, 0x0f)),
  ],
  ["headers of invalid text, 60 KB of them", () => headersOf(1, Buffer.alloc(16_384, 0xfe))],
  ["headers on no stream", (found) => headersOf(0, callHeaders(found))],
  ["headers on a stream of the server's", (found) => headersOf(2, callHeaders(found))],
  ["bytes on a stream that was never opened", () => frame(DATA, 0, 5, Buffer.alloc(10))],
  [
    "a frame of 16 MB",
    () => Buffer.concat([Buffer.of(0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1), Buffer.alloc(20_000)]),
  ],
  ["settings of five bytes", () => frame(SETTINGS, 0, 0, Buffer.alloc(5))],
  ["no frames at all but HTTP/1", () => Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(20))],
]
for (const [name, make] of malformed)
  attack(`refuses G-02 ${name}`, async (one, found) => {
    await one.send(make(found))
    await until(() => ended(one) || one.resetOf(1) !== undefined || one.resetOf(5) !== undefined)
  })

const CANCEL = u32(constants.NGHTTP2_CANCEL)
const storms: [name: string, make: (stream: number, found: Victim) => Uint8Array][] = [
  [
    "calls that are taken back at once",
    (stream, found) =>
      Buffer.concat([headersOf(stream, callHeaders(found)), frame(RST_STREAM, 0, stream, CANCEL)]),
  ],
  [
    "verifications that are taken back with half of a message",
    (stream, found) =>
      Buffer.concat([
        headersOf(stream, callHeaders(found, VERIFY)),
        frame(DATA, 0, stream, Buffer.alloc(100)),
        frame(RST_STREAM, 0, stream, CANCEL),
      ]),
  ],
  [
    "whole calls that are taken back",
    (stream, found) =>
      Buffer.concat([wholeCall(stream, callHeaders(found)), frame(RST_STREAM, 0, stream, CANCEL)]),
  ],
  [
    "calls that make the server take them back, by a window of nothing more",
    (stream, found) =>
      Buffer.concat([headersOf(stream, callHeaders(found)), frame(WINDOW_UPDATE, 0, stream, u32(0))]),
  ],
  [
    "calls that make the server take them back, by a window that overflows",
    (stream, found) =>
      Buffer.concat([
        headersOf(stream, callHeaders(found)),
        frame(WINDOW_UPDATE, 0, stream, u32(2 ** 31 - 1)),
      ]),
  ],
  [
    "calls that make the server take them back, by headers that are none",
    (stream, found) => headersOf(stream, [...callHeaders(found), ["Bad", "1"]]),
  ],
]
for (const [name, make] of storms)
  attack(`refuses G-03 a storm of ${name}, and closes the connection`, async (one, found) => {
    await flood(one, 5000, (i) => make(1 + 2 * i, found))
    await until(() => ended(one))
  })

const check = (found: Victim, path = CHECK): readonly Header[] =>
  without(callHeaders(found, path), "authorization")
const endings: [how: string, end: (one: Wire, ids: readonly number[]) => unknown][] = [
  ["takes them back", (one, ids) => one.send(...ids.map((id) => frame(RST_STREAM, 0, id, CANCEL)))],
  ["ends the connection", (one) => one.socket.end()],
  ["resets the connection", (one) => one.socket.resetAndDestroy()],
]
// Refusals count as what is taken back does: by how many there are, one or the other is what is too much.
for (const count of [600, 1000])
  for (const [how, end] of endings)
    attack(`refuses G-03 ${count} calls whose caller ${how} while they are answered`, async (one, found) => {
      const ids = Array.from({ length: count }, (_, i) => 1 + 2 * i)
      await one.send(...ids.map((id) => wholeCall(id, check(found))))
      await pause(3)
      await end(one, ids)
      await until(() => one.isClosed())
    })
attack(
  "refuses G-03 calls to what nobody serves that are taken back in the same write",
  async (one, found) => {
    const calls = Array.from({ length: 600 }, (_, i) => [
      headersOf(1 + 2 * i, check(found, "/no/Such")),
      frame(RST_STREAM, 0, 1 + 2 * i, u32(constants.NGHTTP2_INTERNAL_ERROR)),
    ])
    await one.send(...calls.flat())
    await until(() => one.isClosed())
  },
)

const lavish: [what: string, make: (stream: number, found: Victim) => Uint8Array][] = [
  [
    "trailers",
    (stream, found) =>
      Buffer.concat([
        headersOf(stream, callHeaders(found)),
        frame(DATA, 0, stream, Buffer.alloc(5)),
        headersOf(stream, [["x", "y"]], END_HEADERS | END_STREAM),
      ]),
  ],
  [
    "dozens of headers",
    (stream, found) =>
      wholeCall(stream, [
        ...callHeaders(found),
        ...Array.from({ length: 60 }, (_, i) => [`x-${i}`, ""] as const),
      ]),
  ],
]
for (const [what, make] of lavish)
  attack(`refuses G-04 a storm of calls with ${what}, and closes the connection`, async (one, found) => {
    await flood(one, 5000, (i) => make(1 + 2 * i, found))
    await until(() => ended(one))
  })

const kilobyte = "x".repeat(1024)
attack("refuses G-04 headers that go on and on, and closes the connection", async (one, found) => {
  await one.send(headersOf(1, callHeaders(found), 0))
  await flood(one, 20_000, () => frame(CONTINUATION, 0, 1, Buffer.alloc(1024, 0)))
  await until(() => ended(one))
})
attack("refuses G-04 continuations without anything in them", async (one, found) => {
  await one.send(headersOf(1, callHeaders(found), 0))
  await flood(one, 20_000, () => frame(CONTINUATION, 0, 1))
  await until(() => ended(one))
})
/** Headers in as many frames as they take. */
const manyHeaders = (stream: number, headers: readonly Header[]): Buffer => {
  const whole = headersOf(stream, headers).subarray(9)
  const pieces: Buffer[] = []
  for (let at = 0; at < whole.length; at += 16_000) {
    const flags = at + 16_000 >= whole.length ? 4 : 0
    const piece = whole.subarray(at, at + 16_000)
    pieces.push(at === 0 ? headersOf(stream, piece, flags) : frame(CONTINUATION, flags, stream, piece))
  }
  return Buffer.concat(pieces)
}
const large: [name: string, headers: () => readonly Header[]][] = [
  ["one of a megabyte", () => [["x-much", "x".repeat(2 ** 20)]]],
  ["a thousand of a kilobyte", () => Array.from({ length: 1000 }, (_, i) => [`x-${i}`, kilobyte] as const)],
  ["ten thousand small ones", () => Array.from({ length: 10_000 }, (_, i) => [`x-${i}`, "1"] as const)],
  ["ten thousand of one name", () => Array.from({ length: 10_000 }, () => ["x-same", "1"] as const)],
  ["a hundred kilobytes of authorization", () => [["authorization", "x".repeat(100_000)]]],
]
for (const [name, headers] of large)
  attack(`refuses G-04 a call with too many headers: ${name}`, async (one, found) => {
    await one.send(manyHeaders(1, [...callHeaders(found), ...headers()]))
    await until(() => ended(one) || one.resetOf(1) !== undefined || one.isAnswered(1))
    assert.ok(ended(one) || one.resetOf(1) !== undefined, "it was let in")
  })
attack(
  "G-04 holds nothing of headers that come again and again on calls that stay open",
  async (one, found) => {
    const much = Array.from({ length: 8 }, (_, i) => [`x-${i}`, kilobyte] as const)
    for (let i = 0; i < 500; i++) await one.send(headersOf(1 + 2 * i, [...callHeaders(found), ...much]))
  },
)

attack("refuses G-05 a window that overflows, and closes the connection", async (one) => {
  await one.send(frame(WINDOW_UPDATE, 0, 0, u32(2 ** 31 - 1)), frame(WINDOW_UPDATE, 0, 0, u32(2 ** 31 - 1)))
  await until(() => ended(one))
})
attack("refuses G-05 an initial window that no stream can have", async (one) => {
  await one.send(frame(SETTINGS, 0, 0, Buffer.of(0, 4, 0xff, 0xff, 0xff, 0xff)))
  await until(() => ended(one))
})
attack(
  "G-05 takes what comes after its sender has said goodbye, and lets the connection go",
  async (one, found) => {
    await one.send(frame(GOAWAY, 0, 0, Buffer.concat([u32(0), u32(0)])))
    for (let i = 0; i < 50; i++)
      await one.send(headersOf(1 + 2 * i, callHeaders(found)), frame(DATA, 0, 1 + 2 * i))
    await until(() => one.isClosed())
  },
)
const floods: [name: string, make: (i: number) => Uint8Array][] = [
  ["pings", () => frame(PING, 0, 0, Buffer.alloc(8))],
  ["answers to pings that nobody sent", () => frame(PING, ACK, 0, Buffer.alloc(8))],
  ["settings", (i) => frame(SETTINGS, 0, 0, Buffer.of(0, 3, 0, 0, 0, i % 256))],
  [
    "settings of sixty at a time",
    () => frame(SETTINGS, 0, 0, Buffer.alloc(360, Buffer.of(0, 9, 0, 0, 0, 0))),
  ],
  ["priorities", (i) => frame(PRIORITY, 0, 1 + 2 * i, Buffer.of(0, 0, 0, 0, 1))],
  ["frames that nobody has defined", () => frame(77, 0, 0, Buffer.alloc(100))],
]
for (const [name, make] of floods)
  attack(`refuses G-05 a flood of ${name}, and closes the connection`, async (one) => {
    const hundred = (i: number): Buffer =>
      Buffer.concat(Array.from({ length: 100 }, (_, k) => make(100 * i + k)))
    await flood(one, 500, hundred)
    await until(() => ended(one))
  })
attack("refuses G-05 frames without anything in them, and closes the connection", async (one, found) => {
  await one.send(headersOf(1, callHeaders(found, VERIFY)))
  await flood(one, 300, () => Buffer.concat(Array<Buffer>(100).fill(frame(DATA, 0, 1))))
  await until(() => ended(one))
})
attack(
  "G-05 gives back what was held for calls whose answers nobody took",
  async (one, found) => {
    for (let i = 0; i < 200; i++) await one.send(wholeCall(1 + 2 * i, callHeaders(found)))
    await until(() => one.isAnswered(1) || ended(one))
  },
  Buffer.of(0, 4, 0, 0, 0, 0),
)
attack("G-05 gives back what was held for calls that their connection left", async (one, found) => {
  for (let i = 0; i < 200; i++)
    await one.send(
      headersOf(1 + 2 * i, callHeaders(found, VERIFY)),
      frame(DATA, 0, 1 + 2 * i, Buffer.alloc(200)),
    )
})

test.run()
