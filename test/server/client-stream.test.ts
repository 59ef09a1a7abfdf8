import { create, toBinary } from "@bufbuild/protobuf"
import { Client, credentials, Server, ServerCredentials } from "@grpc/grpc-js"
import pino from "pino"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { connect } from "../../src/client/connection.ts"
import { AssayError } from "../../src/errors.ts"
import { PolicyService, type SetPolicyRequest } from "../../src/gen/assay/v1/admin_pb.ts"
import { pathOf } from "../../src/rpc.ts"
import { clientStream } from "../../src/server/client-stream.ts"
import type { Edge } from "../../src/server/edge.ts"
import { intercepting } from "../../src/server/intercept.ts"
import { decodeStrictly } from "../../src/server/wire.ts"
import type { Caller } from "../../src/service/ports.ts"
import { rejectsCode } from "../support/assert.ts"

const test = suite("clientStream")
/** A method of the contract, as if it took a stream: no more than its messages is needed here. */
const METHOD = { ...PolicyService.method.setPolicy, methodKind: "client_streaming" } as const
const ID = "document"
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const until = async (isSo: () => boolean): Promise<void> => {
  while (!isSo()) await pause(2)
}

/** A server with one method that takes a stream, and answers with what `answer` gives. */
const served = async (
  answer: (requests: AsyncIterable<SetPolicyRequest>, caller: Caller) => Promise<string>,
) => {
  const draining = new AbortController()
  const open = { size: 0 }
  const codes: string[] = []
  const log = pino({ level: "silent" })
  const observe = (_method: string, code: string): void => void codes.push(code)
  const edge: Edge = {
    log,
    observe,
    refused: () => {},
    knowCaller: () => ({ tenant: "default", id: "local:admin", role: "operator" }),
    transport: "admin",
    limits: undefined,
    logCall: () => {},
    open,
  }
  const server = new Server({ interceptors: [intercepting(edge)] })
  const { input, output } = METHOD
  const same = (bytes: Buffer): Buffer => bytes
  server.addService(
    {
      method: {
        path: pathOf(METHOD),
        requestStream: true,
        responseStream: false,
        requestSerialize: same,
        requestDeserialize: (bytes: Buffer) => decodeStrictly(input, bytes),
        responseSerialize: (name: string) =>
          Buffer.from(toBinary(output, create(output, { policy: { name } }))),
        responseDeserialize: same,
      },
    },
    {
      method: clientStream(
        input,
        (position, field) => `items[${position}].${field}`,
        draining.signal,
        answer,
      ),
    },
  )
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  )
  const connection = connect(`127.0.0.1:${port}`)
  return {
    address: `127.0.0.1:${port}`,
    open,
    codes,
    draining,
    call: (
      requests: AsyncIterable<{ document: string }>,
      options: { signal?: AbortSignal; deadlineMs?: number } = {},
    ) => connection.clientStream(METHOD, requests, options),
    close: () => {
      connection.close()
      server.forceShutdown()
    },
  }
}
type Served = Awaited<ReturnType<typeof served>>

/** Counts what comes. */
const counting = async (requests: AsyncIterable<SetPolicyRequest>): Promise<string> => {
  let count = 0
  for await (const { document } of requests) count += document === ID ? 1 : 0
  return String(count)
}
async function* documents(count: number, document = ID) {
  for (let i = 0; i < count; i++) yield { document }
}
const withServer = async (
  answer: Parameters<typeof served>[0],
  act: (server: Served) => Promise<void>,
): Promise<void> => {
  const server = await served(answer)
  try {
    await act(server)
  } finally {
    server.close()
  }
}

for (const count of [0, 1, 17, 1000])
  test(`takes ${count} requests and answers once`, () =>
    withServer(counting, async ({ call, codes, open }) => {
      assert.is((await call(documents(count))).policy?.name, String(count))
      await until(() => open.size === 0)
      assert.equal(codes, ["OK"])
    }))

test("tells who calls", () =>
  withServer(
    async (_requests, { id }) => id,
    async ({ call }) => assert.is((await call(documents(1))).policy?.name, "local:admin"),
  ))

test("answers before the end, and then takes no more", () =>
  withServer(
    async (requests) => {
      for await (const { document } of requests) return document
      return ""
    },
    async ({ call }) => {
      let sent = 0
      const endless = async function* () {
        for (; sent < 1_000_000; sent++) {
          if (sent % 100 === 99) await pause(1)
          yield { document: ID }
        }
      }
      assert.is((await call(endless())).policy?.name, ID)
      assert.ok(sent < 100_000, `${sent} sent`)
    },
  ))

