import { gzipSync } from "node:zlib"
import { create, toBinary } from "@bufbuild/protobuf"
import { status } from "@grpc/grpc-js"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { AttestationService, VerifyRequestSchema } from "../../src/gen/assay/v1/attestation_pb.ts"
import { pathOf } from "../../src/rpc.ts"
import type { ServerConfig } from "../../src/server/server.ts"
import { writeServer } from "../support/callers.ts"
import { collect } from "../support/collect.ts"
import { goodVerify, result } from "./fake.ts"
import {
  DATA,
  frame,
  framed,
  headersFrame,
  pause,
  rawOpen,
  rawSession,
  rawSocket,
  rawWhole,
  until,
} from "./raw.ts"
import { gateway, serving } from "./tls.ts"

const VERIFY = pathOf(AttestationService.method.verify)
const message = toBinary(VerifyRequestSchema, create(VerifyRequestSchema, goodVerify()))
const whole = framed(message)
const GZIP = { "grpc-encoding": "gzip" }

const test = suite("unary calls on their own streams")

const broken: [name: string, bytes: Uint8Array, headers: Record<string, string>][] = [
  ["no message", new Uint8Array(), {}],
  ["half of a prefix", whole.subarray(0, 3), {}],
  ["a prefix and no message", whole.subarray(0, 5), {}],
  ["a message that lacks its last byte", whole.subarray(0, -1), {}],
  ["a message and the prefix of another", Buffer.concat([whole, whole.subarray(0, 5)]), {}],
  ["two messages", Buffer.concat([whole, whole]), {}],
  ["a message said to be compressed that is not", framed(message, { flag: 1 }), {}],
  ["a message said to be compressed, nobody says how", framed(gzipSync(message), { flag: 1 }), {}],
  [
    "a compressed message in no encoding",
    framed(gzipSync(message), { flag: 1 }),
    { "grpc-encoding": "identity" },
  ],
  [
    "a compressed message that lacks its last byte",
    framed(gzipSync(message), { flag: 1 }).subarray(0, -1),
    GZIP,
  ],
]
for (const [name, bytes, headers] of broken)
  test(`refuses G-01 ${name}`, () =>
    serving(async ({ address, seen }) => {
      const session = await rawSession(address, gateway)
      const { status: number, code } = await rawWhole(session, VERIFY, bytes, headers)
      assert.equal([number, code], [String(status.INVALID_ARGUMENT), "PROTO"])
      assert.is(seen.length, 0)
      session.destroy()
    }))

