/**
 * The parts of others' schemas that proto/ holds are ours in words only: names, numbers and types must be theirs, or
 * other programs read something else than we wrote.
 */
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import {
  createFileRegistry,
  type DescExtension,
  type DescField,
  type DescMessage,
  fromBinary,
  getOption,
  hasOption,
  ScalarType,
} from "@bufbuild/protobuf"
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt"
import {
  field as fieldRules,
  file_buf_validate_validate,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { PolicyService } from "../src/gen/assay/v1/admin_pb.ts"
import { AttestationService } from "../src/gen/assay/v1/attestation_pb.ts"
import { DeviceService, EnrollmentTokenService } from "../src/gen/assay/v1/device_pb.ts"
import { EnrollmentService } from "../src/gen/assay/v1/enrollment_pb.ts"
import { TrustService } from "../src/gen/assay/v1/trust_pb.ts"

const test = suite("proto")
const buf = (...args: readonly string[]) => spawnSync("node_modules/.bin/buf", args, { encoding: "utf8" })

/** Everything under proto/, as buf understands it. */
const ours = (() => {
  const folder = mkdtempSync(join(tmpdir(), "assay-"))
  try {
    const file = join(folder, "proto.binpb")
    const { status, stderr } = buf("build", "proto", "-o", file)
    if (status !== 0) throw new Error(stderr)
    return createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(file)))
  } finally {
    rmSync(folder, { recursive: true })
  }
})()
const messageOf = (name: string): DescMessage => {
  const message = ours.getMessage(name)
  if (message === undefined) throw new Error(`no message ${name} in proto/`)
  return message
}

/** A field as it is on the wire: `number: kind type`. */
const wire = (field: DescField | DescExtension): string => {
  const kind = field.fieldKind === "list" ? `repeated ${field.listKind}` : field.fieldKind
  const scalar = field.scalar === undefined ? "" : ` ${ScalarType[field.scalar]}`
  const key = field.fieldKind === "map" ? ` by ${ScalarType[field.mapKey]}` : ""
  const packed = field.fieldKind === "list" && field.packed ? " packed" : ""
  return `${field.number}: ${kind}${scalar}${key} ${field.message?.typeName ?? field.enum?.typeName ?? ""}${packed}`
}

test("holds of buf.validate what protovalidate's own schema says", () => {
  const [file] = [...ours.files].filter(({ name }) => name === "buf/validate/validate")
  if (file === undefined) return assert.unreachable()
  let compared = 0
  for (const message of file.messages)
    for (const field of message.fields) {
      const other = file_buf_validate_validate.messages
        .find(({ typeName }) => typeName === message.typeName)
        ?.fields.find(({ name }) => name === field.name)
      assert.is(other && wire(other), wire(field), `${message.typeName}.${field.name}`)
      assert.is(other?.oneof?.name, field.oneof?.name, `${message.typeName}.${field.name}`)
      compared++
    }
  for (const extension of file.extensions) {
    const other = file_buf_validate_validate.extensions.find(
      ({ typeName }) => typeName === extension.typeName,
    )
    assert.is(other && wire(other), wire(extension), extension.typeName)
    assert.is(other?.extendee.typeName, extension.extendee.typeName)
    compared++
  }
  assert.ok(compared > 20, `${compared} fields and extensions`)
})

/** As published in googleapis/api-common-protos: google/rpc/status.proto and error_details.proto. */
const GOOGLE_RPC: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "google.rpc.Status": {
    code: "1: scalar INT32 ",
    message: "2: scalar STRING ",
    details: "3: repeated message google.protobuf.Any",
  },
  "google.rpc.ErrorInfo": {
    reason: "1: scalar STRING ",
    domain: "2: scalar STRING ",
    metadata: "3: map STRING by STRING ",
  },
  "google.rpc.BadRequest": { field_violations: "1: repeated message google.rpc.BadRequest.FieldViolation" },
  "google.rpc.BadRequest.FieldViolation": { field: "1: scalar STRING ", description: "2: scalar STRING " },
  "google.rpc.RetryInfo": { retry_delay: "1: message google.protobuf.Duration" },
}
test("holds of google.rpc what is published", () => {
  for (const [name, fields] of Object.entries(GOOGLE_RPC)) {
    const found = Object.fromEntries(messageOf(name).fields.map((field) => [field.name, wire(field)]))
    assert.equal(found, fields, name)
  }
  const names = [...ours.files]
    .filter(({ proto }) => proto.package === "google.rpc")
    .flatMap(({ messages }) =>
      messages.flatMap((message) => [message, ...message.nestedMessages].map(({ typeName }) => typeName)),
    )
  assert.equal(names.sort(), Object.keys(GOOGLE_RPC).sort())
})