test("asks for no more than is taken", () => {
  let sent = 0
  let taken = 0
  const { promise: go, resolve } = Promise.withResolvers<void>()
  return withServer(
    async (requests) => {
      for await (const _ of requests) {
        taken++
        if (taken === 1) await go
      }
      return "done"
    },
    async ({ call }) => {
      const many = async function* () {
        for (; sent < 2000; sent++) yield { document: "x".repeat(60_000) }
      }
      const answer = call(many())
      await pause(200)
      const before = sent
      resolve()
      assert.is((await answer).policy?.name, "done")
      assert.ok(before < 500, `${before} sent while one was taken`)
      assert.is(taken, 2000)
    },
  )
})

const failures: [what: string, fail: () => never, code: "REGISTRY" | "INTERNAL"][] = [
  [
    "its own failure",
    () => {
      throw new AssayError("REGISTRY", "full")
    },
    "REGISTRY",
  ],
  [
    "a fault, and no more of it than that it happened",
    () => {
      throw new Error("secret")
    },
    "INTERNAL",
  ],
]
for (const [what, fail, code] of failures)
  test(`ends with ${what}`, () =>
    withServer(
      async (requests) => {
        for await (const _ of requests) fail()
        return ""
      },
      async ({ call }) => {
        const error = await rejectsCode(() => call(documents(500)), code)
        assert.not.match(error.message, "secret")
      },
    ))

test("refuses a request that breaks a rule of the schema, says which it was, and asks for no more", () => {
  let seen = 0
  return withServer(
    async (requests) => {
      for await (const _ of requests) seen++
      return ""
    },
    async ({ call, codes, open }) => {
      const third = async function* () {
        yield* documents(2)
        yield* documents(1, "")
        yield* documents(100)
      }
      const error = await rejectsCode(() => call(third()), "FIELD")
      assert.is(error.location, "items[2].document")
      assert.is(seen, 2)
      await until(() => open.size === 0)
      assert.equal(codes, ["INVALID_ARGUMENT"])
    },
  )
})

test("refuses a request that no schema knows", () =>
  withServer(counting, async ({ address }) => {
    const client = new Client(address, credentials.createInsecure())
    const same = (bytes: Buffer): Buffer => bytes
    const code = await new Promise<number>((resolve) => {
      const stream = client.makeClientStreamRequest(pathOf(METHOD), same, same, (error) =>
        resolve(error?.code ?? 0),
      )
      stream.write(Buffer.from("ff", "hex"))
      stream.end()
    })
    assert.is(code, 3)
    client.close()
  }))

test("throws what the requests throw, and cancels the call", () =>
  withServer(counting, async ({ call, open }) => {
    const broken = async function* () {
      yield* documents(3)
      throw new AssayError("INPUT", "line 4 is no JSON")
    }
    await rejectsCode(() => call(broken()), "INPUT")
    await until(() => open.size === 0)
  }))

test("is left by a caller who cancels", () => {
  let ended = false
  return withServer(
    async (requests) => {
      try {
        return await counting(requests)
      } finally {
        ended = true
      }
    },
    async ({ call, open }) => {
      const leaving = new AbortController()
      const slow = async function* () {
        yield* documents(3)
        // Not before the server has begun with it.
        await until(() => open.size > 0)
        setTimeout(() => leaving.abort(), 5)
        await pause(50)
        yield* documents(3)
      }
      await rejectsCode(() => call(slow(), { signal: leaving.signal }), "NO_ANSWER")
      await until(() => ended && open.size === 0)
    },
  )
})

test("ends with SHUTTING_DOWN when the server drains while it waits for more", () =>
  withServer(counting, async ({ call, draining, open }) => {
    const waiting = async function* () {
      yield* documents(3)
      await until(() => draining.signal.aborted)
      await pause(50)
      yield* documents(1)
    }
    setTimeout(() => draining.abort(), 20)
    await rejectsCode(() => call(waiting()), "SHUTTING_DOWN")
    await until(() => open.size === 0)
  }))

test("ends with SHUTTING_DOWN a call that begins while the server drains", () =>
  withServer(counting, async ({ call, draining }) => {
    draining.abort()
    await rejectsCode(() => call(documents(3)), "SHUTTING_DOWN")
  }))

test.run()
