/** EnrollmentService on the wire: what the service is handed, what callers are answered, and which fields are refused. */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf"
import { status } from "@grpc/grpc-js"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { createEnrollmentClient, type EnrollmentClient } from "../../src/client/enrollment.ts"
import { AssayError, type Code } from "../../src/errors.ts"
import {
  type BeginEnrollmentRequestSchema,
  CompleteEnrollmentRequestSchema,
  DeviceState,
  EnrollmentService,
} from "../../src/gen/assay/v1/enrollment_pb.ts"
import { pathOf } from "../../src/rpc.ts"
import { rejectsCode } from "../support/assert.ts"
import { goodVerify, ones, type Running, rawCall, running } from "./fake.ts"

const test = suite("EnrollmentService")
let server: Running
let client: EnrollmentClient
test.before(async () => {
  server = await running()
  client = createEnrollmentClient(server.address)
})
test.after(async () => {
  client.close()
  await server.stop()
})

type Begin = Omit<MessageInitShape<typeof BeginEnrollmentRequestSchema>, "$typeName">
type Complete = Omit<MessageInitShape<typeof CompleteEnrollmentRequestSchema>, "$typeName">
const goodBegin: Begin = {
  akPublic: ones(90),
  ekPublic: ones(316),
  ekCertificateChain: [ones(900), ones(800)],
}
const { evidence } = goodVerify()
const goodComplete = (): Complete => ({
  enrollment: ones(6000),
  activation: { case: "activationHmac", value: ones(32) },
  ...(evidence && { evidence }),
})

/** What the service was handed last, bytes by their size. */
const handed = (): unknown =>
  JSON.parse(
    JSON.stringify(server.seen.at(-1)?.input, (_, value: unknown) =>
      value instanceof Uint8Array ? value.length : value,
    ),
  )

test("hands the first step on as it came, and answers with the credential and the transcript", async () => {
  const answer = await client.beginEnrollment({
    ...goodBegin,
    qualifiedName: ones(34),
    claimedName: "Laptop 7",
  })
  assert.equal(handed(), {
    keys: {
      akPublic: 90,
      qualifiedName: 34,
      ekPublic: 316,
      ekCertificateChain: [900, 800],
      akCertificateChain: [],
    },
    claimedName: "Laptop 7",
  })
  const { enrollment, credentialBlob, encryptedSecret, random, ekDigest } = answer
  assert.equal(
    [enrollment, credentialBlob, encryptedSecret, random, ekDigest].map(({ length }) => length),
    [6000, 70, 258, 32, 32],
  )
  assert.is(answer.tenant, "default")
  assert.is(answer.expireTime?.seconds, 1767323045n)
})

test("tells nothing that was sent from nothing that was not", async () => {
  await client.beginEnrollment({ akPublic: ones(90), akCertificateChain: [ones(900)] })
  assert.equal(handed(), {
    keys: { akPublic: 90, ekCertificateChain: [], akCertificateChain: [900] },
    claimedName: "",
  })
})

const activations: readonly (readonly [NonNullable<Complete["activation"]>, unknown])[] = [
  [
    { case: "activationHmac", value: ones(32) },
    { kind: "mac", value: 32 },
  ],
  [
    { case: "activationSecret", value: ones(20) },
    { kind: "secret", value: 20 },
  ],
  [{ case: undefined }, undefined],
]
for (const [activation, expected] of activations)
  test(`hands the second step on with ${activation.case ?? "no activation"}, and answers with the device`, async () => {
    const answer = await client.completeEnrollment({ ...goodComplete(), activation })
    const input = handed()
    assert.is(Reflect.get(input ?? {}, "enrollment"), 6000)
    assert.equal(Reflect.get(input ?? {}, "activation"), expected)
    assert.equal([answer.device, answer.state, answer.revision], ["device-1", DeviceState.ACTIVE, 3n])
  })

