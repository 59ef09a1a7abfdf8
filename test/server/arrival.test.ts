import { hash } from "node:crypto"
import { deflateSync, gzipSync } from "node:zlib"
import { status } from "@grpc/grpc-js"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { AttestationService } from "../../src/gen/assay/v1/attestation_pb.ts"
import { pathOf } from "../../src/rpc.ts"
import { writeServer } from "../support/callers.ts"
import { framed, headersFrame, lastData, rawOpen, rawSession, rawSocket, rawWhole } from "./raw.ts"
import { gateway, serving } from "./tls.ts"

const CHALLENGE = pathOf(AttestationService.method.createChallenge)
const EPOCH = pathOf(AttestationService.method.getEpoch)
const STREAM = pathOf(AttestationService.method.verifyStream)
const CHECK = "/grpc.health.v1.Health/Check"
const nothing = framed(new Uint8Array())

const test = suite("how calls arrive")

const headers: [name: string, headers: Record<string, string>, code: string][] = [
  ["another method", { ":method": "PUT" }, "PROTO"],
  ["a method in lower case", { ":method": "post" }, "PROTO"],
  ["a scheme without TLS", { ":scheme": "http" }, "PROTO"],
  ["a scheme of another protocol", { ":scheme": "ftp" }, "PROTO"],
  ["the content of gRPC for the web", { "content-type": "application/grpc-web" }, "PROTO"],
  [
    "the content of gRPC for the web, as text",
    { "content-type": "application/grpc-web-text+proto" },
    "PROTO",
  ],
  ["JSON", { "content-type": "application/grpc+json" }, "PROTO"],
  ["a timeout that is none", { "grpc-timeout": "soon" }, "PROTO"],
  ["a timeout below zero", { "grpc-timeout": "-1S" }, "PROTO"],
  ["a timeout with a sign", { "grpc-timeout": "+1S" }, "PROTO"],
  ["a timeout with a fraction", { "grpc-timeout": "1.5S" }, "PROTO"],
  ["a timeout of nine digits", { "grpc-timeout": "123456789S" }, "PROTO"],
  ["a timeout in hexadecimal", { "grpc-timeout": "0x1S" }, "PROTO"],
  ["a timeout with an exponent", { "grpc-timeout": "1e3m" }, "PROTO"],
  ["a timeout of an unknown unit", { "grpc-timeout": "1D" }, "PROTO"],
]
for (const [name, changed, code] of headers)
  test(`refuses G-02 a call with ${name}`, () =>
    serving(async ({ address, seen }) => {
      const session = await rawSession(address, gateway)
      const { stream, outcome } = rawOpen(session, EPOCH, changed)
      stream.end(nothing)
      assert.is((await outcome).code, code)
      assert.is(seen.length, 0)
      session.destroy()
    }))
const encodings: [name: string, encoding: string][] = [
  ["brotli", "br"],
  ["snappy", "snappy"],
  ["another case", "GZIP"],
  ["one inside the other", "gzip, deflate"],
  ["nothing", ""],
]
for (const [name, encoding] of encodings)
  for (const [path, holder] of [
    [EPOCH, gateway],
    [STREAM, gateway],
    [CHECK, undefined],
  ] as const)
    test(`refuses G-02 a call of ${path} whose messages are compressed by ${name}, and says how they may be`, () =>
      serving(async ({ address, seen }) => {
        const session = await rawSession(address, holder)
        const { stream, outcome } = rawOpen(session, path, { "grpc-encoding": encoding })
        const told = new Promise((resolve) =>
          stream.on("response", (given) => resolve(given["grpc-accept-encoding"])),
        )
        stream.end(nothing)
        const { code, status: number } = await outcome
        assert.equal([code, number], ["ENCODING", String(status.UNIMPLEMENTED)])
        assert.is(await told, "identity,deflate,gzip")
        assert.is(seen.length, 0)
        session.destroy()
      }))
