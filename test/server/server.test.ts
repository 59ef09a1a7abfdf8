import { connect as connectHttp2 } from "node:http2"
import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import { status } from "@grpc/grpc-js"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import {
  AttestationService,
  KeyCertificationSchema,
  VerifyRequestSchema,
  VerifyResponseSchema,
} from "../../src/gen/assay/v1/attestation_pb.ts"
import { pathOf } from "../../src/rpc.ts"
import type { VerifyInput } from "../../src/service/service.ts"
import { goodVerify, ones, type Running, rawCall, result, running } from "./fake.ts"

const { verify } = AttestationService.method

const audience = "https://service.example"
const test = suite("createServer")
let server: Running
/** Its answers have certificates. */
let certifying: Running
test.before(async () => {
  server = await running()
  certifying = await running({
    verify: async () => ({ ...result(), certificateChain: [ones(5), ones(6)] }),
  })
})
test.after(async () => {
  await server.stop()
  await certifying.stop()
})

test("gives a result with findings, vector, token and challenge state", async () => {
  const answer = await server.client.verify(goodVerify())
  assert.is(answer.result?.id, "result-1")
  assert.is(answer.result?.tier, 3)
  assert.is(answer.result?.vector?.instanceIdentity, 99)
  assert.is(answer.result?.vector?.hardware, -1)
  assert.is(answer.result?.findings[0]?.code, "PCR_DIGEST")
  assert.is(answer.result?.findings[0]?.location, "sha256:7")
  assert.is(answer.result?.policyRevision, 2n)
  assert.equal(answer.token, { case: "resultToken", value: "a.b.c" })
  assert.is(answer.challengeState, 2)
  assert.is(answer.attestTime?.seconds, 1767323075n)
})
test("hands the service what was sent, and who sent it", async () => {
  await server.client.verify(goodVerify())
  const last = server.seen.at(-1)
  assert.is(last?.caller.tenant, "default")
  assert.match(last?.caller.id ?? "", /^local:127\.0\.0\.1:\d+$/)
  const input = JSON.stringify(last?.input, (_key, value: unknown) =>
    value instanceof Uint8Array ? value.length : value,
  )
  assert.is(
    input,
    '{"freshness":{"kind":"challenge","challenge":100},"evidence":{"akName":34,"attest":129,"signature":262,' +
      '"pcrBanks":[{"hash":"sha256","values":32}],"eventLog":3,"akCertificateChain":[]}}',
  )
})
test("hands the service the certification of a key, and gives the certificate that came of it", async () => {
  const [csr, keyPublic, attest, signature] = [ones(4), ones(3), ones(2), ones(1)]
  const shown = create(KeyCertificationSchema, { csr, keyPublic, attest, signature })
  await server.client.verify({ ...goodVerify(), certification: shown })
  const input = server.seen.at(-1)?.input as VerifyInput | undefined
  assert.equal(
    Object.entries(input?.evidence.certification ?? {}).map(([name, { length }]) => [name, length]),
    [
      ["csr", 4],
      ["keyPublic", 3],
      ["attest", 2],
      ["signature", 1],
    ],
  )
  const { certificateChain } = await certifying.client.verify(goodVerify())
  assert.equal(
    certificateChain.map(({ length }) => length),
    [5, 6],
  )
})
for (const [name, size] of [
  ["jkt", 32],
  ["x5tS256", 32],
  ["keyName", 34],
] as const)
  test(`gives a challenge with its transcript, confirmation included: ${name}`, async () => {
    const answer = await server.client.createChallenge({
      audience,
      device: "device-1",
      confirmation: { method: { case: name, value: ones(size) } },
    })
    assert.is(answer.challenge.length, 100)
    assert.is(answer.transcript?.audience, audience)
    assert.equal(answer.transcript?.confirmation?.method, { case: name, value: ones(size) })
  })
test("gives the epoch", async () => {
  const answer = await server.client.getEpoch()
  assert.is(answer.number, 7n)
  assert.is(answer.token, "e.f.g")
})
const gzip = { "grpc.default_compression_algorithm": 2 }
test("accepts compressed requests", async () => {
  const good = toBinary(VerifyRequestSchema, create(VerifyRequestSchema, goodVerify()))
  const fine = await rawCall(server.address, pathOf(verify), good, {}, gzip)
  assert.is(fine.error, undefined)
  if (fine.error === undefined)
    assert.is(fromBinary(VerifyResponseSchema, fine.answer).result?.id, "result-1")
})
test("refuses a compressed request that unpacks to more than the limit", async () => {
  const { error } = await rawCall(server.address, pathOf(verify), new Uint8Array(50_000_000), {}, gzip)
  assert.is(error?.code, status.RESOURCE_EXHAUSTED)
})
test("logs one line a call, with method, code, caller and request id, and no bytes of it", async () => {
  server.lines.length = 0
  await server.client.verify(goodVerify())
  assert.is(server.lines.length, 1)
  const [line = {}] = server.lines
  assert.is(line["method"], "assay.v1.AttestationService/Verify")
  assert.is(line["code"], "OK")
  assert.match(String(line["caller"]), /^local:127\.0\.0\.1:\d+$/)
  assert.type(line["ms"], "number")
  assert.match(String(line["request"]), /^[0-9a-f]{32}$/)
})
test("survives a peer that speaks no gRPC, and one that goes away in mid-call", async () => {
  const session = connectHttp2(`http://${server.address}`)
  session.on("error", () => {})
  const plain = session.request({ ":path": "/", ":method": "GET" })
  const code = await new Promise((resolve) => plain.on("response", (headers) => resolve(headers[":status"])))
  assert.is(code, 415)
  const cut = session.request({
    ":path": pathOf(verify),
    ":method": "POST",
    "content-type": "application/grpc",
    te: "trailers",
  })
  cut.on("error", () => {})
  cut.write(Uint8Array.of(0, 0, 0, 1, 0))
  session.destroy()
  await server.client.getEpoch()
})
test.run()
