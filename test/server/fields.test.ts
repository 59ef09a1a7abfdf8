import { create, type DescMethod, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf"
import { anyUnpack } from "@bufbuild/protobuf/wkt"
import { type ServiceError, status } from "@grpc/grpc-js"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import {
  AttestationService,
  CreateChallengeRequestSchema,
  VerifyRequestSchema,
  VerifyStreamRequestSchema,
} from "../../src/gen/assay/v1/attestation_pb.ts"
import { BeginEnrollmentRequestSchema, EnrollmentService } from "../../src/gen/assay/v1/enrollment_pb.ts"
import { HashAlgorithm } from "../../src/gen/assay/v1/evidence_pb.ts"
import { BadRequestSchema, ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts"
import { StatusSchema } from "../../src/gen/google/rpc/status_pb.ts"
import { pathOf } from "../../src/rpc.ts"
import { goodVerify, ones, type Running, rawCall, running } from "./fake.ts"

const { createChallenge, verify, getEpoch } = AttestationService.method

/** What the trailer says. */
const detailsOf = (error: ServiceError) => {
  const [bytes] = error.metadata.get("grpc-status-details-bin")
  const { details } = fromBinary(StatusSchema, bytes instanceof Buffer ? bytes : new Uint8Array())
  const unpacked = <S extends typeof ErrorInfoSchema | typeof BadRequestSchema>(schema: S) =>
    details.flatMap((any) => anyUnpack(any, schema) ?? [])
  return {
    reason: unpacked(ErrorInfoSchema)[0]?.reason,
    fields: unpacked(BadRequestSchema).flatMap((bad) => bad.fieldViolations.map(({ field }) => field)),
  }
}

const test = suite("rules of the fields")
let server: Running
test.before(async () => {
  server = await running()
})
test.after(async () => server.stop())

type Verify = Omit<MessageInitShape<typeof VerifyRequestSchema>, "$typeName">
type Tpm = { akName?: Uint8Array; attest?: Uint8Array; signature?: Uint8Array; eventLog?: Uint8Array }
/** Numbers outside the enum travel as well as those within. */
const bank = (hash: number, size: number) => ({ hash: hash as HashAlgorithm, values: ones(size) })
const { SHA256, SHA384, UNSPECIFIED } = HashAlgorithm

/** Good evidence but for the fields given. */
const withTpm = (changes: Tpm, pcrBanks = [bank(SHA256, 32)]): Verify => ({
  freshness: { case: "challenge", value: ones(100) },
  evidence: {
    kind: {
      case: "tpm",
      value: { akName: ones(34), attest: ones(129), signature: ones(262), pcrBanks, ...changes },
    },
  },
})
const withFreshness = (freshness: NonNullable<Verify["freshness"]>): Verify => ({
  ...withTpm({}),
  freshness,
})
const tpm = (field: string): string => `evidence.tpm.${field}`
/** Good evidence with a certification, of these sizes but for the fields given. */
const withCertification = (
  changes: Partial<Record<"csr" | "keyPublic" | "attest" | "signature", Uint8Array>>,
): Verify => ({
  ...withTpm({}),
  certification: { csr: ones(200), keyPublic: ones(90), attest: ones(129), signature: ones(72), ...changes },
})

const refusedVerify: [name: string, request: Verify, path: string][] = [
  ["no freshness", withFreshness({ case: undefined }), "freshness"],
  ["an empty challenge", withFreshness({ case: "challenge", value: ones(0) }), "challenge"],
  ["an oversized challenge", withFreshness({ case: "challenge", value: ones(2049) }), "challenge"],
  ["an empty nonce", withFreshness({ case: "nonce", value: ones(0) }), "nonce"],
  ["a nonce of 15 bytes", withFreshness({ case: "nonce", value: ones(15) }), "nonce"],
  ["a nonce of 65 bytes", withFreshness({ case: "nonce", value: ones(65) }), "nonce"],
  ["an epoch beyond 2^53", withFreshness({ case: "epoch", value: 2n ** 53n }), "epoch"],
  ["an epoch of 2^64 - 1", withFreshness({ case: "epoch", value: 2n ** 64n - 1n }), "epoch"],
  ["no evidence", { freshness: { case: "challenge", value: ones(100) } }, "evidence"],
  [
    "evidence of no kind",
    { ...withFreshness({ case: "nonce", value: ones(16) }), evidence: {} },
    "evidence.kind",
  ],
  ["an absent request for a certificate", withCertification({ csr: ones(0) }), "certification.csr"],
  ["an oversized request for a certificate", withCertification({ csr: ones(4097) }), "certification.csr"],
  ["an absent key", withCertification({ keyPublic: ones(0) }), "certification.key_public"],
  ["an oversized key", withCertification({ keyPublic: ones(2049) }), "certification.key_public"],
  ["an absent certification", withCertification({ attest: ones(0) }), "certification.attest"],
  ["an oversized certification", withCertification({ attest: ones(1025) }), "certification.attest"],
  [
    "a certification without its signature",
    withCertification({ signature: ones(0) }),
    "certification.signature",
  ],
  ["an oversized signature of it", withCertification({ signature: ones(1101) }), "certification.signature"],
  ["an absent AK name", withTpm({ akName: ones(0) }), tpm("ak_name")],
  ["a short AK name", withTpm({ akName: ones(33) }), tpm("ak_name")],
  ["an oversized AK name", withTpm({ akName: ones(67) }), tpm("ak_name")],
  ["an absent attest", withTpm({ attest: ones(0) }), tpm("attest")],
  ["an oversized attest", withTpm({ attest: ones(1025) }), tpm("attest")],
  ["an absent signature", withTpm({ signature: ones(0) }), tpm("signature")],
  ["an oversized signature", withTpm({ signature: ones(1101) }), tpm("signature")],
  ["no bank", withTpm({}, []), tpm("pcr_banks")],
  ["five banks", withTpm({}, Array(5).fill(bank(SHA256, 32))), tpm("pcr_banks")],
  ["a bank of no hash", withTpm({}, [bank(UNSPECIFIED, 32)]), tpm("pcr_banks[0].hash")],
  ["a bank of an unknown hash", withTpm({}, [bank(SHA256, 32), bank(9, 32)]), tpm("pcr_banks[1].hash")],
  ["a bank of a negative hash", withTpm({}, [bank(-1, 32)]), tpm("pcr_banks[0].hash")],
  ["a bank without values", withTpm({}, [bank(SHA256, 0)]), tpm("pcr_banks[0].values")],
  ["an oversized bank", withTpm({}, [bank(SHA384, 1537)]), tpm("pcr_banks[0].values")],
  ["an oversized event log", withTpm({ eventLog: ones(1048577) }), tpm("event_log")],
]
for (const [name, request, path] of refusedVerify)
  test(`refuses ${name} with the path ${path}`, async () => {
    const bytes = toBinary(VerifyRequestSchema, create(VerifyRequestSchema, request))
    const { error } = await rawCall(server.address, pathOf(verify), bytes)
    assert.is(error?.code, status.INVALID_ARGUMENT)
    if (error === undefined) return
    const { reason, fields } = detailsOf(error)
    assert.is(reason, "FIELD")
    assert.equal(fields, [path])
    assert.is(server.seen.length, 0)
  })

type ChallengeRequest = MessageInitShape<typeof CreateChallengeRequestSchema>
const audience = "https://service.example"
const refusedChallenge: [name: string, request: ChallengeRequest, path: string][] = [
  ["an absent audience", {}, "audience"],
  ["an oversized audience", { audience: "a".repeat(256) }, "audience"],
  ["an audience with a space", { audience: "a b" }, "audience"],
  ["an audience with a line break", { audience: "a\nb" }, "audience"],
  ["an audience that ends with a line break", { audience: "a\n" }, "audience"],
  ["an audience beyond ASCII", { audience: "ä" }, "audience"],
  ["a device in capitals", { audience, device: "Device" }, "device"],
  ["a device that begins with a dot", { audience, device: ".device" }, "device"],
  ["an oversized device", { audience, device: "d".repeat(64) }, "device"],
  ["a policy with a slash", { audience, policy: "a/b" }, "policy"],
  ["an oversized policy", { audience, policy: "p".repeat(64) }, "policy"],
  ["a confirmation without a method", { audience, confirmation: {} }, "confirmation.method"],
  [
    "a short certificate digest",
    { audience, confirmation: { method: { case: "x5tS256", value: ones(31) } } },
    "confirmation.x5t_s256",
  ],
  [
    "a long key thumbprint",
    { audience, confirmation: { method: { case: "jkt", value: ones(33) } } },
    "confirmation.jkt",
  ],
  [
    "a short name of a key",
    { audience, confirmation: { method: { case: "keyName", value: ones(33) } } },
    "confirmation.key_name",
  ],
  [
    "a long name of a key",
    { audience, confirmation: { method: { case: "keyName", value: ones(67) } } },
    "confirmation.key_name",
  ],
]
for (const [name, request, path] of refusedChallenge)
  test(`refuses ${name} with the path ${path}`, async () => {
    const bytes = toBinary(CreateChallengeRequestSchema, create(CreateChallengeRequestSchema, request))
    const { error } = await rawCall(server.address, pathOf(createChallenge), bytes)
    assert.is(error?.code, status.INVALID_ARGUMENT)
    if (error !== undefined) assert.equal(detailsOf(error).fields, [path])
  })
test("names every wrong field of a request", async () => {
  const request = create(CreateChallengeRequestSchema, { device: "A", policy: "B" })
  const bytes = toBinary(CreateChallengeRequestSchema, request)
  const { error } = await rawCall(server.address, pathOf(createChallenge), bytes)
  if (error === undefined) return assert.unreachable()
  assert.equal(detailsOf(error).fields, ["device", "audience", "policy"])
})
test("accepts the largest request that the rules allow", async () => {
  const four = [1, 2, 3, 4].map((hash) => bank(hash, 1536))
  const largest = withTpm(
    { akName: ones(66), attest: ones(1024), signature: ones(1100), eventLog: ones(1048576) },
    four,
  )
  const certification = { csr: ones(4096), keyPublic: ones(2048), attest: ones(1024), signature: ones(1100) }
  await server.client.verify({ ...largest, certification })
})
test("refuses evidence in an unknown field with its path, and a field given twice", async () => {
  const good = toBinary(VerifyRequestSchema, create(VerifyRequestSchema, goodVerify()))
  for (const [bytes, path] of [
    [Uint8Array.of(0x5a, 1, 1), "11"],
    [Uint8Array.of(0x12, 16, ...ones(16)), "nonce"],
    [Uint8Array.of(0x22, 4, 0x0a, 2, 0x3a, 0), "evidence"],
  ] as const) {
    const { error } = await rawCall(server.address, pathOf(verify), Buffer.concat([good, bytes]))
    assert.is(error?.code, status.INVALID_ARGUMENT)
    if (error !== undefined) assert.equal(detailsOf(error), { reason: "FIELD", fields: [path] })
  }
})
test("refuses bytes that are no message with PROTO, whichever the method", async () => {
  for (const method of [createChallenge, verify, getEpoch]) {
    const { error } = await rawCall(server.address, pathOf(method), new Uint8Array(20).fill(0xff))
    assert.is(error?.code, status.INVALID_ARGUMENT)
    if (error !== undefined) assert.is(detailsOf(error).reason, "PROTO")
  }
})
const long = "a".repeat(2_000_000)
const challenge = (request: ChallengeRequest): Uint8Array =>
  toBinary(CreateChallengeRequestSchema, create(CreateChallengeRequestSchema, request))
const longTexts: [path: string, method: DescMethod, bytes: () => Uint8Array][] = [
  ["audience", createChallenge, () => challenge({ audience: long })],
  ["device", createChallenge, () => challenge({ audience, device: long })],
  ["policy", createChallenge, () => challenge({ audience, policy: long })],
  [
    "claimed_name",
    EnrollmentService.method.beginEnrollment,
    () => toBinary(BeginEnrollmentRequestSchema, create(BeginEnrollmentRequestSchema, { claimedName: long })),
  ],
  [
    "id",
    AttestationService.method.verifyStream,
    () => toBinary(VerifyStreamRequestSchema, create(VerifyStreamRequestSchema, { id: long })),
  ],
]
/** How much CPU time it takes to have five such requests refused, with what they say of the field. */
const refusing = async (method: DescMethod, bytes: Uint8Array, path: string): Promise<number> => {
  const start = process.cpuUsage()
  for (let i = 0; i < 5; i++) {
    const { error } = await rawCall(server.address, pathOf(method), bytes)
    assert.is(error?.code, status.INVALID_ARGUMENT)
    if (error !== undefined) assert.equal(detailsOf(error), { reason: "FIELD", fields: [path] })
  }
  const { user, system } = process.cpuUsage(start)
  return (user + system) / 1000
}
for (const [path, method, bytes] of longTexts)
  test(`refuses G-07 two megabytes as ${path} for what it costs to receive them`, async () => {
    const unknown = Buffer.concat([Buffer.from("7a80897a", "hex"), Buffer.alloc(2_000_000)])
    const receivedMs = await refusing(method, unknown, "15")
    assert.ok((await refusing(method, bytes(), path)) < receivedMs + 250)
  })
test("refuses a message over the size limit with RESOURCE_EXHAUSTED, and goes on", async () => {
  const { error } = await rawCall(server.address, pathOf(verify), ones(2 * 1024 * 1024 + 1))
  assert.is(error?.code, status.RESOURCE_EXHAUSTED)
  assert.ok(server.lines.some((line) => line["code"] === "RESOURCE_EXHAUSTED"))
  await server.client.getEpoch()
})
test("answers a method that it does not have with UNIMPLEMENTED", async () => {
  const { error } = await rawCall(server.address, "/assay.v1.DeviceService/Exterminate", ones(0))
  assert.is(error?.code, status.UNIMPLEMENTED)
})
test.run()