for (const [encoding, bytes] of [
  ["identity", nothing],
  ["gzip", nothing],
  ["deflate", nothing],
  ["gzip", framed(gzipSync(new Uint8Array()), { flag: 1 })],
  ["deflate", framed(deflateSync(new Uint8Array()), { flag: 1 })],
] as const)
  test(`accepts a message ${bytes === nothing ? "as it is" : "compressed"}, of a call that says ${encoding}`, () =>
    serving(async ({ address }) => {
      const session = await rawSession(address, gateway)
      assert.is((await rawWhole(session, EPOCH, bytes, { "grpc-encoding": encoding })).status, "0")
      session.destroy()
    }))
const much: [name: string, headers: Record<string, string>][] = [
  ["one value of 20 KB", { "x-much": "x".repeat(20_000) }],
  ["twenty of a KB", Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`x-${i}`, "x".repeat(1000)]))],
  ["a name of 20 KB", { ["x".repeat(20_000)]: "1" }],
  ["an authorization of 20 KB", { authorization: `Bearer ${"x".repeat(20_000)}` }],
  ["a user agent of 20 KB", { "user-agent": "x".repeat(20_000) }],
]
for (const [name, changed] of much)
  for (const holder of [gateway, undefined])
    test(`refuses G-04 a call with ${name}, ${holder ? "with" : "without"} a certificate, unread`, () =>
      serving(async ({ address, seen }) => {
        const session = await rawSession(address, holder)
        assert.is((await rawWhole(session, EPOCH, nothing, changed)).code, "MESSAGE_SIZE")
        assert.is(seen.length, 0)
        session.destroy()
      }))
test("accepts a call with 15 KB of headers", () =>
  serving(async ({ address }) => {
    const session = await rawSession(address, gateway)
    assert.is((await rawWhole(session, EPOCH, nothing, { "x-much": "x".repeat(15_000) })).status, "0")
    session.destroy()
  }))
for (const type of ["application/grpc", "application/grpc+proto", "application/grpc; charset=utf-8"])
  test(`accepts the content type ${type}`, () =>
    serving(async ({ address }) => {
      const session = await rawSession(address, gateway)
      assert.is((await rawWhole(session, EPOCH, nothing, { "content-type": type })).status, "0")
      session.destroy()
    }))

const GOOD = "Bearer aet_good"
const twice: [name: string, more: [string, string][]][] = [
  [
    "the same authorization twice",
    [
      ["authorization", GOOD],
      ["authorization", GOOD],
    ],
  ],
  [
    "a good authorization and another",
    [
      ["authorization", GOOD],
      ["authorization", "Bearer junk"],
    ],
  ],
  [
    "a bad authorization and a good one",
    [
      ["authorization", "Bearer junk"],
      ["authorization", GOOD],
    ],
  ],
  [
    "an empty authorization and a good one",
    [
      ["authorization", ""],
      ["authorization", GOOD],
    ],
  ],
  [
    "two tenants",
    [
      ["assay-tenant", "acme"],
      ["assay-tenant", "other"],
    ],
  ],
]
for (const [name, more] of twice)
  for (const holder of [undefined, gateway])
    test(`refuses G-11 ${name}, ${holder ? "with" : "without"} a certificate`, () =>
      serving(
        async ({ address, seen, lines }) => {
          const socket = await rawSocket(address, holder)
          socket.resume()
          for (const id of [1, 3])
            socket.write(Buffer.concat([headersFrame(id, CHALLENGE, more), lastData(id, nothing)]))
          const ended = (): unknown[] => lines.filter(({ msg }) => msg === "call").map(({ reason }) => reason)
          while (ended().length < 2) await new Promise((done) => setTimeout(done, 10))
          assert.equal(
            ended(),
            ["CALLER_UNKNOWN", "CALLER_UNKNOWN"],
            "the first call of a connection, and the next",
          )
          assert.is(seen.length, 0)
          socket.destroy()
        },
        (folder) => ({
          listen: [{ address: "127.0.0.1:0", tls: writeServer(folder) }],
          enrollmentToken: async (sha256) =>
            Buffer.from(sha256).toString("hex") === hash("sha256", "aet_good", "hex")
              ? { tenant: "default", id: "et-1" }
              : undefined,
        }),
      ))
test.run()
