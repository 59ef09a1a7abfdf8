import { fromBinary } from "@bufbuild/protobuf"
import { anyUnpack } from "@bufbuild/protobuf/wkt"
import { Metadata, status } from "@grpc/grpc-js"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { errorFromStatus } from "../../src/client/failure.ts"
import { AssayError, CODES, type Code } from "../../src/errors.ts"
import {
  BadRequestSchema,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "../../src/gen/google/rpc/error_details_pb.ts"
import { StatusSchema } from "../../src/gen/google/rpc/status_pb.ts"
import { toRpcStatus, toStatus } from "../../src/server/errors.ts"

const test = suite("toStatus")
const codes = Object.keys(CODES).filter((code): code is Code => Object.hasOwn(CODES, code))
const detail = (error: unknown) => {
  const { details } = toRpcStatus(error)
  const [info] = details.flatMap((any) => anyUnpack(any, ErrorInfoSchema) ?? [])
  const [bad] = details.flatMap((any) => anyUnpack(any, BadRequestSchema) ?? [])
  const [retry] = details.flatMap((any) => anyUnpack(any, RetryInfoSchema) ?? [])
  return { info, bad, retry }
}

test("gives every code a status that is an error, and the code as reason", () => {
  for (const code of codes) {
    const answer = toStatus(new AssayError(code, "wrong"))
    assert.ok(answer.code > 0 && answer.code <= 16, code)
    assert.not.equal(answer.code, status.UNKNOWN)
    assert.is(detail(new AssayError(code, "wrong")).info?.reason, code)
    assert.is(detail(new AssayError(code, "wrong")).info?.domain, "assay")
  }
})
/** Limits that another try meets again. */
const LASTING: readonly Code[] = ["MESSAGE_SIZE", "LOG_SIZE", "DEPTH", "PATH", "TRUST_FULL"]
test("gives BadRequest for what is malformed and RetryInfo for what is exhausted for now, and nothing else", () => {
  for (const code of codes) {
    const { bad, retry } = detail(new AssayError(code, "wrong", { location: "a.b" }))
    assert.is(bad !== undefined, CODES[code].kind === "malformed", code)
    assert.is(retry !== undefined, CODES[code].kind === "exhausted" && !LASTING.includes(code), code)
    if (bad !== undefined) assert.is(bad.fieldViolations[0]?.field, "a.b")
    if (retry !== undefined) assert.is(retry.retryDelay?.seconds, 1n)
  }
})
test("says what became of the challenge whenever there was one, of a fault as well", () => {
  for (const code of ["NONCE_SPENT", "JOURNAL", "INTERNAL"] as const)
    for (const challenge of ["none", "unspent", "spent"] as const) {
      const error = new AssayError(code, "wrong")
      error.challenge = challenge
      assert.is(detail(error).info?.metadata["challenge"], challenge === "none" ? undefined : challenge)
    }
})
test("tells nothing of a fault but that it happened", () => {
  const fault = new AssayError("INTERNAL", "secret", {
    location: "secret",
    expected: "secret",
    actual: "secret",
    cause: new Error("secret"),
  })
  const { details, metadata } = toStatus(fault)
  const [bytes] = metadata.get("grpc-status-details-bin")
  assert.is(details, "internal error")
  assert.not.match(String(bytes), /secret/)
})
test("tells the cause of no failure", () => {
  for (const code of codes) {
    const { details, metadata } = toStatus(new AssayError(code, "wrong", { cause: new Error("secret") }))
    assert.not.match(`${details}${metadata.get("grpc-status-details-bin")[0]}`, /secret/)
  }
})
test("stays within what HTTP/2 peers accept, however much is wrong", () => {
  for (const character of ["x", " ", "\u0001", "\u{10ffff}"]) {
    const long = character.repeat(10_000)
    const violations = Array(1000).fill({ field: long, description: long })
    const error = new AssayError("FIELD", long, { location: long, expected: long, actual: long })
    const { metadata, details } = toStatus(error, violations)
    const trailer = String(metadata.toHttp2Headers()["grpc-status-details-bin"])
    assert.ok(trailer.length + encodeURI(details).length < 8000, `${trailer.length} of ${details}`)
  }
})
test("sends what is not ASCII without throwing", () => {
  const { details, metadata } = toStatus(new AssayError("INPUT", "ä\ud800\n", { location: "\u0000" }))
  assert.match(details, /^[\x20-\x7e]*$/)
  const [bytes] = metadata.get("grpc-status-details-bin")
  assert.ok(bytes instanceof Buffer && fromBinary(StatusSchema, bytes).details.length === 2)
})

const rebuild = suite("errorFromStatus")
const received = (answer: ReturnType<typeof toStatus>) => Object.assign(new Error(answer.details), answer)
rebuild("gives back every error that the server can answer", () => {
  for (const code of codes) {
    const error = new AssayError(code, "wrong", { location: "there", expected: "a", actual: "b" })
    error.challenge = "unspent"
    const again = errorFromStatus(received(toStatus(error)))
    assert.is(again.code, code)
    assert.is(again.challenge, "unspent")
    if (error.kind === "fault") continue
    assert.equal([again.message, again.location, again.expected, again.actual], ["wrong", "there", "a", "b"])
  }
})
const bare: [code: status, expected: Code][] = [
  [status.UNAVAILABLE, "NO_ANSWER"],
  [status.DEADLINE_EXCEEDED, "NO_ANSWER"],
  [status.CANCELLED, "NO_ANSWER"],
  [status.RESOURCE_EXHAUSTED, "INTERNAL"],
  [status.UNIMPLEMENTED, "INTERNAL"],
  [status.INTERNAL, "INTERNAL"],
]
for (const [code, expected] of bare)
  rebuild(`makes ${status[code]} without details ${expected}, with the cause`, () => {
    const cause = received({ code, details: "no details", metadata: new Metadata() })
    const error = errorFromStatus(cause)
    assert.is(error.code, expected)
    assert.is(error.cause, cause)
    assert.is(error.message, `${status[code]}: no details`)
  })
rebuild("says of a port without TLS that it is one, and nothing in OpenSSL's words", () => {
  const said = "Last error: Error: 40A7:error:0A00010B:SSL routines:ssl3_get_record:wrong version number:"
  const cause = received({ code: status.UNAVAILABLE, details: said, metadata: new Metadata() })
  const { code, message } = errorFromStatus(cause)
  assert.is(code, "NO_ANSWER")
  assert.is(message, "UNAVAILABLE: no TLS is spoken there: is it Assay's port?")
})
rebuild("makes INTERNAL of a code that it does not know, of another domain's and of broken details", () => {
  const known = toStatus(new AssayError("NONCE_SPENT", "spent"))
  const bytes = known.metadata.get("grpc-status-details-bin")[0]
  for (const [from, to] of [
    ["NONCE_SPENT", "NONCE_MELTS"],
    ["NONCE_SPENT", "toString  "],
    ["NONCE_SPENT", "__proto__ "],
    ["assay", "other"],
    ["type.googleapis", "\u00ff\u00ff\u00ff\u00ff.googleapis"],
  ] as const) {
    const metadata = new Metadata()
    const changed = Buffer.from(
      Buffer.from(bytes ?? "")
        .toString("latin1")
        .replace(from, to),
      "latin1",
    )
    metadata.set("grpc-status-details-bin", changed)
    assert.is(errorFromStatus(received({ ...known, metadata })).code, "INTERNAL", to)
  }
})
rebuild("makes INTERNAL of whatever else is thrown", () => {
  for (const value of [undefined, null, "text", new Error("other"), {}])
    assert.is(errorFromStatus(value).code, "INTERNAL")
})
test.run()
rebuild.run()
