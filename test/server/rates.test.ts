import { hash } from "node:crypto"
import { fromBinary } from "@bufbuild/protobuf"
import { anyUnpack } from "@bufbuild/protobuf/wkt"
import { Client, credentials as credentialsOf, type StatusObject, status } from "@grpc/grpc-js"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { createAdminClient } from "../../src/client/admin.ts"
import { createAttestationClient } from "../../src/client/attestation.ts"
import { AttestationService } from "../../src/gen/assay/v1/attestation_pb.ts"
import { RetryInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts"
import { StatusSchema } from "../../src/gen/google/rpc/status_pb.ts"
import { pathOf } from "../../src/rpc.ts"
import type { Rates } from "../../src/server/limiter.ts"
import { rejectsCode } from "../support/assert.ts"
import { writeServer } from "../support/callers.ts"
import { goodVerify, inFolder, rawCall, result, running } from "./fake.ts"
import { connectAs, outcomeOf, outcomeOn, serving } from "./tls.ts"

const test = suite("rates on a running server")
/** So slow that nothing is granted anew while a test runs. */
const few = (burst: number) => ({ perSecond: 0.01, burst })
const credentials = ["gateway", "backend"].map((role) => ({
  name: role,
  role: role === "gateway" ? ("gateway" as const) : ("backend" as const),
  tenant: "default",
  sha256: hash("sha256", `secret-of-${role}`, "buffer"),
}))
/** What a test has opened, which is closed however it ends. */
const opened: (() => void | Promise<void>)[] = []
test.after.each(async () => {
  for (const close of opened.splice(0).toReversed()) await close()
})
const started = async (...asked: Parameters<typeof running>): ReturnType<typeof running> => {
  const server = await running(...asked)
  opened.push(server.stop)
  return server
}
const closing = <C extends { close(): void }>(client: C): C => {
  opened.push(() => client.close())
  return client
}
const as = (address: string, role: string) =>
  closing(createAttestationClient(address, { credential: `secret-of-${role}` }))
const codesOf = async (count: number, act: () => Promise<unknown>): Promise<Record<string, number>> => {
  const codes: Record<string, number> = {}
  for (let i = 0; i < count; i++) {
    const code = await act().then(
      () => "OK",
      (error: unknown) => (error instanceof Error && "code" in error ? String(error.code) : "?"),
    )
    codes[code] = (codes[code] ?? 0) + 1
  }
  return codes
}

test("refuses N-07 a caller's flood of challenges, and no other caller", async () => {
  const server = await started({}, { credentials, rates: { challenge: few(10) } })
  const gateway = as(server.address, "gateway")
  const backend = as(server.address, "backend")
  assert.equal(await codesOf(50, () => gateway.createChallenge({ audience: "orders" })), { OK: 10, RATE: 40 })
  await gateway.verify(goodVerify())
  await backend.createChallenge({ audience: "orders" })
  assert.is(server.seen.filter(({ method }) => method === "createChallenge").length, 11)
})
test("refuses N-07 with RESOURCE_EXHAUSTED and when to try again", async () => {
  const server = await started({}, { credentials, rates: { caller: { perSecond: 0.5, burst: 1 } } })
  const path = pathOf(AttestationService.method.getEpoch)
  const headers = { authorization: "Bearer secret-of-gateway" }
  await rawCall(server.address, path, new Uint8Array(), headers)
  const { error } = await rawCall(server.address, path, new Uint8Array(), headers)
  assert.is(error?.code, status.RESOURCE_EXHAUSTED)
  const [bytes] = error?.metadata.get("grpc-status-details-bin") ?? []
  const { details } = fromBinary(StatusSchema, Buffer.from(bytes ?? ""))
  const [info] = details.flatMap((any) => anyUnpack(any, RetryInfoSchema) ?? [])
  const seconds = Number(info?.retryDelay?.seconds ?? 0) + Number(info?.retryDelay?.nanos ?? 0) / 1e9
  assert.ok(seconds > 1 && seconds <= 2, `${seconds}`)
})
test("refuses N-07 a flood by many connections of one address, before it asks who calls", async () => {
  const server = await started({}, { credentials, anonymous: true, rates: { source: few(20) } })
  const clients = Array.from({ length: 30 }, (_, i) =>
    closing(createAttestationClient(server.address, { credential: `nobody-${i}` })),
  )
  const codes: string[] = []
  for (const client of clients)
    codes.push((await rejectsCode(() => client.getEpoch(), ["CALLER_UNKNOWN", "RATE"])).code)
  assert.equal(
    [codes.slice(0, 20), codes.slice(20)],
    [Array(20).fill("CALLER_UNKNOWN"), Array(10).fill("RATE")],
  )
  const { error } = await rawCall(server.address, "/grpc.health.v1.Health/Check", new Uint8Array())
  assert.is(error?.code, status.RESOURCE_EXHAUSTED, "also what anyone may ask")
})
test("refuses N-07 more calls of one caller at a time, and takes them when others have ended", async () => {
  const { promise, resolve } = Promise.withResolvers<void>()
  let begun = 0
  const verify = async () => {
    begun += 1
    await promise
    return result()
  }
  const server = await started({ verify }, { credentials, rates: { callsMax: 3 } })
  const gateway = as(server.address, "gateway")
  const held = Array.from({ length: 3 }, () => gateway.verify(goodVerify()))
  opened.push(async () => {
    resolve()
    await Promise.allSettled(held)
  })
  while (begun < 3) await new Promise((done) => setTimeout(done, 5))
  await rejectsCode(() => gateway.getEpoch(), "RATE")
  resolve()
  await Promise.all(held)
  await gateway.getEpoch()
  // Those who leave in the middle are counted no longer, as soon as the server has seen it.
  const leaving = new AbortController()
  leaving.abort()
  for (let i = 0; i < 10; i++)
    await rejectsCode(() => gateway.verify(goodVerify(), { signal: leaving.signal }), "NO_ANSWER")
  let last = "RATE"
  for (let i = 0; i < 100 && last === "RATE"; i++) {
    await new Promise((done) => setTimeout(done, 10))
    last = Object.keys(await codesOf(1, () => gateway.getEpoch())).join()
  }
  assert.is(last, "OK")
})
test("refuses N-07 requests of a stream beyond the caller's rate, each by its id, and the stream goes on", async () => {
  const server = await started({}, { credentials, rates: { caller: few(4) } })
  const gateway = as(server.address, "gateway")
  const stream = gateway.verifyStream()
  const answers: string[] = []
  for (let i = 0; i < 6; i++) await stream.send({ id: `r${i}`, request: goodVerify() })
  stream.end()
  for await (const { id, outcome } of stream)
    answers.push(`${id} ${outcome.case === "response" ? "ok" : outcome.value?.code}`)
  assert.equal(answers.sort(), ["r0 ok", "r1 ok", "r2 ok", "r3 8", "r4 8", "r5 8"])
})
/** A stream of reflection on which so many questions are asked at once: what it ends with, and how many were answered. */
const reflected = async (client: Client, version: string, questions: number): Promise<string> => {
  const same = (bytes: Buffer): Buffer => bytes
  const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`
  const stream = client.makeBidiStreamRequest(path, same, same, { deadline: Date.now() + 3000 })
  const { promise, resolve } = Promise.withResolvers<StatusObject>()
  let answers = 0
  stream.on("data", () => answers++)
  stream.on("error", () => {})
  stream.on("status", resolve)
  for (let i = 0; i < questions; i++) stream.write(Buffer.from([0x3a, 1, 0x2a]))
  // A stream that is to be refused does not end by itself.
  if (questions < 10) stream.end()
  const { code, metadata } = await promise
  const [bytes] = metadata.get("grpc-status-details-bin")
  const { details } = fromBinary(StatusSchema, Buffer.from(bytes ?? ""))
  const hasRetry = details.some((any) => anyUnpack(any, RetryInfoSchema) !== undefined)
  return `${status[code]} ${hasRetry ? "later " : ""}${answers}`
}
/** A server of these rates, and connections of strangers to it. */
const asked = async (
  rates: Partial<Rates>,
  act: (connect: () => Client, address: string) => Promise<void>,
): Promise<void> => {
  const server = await started({}, { credentials, rates })
  const options = { "grpc.use_local_subchannel_pool": 1 }
  const connect = () => closing(new Client(server.address, credentialsOf.createInsecure(), options))
  await act(connect, server.address)
}
for (const version of ["v1", "v1alpha"])
  test(`refuses N-07 questions without end about the schema on one stream of ${version}, which ends`, () =>
    asked({ anyone: few(10) }, async (connect, address) => {
      const stranger = connect()
      assert.is(await reflected(stranger, version, 500), "RESOURCE_EXHAUSTED later 9")
      assert.is(await outcomeOn(stranger, "/grpc.health.v1.Health/Check"), "RATE", "it was as many calls")
      const gateway = as(address, "gateway")
      await gateway.getEpoch()
    }))
test("refuses N-07 questions about the schema beyond what one address may ask, over however many connections", () =>
  asked({ anyone: few(30) }, async (connect) => {
    const streams = Array.from({ length: 4 }, connect).flatMap((client) => [client, client, client])
    const ends = await Promise.all(streams.map((client) => reflected(client, "v1", 100)))
    assert.ok(ends.every((end) => end.startsWith("RESOURCE_EXHAUSTED later ")))
    const answered = ends.reduce((sum, end) => sum + Number(end.split(" ").at(-1)), 0)
    assert.ok(answered > 0 && answered < 30, `${answered}`)
  }))
test("answers several questions about the schema on one stream, which has one place among what anyone may ask", () =>
  asked({ anyone: few(20), anyoneMax: 1 }, async (connect) => {
    const client = connect()
    for (const version of ["v1", "v1alpha"]) assert.is(await reflected(client, version, 6), "OK 6")
  }))
test("refuses N-07 guesses of enrollment tokens before it looks for them, and never a token that there is", async () => {
  let looked = 0
  const [good] = ["aet_good"].map((secret) => hash("sha256", secret, "hex"))
  const enrollmentToken = async (sha256: Uint8Array) => {
    looked += 1
    return Buffer.from(sha256).toString("hex") === good ? { tenant: "default", id: "et-1" } : undefined
  }
  const server = await started({}, { enrollmentToken, rates: { guess: few(5) } })
  const path = pathOf(AttestationService.method.createChallenge)
  const client = closing(new Client(server.address, credentialsOf.createInsecure()))
  const outcome = (secret: string) => outcomeOn(client, path, { authorization: `Bearer ${secret}` })
  assert.is(await outcome("aet_good"), "FIELD", "it is let in, and its request is read")
  const codes: string[] = []
  for (let i = 0; i < 20; i++) codes.push(await outcome(`aet_${i}`))
  assert.equal(
    [looked, codes.slice(0, 5), codes.slice(5)],
    [6, Array(5).fill("CALLER_UNKNOWN"), Array(15).fill("RATE")],
  )
  assert.is(await outcome("aet_good"), "FIELD", "on the same connection")
  const other = closing(createAttestationClient(server.address, { credential: "aet_good" }))
  await other.createChallenge({ audience: "orders" })
})
test("refuses N-07 handshakes beyond the rate of an address", () =>
  serving(
    async ({ address }) => {
      const first = closing(connectAs(address))
      assert.is(await outcomeOn(first), "CALLER_UNKNOWN")
      assert.is(await outcomeOf(address, undefined), "CALLER_UNKNOWN")
      assert.is(await outcomeOf(address, undefined), "NO_ANSWER")
      assert.is(await outcomeOn(first), "CALLER_UNKNOWN", "a connection that there is stays")
    },
    (folder) => ({
      listen: [{ address: "127.0.0.1:0", tls: writeServer(folder) }],
      rates: { connection: few(2) },
    }),
  ))
test("limits nobody on the administration socket", () =>
  inFolder(async (folder) => {
    const rates = { source: few(1), caller: few(1), callsMax: 1, anyone: few(1) }
    await started({}, { admin: `unix:${folder}/admin.sock`, rates })
    const admin = closing(createAdminClient(`unix:${folder}/admin.sock`))
    await Promise.all(Array.from({ length: 20 }, () => admin.getDevice("device-1")))
    const asking = closing(new Client(`unix:${folder}/admin.sock`, credentialsOf.createInsecure()))
    assert.is(await reflected(asking, "v1", 9), "OK 9")
  }))
test.run()
