/**
 * Messages that are too large, that unpack to more than they say, and that cost more to read than to send, from a gateway that
 * is known: each is refused with its code, holds nothing, and ends nobody else's call.
 */
import type { OutgoingHttpHeaders } from "node:http2"
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib"
import { toBinary } from "@bufbuild/protobuf"
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat } from "../../src/bytes.ts"
import { AttestationService, VerifyRequestSchema } from "../../src/gen/assay/v1/attestation_pb.ts"
import { pathOf } from "../../src/rpc.ts"
import { framed, pause, rawOpen, rawWhole } from "../server/raw.ts"
import { testDevice } from "../support/world.ts"
import { attacking, EPOCH, STREAM, VERIFY, victimOf } from "./hostile.ts"

const CHALLENGE = pathOf(AttestationService.method.createChallenge)
const MIB = 2 ** 20

const test = suite("hostile messages")
const victim = victimOf(test)

const attack = attacking(test, victim)

const zeros = (size: number): Buffer => Buffer.alloc(size)
const PACKED = { flag: 1 }
const gzip = { "grpc-encoding": "gzip" }
const packed: [name: string, bytes: () => Buffer, headers: OutgoingHttpHeaders, code: string][] = [
  ["that says it has one byte too many", () => framed(zeros(10), { size: 2 * MIB + 1 }), {}, "MESSAGE_SIZE"],
  ["that says it has 4 GB", () => framed(zeros(10), { size: 2 ** 32 - 1 }), {}, "MESSAGE_SIZE"],
  ["of 3 MB that all come", () => framed(zeros(3 * MIB)), {}, "MESSAGE_SIZE"],
  ["that unpacks to 64 MB", () => framed(gzipSync(zeros(64 * MIB)), PACKED), gzip, "MESSAGE_SIZE"],
  [
    "that unpacks to a byte too many",
    () => framed(gzipSync(zeros(2 * MIB + 1)), PACKED),
    gzip,
    "MESSAGE_SIZE",
  ],
  [
    "that unpacks to 64 MB by deflate",
    () => framed(deflateSync(zeros(64 * MIB)), PACKED),
    { "grpc-encoding": "deflate" },
    "MESSAGE_SIZE",
  ],
  [
    "that is packed in a hundred parts of a megabyte",
    () => framed(Buffer.concat(Array<Buffer>(100).fill(gzipSync(zeros(MIB)))), PACKED),
    gzip,
    "MESSAGE_SIZE",
  ],
  ["that cannot be unpacked", () => framed(zeros(100), PACKED), gzip, "PROTO"],
  ["that is packed and cut", () => framed(gzipSync(zeros(MIB)).subarray(0, 500), PACKED), gzip, "PROTO"],
  [
    "that is packed and changed",
    () => framed(Buffer.from(gzipSync(zeros(MIB)).map((byte, i) => (i === 400 ? byte ^ 255 : byte))), PACKED),
    gzip,
    "PROTO",
  ],
  ["that is packed without a word", () => framed(gzipSync(zeros(9)), PACKED), {}, "PROTO"],
  [
    "that is packed as nobody here can unpack",
    () => framed(brotliCompressSync(zeros(9)), PACKED),
    { "grpc-encoding": "br" },
    "ENCODING",
  ],
]
for (const [name, bytes, more, code] of packed)
  attack(`refuses G-01 a message ${name}`, async (one, headers) => {
    assert.is((await rawWhole(one, VERIFY, bytes(), { ...headers, ...more })).code, code)
  })
attack("refuses G-01 the second message of a stream that unpacks to 64 MB", async (one, headers) => {
  const { stream, outcome } = rawOpen(one, STREAM, { ...headers, ...gzip })
  stream.write(framed(zeros(0)))
  stream.write(framed(gzipSync(zeros(64 * MIB)), PACKED))
  assert.ok(["FIELD", "PROTO", "MESSAGE_SIZE"].includes((await outcome).code ?? ""))
})
attack("refuses G-01 fifty at a time that unpack to 64 MB each", async (one, headers) => {
  const bytes = framed(gzipSync(zeros(64 * MIB)), PACKED)
  const calls = Array.from({ length: 50 }, () => rawWhole(one, VERIFY, bytes, { ...headers, ...gzip }))
  for (const { code } of await Promise.all(calls))
    assert.ok(code === "MESSAGE_SIZE" || code === "OVERLOADED", code)
})

const field = (number: number, bytes: Uint8Array): Uint8Array =>
  new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(bytes).finish()
const varint = (number: number, value: bigint): Uint8Array =>
  new BinaryWriter().tag(number, WireType.Varint).uint64(value).finish()
