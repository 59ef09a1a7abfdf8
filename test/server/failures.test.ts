import { create, toBinary } from "@bufbuild/protobuf"
import { status } from "@grpc/grpc-js"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { AssayError, type Code } from "../../src/errors.ts"
import { AttestationService, VerifyRequestSchema } from "../../src/gen/assay/v1/attestation_pb.ts"
import { pathOf } from "../../src/rpc.ts"
import { rejectsCode } from "../support/assert.ts"
import { goodVerify, type Running, rawCall, running } from "./fake.ts"

const { verify } = AttestationService.method

const test = suite("failures")
const kinds: [code: Code, status: status][] = [
  ["FRAMING", status.INVALID_ARGUMENT],
  ["AK_ATTRIBUTES", status.FAILED_PRECONDITION],
  ["DEVICE_EXISTS", status.ALREADY_EXISTS],
  ["NONCE_SPENT", status.FAILED_PRECONDITION],
  ["CALLER_UNKNOWN", status.UNAUTHENTICATED],
  ["TOKEN_CLAIMS", status.UNAUTHENTICATED],
  ["PERMISSION", status.PERMISSION_DENIED],
  ["DEVICE_NOT_FOUND", status.NOT_FOUND],
  ["CHALLENGES_FULL", status.RESOURCE_EXHAUSTED],
  ["JOURNAL", status.UNAVAILABLE],
  ["INTERNAL", status.INTERNAL],
]
let thrown: unknown
const throwing = { verify: () => Promise.reject(thrown) }
let server: Running
test.before(async () => {
  server = await running(throwing)
})
test.after(async () => server.stop())
for (const [code, expected] of kinds)
  test(`answers ${code} with ${status[expected]}, which the client throws as it was`, async () => {
    const error = new AssayError(code, "what was wrong", { location: "there", expected: "a", actual: "b" })
    error.challenge = "spent"
    thrown = error
    const bytes = toBinary(VerifyRequestSchema, create(VerifyRequestSchema, goodVerify()))
    const raw = await rawCall(server.address, pathOf(verify), bytes)
    assert.is(raw.error?.code, expected)
    assert.match(String(raw.error?.metadata.get("x-request-id")[0]), /^[0-9a-f]{32}$/)
    const rebuilt = await rejectsCode(() => server.client.verify(goodVerify()), code)
    assert.is(rebuilt.challenge, "spent")
    assert.is(rebuilt.location, error.kind === "fault" ? undefined : "there")
    assert.is(rebuilt.actual, error.kind === "fault" ? undefined : "b")
  })
const odd: [name: string, value: unknown][] = [
  ["a string", "secret"],
  ["undefined", undefined],
  ["null", null],
  ["a number", 7],
  ["a TypeError", new TypeError("secret")],
  ["an object that is like an AssayError", { code: "NONCE_SPENT", kind: "stale", message: "secret" }],
  ["an object that looks like a gRPC status", { code: 0, details: "secret" }],
  [
    "an object whose properties throw",
    new Proxy(
      {},
      {
        get: () => {
          throw new Error("secret")
        },
      },
    ),
  ],
]
for (const [name, value] of odd)
  test(`answers G-10 INTERNAL and no more when ${name} is thrown, and goes on`, async () => {
    thrown = value
    const error = await rejectsCode(() => server.client.verify(goodVerify()), "INTERNAL")
    assert.is(error.message, "internal error")
    assert.not.match(JSON.stringify(error), /secret/)
    await server.client.getEpoch()
  })
test("answers INTERNAL when a handler throws before it promises anything", async () => {
  const broken = await running({
    verify: () => {
      throw "secret"
    },
  })
  await rejectsCode(() => broken.client.verify(goodVerify()), "INTERNAL")
  await broken.stop()
})
test("logs the cause of a fault with the request's id", async () => {
  thrown = new Error("the disk is gone")
  server.lines.length = 0
  await rejectsCode(() => server.client.verify(goodVerify()), "INTERNAL")
  const [fault, line] = server.lines
  assert.match(JSON.stringify(fault?.["err"]), /the disk is gone/)
  assert.is(fault?.["request"], line?.["request"])
  assert.is(line?.["reason"], "INTERNAL")
})
test.run()
