import { create, toBinary } from "@bufbuild/protobuf"
import { status } from "@grpc/grpc-js"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import {
  AttestationService,
  VerifyRequestSchema,
  VerifyStreamRequestSchema,
} from "../../src/gen/assay/v1/attestation_pb.ts"
import { pathOf } from "../../src/rpc.ts"
import { goodVerify, result } from "./fake.ts"
import {
  frame,
  framed,
  headersFrame,
  lastData,
  pause,
  type RawCall,
  type RawOutcome,
  RST_STREAM,
  rawOpen,
  rawSession,
  rawSocket,
  rawWhole,
  until,
} from "./raw.ts"
import { gateway, limited, serving } from "./tls.ts"

const VERIFY = pathOf(AttestationService.method.verify)
const STREAM = pathOf(AttestationService.method.verifyStream)
const EPOCH = pathOf(AttestationService.method.getEpoch)
const CHECK = "/grpc.health.v1.Health/Check"
const WATCH = "/grpc.health.v1.Health/Watch"
const REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
const nothing = framed(new Uint8Array())

const statusesOf = async (calls: readonly RawCall[]): Promise<Record<string, number>> => {
  const counts: Record<string, number> = {}
  for (const { outcome } of calls) {
    const { code, status: number } = await outcome
    const key = code ?? `${number}`
    counts[key] = (counts[key] ?? 0) + 1
  }
  return counts
}

const test = suite("guarded calls")

const anybody: [name: string, path: string, bytes: Buffer, code: string][] = [
  [
    "a message of 2 MB, of which 10 bytes are not there",
    CHECK,
    framed(Buffer.alloc(16_000), { size: 2_000_000 }),
    "MESSAGE_SIZE",
  ],
  [
    "a message of more than a few KB for reflection",
    REFLECTION,
    framed(Buffer.alloc(10), { size: 4097 }),
    "MESSAGE_SIZE",
  ],
  ["a message of 4 GB", CHECK, framed(Buffer.alloc(0), { size: 2 ** 32 - 1 }), "MESSAGE_SIZE"],
  ["a message that may unpack to anything", CHECK, framed(Buffer.alloc(10), { size: 100, flag: 1 }), "PROTO"],
  ["a second message", CHECK, Buffer.concat([nothing, nothing]), "PROTO"],
]
for (const [name, path, bytes, code] of anybody)
  test(`refuses G-06 from whoever is nobody ${name}, before it is there`, () =>
    serving(async ({ address }) => {
      const session = await rawSession(address)
      const { stream, outcome } = rawOpen(session, path)
      stream.write(bytes)
      assert.is((await outcome).code, code)
      session.destroy()
    }))
test("refuses G-06 a known caller's second message, of a call that has one and is not at its end", () =>
  serving(async ({ address }) => {
    const session = await rawSession(address, gateway)
    const { stream, outcome } = rawOpen(session, VERIFY)
    stream.write(Buffer.concat([nothing, nothing]))
    assert.is((await outcome).code, "PROTO")
    session.destroy()
  }))
test("refuses G-01 a known caller's message that is too large, by the size that it says, and tells so", () =>
  serving(async ({ address }) => {
    const session = await rawSession(address, gateway)
    for (const path of [VERIFY, STREAM]) {
      const { stream, outcome } = rawOpen(session, path)
      stream.write(framed(Buffer.alloc(5), { size: 2 * 1024 * 1024 + 1 }))
      const { code, status: number } = await outcome
      assert.equal([code, number], ["MESSAGE_SIZE", String(status.RESOURCE_EXHAUSTED)])
    }
    session.destroy()
  }))
test("refuses G-01 what cannot be unpacked, and says what is wrong", () =>
  serving(async ({ address }) => {
    const session = await rawSession(address, gateway)
    const { code } = await rawWhole(session, VERIFY, framed(Buffer.alloc(50, 7), { flag: 1 }), {
      "grpc-encoding": "gzip",
    })
    assert.is(code, "PROTO")
    session.destroy()
  }))
test("G-06 holds so many bytes of one caller at a time, over all its connections, and others go on", () =>
  serving(
    async ({ address }) => {
      const [one, two, none] = [
        await rawSession(address, gateway),
        await rawSession(address, gateway),
        await rawSession(address),
      ]
      const half = framed(Buffer.alloc(40_000), { size: 60_000 })
      const calls = Array.from({ length: 20 }, (_, i) => rawOpen(i % 2 ? one : two, VERIFY))
      for (const { stream } of calls) stream.write(half)
      const refused: RawOutcome[] = []
      for (const { outcome } of calls) void outcome.then((end) => refused.push(end))
      await until(() => refused.length === 17)
      assert.ok(refused.every(({ code }) => code === "OVERLOADED"))
      assert.is((await rawWhole(none, CHECK, nothing)).status, "0", "what is small has room left")
      for (const session of [one, two]) session.destroy()
      const again = await rawSession(address, gateway)
      await until(async () => (await rawWhole(again, VERIFY, framed(Buffer.alloc(60_000)))).code === "PROTO")
      for (const session of [none, again]) session.destroy()
    },
    limited({ callerBytesMax: 200_000, bytesMax: 1_000_000 }),
  ))