const nested = (number: number, depth: number): Uint8Array => {
  // From the inside out, without a copy for each level.
  const heads: number[][] = []
  let size = 0
  for (let i = 0; i < depth && size < 2 * MIB - 20; i++) {
    const head = [...new BinaryWriter().tag(number, WireType.LengthDelimited).uint32(size).finish()]
    heads.push(head)
    size += head.length
  }
  return Uint8Array.from(heads.toReversed().flat())
}
const repeated = (bytes: Uint8Array, size = 2 * MIB - 100): Uint8Array =>
  Buffer.alloc(size - (size % bytes.length), bytes)
const good = async (): Promise<Uint8Array> =>
  toBinary(VerifyRequestSchema, await testDevice().answerNonce("default", new Uint8Array(32)))

const bombs: [name: string, path: string, bytes: () => Uint8Array | Promise<Uint8Array>, code: string][] = [
  ["a hundred thousand groups in each other", VERIFY, () => repeated(Uint8Array.of(0x23), 100_000), "PROTO"],
  ["groups of a field that nobody knows", VERIFY, () => repeated(Uint8Array.of(0x7b), 100_000), "PROTO"],
  ["messages in each other, of the field that is evidence", VERIFY, () => nested(4, 100_000), "FIELD"],
  ["messages in each other, of a field that nobody knows", VERIFY, () => nested(99, 100_000), "FIELD"],
  [
    "a million banks without anything",
    VERIFY,
    () => field(4, field(1, repeated(field(4, zeros(0))))),
    "PROTO",
  ],
  ["a million evidences without anything", VERIFY, () => repeated(field(4, zeros(0))), "PROTO"],
  ["a million fields that nobody knows", VERIFY, () => repeated(varint(15, 1n)), "PROTO"],
  ["one field that nobody knows", VERIFY, async () => concat(await good(), varint(2000, 1n)), "FIELD"],
  ["a nonce twice", VERIFY, async () => concat(await good(), field(2, new Uint8Array(32))), "FIELD"],
  [
    "a nonce and a challenge",
    VERIFY,
    async () => concat(await good(), field(1, new Uint8Array(99))),
    "FIELD",
  ],
  ["evidence twice", VERIFY, async () => concat(await good(), field(4, zeros(0))), "FIELD"],
  ["a text of over-long UTF-8", CHALLENGE, () => field(2, Uint8Array.of(0xc1, 0xa1, 0xc0, 0xaf)), "PROTO"],
  ["a text of half a surrogate", CHALLENGE, () => field(2, Uint8Array.of(0xed, 0xa0, 0x80)), "PROTO"],
  ["a hash that there is not", VERIFY, () => field(4, field(1, field(4, varint(1, 77n)))), "FIELD"],
  ["a hash below zero", VERIFY, () => field(4, field(1, field(4, varint(1, 2n ** 64n - 1n)))), "FIELD"],
  ["a number of eleven bytes", VERIFY, () => Uint8Array.of(0x18, ...Array<number>(10).fill(255), 1), "PROTO"],
  ["a field longer than its message", VERIFY, () => Uint8Array.of(0x22, 0xff, 0xff, 0xff, 0x7f), "PROTO"],
  [
    "a field whose length is below zero",
    VERIFY,
    () => Uint8Array.of(0x22, ...Array<number>(9).fill(255), 1),
    "PROTO",
  ],
  ["a field of number 0", VERIFY, () => Uint8Array.of(0x02, 0), "PROTO"],
]
for (const [name, path, bytes, code] of bombs)
  attack(`refuses G-07 a request with ${name}`, async (one, headers, { server }) => {
    const message = framed(await bytes())
    const since = performance.now()
    assert.is((await rawWhole(one, path, message, headers)).code, code)
    assert.ok(performance.now() - since < 1000, "it was read to its end")
    assert.is(server.child.exitCode, null)
  })
attack("G-07 answers others while fifty bombs are read", async (one, headers, { gateway }) => {
  const bytes = framed(field(4, field(1, repeated(field(4, zeros(0))))))
  const bombing = Array.from({ length: 50 }, () => rawWhole(one, VERIFY, bytes, headers))
  await pause(5)
  const since = performance.now()
  await gateway.getEpoch()
  assert.ok(performance.now() - since < 1000, `${performance.now() - since} ms`)
  for (const { code } of await Promise.all(bombing))
    assert.ok(code === "PROTO" || code === "OVERLOADED", code)
  assert.is((await rawWhole(one, EPOCH, framed(zeros(0)), headers)).status, "0")
})

test.run()