/** Every message that a request of ours can hold. */
const services = [
  AttestationService,
  DeviceService,
  EnrollmentService,
  EnrollmentTokenService,
  PolicyService,
  TrustService,
]
const requests = services.flatMap(({ methods }) => methods.map(({ input }) => input))
const FIELD_MASK = "google.protobuf.FieldMask"
const withNested = (message: DescMessage, seen = new Set<DescMessage>()): Set<DescMessage> => {
  if (!seen.has(message)) {
    seen.add(message)
    // What a field mask may name is a rule of the field that it stands in.
    for (const { message: nested } of message.fields)
      if (nested !== undefined && nested.typeName !== FIELD_MASK) withNested(nested, seen)
  }
  return seen
}
test("bounds every text, every bytes and every list that a request can hold", () => {
  let bounded = 0
  for (const message of requests.flatMap((request) => [...withNested(request)]))
    for (const field of message.fields) {
      const name = `${message.typeName}.${field.name}`
      const rules = hasOption(field, fieldRules) ? getOption(field, fieldRules) : undefined
      if (field.fieldKind === "list") {
        assert.is(rules?.type.case, "repeated", name)
        if (rules?.type.case === "repeated") assert.ok(rules.type.value.maxItems > 0n, name)
        bounded++
      } else if (field.fieldKind === "map") {
        assert.is(rules?.type.case, "map", name)
        if (rules?.type.case !== "map") continue
        const { maxPairs, keys, values } = rules.type.value
        assert.ok(maxPairs > 0n, name)
        for (const part of [keys, values]) {
          assert.is(part?.type.case, "string", name)
          if (part?.type.case === "string") assert.ok(part.type.value.maxLen > 0n, name)
        }
        bounded++
      } else if (field.message?.typeName === FIELD_MASK) {
        assert.is(rules?.type.case, "fieldMask", name)
        if (rules?.type.case === "fieldMask") assert.ok(rules.type.value.in.length > 0, name)
        bounded++
      } else if (field.message?.typeName === "google.protobuf.Duration") {
        assert.is(rules?.type.case, "duration", name)
        if (rules?.type.case === "duration") {
          assert.is(rules.type.value.lessThan.case, "lte", name)
          assert.is(rules.type.value.greaterThan.case, "gte", name)
        }
        bounded++
      } else if (field.scalar === ScalarType.BYTES) {
        assert.is(rules?.type.case, "bytes", name)
        if (rules?.type.case === "bytes")
          assert.ok(rules.type.value.maxLen > 0n || rules.type.value.len > 0n, name)
        bounded++
      } else if (field.scalar === ScalarType.STRING) {
        assert.is(rules?.type.case, "string", name)
        if (rules?.type.case === "string")
          assert.ok(rules.type.value.maxLen > 0n || rules.type.value.maxBytes > 0n, name)
        bounded++
      } else if (field.fieldKind === "enum") {
        assert.is(rules?.type.case, "enum", name)
        if (rules?.type.case === "enum") assert.is(rules.type.value.definedOnly, true, name)
        bounded++
      }
    }
  assert.ok(bounded > 20, `${bounded} fields`)
})
test("has no message in a request that can hold itself, and none deeper than the walk over the wire goes", () => {
  const depth = (message: DescMessage, path: readonly DescMessage[]): number => {
    assert.not(path.includes(message), `${message.typeName} holds itself`)
    const within = message.fields.flatMap((field) =>
      field.message === undefined ? [] : [depth(field.message, [...path, message])],
    )
    return 1 + Math.max(0, ...within)
  }
  for (const request of requests) assert.ok(depth(request, []) <= 8, request.typeName)
})
test("keeps the numbers of evidence that is not checked yet", () => {
  const reserved = messageOf("assay.v1.TpmEvidence").proto.reservedRange
  assert.equal(
    reserved.map(({ start, end }) => [start, end]),
    [
      [6, 7],
      [9, 10],
    ],
  )
})
test("passes the linter", () => {
  const { status, stdout } = buf("lint", "proto")
  assert.is(status, 0, stdout)
})
test("is what src/gen was generated from", () => {
  for (const service of services)
    for (const method of service.methods) {
      const { typeName } = method.input
      const generated = method.input.fields.map((field) => `${field.name} ${wire(field)}`)
      assert.equal(
        generated,
        messageOf(typeName).fields.map((field) => `${field.name} ${wire(field)}`),
      )
    }
})
test.run()