test("G-06 holds so many bytes of everybody, of which a quarter is for small messages", () =>
  serving(
    async ({ address }) => {
      const session = await rawSession(address, gateway)
      const large = Array.from({ length: 6 }, () => rawOpen(session, VERIFY))
      for (const { stream } of large) stream.write(framed(Buffer.alloc(10), { size: 20_000 }))
      await pause(100)
      const small = rawOpen(session, VERIFY)
      small.stream.write(framed(Buffer.alloc(10), { size: 15_000 }))
      const codes: (string | undefined)[] = []
      for (const { outcome } of [...large, small]) void outcome.then(({ code }) => codes.push(code))
      await until(() => codes.length === 2)
      assert.equal(codes, ["OVERLOADED", "OVERLOADED"])
      small.stream.end(Buffer.alloc(14_990))
      assert.is((await small.outcome).code, "PROTO", "the small one was read")
      session.destroy()
    },
    limited({ callerBytesMax: 1_000_000, bytesMax: 120_000 }),
  ))
test("G-06 holds what a stream has sent until it is answered", () => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const verify = async () => {
    await promise
    return result()
  }
  const message = (id: string): Buffer =>
    framed(
      toBinary(VerifyStreamRequestSchema, create(VerifyStreamRequestSchema, { id, request: goodVerify() })),
    )
  return serving(
    async ({ address }) => {
      const session = await rawSession(address, gateway)
      const held = rawOpen(session, STREAM)
      held.stream.write(Buffer.concat([message("a"), message("b")]))
      await pause(50)
      const next = rawOpen(session, STREAM)
      next.stream.write(message("c"))
      assert.is((await next.outcome).code, "OVERLOADED")
      resolve()
      await pause(50)
      const last = rawOpen(session, STREAM)
      last.stream.end(Buffer.concat([message("d")]))
      assert.is((await last.outcome).status, "0")
      session.destroy()
    },
    limited({ callerBytesMax: 1400, bytesMax: 1_000_000 }),
    { verify },
  )
})

const slow: [name: string, path: string, bytes: Buffer | undefined, known: boolean][] = [
  ["nothing at all", VERIFY, undefined, true],
  ["half of the bytes before a message", VERIFY, Buffer.alloc(3), true],
  ["half of a message", VERIFY, framed(Buffer.alloc(10), { size: 1000 }), true],
  ["a message without its end", VERIFY, nothing, true],
  ["half of a stream's message", STREAM, framed(Buffer.alloc(10), { size: 1000 }), true],
  ["half of a question that anyone may ask", CHECK, framed(Buffer.alloc(10), { size: 1000 }), false],
  ["nothing to what anyone may ask", CHECK, undefined, false],
]
for (const [name, path, bytes, known] of slow)
  test(`refuses G-06 a caller that sends ${name}, after a while`, () =>
    serving(
      async ({ address }) => {
        const session = await rawSession(address, known ? gateway : undefined)
        const { stream, outcome } = rawOpen(session, path, { "grpc-timeout": "400S" })
        if (bytes !== undefined) stream.write(bytes)
        const { code, status: number } = await outcome
        assert.equal([code, number], ["SLOW", String(status.DEADLINE_EXCEEDED)])
        session.destroy()
      },
      limited({ receiveMs: 200 }),
    ))
test("refuses G-06 one byte at a time to be no end", () =>
  serving(
    async ({ address }) => {
      const session = await rawSession(address, gateway)
      const { stream, outcome } = rawOpen(session, VERIFY)
      stream.write(framed(Buffer.alloc(1), { size: 1000 }))
      const timer = setInterval(() => stream.write(Buffer.alloc(1)), 20)
      assert.is((await outcome).code, "SLOW")
      await until(() => stream.closed)
      clearInterval(timer)
      session.destroy()
    },
    limited({ receiveMs: 200 }),
  ))
test("answers a call that is found no answer for in time, whatever its caller would wait", () =>
  serving(
    async ({ address }) => {
      const session = await rawSession(address, gateway)
      const message = framed(toBinary(VerifyRequestSchema, create(VerifyRequestSchema, goodVerify())))
      const { code, status: number } = await rawWhole(session, VERIFY, message, { "grpc-timeout": "400S" })
      assert.equal([code, number], ["DEADLINE", String(status.DEADLINE_EXCEEDED)])
      session.destroy()
    },
    limited({ callMs: 200 }),
    { verify: () => new Promise(() => {}) },
  ))
