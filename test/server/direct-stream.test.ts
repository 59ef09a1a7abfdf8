import { gzipSync } from "node:zlib"
import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import { status } from "@grpc/grpc-js"
import fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import {
  AttestationService,
  VerifyStreamRequestSchema,
  VerifyStreamResponseSchema,
} from "../../src/gen/assay/v1/attestation_pb.ts"
import { pathOf } from "../../src/rpc.ts"
import { Messages } from "../../src/server/direct-stream.ts"
import { collect } from "../support/collect.ts"
import { goodVerify } from "./fake.ts"
import { framed, pause, rawOpen, rawSession, until } from "./raw.ts"
import { gateway, serving } from "./tls.ts"

const STREAM = pathOf(AttestationService.method.verifyStream)
const message = (id: string): Uint8Array =>
  toBinary(VerifyStreamRequestSchema, create(VerifyStreamRequestSchema, { id, request: goodVerify() }))
const whole = (id: string): Buffer => framed(message(id))
const GZIP = { "grpc-encoding": "gzip" }

/** What a stream is answered with that says `pieces` and ends. */
const answersOf = async (
  address: string,
  pieces: readonly Uint8Array[],
  headers: Record<string, string> = {},
) => {
  const session = await rawSession(address, gateway)
  const { stream, outcome } = rawOpen(session, STREAM, headers)
  const messages = new Messages()
  const ids: string[] = []
  stream.on("data", (chunk: Buffer) => {
    for (const frame of messages.push(chunk))
      ids.push(fromBinary(VerifyStreamResponseSchema, frame.subarray(5)).id)
  })
  for (const piece of pieces) {
    stream.write(piece)
    await pause(2)
  }
  stream.end()
  const { status: number, code } = await outcome
  if (!stream.closed) await new Promise((resolve) => stream.once("close", resolve))
  session.destroy()
  return { number, code, ids: ids.sort() }
}

const test = suite("streams without grpc-js")

const good: [name: string, pieces: readonly Uint8Array[], headers: Record<string, string>][] = [
  ["one by one", [whole("a"), whole("b"), whole("c")], {}],
  ["all in one piece", [Buffer.concat([whole("a"), whole("b"), whole("c")])], {}],
  ["with the border of a piece in a prefix", cut(Buffer.concat([whole("a"), whole("b"), whole("c")]), 3), {}],
  ["in pieces of 40 bytes", slices(Buffer.concat([whole("a"), whole("b"), whole("c")]), 40), {}],
  [
    "compressed, which grpc-js reads",
    ["a", "b", "c"].map((id) => framed(gzipSync(message(id)), { flag: 1 })),
    GZIP,
  ],
]
for (const [name, pieces, headers] of good)
  test(`answers requests that come ${name}`, () =>
    serving(async ({ address, seen }) => {
      assert.equal(await answersOf(address, pieces, headers), {
        number: "0",
        code: undefined,
        ids: ["a", "b", "c"],
      })
      assert.is(seen.length, 3)
    }))

const bad: [name: string, last: Uint8Array, headers: Record<string, string>][] = [
  ["that lacks its last byte", whole("b").subarray(0, -1), {}],
  ["of which only the prefix comes", whole("b").subarray(0, 5), {}],
  ["of which half of the prefix comes", whole("b").subarray(0, 3), {}],
  ["that is said to be compressed, and is not", framed(message("b"), { flag: 1 }), {}],
  ["that is compressed, and nobody says how", framed(gzipSync(message("b")), { flag: 1 }), {}],
  ["with a flag that nobody knows", framed(message("b"), { flag: 2 }), {}],
]
for (const [name, last, headers] of bad)
  test(`refuses G-01 a request of a stream ${name}, and ends it`, () =>
    serving(async ({ address, seen }) => {
      const { number, code } = await answersOf(address, [whole("a"), last], headers)
      assert.equal([number, code], [String(status.INVALID_ARGUMENT), "PROTO"])
      assert.is(seen.length, 1)
    }))
