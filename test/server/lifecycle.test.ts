import { connect as connectHttp2 } from "node:http2"
import { create, toBinary } from "@bufbuild/protobuf"
import { status } from "@grpc/grpc-js"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { createAttestationClient } from "../../src/client/attestation.ts"
import { VerifyRequestSchema } from "../../src/gen/assay/v1/attestation_pb.ts"
import type { Service } from "../../src/service/service.ts"
import { rejectsCode } from "../support/assert.ts"
import { goodVerify, rawCall, result, running } from "./fake.ts"
import { pause } from "./raw.ts"

const CHECK = "/grpc.health.v1.Health/Check"

/** A service whose verifications end when they are told to. */
const gated = () => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const started = Promise.withResolvers<void>()
  let count = 0
  const verify: Service["verify"] = async () => {
    count++
    started.resolve()
    await promise
    return result()
  }
  return { verify, open: resolve, started: started.promise, count: () => count }
}

const calls = suite("deadlines and cancellation")
/** The status of a Verify by a caller who has told how long it waits, and then waits for longer. */
const verifyWithin = async (address: string, timeout: string): Promise<unknown> => {
  const session = connectHttp2(`http://${address}`)
  const stream = session.request({
    ":path": "/assay.v1.AttestationService/Verify",
    ":method": "POST",
    "content-type": "application/grpc",
    te: "trailers",
    "grpc-timeout": timeout,
  })
  const message = toBinary(VerifyRequestSchema, create(VerifyRequestSchema, goodVerify()))
  stream.end(Buffer.concat([Buffer.from([0, 0, 0, message.length >> 8, message.length & 0xff]), message]))
  try {
    return await new Promise((resolve, reject) => {
      stream.on("response", (headers) => resolve(headers["grpc-status"]))
      stream.on("error", reject)
    })
  } finally {
    session.destroy()
  }
}
calls("ends a call at its deadline, and lets others go on", async () => {
  const gate = gated()
  const server = await running({ verify: gate.verify })
  assert.is(await verifyWithin(server.address, "100m"), String(status.DEADLINE_EXCEEDED))
  await server.client.getEpoch()
  gate.open()
  await pause(20)
  assert.equal(
    server.lines.filter(({ msg }) => msg === "call").map(({ code }) => code),
    ["DEADLINE_EXCEEDED", "OK"],
  )
  await server.stop()
})
calls("ends the call of a client that waits no longer, and not its connection", async () => {
  const gate = gated()
  const server = await running({ verify: gate.verify })
  // The deadline is for the call, and not for the connection that it is the first of.
  await server.client.getEpoch()
  const error = await rejectsCode(() => server.client.verify(goodVerify(), { deadlineMs: 100 }), "NO_ANSWER")
  assert.match(error.message, /^DEADLINE_EXCEEDED/)
  await server.client.getEpoch()
  gate.open()
  await server.stop()
})
calls("starts no work for a call whose deadline has passed", async () => {
  const server = await running()
  assert.is(await verifyWithin(server.address, "1n"), String(status.DEADLINE_EXCEEDED))
  assert.is(server.seen.length, 0)
  await server.stop()
})
calls("does not answer a call that was cancelled", async () => {
  const gate = gated()
  const server = await running({ verify: gate.verify })
  const control = new AbortController()
  const call = rejectsCode(() => server.client.verify(goodVerify(), { signal: control.signal }), "NO_ANSWER")
  await gate.started
  control.abort()
  const error = await call
  assert.match(error.message, /^CANCELLED/)
  await pause(20)
  gate.open()
  await pause(20)
  const [line = {}] = server.lines
  assert.is(line["code"], "CANCELLED")
  assert.is(server.lines.length, 1)
  await server.stop()
})
calls("does not begin a call that was cancelled before", async () => {
  const server = await running()
  await rejectsCode(() => server.client.verify(goodVerify(), { signal: AbortSignal.abort() }), "NO_ANSWER")
  await pause(20)
  assert.is(server.seen.length, 0)
  await server.stop()
})
calls("tells the metrics of each call once, by method and status", async () => {
  const seen: string[] = []
  const server = await running(
    {},
    {
      observe: (method, code, seconds) => {
        assert.ok(seconds >= 0 && seconds < 5)
        seen.push(`${method} ${code}`)
      },
    },
  )
  await server.client.getEpoch()
  await rejectsCode(() => server.client.verify({}), "FIELD")
  await rawCall(server.address, CHECK, Buffer.alloc(0))
  assert.equal(seen, [
    "assay.v1.AttestationService/GetEpoch OK",
    "assay.v1.AttestationService/Verify INVALID_ARGUMENT",
    "grpc.health.v1.Health/Check OK",
  ])
  await server.stop()
})
calls.run()

const shutdown = suite("stop")
shutdown("answers the calls that are open, and refuses new ones", async () => {
  const gate = gated()
  const server = await running({ verify: gate.verify })
  const open = server.client.verify(goodVerify())
  await gate.started
  const stopped = server.stop()
  await pause(20)
  const late = createAttestationClient(server.address)
  await rejectsCode(() => late.getEpoch({ deadlineMs: 300 }), ["NO_ANSWER", "SHUTTING_DOWN"])
  late.close()
  gate.open()
  assert.is((await open).result?.id, "result-1")
  await stopped
})
shutdown("waits no longer than its limit", async () => {
  const gate = gated()
  const server = await running({ verify: gate.verify }, { limits: { drainMs: 100 } })
  const open = rejectsCode(() => server.client.verify(goodVerify()), "NO_ANSWER")
  await gate.started
  const start = Date.now()
  await server.stop()
  await open
  assert.ok(Date.now() - start < 1500)
  gate.open()
})
shutdown("may be called twice", async () => {
  const server = await running()
  await Promise.all([server.stop(), server.stop()])
  await server.stop()
})
shutdown("is at once when nobody calls", async () => {
  const server = await running()
  await server.client.getEpoch()
  const start = Date.now()
  await server.stop()
  assert.ok(Date.now() - start < 1000)
})
shutdown.run()
