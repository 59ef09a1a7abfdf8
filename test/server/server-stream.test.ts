import { create } from "@bufbuild/protobuf"
import { Client, credentials, Server, ServerCredentials } from "@grpc/grpc-js"
import pino from "pino"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { connect } from "../../src/client/connection.ts"
import { AssayError } from "../../src/errors.ts"
import {
  JournalService,
  WatchRecordsRequestSchema,
  type WatchRecordsResponse,
  WatchRecordsResponseSchema,
} from "../../src/gen/assay/v1/journal_pb.ts"
import { definitionOf, pathOf } from "../../src/rpc.ts"
import { intercepting } from "../../src/server/intercept.ts"
import { serverStream } from "../../src/server/server-stream.ts"
import { decodeStrictly } from "../../src/server/wire.ts"
import type { Caller } from "../../src/service/ports.ts"
import { rejectsCode } from "../support/assert.ts"

const test = suite("serverStream")
const METHOD = JournalService.method.watchRecords
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
/** Waits until it is so, and fails if it never is. */
const until = async (isSo: () => boolean): Promise<void> => {
  for (let i = 0; !isSo(); i += 1) {
    assert.ok(i < 1000, "it never came to it")
    await pause(2)
  }
}

type Answer = (device: string, caller: Caller, signal: AbortSignal) => AsyncIterable<WatchRecordsResponse>

/** A server with one streaming method, which answers as `answer` does. */
const served = async (answer: Answer) => {
  const draining = new AbortController()
  const open = { size: 0 }
  const codes: string[] = []
  const server = new Server({
    interceptors: [
      intercepting({
        log: pino({ level: "silent" }),
        observe: (_method, code) => codes.push(code),
        refused: () => {},
        knowCaller: () => ({ tenant: "default", id: "local:admin", role: "operator" }),
        transport: "admin",
        limits: undefined,
        logCall: () => {},
        open,
      }),
    ],
  })
  server.addService(definitionOf(JournalService, decodeStrictly), {
    watchRecords: serverStream(
      WatchRecordsRequestSchema,
      draining.signal,
      async function* (request, caller, signal) {
        for await (const one of answer(request.filter?.device ?? "", caller, signal)) yield () => one
      },
    ),
  })
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  )
  const connection = connect(`127.0.0.1:${port}`)
  return {
    address: `127.0.0.1:${port}`,
    codes,
    open,
    draining,
    call: (device = "device-1", options: Parameters<typeof connection.serverStream>[2] = {}) =>
      connection.serverStream(METHOD, { filter: { device } }, options),
    close: () => {
      connection.close()
      server.forceShutdown()
    },
  }
}
const message = (...devices: readonly string[]): WatchRecordsResponse =>
  create(WatchRecordsResponseSchema, { records: devices.map((device) => ({ device })) })
const devicesOf = async (answers: AsyncIterable<WatchRecordsResponse>): Promise<string[]> => {
  const all: string[] = []
  for await (const { records } of answers) all.push(...records.map(({ device }) => device))
  return all
}

test("sends what comes, and ends with it", async () => {
  const { call, codes, close } = await served(async function* (device, caller) {
    yield message(device)
    await pause(5)
    yield message(caller.id, "c")
  })
  assert.equal(await devicesOf(call()), ["device-1", "local:admin", "c"])
  assert.equal(codes, ["OK"])
  close()
})

test("ends with the failure, after what came before it", async () => {
  const { call, codes, close } = await served(async function* () {
    yield message("a")
    throw new AssayError("JOURNAL", "out of order")
  })
  const seen: string[] = []
  await rejectsCode(async () => {
    for await (const { records } of call()) seen.push(...records.map(({ device }) => device))
  }, "JOURNAL")
  assert.equal(seen, ["a"])
  assert.equal(codes, ["UNAVAILABLE"])
  close()
})

test("tells no more of a fault than that it happened", async () => {
  const { call, close } = await served(async function* (device) {
    if (device === "device-1") throw new Error("secret")
    yield message()
  })
  const error = await rejectsCode(() => devicesOf(call()), "INTERNAL")
  assert.not.match(error.message, "secret")
  close()
})

test("refuses a request that breaks a rule of the schema, and asks nobody", async () => {
  let asked = false
  const { call, close } = await served(async function* () {
    asked = true
    yield message()
  })
  const error = await rejectsCode(() => devicesOf(call("NOT AN ID")), "FIELD")
  assert.is(error.location, "filter.device")
  assert.not(asked)
  close()
})

test("refuses a request that no schema knows", async () => {
  const { address, close } = await served(async function* () {
    yield message("a")
  })
  const client = new Client(address, credentials.createInsecure())
  const same = (bytes: Buffer): Buffer => bytes
  const stream = client.makeServerStreamRequest(pathOf(METHOD), same, same, Buffer.from("ff", "hex"))
  const failed = new Promise<number>((resolve) =>
    stream.on("error", (error: Error & { code?: number }) => resolve(error.code ?? 0)),
  )
  stream.resume()
  assert.is(await failed, 3)
  client.close()
  close()
})

test("refuses a call whose deadline has passed", async () => {
  const { call, close } = await served(async function* () {
    yield message("a")
  })
  await rejectsCode(() => devicesOf(call("device-1", { deadlineMs: -1 })), "NO_ANSWER")
  close()
})

test("asks for no more than is taken", async () => {
  let made = 0
  const { call, close } = await served(async function* () {
    for (; made < 3000; made += 1) yield message("x".repeat(60).repeat(1000))
  })
  const answers = call()[Symbol.asyncIterator]()
  await answers.next()
  await pause(200)
  assert.ok(made < 1000, `${made} made`)
  await answers.return?.(undefined)
  close()
})

for (const [name, leave] of [
  ["leaves the loop", undefined],
  ["cancels", new AbortController()],
] as const)
  test(`stops asking when the caller ${name}`, async () => {
    let made = 0
    let ended = false
    const { call, open, close } = await served(async function* () {
      try {
        for (; made < 2000; made += 1) {
          yield message("a")
          await pause(1)
        }
      } finally {
        ended = true
      }
    })
    const take = async (): Promise<void> => {
      for await (const _ of call("device-1", leave === undefined ? {} : { signal: leave.signal })) {
        if (leave === undefined) break
        leave.abort()
      }
    }
    if (leave === undefined) await take()
    else await rejectsCode(take, "NO_ANSWER")
    await until(() => ended && open.size === 0)
    assert.ok(made < 1000, `${made} made`)
    close()
  })

test("ends with SHUTTING_DOWN when the server drains", async () => {
  const { call, draining, close } = await served(async function* (_device, _caller, signal) {
    yield message("a")
    while (!signal.aborted) await pause(2)
  })
  await rejectsCode(async () => {
    for await (const _ of call()) draining.abort()
  }, "SHUTTING_DOWN")
  close()
})

test("ends with SHUTTING_DOWN when the server drains while the caller does not read", async () => {
  const { call, draining, open, close } = await served(async function* () {
    for (let i = 0; i < 3000; i += 1) yield message("x".repeat(60_000))
  })
  const answers = call()[Symbol.asyncIterator]()
  await answers.next()
  await pause(50)
  draining.abort()
  await rejectsCode(async () => {
    while (!(await answers.next()).done);
  }, "SHUTTING_DOWN")
  await until(() => open.size === 0)
  close()
})

test.run()
