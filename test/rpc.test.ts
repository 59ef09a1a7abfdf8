import { create, toBinary } from "@bufbuild/protobuf"
import type { handleUnaryCall } from "@grpc/grpc-js"
import { Server, ServerCredentials, status } from "@grpc/grpc-js"
import * as fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { connect } from "../src/client/connection.ts"
import {
  AttestationService,
  CreateChallengeRequestSchema,
  type GetEpochRequestSchema,
  type GetEpochResponse,
  GetEpochResponseSchema,
  VerifyRequestSchema,
} from "../src/gen/assay/v1/attestation_pb.ts"
import { DeviceService } from "../src/gen/assay/v1/device_pb.ts"
import { addService, decode, definitionOf, parseAddress, type Received, Refused } from "../src/rpc.ts"
import { rejectsCode, throwsCode } from "./support/assert.ts"

const definitions = suite("definitionOf")
definitions("names every method of a service by its path and its streams", () => {
  const flat = Object.entries(definitionOf(AttestationService)).map(
    ([name, { path, requestStream, responseStream }]) => `${name} ${path} ${requestStream} ${responseStream}`,
  )
  assert.equal(flat, [
    "createChallenge /assay.v1.AttestationService/CreateChallenge false false",
    "verify /assay.v1.AttestationService/Verify false false",
    "verifyStream /assay.v1.AttestationService/VerifyStream true true",
    "getEpoch /assay.v1.AttestationService/GetEpoch false false",
  ])
})
definitions("encodes and decodes requests and answers of each method", () => {
  const { createChallenge } = definitionOf(AttestationService)
  const request = create(CreateChallengeRequestSchema, { audience: "a" })
  const bytes = createChallenge?.requestSerialize(request) ?? Buffer.alloc(0)
  assert.ok(Buffer.isBuffer(bytes))
  assert.equal(createChallenge?.requestDeserialize(bytes), request)
})
definitions("gives handlers bytes that can be copied, though grpc-js gives Buffers", () => {
  const { registerDevice } = definitionOf(DeviceService)
  const { input } = DeviceService.method.registerDevice
  const bytes = Buffer.from(toBinary(input, create(input, { akPublic: Uint8Array.of(1, 2, 3) })))
  const read: Received<typeof input> = registerDevice?.requestDeserialize(bytes)
  if (read instanceof Refused) return assert.unreachable()
  const copy = read.akPublic.slice()
  bytes.fill(0)
  assert.equal([...copy], [1, 2, 3])
  assert.not(Buffer.isBuffer(read.akPublic))
})
definitions.run()

const decoding = suite("decode")
decoding("refuses bytes that are no message with PROTO", () => {
  const read = decode(VerifyRequestSchema, new Uint8Array(9).fill(0xff))
  assert.instance(read, Refused)
  assert.is(read instanceof Refused ? read.error.code : undefined, "PROTO")
})
decoding("throws nothing for any bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      decode(VerifyRequestSchema, bytes)
    }),
  )
})
decoding.run()

const addresses = suite("parseAddress")
addresses("reads TCP and Unix addresses of this machine", () => {
  assert.equal(parseAddress("localhost:1"), {
    kind: "tcp",
    host: "127.0.0.1",
    port: 1,
    target: "ipv4:127.0.0.1:1",
  })
  assert.equal(parseAddress("unix:/a/b"), { kind: "unix", path: "/a/b", target: "unix:/a/b" })
})
addresses("refuses any text that is not exactly one of its forms", () => {
  const form = /^((127(\.\d{1,3}){3}|localhost|\[::1\]):\d{1,5}|unix:\/[^/\0][^\0]*)$/
  const piece = fc.constantFrom(
    "127.0.0.1",
    "localhost",
    "[::1]",
    "unix:",
    "/",
    ":",
    "0",
    "80",
    ".",
    "a",
    "\n",
    "10.0.0.1",
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 5 }), (pieces) => {
      const text = pieces.join("")
      if (!form.test(text)) throwsCode(() => parseAddress(text), "INPUT")
    }),
    { numRuns: 1000 },
  )
})
addresses.run()

const typed = suite("addService and connect")
const epochOnly = (getEpoch: handleUnaryCall<Received<typeof GetEpochRequestSchema>, GetEpochResponse>) => ({
  getEpoch,
  createChallenge: () => {},
  verify: () => {},
  verifyStream: () => {},
})
const withServer = async (
  getEpoch: Parameters<typeof epochOnly>[0],
  act: (address: string) => Promise<void>,
): Promise<void> => {
  const server = new Server()
  addService(server, AttestationService, epochOnly(getEpoch))
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    )
  })
  try {
    await act(`127.0.0.1:${port}`)
  } finally {
    server.forceShutdown()
  }
}
const { getEpoch } = AttestationService.method
typed("carries a call from client to handler and back, with metadata and credential", () =>
  withServer(
    ({ metadata }, callback) => {
      const token = `${metadata.get("authorization")} ${metadata.get("x-key")}`
      callback(null, create(GetEpochResponseSchema, { number: 5n, token }))
    },
    async (address) => {
      const connection = connect(address, { credential: "secret" })
      const answer = await connection.unary(getEpoch, {}, { metadata: { "x-key": "value" } })
      assert.is(answer.number, 5n)
      assert.is(answer.token, "Bearer secret value")
      connection.close()
    },
  ),
)
typed("never sends a call twice", async () => {
  let calls = 0
  await withServer(
    (_call, callback) => {
      calls++
      callback({ code: status.UNAVAILABLE, details: "try again" })
    },
    async (address) => {
      const connection = connect(address)
      await rejectsCode(() => connection.unary(getEpoch, {}), "NO_ANSWER")
      assert.is(calls, 1)
      connection.close()
    },
  )
})
typed("says NO_ANSWER where nobody listens", async () => {
  const connection = connect("unix:/nonexistent/assay.sock")
  const error = await rejectsCode(() => connection.unary(getEpoch, {}, { deadlineMs: 2000 }), "NO_ANSWER")
  assert.match(error.message, /^UNAVAILABLE/)
  connection.close()
})
typed("sends nothing to a proxy that the environment names", async () => {
  const before = process.env["http_proxy"]
  process.env["http_proxy"] = "http://127.0.0.1:1"
  try {
    await withServer(
      (_call, callback) => callback(null, create(GetEpochResponseSchema)),
      async (address) => {
        const connection = connect(address)
        await connection.unary(getEpoch, {})
        connection.close()
      },
    )
  } finally {
    if (before === undefined) delete process.env["http_proxy"]
    else process.env["http_proxy"] = before
  }
})
typed.run()
