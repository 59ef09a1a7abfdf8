import { fromBinary, type MessageInitShape } from "@bufbuild/protobuf"
import { anyUnpack } from "@bufbuild/protobuf/wkt"
import { Client, credentials, status } from "@grpc/grpc-js"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, utf8 } from "../../src/bytes.ts"
import { createAttestationClient } from "../../src/client/attestation.ts"
import { errorFromStatus } from "../../src/client/failure.ts"
import { AssayError } from "../../src/errors.ts"
import { AttestationService, type VerifyStreamResponse } from "../../src/gen/assay/v1/attestation_pb.ts"
import { BadRequestSchema, ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts"
import { fromBuffer, pathOf } from "../../src/rpc.ts"
import type { ServerConfig } from "../../src/server/server.ts"
import type { Service } from "../../src/service/service.ts"
import { rejectsCode } from "../support/assert.ts"
import { goodVerify, ones, type Running, result, running } from "./fake.ts"

const test = suite("verifyStream")
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Waits until it is so. */
const until = async (isSo: () => boolean): Promise<void> => {
  while (!isSo()) await pause(2)
}

/** What an answer says: the result's id, or the error's code and path. */
const told = ({ id, outcome }: VerifyStreamResponse): string => {
  if (outcome.case !== "error") return `${id}: ${outcome.value?.result?.id}`
  const unpack = outcome.value.details
  const [info] = unpack.flatMap((any) => anyUnpack(any, ErrorInfoSchema) ?? [])
  const [bad] = unpack.flatMap((any) => anyUnpack(any, BadRequestSchema) ?? [])
  const path = bad?.fieldViolations.map(({ field }) => field).join()
  return `${id}: ${status[outcome.value.code]} ${info?.reason}${path === undefined ? "" : ` ${path}`}`
}
const collect = async (answers: AsyncIterable<VerifyStreamResponse>): Promise<string[]> => {
  const all: string[] = []
  for await (const answer of answers) all.push(told(answer))
  return all
}
const within = async (
  overrides: Partial<Service>,
  act: (server: Running) => Promise<void>,
  config: Partial<ServerConfig> = {},
): Promise<void> => {
  const server = await running(overrides, config)
  try {
    await act(server)
  } finally {
    await server.stop()
  }
}
/** A service whose n-th verification takes as long as `ms` says, and that counts how many run at once. */
const timed = (ms: number) => {
  const counts = { started: 0, running: 0, most: 0 }
  const verify: Service["verify"] = async () => {
    const n = counts.started++
    counts.most = Math.max(counts.most, ++counts.running)
    await pause(ms)
    counts.running--
    return result(`result-${n}`)
  }
  return { counts, verify }
}

test("answers requests as they finish, each with its id, and ends after the last one", async () => {
  // The last one ends first, and each waits for the one after it.
  const ended = [0, 1, 2, 3].map(() => Promise.withResolvers<void>())
  ended[3]?.resolve()
  let count = 0
  const verify: Service["verify"] = async () => {
    const n = count++
    await ended[n + 1]?.promise
    setTimeout(() => ended[n]?.resolve(), 5)
    return result(`result-${n}`)
  }
  await within({ verify }, async ({ client }) => {
    const call = client.verifyStream()
    for (const id of ["a", "b", "c"]) await call.send({ id, request: goodVerify() })
    call.end()
    assert.equal(await collect(call), ["c: result-2", "b: result-1", "a: result-0"])
  })
})
test("answers what fails with its error, and goes on", async () => {
  const verify: Service["verify"] = async ({ freshness }) => {
    const size = freshness.kind === "challenge" ? freshness.challenge.length : 0
    if (size === 1) throw new AssayError("NONCE_SPENT", "spent")
    if (size === 2) throw "anything"
    if (size === 3) throw new AssayError("CHALLENGES_FULL", "full")
    return result()
  }
  await within({ verify }, async ({ client, lines }) => {
    const call = client.verifyStream()
    const answers = collect(call)
    for (const size of [1, 2, 3, 4]) {
      await call.send({
        id: `${size}`,
        request: { ...goodVerify(), freshness: { case: "challenge", value: ones(size) } },
      })
      await pause(5)
    }
    call.end()
    assert.equal(await answers, [
      "1: FAILED_PRECONDITION NONCE_SPENT",
      "2: INTERNAL INTERNAL",
      "3: RESOURCE_EXHAUSTED CHALLENGES_FULL",
      "4: result-1",
    ])
    assert.is(lines.filter(({ msg }) => msg === "fault").length, 1)
    assert.is(lines.filter(({ msg }) => msg === "call").length, 1)
  })
})

type Message = MessageInitShape<(typeof AttestationService.method.verifyStream)["input"]>
const invalid: [name: string, request: Message["request"], answer: string][] = [
  ["an absent request", undefined, "x: INVALID_ARGUMENT FIELD request"],
  ["an absent freshness", { evidence: {} }, "x: INVALID_ARGUMENT FIELD evidence.kind,freshness"],
  [
    "a nonce of 15 bytes",
    { ...goodVerify(), freshness: { case: "nonce", value: ones(15) } },
    "x: INVALID_ARGUMENT FIELD nonce",
  ],
]
for (const [name, request, answer] of invalid)
  test(`answers ${name} with the path that Verify would name, and goes on`, () =>
    within({}, async ({ client, seen }) => {
      const call = client.verifyStream()
      await call.send(request === undefined ? { id: "x" } : { id: "x", request })
      await call.send({ id: "y", request: goodVerify() })
      call.end()
      assert.equal(await collect(call), [answer, "y: result-1"])
      assert.is(seen.length, 1)
    }))

test("answers an id whose request is not answered yet with an error, and the first one still", async () => {
  const { verify, counts } = timed(20)
  await within({ verify }, async ({ client }) => {
    const call = client.verifyStream()
    await call.send({ id: "a", request: goodVerify() })
    await call.send({ id: "a", request: goodVerify() })
    call.end()
    assert.equal(await collect(call), ["a: INVALID_ARGUMENT FIELD id", "a: result-0"])
    assert.is(counts.started, 1)
  })
})
test("accepts an id again once it is answered", () =>
  within({}, async ({ client }) => {
    const call = client.verifyStream()
    const answers = call[Symbol.asyncIterator]()
    for (let i = 0; i < 3; i++) {
      await call.send({ id: "a", request: goodVerify() })
      assert.is((await answers.next()).value?.id, "a")
    }
    call.end()
    assert.is((await answers.next()).done, true)
  }))

/** A stream of any bytes. Gives what was answered, and how it ended. */
const rawStream = (
  address: string,
  ...messages: readonly Uint8Array[]
): Promise<{ answers: string[]; error: AssayError | undefined }> => {
  const client = new Client(address, credentials.createInsecure())
  const { verifyStream } = AttestationService.method
  const same = (buffer: Buffer): Buffer => buffer
  const stream = client.makeBidiStreamRequest(pathOf(verifyStream), same, same)
  return new Promise((resolve) => {
    const answers: string[] = []
    let failure: unknown
    stream.on("data", (answer: Buffer) =>
      answers.push(told(fromBinary(verifyStream.output, fromBuffer(answer)))),
    )
    stream.on("error", (error) => {
      failure = error
    })
    stream.on("status", () => {
      client.close()
      resolve({ answers, error: failure === undefined ? undefined : errorFromStatus(failure) })
    })
    for (const message of messages) stream.write(Buffer.from(message))
    stream.end()
  })
}
const field = (number: number, content: Uint8Array): Uint8Array =>
  concat(Uint8Array.of((number << 3) | 2, content.length & 0x7f), content)
const endings: [name: string, message: Uint8Array, code: "PROTO" | "FIELD"][] = [
  ["bytes that are no message", new Uint8Array(9).fill(0xff), "PROTO"],
  ["no id", field(2, field(2, ones(16))), "FIELD"],
  ["an id with a space", field(1, utf8("a b")), "FIELD"],
  ["an id that is too long", field(1, utf8("a".repeat(65))), "FIELD"],
  ["an id twice", concat(field(1, utf8("a")), field(1, utf8("b"))), "FIELD"],
  ["no bytes", new Uint8Array(), "FIELD"],
]
for (const [name, message, code] of endings)
  test(`ends a stream with INVALID_ARGUMENT at a message with ${name}, which no answer could name`, () =>
    within({}, async ({ address, client, seen }) => {
      const { error, answers } = await rawStream(address, message)
      assert.is(error?.code, code)
      assert.equal(answers, [])
      assert.is(seen.length, 0)
      await client.getEpoch()
    }))
test("answers an unknown field of evidence with its path, and goes on", () =>
  within({}, async ({ address }) => {
    const bytes = (id: string) =>
      concat(field(1, utf8(id)), field(2, concat(field(2, ones(16)), field(9, ones(1)))))
    const answers = ["a: INVALID_ARGUMENT FIELD 9", "b: INVALID_ARGUMENT FIELD 9"]
    assert.equal(await rawStream(address, bytes("a"), bytes("b")), { answers, error: undefined })
  }))

test("runs at most as many requests at a time as the limit says, and answers all", async () => {
  const { verify, counts } = timed(2)
  await within(
    { verify },
    async ({ client }) => {
      const call = client.verifyStream()
      const answers = collect(call)
      for (let i = 0; i < 40; i++) await call.send({ id: `${i}`, request: goodVerify() })
      call.end()
      assert.is((await answers).length, 40)
      assert.is(counts.most, 4)
    },
    { limits: { streamInFlightMax: 4 } },
  )
})
test("reads no more from a caller that does not read its answers", async () => {
  let started = 0
  const answer = result()
  const long = { ...answer, token: { ...answer.token, compact: "t".repeat(100_000) } }
  const verify: Service["verify"] = async () => {
    started++
    return long
  }
  await within({ verify }, async ({ client }) => {
    const call = client.verifyStream()
    const sending = (async () => {
      for (let i = 0; i < 400; i++) await call.send({ id: `${i}`, request: goodVerify() })
      call.end()
    })()
    for (let before = -1; before < started; await pause(50)) before = started
    assert.ok(started < 200, `${started} requests were run, and no answer read`)
    assert.is((await collect(call)).length, 400)
    await sending
  })
})
test("lets a caller that does not read its answers slow nobody else, and nothing pile up for it", async () => {
  const started = { slow: 0, other: 0 }
  const answer = result()
  const long = { ...answer, token: { ...answer.token, compact: "t".repeat(100_000) } }
  const verify: Service["verify"] = async ({ freshness }) => {
    if (freshness.kind !== "nonce") started.other++
    else started.slow++
    return freshness.kind === "nonce" ? long : answer
  }
  await within({ verify }, async ({ client, address }) => {
    const own = createAttestationClient(address)
    try {
      const slow = own.verifyStream()
      const nonce = { ...goodVerify(), freshness: { case: "nonce", value: ones(32) } } as const
      const sending = (async () => {
        for (let i = 0; i < 400; i++) await slow.send({ id: `${i}`, request: nonce })
        slow.end()
      })()
      await until(() => started.slow > 0)
      for (let before = 0; before < started.slow; await pause(200)) before = started.slow
      const stalled = started.slow
      const heap = process.memoryUsage().arrayBuffers
      for (let round = 0; round < 5; round++) {
        const call = client.verifyStream()
        const answers = collect(call)
        for (let i = 0; i < 100; i++) await call.send({ id: `${i}`, request: goodVerify() })
        call.end()
        assert.is((await answers).length, 100)
        await Promise.all(Array.from({ length: 20 }, () => client.verify(goodVerify())))
      }
      assert.equal(started, { slow: stalled, other: 600 })
      assert.ok(stalled < 200, `${stalled} requests were run, and no answer read`)
      const grown = process.memoryUsage().arrayBuffers - heap
      assert.ok(grown < 16 * 1024 * 1024, `${grown} bytes more`)
      assert.is((await collect(slow)).length, 400)
      await sending
    } finally {
      own.close()
    }
  })
})
test("fails of many messages the bad ones alone, each by its id, in whichever order they come", async () => {
  const { verify, counts } = timed(1)
  const bad = { freshness: { case: "challenge", value: ones(100) } } as const
  const isBad = (i: number): boolean => i % 3 === 0
  await within({ verify }, async ({ client }) => {
    const call = client.verifyStream()
    const answers = collect(call)
    for (let i = 0; i < 90; i++) await call.send({ id: `${i}`, request: isBad(i) ? bad : goodVerify() })
    call.end()
    const byId = new Map((await answers).map((answer) => [Number(answer.split(":")[0]), answer]))
    assert.is(byId.size, 90)
    for (const [i, answer] of byId) assert.is(/INVALID_ARGUMENT/.test(answer), isBad(i), answer)
    assert.is(counts.started, 60)
  })
})
test("stops when the caller cancels, and throws nothing", async () => {
  const gate = Promise.withResolvers<void>()
  let started = 0
  const verify: Service["verify"] = async () => {
    started++
    await gate.promise
    return result()
  }
  await within(
    { verify },
    async ({ client, lines }) => {
      const call = client.verifyStream()
      for (let i = 0; i < 10; i++) await call.send({ id: `${i}`, request: goodVerify() })
      await until(() => started === 2)
      call.cancel()
      await rejectsCode(() => collect(call), "NO_ANSWER")
      const line = () => lines.find(({ msg }) => msg === "call")
      await until(() => line() !== undefined)
      assert.is(line()?.["code"], "CANCELLED")
      gate.resolve()
      await pause(20)
      assert.is(started, 2)
    },
    { limits: { streamInFlightMax: 2 } },
  )
})
test("ends at the caller's deadline", async () => {
  const { verify } = timed(500)
  await within({ verify }, async ({ client }) => {
    const call = client.verifyStream({ deadlineMs: 30 })
    await call.send({ id: "a", request: goodVerify() })
    const error = await rejectsCode(() => collect(call), "NO_ANSWER")
    assert.match(error.message, /^DEADLINE_EXCEEDED/)
  })
})
test("answers what runs when the server drains, then ends with SHUTTING_DOWN", async () => {
  const { verify, counts } = timed(60)
  const server = await running({ verify })
  const call = server.client.verifyStream()
  await call.send({ id: "a", request: goodVerify() })
  await until(() => counts.running === 1)
  const stopped = server.stop()
  await call.send({ id: "b", request: goodVerify() })
  const answers: string[] = []
  const error = await rejectsCode(async () => {
    for await (const answer of call) answers.push(told(answer))
  }, "SHUTTING_DOWN")
  assert.is(error.kind, "unavailable")
  assert.equal(answers, ["a: result-0"])
  await stopped
})
test("ends an idle stream at once when the server drains", async () => {
  const server = await running()
  const other = createAttestationClient(server.address)
  const call = other.verifyStream()
  const ended = rejectsCode(() => collect(call), "SHUTTING_DOWN")
  await call.send({ id: "a", request: goodVerify() })
  await until(() => server.seen.length === 1)
  const start = Date.now()
  await server.stop()
  await ended
  assert.ok(Date.now() - start < 2000)
  other.close()
})
test("answers each request as Verify does, byte for byte", () =>
  within({}, async ({ client }) => {
    const unary = await client.verify(goodVerify())
    const call = client.verifyStream()
    await call.send({ id: "a", request: goodVerify() })
    call.end()
    for await (const { outcome } of call) assert.equal(outcome.value, unary)
  }))
test.run()