const pieces: [name: string, sizes: readonly number[]][] = [
  ["in one piece", []],
  ["in two, the first within the prefix", [3]],
  ["in two, the first of which is the prefix", [5]],
  ["in many", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
]
for (const [name, sizes] of pieces)
  test(`accepts a message that comes ${name}`, () =>
    serving(async ({ address, seen }) => {
      const session = await rawSession(address, gateway)
      const { stream, outcome } = rawOpen(session, VERIFY)
      let at = 0
      for (const size of sizes) {
        stream.write(whole.subarray(at, at + size))
        at += size
        await pause(2)
      }
      stream.end(whole.subarray(at))
      assert.is((await outcome).status, "0")
      assert.is(seen.length, 1)
      session.destroy()
    }))

/** A frame of a kind that there is not, which is to be ignored (RFC 9113, 4.1): what comes with it is read together with it. */
const ignored = frame(0xfa, 0, 0, Buffer.alloc(14_000))
/** Longer than between two looks at a call that waits. */
const LOOKED_MS = 400
const begun: [name: string, bytes: Uint8Array, waitMs?: number][] = [
  ["half of the prefix", whole.subarray(0, 3)],
  ["the prefix", whole.subarray(0, 5)],
  ["half of it", whole.subarray(0, whole.length / 2)],
  ["all but the last byte", whole.subarray(0, -1)],
  ["the beginning of a large one", framed(message, { size: 60_000 })],
  ["all of it, and not its end", whole, LOOKED_MS],
]
for (const [name, bytes, waitMs = 20] of begun)
  test(`G-06 keeps of a request that is not whole what has come of it, and nothing that came with it: ${name}`, () =>
    serving(async ({ address }) => {
      const socket = await rawSocket(address, gateway)
      socket.resume()
      const calls = 200
      const send = async (from: number, count: number): Promise<void> => {
        for (let id = 2 * from + 1; id < 2 * (from + count); id += 2) {
          socket.write(Buffer.concat([headersFrame(id, VERIFY), frame(DATA, 0, id, bytes), ignored]))
          if (id % 40 === 1) await pause(1)
        }
        await until(() => socket.writableLength === 0)
        await pause(waitMs)
        collect()
      }
      await send(0, 20)
      const before = process.memoryUsage().arrayBuffers
      await send(20, calls)
      const each = (process.memoryUsage().arrayBuffers - before) / calls
      assert.is(socket.closed, false)
      assert.ok(each < 4 * bytes.length + 2000, `${each} bytes`)
      socket.destroy()
    }))

/** What a call is answered with: headers, bytes and trailers. */
const answerOf = async (address: string, bytes: Uint8Array, headers: Record<string, string>) => {
  const session = await rawSession(address, gateway)
  const { stream } = rawOpen(session, VERIFY, headers)
  const chunks: Buffer[] = []
  const told: Record<string, unknown> = {}
  stream.on("response", (given) => Object.assign(told, given))
  stream.on("trailers", (given) => Object.assign(told, given))
  stream.on("data", (chunk: Buffer) => chunks.push(chunk))
  stream.end(bytes)
  await new Promise((resolve) => stream.once("close", resolve))
  session.destroy()
  const {
    ":status": http,
    "content-type": type,
    "grpc-status": number,
    "grpc-status-details-bin": details,
  } = told
  return { http, type, number: String(number), details, bytes: Buffer.concat(chunks) }
}
const bad = toBinary(VerifyRequestSchema, create(VerifyRequestSchema))
for (const [name, asked] of [
  ["a good request", message],
  ["one that a rule refuses", bad],
  ["one that is none", Buffer.from("not a message")],
] as const)
  test(`answers ${name} as grpc-js does, which has what is compressed`, () =>
    serving(async ({ address }) => {
      const direct = await answerOf(address, framed(asked), {})
      const carried = await answerOf(address, framed(gzipSync(asked), { flag: 1 }), GZIP)
      assert.equal(direct, carried)
      assert.is(direct.http, 200)
    }))

const slowly = (ms: number) => async (): Promise<ReturnType<typeof result>> => {
  await pause(ms)
  return result("late")
}
test("ends a call G-06 at its caller's deadline, whoever else would wait for it", () =>
  serving(
    async ({ address }) => {
      const session = await rawSession(address, gateway)
      const startMs = performance.now()
      const { code, status: number } = await rawWhole(session, VERIFY, whole, { "grpc-timeout": "100m" })
      assert.equal([code, number], ["DEADLINE", String(status.DEADLINE_EXCEEDED)])
      assert.ok(performance.now() - startMs < 2000)
      session.destroy()
    },
    undefined,
    { verify: slowly(3000) },
  ))
for (const timeout of ["0n", "0m", "1n", "999u"])
  test(`does no work G-06 for a caller who waits for ${timeout}`, () =>
    serving(async ({ address, seen }) => {
      const session = await rawSession(address, gateway)
      const { stream, outcome } = rawOpen(session, VERIFY, { "grpc-timeout": timeout })
      await pause(20)
      stream.end(whole)
      assert.is((await outcome).code, "DEADLINE")
      assert.is(seen.length, 0)
      session.destroy()
    }))
test("has an answer for whoever waits for hours", () =>
  serving(async ({ address }) => {
    const session = await rawSession(address, gateway)
    for (const timeout of ["1H", "99999999H", "10M", "30S", "99999999m"])
      assert.is((await rawWhole(session, VERIFY, whole, { "grpc-timeout": timeout })).status, "0", timeout)
    session.destroy()
  }))
test("counts what was taken back, and says whether it was for its deadline", () => {
  const ended: string[] = []
  const observe = (_method: string, code: string): void => void ended.push(code)
  return serving(
    async ({ address }) => {
      const session = await rawSession(address, gateway)
      const now = rawOpen(session, VERIFY, { "grpc-timeout": "10S" })
      now.stream.end(whole)
      const late = rawOpen(session, VERIFY, { "grpc-timeout": "200m" })
      late.stream.end(whole)
      await pause(50)
      now.stream.close(8)
      await until(() => ended.length === 1)
      await pause(140)
      late.stream.close(8)
      await until(() => ended.length === 2)
      assert.equal(ended, ["CANCELLED", "DEADLINE_EXCEEDED"])
      session.destroy()
    },
    () => ({ observe }),
    { verify: slowly(1000) },
  )
})
test("ends G-10 connections on which nothing has been asked for a while, and none that still waits", () =>
  serving(
    async ({ address }) => {
      const [idle, busy] = [await rawSession(address, gateway), await rawSession(address, gateway)]
      assert.is((await rawWhole(idle, VERIFY, whole, {})).status, "0")
      const waiting = rawOpen(busy, VERIFY)
      waiting.stream.write(whole)
      await until(() => idle.closed || idle.destroyed)
      assert.is(busy.closed, false)
      waiting.stream.end()
      assert.is((await waiting.outcome).status, "0")
      busy.destroy()
    },
    (folder): Partial<ServerConfig> => ({
      listen: [{ address: "127.0.0.1:0", tls: writeServer(folder) }],
      limits: { idleMs: 300 },
    }),
  ))
test("waits with a call until it is known who makes it", () => {
  const tokens = [undefined, { tenant: "default", id: "t-1" }]
  return serving(
    async ({ address, seen }) => {
      const session = await rawSession(address)
      const { status: number } = await rawWhole(session, VERIFY, whole, { authorization: "Bearer aet_none" })
      assert.is(number, String(status.UNAUTHENTICATED))
      const { createChallenge } = AttestationService.method
      const asked = create(createChallenge.input, { audience: "https://a.example" })
      const answer = await rawWhole(
        session,
        pathOf(createChallenge),
        framed(toBinary(createChallenge.input, asked)),
        {
          authorization: "Bearer aet_good",
        },
      )
      assert.is(answer.status, "0")
      assert.is(seen.length, 1)
      session.destroy()
    },
    (folder): Partial<ServerConfig> => ({
      listen: [{ address: "127.0.0.1:0", tls: writeServer(folder) }],
      enrollmentToken: async () => {
        await pause(30)
        return tokens.shift()
      },
    }),
  )
})
test.run()
