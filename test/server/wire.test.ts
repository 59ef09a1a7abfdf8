import type { DescMessage } from "@bufbuild/protobuf"
import { create, toBinary } from "@bufbuild/protobuf"
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire"
import { FileDescriptorSetSchema, StructSchema } from "@bufbuild/protobuf/wkt"
import * as fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { concat, utf8 } from "../../src/bytes.ts"
import type { Code } from "../../src/errors.ts"
import {
  CreateChallengeRequestSchema,
  VerifyRequestSchema,
  VerifyStreamRequestSchema,
} from "../../src/gen/assay/v1/attestation_pb.ts"
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts"
import { Refused } from "../../src/rpc.ts"
import { decodeStrictly } from "../../src/server/wire.ts"
import { goodVerify, ones } from "./fake.ts"

const test = suite("decodeStrictly")
const good = toBinary(VerifyRequestSchema, create(VerifyRequestSchema, goodVerify()))

/** A field of bytes. */
const field = (number: number, ...content: readonly Uint8Array[]): Uint8Array =>
  new BinaryWriter()
    .tag(number, WireType.LengthDelimited)
    .bytes(concat(...content))
    .finish()
const repeated = (bytes: Uint8Array, count: number): Uint8Array => {
  const whole = new Uint8Array(bytes.length * count)
  for (let i = 0; i < count; i++) whole.set(bytes, i * bytes.length)
  return whole
}
const varint = (number: number, value: number): Uint8Array =>
  new BinaryWriter().tag(number, WireType.Varint).uint32(value).finish()

const tpm = concat(
  field(1, ones(34)),
  field(2, ones(129)),
  field(3, ones(262)),
  field(4, varint(1, 2), field(2, ones(32))),
)
const request = (more: { tpm?: Uint8Array; evidence?: Uint8Array; root?: Uint8Array } = {}): Uint8Array =>
  concat(
    field(1, ones(100)),
    field(4, field(1, tpm, more.tpm ?? new Uint8Array()), more.evidence ?? new Uint8Array()),
    more.root ?? new Uint8Array(),
  )

test("accepts a whole request and reads all of it", () => {
  const read = decodeStrictly(VerifyRequestSchema, good)
  assert.not(read instanceof Refused)
  if (read instanceof Refused) return
  assert.is(read.freshness.case, "challenge")
  assert.equal(toBinary(VerifyRequestSchema, read), good)
})
test("accepts a list of several messages", () => {
  const bank = field(4, varint(1, 3), field(2, ones(48)))
  assert.not(decodeStrictly(VerifyRequestSchema, request({ tpm: bank })) instanceof Refused)
})
test("accepts no bytes at all as an empty message, which the rules then judge", () => {
  assert.not(decodeStrictly(VerifyRequestSchema, new Uint8Array()) instanceof Refused)
})

