/** What grpc-js says by itself, of calls that send less or more than their one message, in our words. */
import { fromBinary, toBinary } from "@bufbuild/protobuf"
import { anyUnpack } from "@bufbuild/protobuf/wkt"
import { Metadata, status } from "@grpc/grpc-js"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { AttestationService } from "../../src/gen/assay/v1/attestation_pb.ts"
import { DeviceService } from "../../src/gen/assay/v1/device_pb.ts"
import { type ErrorInfo, ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts"
import { StatusSchema } from "../../src/gen/google/rpc/status_pb.ts"
import { pathOf, toBuffer } from "../../src/rpc.ts"
import { explained } from "../../src/server/inner-call.ts"
import { framed, rawOpen, rawSession } from "./raw.ts"
import { gateway, operator, serving } from "./tls.ts"

const VERIFY = pathOf(AttestationService.method.verify)
const EPOCH = pathOf(AttestationService.method.getEpoch)
const EXPORT = pathOf(DeviceService.method.exportDevices)
const CHECK = "/grpc.health.v1.Health/Check"

/** The trailer of a status. */
const detailsOf = (trailer: Buffer): { readonly message: string; readonly info: ErrorInfo | undefined } => {
  const { message, details } = fromBinary(StatusSchema, trailer)
  const info = details.map((any) => anyUnpack(any, ErrorInfoSchema)).find((one) => one !== undefined)
  return { message, info }
}

const test = suite("what grpc-js says")

const whole = framed(Buffer.alloc(40, 1))
const cut: [name: string, bytes: Buffer][] = [
  ["nothing", Buffer.alloc(0)],
  ["two bytes", whole.subarray(0, 2)],
  ["the five bytes before a message", whole.subarray(0, 5)],
  ["half of a message", whole.subarray(0, 25)],
  ["all but the last byte", whole.subarray(0, -1)],
]
test("refuses a call that ends before its request is whole, and says what is missing and where", () =>
  serving(async ({ address }) => {
    for (const [path, holder] of [
      [VERIFY, gateway],
      [EPOCH, gateway],
      [EXPORT, operator],
      [CHECK, undefined],
    ] as const)
      for (const [name, bytes] of cut) {
        const session = await rawSession(address, holder)
        const { stream, outcome } = rawOpen(session, path)
        const trailer = new Promise<string>((resolve) => {
          for (const event of ["response", "trailers"])
            stream.on(event, (headers) => {
              const found: unknown = headers["grpc-status-details-bin"]
              if (typeof found === "string") resolve(found)
            })
        })
        stream.end(bytes)
        const { status: number, code } = await outcome
        assert.equal([number, code], [String(status.INVALID_ARGUMENT), "PROTO"], `${path}: ${name}`)
        const { message, info } = detailsOf(Buffer.from(await trailer, "base64"))
        assert.is(info?.metadata["location"], "message")
        assert.match(info?.metadata["expected"] ?? "", /^one message/)
        assert.not.match(message, /method|Received/, message)
        session.destroy()
      }
  }))

const told = (code: status, details: string) => {
  const { code: number, metadata } = explained({ code, details })
  const [trailer] = metadata?.get("grpc-status-details-bin") ?? []
  return {
    code: number,
    ...(trailer instanceof Buffer ? detailsOf(trailer) : { message: "", info: undefined }),
  }
}
test("tells of a second message as of any that is too many", () => {
  const { code, message, info } = told(
    status.UNIMPLEMENTED,
    `Received a second request message for server streaming method ${VERIFY}`,
  )
  assert.equal([code, info?.reason, info?.metadata["expected"]], [status.INVALID_ARGUMENT, "PROTO", "one"])
  assert.not.match(message, /method|Received/)
})
const blamed: [name: string, details: string, location: string, says: RegExp][] = [
  ["that cannot be unpacked", "Failed to decompress message", "message", /grpc-encoding says/],
  ["that cannot be read", "Error deserializing request", "message", /cannot|can be read/],
  ["with a deadline that is none", 'Invalid grpc-timeout value "x"', "grpc-timeout", /grpc-timeout/],
]
for (const [name, details, location, says] of blamed)
  test(`refuses G-02 a call ${name} as its caller's fault, and says what to do`, () => {
    const { code, message, info } = told(status.INTERNAL, details)
    assert.equal(
      [code, info?.reason, info?.metadata["location"]],
      [status.INVALID_ARGUMENT, "PROTO", location],
    )
    assert.match(message, says)
  })
test("tells nothing of what is our fault", () => {
  const { code, message, info } = told(status.INTERNAL, "Error serializing response: secret")
  assert.equal([code, info?.reason, message], [status.INTERNAL, "INTERNAL", "internal error"])
  assert.equal(info?.metadata, {})
})
test("leaves what has our words already as it is", () => {
  const metadata = new Metadata()
  metadata.set(
    "grpc-status-details-bin",
    toBuffer(toBinary(StatusSchema, fromBinary(StatusSchema, new Uint8Array()))),
  )
  const answer = { code: status.UNIMPLEMENTED, details: "Received no request message", metadata }
  assert.is(explained(answer), answer)
})

test.run()