test("lets a stream of a known caller be idle, and what is watched", () =>
  serving(
    async ({ address }) => {
      const session = await rawSession(address, gateway)
      const calls = [rawOpen(session, STREAM), rawOpen(session, WATCH)]
      calls[1]?.stream.end(nothing)
      await pause(900)
      assert.equal(
        calls.map(({ stream }) => stream.closed),
        [false, false],
      )
      session.destroy()
    },
    limited({ receiveMs: 200, callMs: 200 }),
  ))
test("refuses N-07 anybody's calls at a time beyond a few of one address", () =>
  serving(
    async ({ address }) => {
      const sessions = await Promise.all([rawSession(address), rawSession(address)])
      const watches = sessions.flatMap((session) => Array.from({ length: 10 }, () => rawOpen(session, WATCH)))
      for (const { stream } of watches) stream.end(nothing)
      const refused: RawOutcome[] = []
      for (const { outcome } of watches) void outcome.then((end) => refused.push(end))
      await until(() => refused.length === 15)
      assert.ok(refused.every(({ code }) => code === "RATE"))
      const known = await rawSession(address, gateway)
      assert.is((await rawWhole(known, EPOCH, nothing)).status, "0", "and nobody else is held up")
      for (const session of [...sessions, known]) session.destroy()
    },
    limited({}, { rates: { anyoneMax: 5 } }),
  ))

const storms: [name: string, path: string, known: boolean][] = [
  ["a gateway", EPOCH, true],
  ["a gateway's verifications", VERIFY, true],
  ["a gateway's streams", STREAM, true],
  ["nobody", CHECK, false],
  ["a caller without any right", EPOCH, false],
]
for (const [name, path, known] of storms)
  test(`refuses G-03 a storm of calls taken back by ${name}, and closes its connection`, () =>
    serving(async ({ address }) => {
      const socket = await rawSocket(address, known ? gateway : undefined)
      socket.resume()
      const message = framed(toBinary(VerifyRequestSchema, create(VerifyRequestSchema, goodVerify())))
      const cancel = Buffer.of(0, 0, 0, 8)
      let sent = 0
      const startMs = performance.now()
      while (!socket.closed && sent < 5000) {
        const frames: Buffer[] = []
        for (let i = 0; i < 50; i++, sent++) {
          const id = 2 * sent + 1
          frames.push(
            headersFrame(id, path),
            lastData(id, path === VERIFY ? message : nothing),
            frame(RST_STREAM, 0, id, cancel),
          )
        }
        socket.write(Buffer.concat(frames))
        await pause(2)
      }
      // 512 at once, and 100 a second; others are on their way when the end comes.
      const allowed = 1200 + (performance.now() - startMs) / 10
      assert.ok(sent < allowed, `${sent} calls before the end`)
      const other = await rawSession(address, gateway)
      assert.is((await rawWhole(other, EPOCH, nothing)).status, "0")
      other.destroy()
    }))
test("begins no work G-03 for whoever has taken it back, and all of it for the others", () => {
  const begun: string[] = []
  const verify = async (_input: unknown, caller: { readonly id: string }) => {
    begun.push(caller.id)
    return result()
  }
  const message = framed(toBinary(VerifyRequestSchema, create(VerifyRequestSchema, goodVerify())))
  return serving(
    async ({ address }) => {
      const socket = await rawSocket(address, gateway)
      socket.resume()
      for (let i = 0; i < 100; i++) {
        const id = 2 * i + 1
        const calls = [
          headersFrame(id, VERIFY),
          lastData(id, message),
          frame(RST_STREAM, 0, id, Buffer.of(0, 0, 0, 8)),
        ]
        socket.write(Buffer.concat(calls))
      }
      await pause(100)
      assert.is(begun.length, 0)
      const other = await rawSession(address, gateway)
      assert.is((await rawWhole(other, VERIFY, message)).status, "0")
      assert.is(begun.length, 1)
      socket.destroy()
      other.destroy()
    },
    limited({}),
    { verify },
  )
})
test("refuses G-05 to keep what nobody takes, and closes its streams", () =>
  serving(
    async ({ address }) => {
      const session = await rawSession(address, gateway)
      session.settings({ initialWindowSize: 0 })
      await pause(50)
      const calls = Array.from({ length: 5 }, () => rawOpen(session, EPOCH))
      for (const { stream } of calls) stream.end(nothing)
      await until(() => calls.every(({ stream }) => stream.closed)).finally(() => session.destroy())
      assert.equal(await statusesOf(calls), { undefined: 5 })
      session.destroy()
    },
    limited({ takeMs: 300 }),
  ))
test.run()