const refused: [name: string, bytes: Uint8Array, code: Code, location: string | undefined][] = [
  ["an unknown field at the root", request({ root: field(9, ones(1)) }), "FIELD", "9"],
  ["an unknown field of type varint", request({ root: varint(2000, 1) }), "FIELD", "2000"],
  ["an unknown kind of evidence", request({ evidence: field(2, ones(9)) }), "FIELD", "evidence.2"],
  ["a reserved field: an IMA list", request({ tpm: field(6, ones(9)) }), "FIELD", "evidence.tpm.6"],
  ["a reserved field: an offset", request({ tpm: field(9, ones(9)) }), "FIELD", "evidence.tpm.9"],
  ["a reserved field without content", request({ tpm: field(6) }), "FIELD", "evidence.tpm.6"],
  [
    "an unknown field within the second bank",
    request({ tpm: field(4, varint(1, 3), field(2, ones(48)), varint(3, 1)) }),
    "FIELD",
    "evidence.tpm.pcr_banks[1].3",
  ],
  ["a field twice", request({ tpm: field(2, ones(129)) }), "FIELD", "evidence.tpm.attest"],
  ["a field twice, once without content", request({ tpm: field(3) }), "FIELD", "evidence.tpm.signature"],
  [
    "a field of a bank twice",
    request({ tpm: field(4, varint(1, 2), varint(1, 3), field(2, ones(32))) }),
    "FIELD",
    "evidence.tpm.pcr_banks[1].hash",
  ],
  ["a message twice", request({ root: field(4, field(1, tpm)) }), "FIELD", "evidence"],
  ["evidence twice within its oneof", request({ evidence: field(1, tpm) }), "FIELD", "evidence.tpm"],
  ["two values of a oneof", request({ root: field(2, ones(32)) }), "FIELD", "nonce"],
  ["one field of a oneof twice", request({ root: field(1, ones(100)) }), "FIELD", "challenge"],
  ["another wire type than the field's", request({ root: varint(4, 3) }), "PROTO", undefined],
  ["a varint in place of bytes", concat(varint(1, 0)), "PROTO", "challenge"],
  ["bytes in place of a varint", field(3, ones(1)), "PROTO", undefined],
  ["a group", Uint8Array.of(0x0b, 0x0c), "PROTO", undefined],
  ["field number 0", Uint8Array.of(0x02, 0x00), "PROTO", undefined],
  ["a size beyond the end", Uint8Array.of(0x0a, 0x7f, 0x01), "PROTO", undefined],
  ["a size of 4 GiB", Uint8Array.of(0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f), "PROTO", undefined],
  [
    "a message that is longer than the one around it",
    Uint8Array.of(0x22, 0x02, 0x0a, 0x05, 0x0a, 0x03, 1, 1, 1),
    "PROTO",
    "evidence",
  ],
  [
    "a message that is longer than its field",
    Uint8Array.of(0x22, 0x02, 0x0a, 0x05, 1, 1, 1, 1, 1),
    "PROTO",
    undefined,
  ],
  ["a varint without an end", new Uint8Array(20).fill(0xff), "PROTO", undefined],
]
for (const [name, bytes, code, location] of refused)
  test(`refuses ${name}`, () => {
    const read = decodeStrictly(VerifyRequestSchema, bytes)
    assert.instance(read, Refused)
    if (!(read instanceof Refused)) return
    assert.is(read.error.code, code)
    if (location !== undefined) assert.is(read.error.location, location)
  })

test("refuses a string that is not UTF-8", () => {
  const read = decodeStrictly(CreateChallengeRequestSchema, field(2, Uint8Array.of(0xc3, 0x28)))
  assert.instance(read, Refused)
})
test("keeps what could be read of a refused message, so that a stream can answer it", () => {
  const bytes = concat(field(1, Uint8Array.of(0x41)), field(2, request({ tpm: field(9, ones(9)) })))
  const read = decodeStrictly(VerifyStreamRequestSchema, bytes)
  assert.instance(read, Refused)
  if (!(read instanceof Refused)) return
  assert.is(read.error.location, "request.evidence.tpm.9")
  assert.is(read.message?.$typeName, VerifyStreamRequestSchema.typeName)
})
test("refuses to be used for a schema with maps of messages, which it would not look into", () => {
  const bytes = field(1, field(1, utf8("a")), field(2))
  assert.instance(decodeStrictly(StructSchema, bytes), Refused)
})

const entry = (key: string, value: string): Uint8Array => field(3, field(1, utf8(key)), field(2, utf8(value)))
test("accepts a map of texts", () => {
  const read = decodeStrictly(ErrorInfoSchema, concat(entry("a", "1"), entry("b", "1"), entry("", "")))
  assert.not(read instanceof Refused)
  if (!(read instanceof Refused)) assert.equal(read.metadata, { a: "1", b: "1", "": "" })
})
const maps: [name: string, bytes: Uint8Array, code: Code][] = [
  ["a key twice", concat(entry("a", "1"), entry("b", "1"), entry("a", "2")), "FIELD"],
  ["a key twice with the same value", concat(entry("a", "1"), entry("a", "1")), "FIELD"],
  ["two entries without a key", concat(field(3), field(3)), "FIELD"],
  ["an entry with two keys", field(3, field(1, utf8("a")), field(1, utf8("b"))), "FIELD"],
  ["an entry with two values", field(3, field(2, utf8("a")), field(2, utf8("b"))), "FIELD"],
  ["an entry with more than key and value", field(3, field(1), field(3, ones(1))), "FIELD"],
  ["a key that is a number", field(3, varint(1, 1)), "PROTO"],
  ["a value that is a number", field(3, field(1, utf8("a")), varint(2, 1)), "PROTO"],
  ["an entry that is a number", varint(3, 1), "PROTO"],
  ["an entry whose value is longer than it", concat(Uint8Array.of(0x1a, 2, 0x12, 5), ones(5)), "PROTO"],
  ["more in an entry than any request has", field(3, repeated(field(9), 70)), "PROTO"],
]
for (const [name, bytes, code] of maps)
  test(`refuses G-07 a map with ${name}`, () => {
    const read = decodeStrictly(ErrorInfoSchema, bytes)
    assert.ok(read instanceof Refused)
    if (read instanceof Refused) assert.is(read.error.code, code)
  })

