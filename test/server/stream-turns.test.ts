/** What is wrong on a stream is paid for as what is right: by its caller's rate, and in its turn. */
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf"
import { anyUnpack } from "@bufbuild/protobuf/wkt"
import { Client, compressionAlgorithms, credentials } from "@grpc/grpc-js"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, utf8 } from "../../src/bytes.ts"
import { AttestationService, VerifyStreamRequestSchema } from "../../src/gen/assay/v1/attestation_pb.ts"
import { ErrorInfoSchema, RetryInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts"
import { fromBuffer, pathOf } from "../../src/rpc.ts"
import type { ServerConfig } from "../../src/server/server.ts"
import { goodVerify, ones, type Running, result, running } from "./fake.ts"
import { pause, until } from "./raw.ts"

const { verifyStream } = AttestationService.method
/** So slow that nothing is granted anew while a test runs. */
const few = (burst: number) => ({ perSecond: 0.01, burst })

const written = (message: MessageInitShape<typeof VerifyStreamRequestSchema>): Uint8Array =>
  toBinary(VerifyStreamRequestSchema, create(VerifyStreamRequestSchema, message))
const good = (id: string): Uint8Array => written({ id, request: goodVerify() })
const bad: [name: string, message: (id: string) => Uint8Array][] = [
  ["messages without a request", (id) => written({ id })],
  ["messages with an empty request", (id) => written({ id, request: {} })],
  [
    "messages with a nonce of 15 bytes",
    (id) => written({ id, request: { ...goodVerify(), freshness: { case: "nonce", value: ones(15) } } }),
  ],
  ["messages with a field that nobody knows", (id) => concat(good(id), Uint8Array.of(0x78, 0))],
  ["messages with two requests", (id) => concat(good(id), good(id).subarray(2 + utf8(id).length))],
  ["messages of an id that is not answered", () => good("first")],
]

/** What is compressed goes over grpc-js. */
const ways: [name: string, algorithm: compressionAlgorithms][] = [
  ["without grpc-js", compressionAlgorithms.identity],
  ["over grpc-js", compressionAlgorithms.gzip],
]

/** A stream to a server whose verifications wait, and what it was answered: ids and codes. */
const opened = async (
  algorithm: compressionAlgorithms,
  config: Partial<ServerConfig>,
  act: (stream: {
    readonly send: (message: Uint8Array) => void
    readonly answers: string[]
    readonly seen: Running["seen"]
    readonly letGo: () => void
  }) => Promise<void>,
): Promise<void> => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const seen: Running["seen"] = []
  const verify = async (input: unknown, caller: Running["seen"][number]["caller"]) => {
    seen.push({ method: "verify", input, caller })
    await promise
    return result()
  }
  const server = await running({ verify }, config)
  const client = new Client(server.address, credentials.createInsecure(), {
    "grpc.default_compression_algorithm": algorithm,
  })
  const same = (buffer: Buffer): Buffer => buffer
  const stream = client.makeBidiStreamRequest(pathOf(verifyStream), same, same)
  const answers: string[] = []
  stream.on("error", () => {})
  stream.on("data", (bytes: Buffer) => {
    const { id, outcome } = fromBinary(verifyStream.output, fromBuffer(bytes))
    const details = outcome.case === "error" ? outcome.value.details : []
    const [info] = details.flatMap((any) => anyUnpack(any, ErrorInfoSchema) ?? [])
    const [retry] = details.flatMap((any) => anyUnpack(any, RetryInfoSchema) ?? [])
    answers.push(`${id} ${info?.reason ?? "OK"}${retry === undefined ? "" : " later"}`)
  })
  try {
    const send = (message: Uint8Array): void => void stream.write(Buffer.from(message))
    await act({ send, answers, seen, letGo: resolve })
  } finally {
    resolve()
    stream.cancel()
    client.close()
    await server.stop()
  }
}

const test = suite("turns on a stream")

for (const [way, algorithm] of ways) {
  for (const [name, message] of bad) {
    test(`refuses N-07 ${name} beyond the caller's rate, each by its id, ${way}`, () =>
      // One for the stream, one for the first request, two for what is wrong.
      opened(algorithm, { rates: { caller: few(4) } }, async ({ send, answers, letGo }) => {
        send(good("first"))
        for (let i = 0; i < 5; i++) send(message(`m${i}`))
        await until(() => answers.length === 5)
        const codes = answers.map((answer) => answer.slice(answer.indexOf(" ") + 1)).sort()
        assert.equal(codes, ["FIELD", "FIELD", "RATE later", "RATE later", "RATE later"])
        letGo()
        await until(() => answers.length === 6)
        assert.is(answers[5], "first OK")
      }))
    test(`keeps G-09 the loop for others: ${name} wait for their turn, ${way}`, () => {
      let begun = 0
      const waited = (): void => {
        begun += 1
      }
      const config = { limits: { runningMax: 1 }, waited }
      return opened(algorithm, config, async ({ send, answers, seen, letGo }) => {
        send(good("first"))
        await until(() => seen.length === 1)
        for (let i = 0; i < 5; i++) send(message(`m${i}`))
        await pause(50)
        assert.equal([answers, begun], [[], 1])
        letGo()
        await until(() => answers.length === 6)
        assert.is(begun, 6)
        assert.is(answers.filter((answer) => answer.endsWith(" FIELD")).length, 5)
      })
    })
  }
  const floods: [name: string, message: (id: string) => Uint8Array][] = [
    ["good requests", good],
    ...bad.slice(0, 3),
  ]
  for (const [name, message] of floods)
    test(`reads N-07 no more ${name} than a stream has places for while they are refused, ${way}`, () =>
      opened(
        algorithm,
        { rates: { caller: few(1) }, limits: { streamInFlightMax: 4 } },
        async ({ send, answers }) => {
          for (let i = 0; i < 50; i++) send(message(`m${i}`))
          await until(() => answers.length >= 4)
          await pause(200)
          assert.equal(answers, ["m0 RATE later", "m1 RATE later", "m2 RATE later", "m3 RATE later"])
        },
      ))
}
test("reads on when its caller has been told to come again", () =>
  opened(
    compressionAlgorithms.identity,
    { rates: { caller: few(1) }, limits: { streamInFlightMax: 4 } },
    async ({ send, answers }) => {
      for (let i = 0; i < 8; i++) send(good(`m${i}`))
      await until(() => answers.length === 8)
    },
  ))

test.run()