const refusedBegin: readonly (readonly [name: string, request: Begin, path: string])[] = [
  ["no attestation key", { ...goodBegin, akPublic: ones(0) }, "ak_public"],
  ["an oversized attestation key", { ...goodBegin, akPublic: ones(2049) }, "ak_public"],
  ["an oversized endorsement key", { ...goodBegin, ekPublic: ones(2049) }, "ek_public"],
  ["an oversized qualified name", { ...goodBegin, qualifiedName: ones(67) }, "qualified_name"],
  [
    "nine certificates",
    { ...goodBegin, ekCertificateChain: Array(9).fill(ones(10)) },
    "ek_certificate_chain",
  ],
  [
    "an empty certificate",
    { ...goodBegin, ekCertificateChain: [ones(9), ones(0)] },
    "ek_certificate_chain[1]",
  ],
  [
    "an oversized certificate",
    { ...goodBegin, akCertificateChain: [ones(16_385)] },
    "ak_certificate_chain[0]",
  ],
  ["an oversized name", { ...goodBegin, claimedName: "n".repeat(256) }, "claimed_name"],
  ["a name that draws on terminals", { ...goodBegin, claimedName: "a\u001b[2J" }, "claimed_name"],
  ["a name that ends its line", { ...goodBegin, claimedName: "a\n" }, "claimed_name"],
  ["a name beyond ASCII", { ...goodBegin, claimedName: "gerät" }, "claimed_name"],
]
const refusedComplete: readonly (readonly [name: string, request: Complete, path: string])[] = [
  ["no enrollment", { ...goodComplete(), enrollment: ones(0) }, "enrollment"],
  ["an oversized enrollment", { ...goodComplete(), enrollment: ones(32_769) }, "enrollment"],
  ["no evidence", { enrollment: ones(100) }, "evidence"],
  ["evidence of no kind", { ...goodComplete(), evidence: {} }, "evidence.kind"],
  [
    "a short HMAC",
    { ...goodComplete(), activation: { case: "activationHmac", value: ones(31) } },
    "activation_hmac",
  ],
  [
    "a long HMAC",
    { ...goodComplete(), activation: { case: "activationHmac", value: ones(33) } },
    "activation_hmac",
  ],
  [
    "an empty secret",
    { ...goodComplete(), activation: { case: "activationSecret", value: ones(0) } },
    "activation_secret",
  ],
  [
    "an oversized secret",
    { ...goodComplete(), activation: { case: "activationSecret", value: ones(65) } },
    "activation_secret",
  ],
]
const refused = [
  ...refusedBegin.map(
    ([name, request, path]) => [name, path, () => client.beginEnrollment(request)] as const,
  ),
  ...refusedComplete.map(
    ([name, request, path]) => [name, path, () => client.completeEnrollment(request)] as const,
  ),
]
for (const [name, path, call] of refused)
  test(`refuses ${name} with the path ${path}`, async () => {
    const before = server.seen.length
    const error = await rejectsCode(call, "FIELD")
    assert.is(error.location, path)
    assert.is(server.seen.length, before)
  })

test("refuses both forms of the activation at a time", async () => {
  const { completeEnrollment } = EnrollmentService.method
  const one = toBinary(
    CompleteEnrollmentRequestSchema,
    create(CompleteEnrollmentRequestSchema, goodComplete()),
  )
  const other = toBinary(
    CompleteEnrollmentRequestSchema,
    create(CompleteEnrollmentRequestSchema, { activation: { case: "activationSecret", value: ones(32) } }),
  )
  const { error } = await rawCall(server.address, pathOf(completeEnrollment), Uint8Array.of(...one, ...other))
  assert.is(error?.code, status.INVALID_ARGUMENT)
})

const ends: readonly (readonly [code: Code, answer: status])[] = [
  ["AK_BINDING", status.FAILED_PRECONDITION],
  ["ACTIVATION", status.FAILED_PRECONDITION],
  ["UNTRUSTED_ROOT", status.FAILED_PRECONDITION],
  ["NONCE_SPENT", status.FAILED_PRECONDITION],
  ["DEVICE_EXISTS", status.ALREADY_EXISTS],
  ["ENROLLMENT_LIMIT", status.RESOURCE_EXHAUSTED],
  ["ENROLLMENT_TOKEN", status.PERMISSION_DENIED],
  ["REVOCATION", status.UNAVAILABLE],
]
for (const [code, answer] of ends)
  test(`answers ${code} with ${status[answer]}, and says what became of the enrollment`, async () => {
    const failing = await running({
      completeEnrollment: async () => {
        const error = new AssayError(code, "no")
        error.challenge = "spent"
        throw error
      },
    })
    const own = createEnrollmentClient(failing.address)
    try {
      const error = await rejectsCode(() => own.completeEnrollment(goodComplete()), code)
      assert.is(error.challenge, "spent")
      assert.is(Reflect.get(error.cause ?? {}, "code"), answer)
    } finally {
      own.close()
      await failing.stop()
    }
  })

test.run()