/** A size of 6, and so much more in bits that a reader of 32 of them never sees. */
const sixAnd = (bit: bigint): Uint8Array => {
  const bytes: number[] = []
  for (let left = 6n + 2n ** bit; left > 0n; left >>= 7n)
    bytes.push(Number(left & 0x7fn) | (left > 0x7fn ? 0x80 : 0))
  return Uint8Array.from(bytes)
}
const six = ones(6)
const sized = (
  size: Uint8Array,
): readonly (readonly [where: string, schema: DescMessage, bytes: Uint8Array])[] => [
  ["a text", CreateChallengeRequestSchema, concat(Uint8Array.of(0x0a), size, utf8("orders"))],
  ["a message", VerifyRequestSchema, concat(Uint8Array.of(0x22), size, field(9, ones(4)))],
  ["an unknown field", CreateChallengeRequestSchema, concat(Uint8Array.of(0x7a), size, six)],
  [
    "a map's entry",
    ErrorInfoSchema,
    concat(Uint8Array.of(0x1a), size, field(1, utf8("a")), field(2, utf8("")), Uint8Array.of(0x08)),
  ],
  ["a map's key", ErrorInfoSchema, field(3, concat(Uint8Array.of(0x0a), size, six))],
]
for (const bit of [32n, 33n, 35n, 56n, 63n])
  for (const [where, schema, bytes] of sized(sixAnd(bit)))
    test(`refuses G-07 ${where} with a size of 6 and 2 to the ${bit}`, () => {
      const read = decodeStrictly(schema, bytes)
      assert.is(read instanceof Refused ? read.error.code : "read", "PROTO")
    })
test("accepts a size that is spelled with more bytes than it needs", () => {
  const size = Uint8Array.of(0x86, 0x80, 0x80, 0x80, 0x80, 0x00)
  const read = decodeStrictly(CreateChallengeRequestSchema, concat(Uint8Array.of(0x12), size, utf8("orders")))
  assert.is(read instanceof Refused ? read.error.message : read.audience, "orders")
})

const floods: [name: string, bytes: Uint8Array][] = [
  ["empty banks", field(4, field(1, repeated(field(4), 900_000)))],
  ["empty evidence", repeated(field(4), 900_000)],
  ["unknown fields", repeated(varint(9, 1), 900_000)],
  ["unknown fields and then banks", concat(varint(9, 1), field(4, field(1, repeated(field(4), 900_000))))],
  ["nested groups", repeated(Uint8Array.of(0x4b), 900_000)],
]
for (const [name, bytes] of floods)
  test(`refuses G-07 two megabytes of ${name} before they cost anything`, () => {
    const start = performance.now()
    const read = decodeStrictly(VerifyRequestSchema, bytes)
    assert.instance(read, Refused)
    assert.ok(performance.now() - start < 20)
  })
test("refuses G-07 messages that nest deeper than any of ours", () => {
  let bytes: Uint8Array = new Uint8Array()
  for (let depth = 0; depth < 20; depth++) bytes = field(3, bytes) // DescriptorProto.nested_type
  const read = decodeStrictly(FileDescriptorSetSchema, field(1, field(4, bytes)))
  assert.is(read instanceof Refused ? read.error.code : "read", "DEPTH")
})
test("refuses every proper prefix of a request or reads it as a shorter one, and throws nothing", () => {
  for (let size = 0; size < good.length; size++) decodeStrictly(VerifyRequestSchema, good.subarray(0, size))
})
test("throws nothing for any bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      decodeStrictly(VerifyRequestSchema, bytes)
      decodeStrictly(VerifyStreamRequestSchema, bytes)
    }),
    { numRuns: 2000 },
  )
})
test("reads what it accepts without a loss: written again, it is as long", () => {
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.nat(255), (at, value) => {
      const bytes = good.with(at, value)
      const read = decodeStrictly(VerifyRequestSchema, bytes)
      if (!(read instanceof Refused)) assert.ok(toBinary(VerifyRequestSchema, read).length <= bytes.length)
      if (!(read instanceof Refused)) assert.is(read.$unknown, undefined)
    }),
    { numRuns: 2000 },
  )
})
test.run()