test("ends a stream G-06 at its caller's deadline", () =>
  serving(async ({ address }) => {
    const session = await rawSession(address, gateway)
    const { stream, outcome } = rawOpen(session, STREAM, { "grpc-timeout": "100m" })
    stream.write(whole("a"))
    assert.is((await outcome).code, "DEADLINE")
    session.destroy()
  }))
test("tells of what it cannot read after answers were given, in the trailers", () =>
  serving(async ({ address }) => {
    const session = await rawSession(address, gateway)
    const { stream, outcome } = rawOpen(session, STREAM)
    let bytes = 0
    stream.on("data", (chunk: Buffer) => {
      bytes += chunk.length
    })
    stream.write(whole("a"))
    await until(() => bytes > 0)
    stream.write(framed(message("")))
    const { status: number, code } = await outcome
    assert.equal([number, code], [String(status.INVALID_ARGUMENT), "FIELD"])
    session.destroy()
  }))

function cut(bytes: Buffer, at: number): readonly Buffer[] {
  return [bytes.subarray(0, at), bytes.subarray(at)]
}

function slices(bytes: Buffer, size: number): readonly Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
    bytes.subarray(i * size, (i + 1) * size),
  )
}

test("puts messages together, whatever pieces they come in", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 8 }),
      fc.array(fc.integer({ min: 0, max: 60 }), { maxLength: 30 }),
      (sent, sizes) => {
        const messages = new Messages()
        const bytes = Buffer.concat(sent.map((one) => framed(one)))
        const got: Buffer[] = []
        let at = 0
        for (const size of [...sizes, bytes.length]) {
          if (at < bytes.length) got.push(...messages.push(bytes.subarray(at, at + size)))
          at += size
        }
        assert.equal(
          got.map((frame) => [...frame.subarray(5)]),
          sent.map((one) => [...one]),
        )
        assert.is(messages.isPartial, false)
      },
    ),
  )
})

/** How many bytes of memory each of many streams keeps to which these pieces have come. */
const keptOf = (piecesOf: () => readonly Buffer[]): number => {
  collect()
  const before = process.memoryUsage().arrayBuffers
  const streams = Array.from({ length: 20 }, () => {
    const messages = new Messages()
    for (const piece of piecesOf()) messages.push(piece)
    return messages
  })
  collect()
  const bytes = process.memoryUsage().arrayBuffers - before
  assert.ok(streams.every(({ isPartial }) => isPartial))
  return bytes / streams.length
}
const large = (): Buffer => framed(Buffer.alloc(1_000_000))
const begun = framed(Buffer.alloc(40), { size: 50 })
const kept: [name: string, pieces: () => readonly Buffer[]][] = [
  ["behind a large message", () => slices(Buffer.concat([large(), begun]), 16_384)],
  ["behind a large message, only the prefix", () => [...slices(large(), 65_536), begun.subarray(0, 5)]],
  [
    "behind a large message, half of the prefix",
    () => slices(Buffer.concat([large(), begun.subarray(0, 3)]), 65_536),
  ],
  ["behind small messages", () => [Buffer.concat([...Array.from({ length: 100 }, () => whole("a")), begun])]],
  [
    "alone in what the socket has read",
    () => [Buffer.concat([Buffer.alloc(60_000), begun]).subarray(60_000)],
  ],
]
for (const [name, pieces] of kept)
  test(`G-06 keeps of a message that is not whole what has come of it, and nothing that came with it: ${name}`, () => {
    const bytes = keptOf(pieces)
    assert.ok(bytes < 8000, `${bytes} bytes`)
  })
test("G-06 keeps beside a small message no large one that came before it", () => {
  const messages = new Messages()
  const pieces = slices(Buffer.concat([large(), whole("a")]), 16_384)
  const [first, second] = pieces.flatMap((piece) => [...messages.push(piece)])
  assert.equal([first?.length, second?.length], [large().length, whole("a").length])
  assert.is.not(first?.buffer, second?.buffer)
})
test("copies no message that comes in one piece", () => {
  const piece = Buffer.concat([whole("a"), whole("b")])
  for (const frame of new Messages().push(piece)) assert.is(frame.buffer, piece.buffer)
})

test.run()
