import {
  create,
  createFileRegistry,
  type DescMessage,
  type MessageInitShape,
  ScalarType,
  setExtension,
  toBinary,
} from "@bufbuild/protobuf"
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire"
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FieldOptionsSchema,
  FileDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt"
import { FieldRulesSchema, field as rulesOf } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { PolicyService, SetPolicyRequestSchema } from "../../src/gen/assay/v1/admin_pb.ts"
import {
  AttestationService,
  CreateChallengeRequestSchema,
  VerifyStreamRequestSchema,
} from "../../src/gen/assay/v1/attestation_pb.ts"
import {
  DeviceService,
  EnrollmentTokenService,
  ImportDevicesRequestSchema,
  ListDevicesRequestSchema,
  UpdateDeviceRequestSchema,
} from "../../src/gen/assay/v1/device_pb.ts"
import { BeginEnrollmentRequestSchema, EnrollmentService } from "../../src/gen/assay/v1/enrollment_pb.ts"
import { JournalService } from "../../src/gen/assay/v1/journal_pb.ts"
import { TrustService } from "../../src/gen/assay/v1/trust_pb.ts"
import { Refused } from "../../src/rpc.ts"
import { textRulesOf } from "../../src/server/text-rules.ts"
import { check } from "../../src/server/validate.ts"
import { decodeStrictly } from "../../src/server/wire.ts"
import { goodVerify } from "./fake.ts"

const test = suite("textRulesOf")
const read = <S extends DescMessage>(schema: S, request: MessageInitShape<S>) =>
  decodeStrictly(schema, toBinary(schema, create(schema, request)))

const long = "a".repeat(2_000_000)
const updateMask = { paths: ["labels"] }
const refused: [name: string, read: () => unknown, location: string][] = [
  ["an audience", () => read(CreateChallengeRequestSchema, { audience: long }), "audience"],
  ["a device", () => read(CreateChallengeRequestSchema, { audience: "a", device: long }), "device"],
  ["a policy", () => read(CreateChallengeRequestSchema, { audience: "a", policy: long }), "policy"],
  ["a name", () => read(BeginEnrollmentRequestSchema, { claimedName: long }), "claimed_name"],
  ["an id", () => read(VerifyStreamRequestSchema, { id: long, request: goodVerify() }), "id"],
  ["a document", () => read(SetPolicyRequestSchema, { document: long }), "document"],
  ["a filter", () => read(ListDevicesRequestSchema, { filter: long }), "filter"],
  [
    "a label's key",
    () => read(UpdateDeviceRequestSchema, { id: "d", labels: { [long]: "x" }, updateMask }),
    "labels",
  ],
  [
    "a label's value",
    () => read(UpdateDeviceRequestSchema, { id: "d", labels: { site: long }, updateMask }),
    'labels["site"]',
  ],
  [
    "an imported device's name",
    () => read(ImportDevicesRequestSchema, { device: { id: "d", claimedName: long } }),
    "device.claimed_name",
  ],
]
for (const [name, act, location] of refused)
  test(`refuses G-07 two megabytes as ${name}, before they are read`, () => {
    const start = performance.now()
    const one = act()
    assert.ok(one instanceof Refused)
    if (!(one instanceof Refused)) return
    assert.is(one.error.code, "FIELD")
    assert.is(one.error.location, location)
    assert.is(one.message, undefined)
    assert.ok(performance.now() - start < 50)
  })

const filterOf = (filter: string) => read(ListDevicesRequestSchema, { filter })
test("accepts as many characters as a rule allows, of whichever size", () => {
  const one = filterOf("𝄞".repeat(1024))
  assert.not(one instanceof Refused)
  assert.is(check(ListDevicesRequestSchema, one).kind, "valid")
})
test("says of a text that is a little too long what the rule itself says of it", () => {
  const byRule = check(ListDevicesRequestSchema, filterOf("a".repeat(4096)))
  const byBytes = filterOf("a".repeat(4097))
  assert.is(byRule.kind === "invalid" ? byRule.error.message : "", "filter: must be at most 1024 characters")
  assert.is(
    byBytes instanceof Refused ? byBytes.error.message : "",
    "filter: must be at most 1024 characters",
  )
})
test("counts bytes where the rule does", () => {
  const sized = (bytes: number) => read(SetPolicyRequestSchema, { document: "a".repeat(bytes) })
  assert.not(sized(262_144) instanceof Refused)
  assert.instance(sized(262_145), Refused)
})
test("says first what comes first", () => {
  const request = create(CreateChallengeRequestSchema, { audience: long })
  const unknown = new BinaryWriter().tag(9, WireType.LengthDelimited).string("x").finish()
  const one = decodeStrictly(
    CreateChallengeRequestSchema,
    Buffer.concat([unknown, toBinary(CreateChallengeRequestSchema, request)]),
  )
  assert.is(one instanceof Refused ? one.error.location : "", "9")
})

/** A message with one list of texts of at most three characters each. */
const listed = (): DescMessage => {
  const options = create(FieldOptionsSchema)
  const text = create(FieldRulesSchema, { type: { case: "string", value: { maxLen: 3n } } })
  const rules = create(FieldRulesSchema, { type: { case: "repeated", value: { items: text } } })
  setExtension(options, rulesOf, rules)
  const { REPEATED: label } = FieldDescriptorProto_Label
  const field = { name: "words", number: 1, type: FieldDescriptorProto_Type.STRING, label, options }
  const file = create(FileDescriptorProtoSchema, {
    name: "listed.proto",
    syntax: "proto3",
    messageType: [{ name: "Listed", field: [field] }],
  })
  const message = createFileRegistry(file, () => undefined).getMessage("Listed")
  if (message === undefined) throw new Error("no such message")
  return message
}
test("bounds each text of a list", () => {
  const wordsOf = (...words: readonly string[]): Uint8Array => {
    const writer = new BinaryWriter()
    for (const word of words) writer.tag(1, WireType.LengthDelimited).string(word)
    return writer.finish()
  }
  const schema = listed()
  assert.not(decodeStrictly(schema, wordsOf("abc", "𝄞𝄞𝄞")) instanceof Refused)
  const one = decodeStrictly(schema, wordsOf("abc", "a".repeat(13)))
  assert.is(one instanceof Refused ? one.error.location : "", "words[1]")
})

test("finds a bound for every text that a request may have, but for the paths of a mask", () => {
  const services = [AttestationService, EnrollmentService, DeviceService, EnrollmentTokenService]
  const seen = new Set<DescMessage>()
  const unbound: string[] = []
  const look = (message: DescMessage): void => {
    if (seen.has(message)) return
    seen.add(message)
    for (const field of message.fields) {
      const { text, key, value } = textRulesOf(field)
      const isText = field.fieldKind !== "map" && field.scalar === ScalarType.STRING
      const isBound = field.fieldKind === "map" ? key && value : !isText || text
      if (!isBound) unbound.push(`${message.typeName}.${field.name}`)
      if (field.message !== undefined) look(field.message)
    }
  }
  for (const { methods } of [...services, PolicyService, TrustService, JournalService])
    for (const { input } of methods) look(input)
  // A device has few names for what of it can change, and those are compared with a list.
  assert.equal(unbound, ["google.protobuf.FieldMask.paths"])
})
test.run()
