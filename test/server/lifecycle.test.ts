import { connect as connectHttp2 } from "node:http2"
import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import { BinaryReader } from "@bufbuild/protobuf/wire"
import { anyUnpack, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt"
import { Client, credentials, Server, ServerCredentials, type ServiceError, status } from "@grpc/grpc-js"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { createAttestationClient } from "../../src/client/attestation.ts"
import { VerifyRequestSchema } from "../../src/gen/assay/v1/attestation_pb.ts"
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts"
import { StatusSchema } from "../../src/gen/google/rpc/status_pb.ts"
import { Health } from "../../src/server/health.ts"
import type { Service } from "../../src/service/service.ts"
import { rejectsCode } from "../support/assert.ts"
import { goodVerify, inFolder, rawCall, result, running } from "./fake.ts"
import { pause, until } from "./raw.ts"

const CHECK = "/grpc.health.v1.Health/Check"
const LIST = "/grpc.health.v1.Health/List"
const WATCH = "/grpc.health.v1.Health/Watch"
const REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
const same = (buffer: Buffer): Buffer => buffer
const string = (number: number, text: string): Buffer =>
  Buffer.concat([Buffer.from([(number << 3) | 2, text.length]), Buffer.from(text)])

/** Every length-delimited field of this number, in order. */
const fieldsOf = (bytes: Uint8Array, wanted: number): Uint8Array[] => {
  const reader = new BinaryReader(bytes)
  const found: Uint8Array[] = []
  while (reader.pos < reader.len) {
    const [number, wire] = reader.tag()
    if (number === wanted) found.push(reader.bytes())
    else reader.skip(wire, number)
  }
  return found
}

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

const bound = (server: Server): Promise<number> =>
  new Promise((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    ),
  )

const health = suite("health")
const SERVING = Buffer.from([0x08, 1])
health("serves for the server as a whole and for each service that it has", () =>
  inFolder(async (folder) => {
    const server = await running({}, { admin: `unix:${folder}/admin.sock` })
    const [tcp = "", admin = ""] = server.addresses
    const cases: [address: string, service: string, serving: boolean][] = [
      [tcp, "", true],
      [tcp, "assay.v1.AttestationService", true],
      [tcp, "assay.v1.DeviceService", true],
      [admin, "assay.v1.DeviceService", true],
      [admin, "assay.v1.PolicyService", true],
      [tcp, "assay.v1.NoService", false],
      [admin, "assay.v1.TrustService", true],
    ]
    for (const [address, service, serving] of cases) {
      const answer = await rawCall(address, CHECK, service === "" ? Buffer.alloc(0) : string(1, service))
      if (answer.error === undefined) assert.equal([serving, answer.answer], [true, SERVING])
      else assert.equal([serving, answer.error.code], [false, status.NOT_FOUND])
    }
    await server.stop()
  }),
)
/** The status details of a failed call, as far as they are ours. */
const infoOf = ({ metadata }: ServiceError) => {
  const [trailer] = metadata.get("grpc-status-details-bin")
  const { details } = fromBinary(StatusSchema, trailer instanceof Buffer ? trailer : new Uint8Array())
  return details.map((any) => anyUnpack(any, ErrorInfoSchema)).find((one) => one !== undefined)
}
const unknown: [name: string, service: string, shown: string][] = [
  ["a service that there is not", "assay.v1.NoService", "assay.v1.NoService"],
  ["a name of several lines", "a\r\nb\u001b[31m", "a\\u{d}\\u{a}b\\u{1b}[31m"],
  ["a name that every object has", "constructor", "constructor"],
]
for (const [name, service, shown] of unknown)
  health(`refuses G-12 ${name} with a code and in its own words`, async () => {
    const refusals: string[] = []
    const server = await running({}, { refused: (code) => refusals.push(code) })
    const { error } = await rawCall(server.address, CHECK, string(1, service))
    await server.stop()
    assert.equal(refusals, ["SERVICE_NOT_FOUND"])
    if (error === undefined) throw new TypeError("it was answered")
    const info = infoOf(error)
    assert.equal(
      [error.code, info?.reason, info?.domain, info?.metadata["location"], info?.metadata["actual"]],
      [status.NOT_FOUND, "SERVICE_NOT_FOUND", "assay", "service", shown],
    )
    assert.match(error.details, /^there is no such service here/)
  })
health("refuses G-02 what is no request, as its caller's fault", async () => {
  const server = await running()
  const { error } = await rawCall(server.address, CHECK, Buffer.from([0xff]))
  await server.stop()
  if (error === undefined) throw new TypeError("it was answered")
  assert.equal([error.code, infoOf(error)?.reason], [status.INVALID_ARGUMENT, "PROTO"])
})
health("lists the server as a whole and each service that it has", async () => {
  const server = await running()
  const listing = await rawCall(server.address, LIST, Buffer.alloc(0))
  await server.stop()
  if (listing.error !== undefined) throw listing.error
  const listed = fieldsOf(listing.answer, 1).map((entry) => [
    Buffer.concat(fieldsOf(entry, 1)).toString(),
    Buffer.concat(fieldsOf(entry, 2)),
  ])
  assert.is(listed.length, 8)
  for (const name of ["", "assay.v1.AttestationService"])
    assert.equal(
      listed.find(([one]) => one === name),
      [name, SERVING],
    )
})
health("answers anyone, also with a credential that nobody has", async () => {
  const server = await running()
  const answer = await rawCall(server.address, CHECK, Buffer.alloc(0), { authorization: "Bearer nobody" })
  assert.is(answer.error, undefined)
  await server.stop()
})
health(
  "tells who watches a service that there is not so, does not end, and remembers nothing of it",
  async () => {
    const served = new Server()
    const one = new Health(["assay.v1.AttestationService"])
    one.set("SERVING")
    assert.equal(one.addTo(served), [CHECK, WATCH, LIST])
    const port = await bound(served)
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure())
    const watch = (service: string) => {
      const states: number[] = []
      const stream = client.makeServerStreamRequest(WATCH, same, same, string(1, service))
      stream.on("data", (bytes: Buffer) => states.push(bytes[1] ?? 0))
      stream.on("error", () => {})
      return { states, stream }
    }
    try {
      const [known, other] = [watch("assay.v1.AttestationService"), watch("no.such.Service")]
      await until(() => known.states.length === 1 && other.states.length === 1)
      assert.is(one.watching, 1)
      one.set("NOT_SERVING")
      await until(() => known.states.length === 2)
      assert.equal([known.states, other.states], [[1, 2], [3]])
      other.stream.cancel()
      known.stream.cancel()
      await until(() => one.watching === 0)
    } finally {
      client.close()
      served.forceShutdown()
    }
  },
)
health("says NOT_SERVING to who watches, before the server is gone", async () => {
  const server = await running()
  const client = new Client(server.address, credentials.createInsecure())
  const watch = client.makeServerStreamRequest(WATCH, same, same, Buffer.alloc(0))
  const states: number[] = []
  watch.on("data", (bytes: Buffer) => states.push(bytes[1] ?? 0))
  watch.on("error", () => {})
  await new Promise<void>((resolve) => watch.once("data", () => resolve()))
  const start = Date.now()
  await server.stop()
  assert.equal(states, [1, 2])
  assert.ok(Date.now() - start < 2000, "an open watch does not hold the shutdown")
  client.close()
})
health.run()

const reflection = suite("reflection")
const reflect = (address: string, request: Buffer): Promise<Buffer | ServiceError> =>
  new Promise((resolve) => {
    const client = new Client(address, credentials.createInsecure())
    const stream = client.makeBidiStreamRequest(REFLECTION, same, same)
    let answer: Buffer | ServiceError = Buffer.alloc(0)
    stream.on("data", (bytes: Buffer) => {
      answer = bytes
    })
    stream.on("error", (error: ServiceError) => {
      answer = error
    })
    stream.on("status", () => {
      client.close()
      resolve(answer)
    })
    stream.write(request)
    stream.end()
  })
const listOf = async (address: string): Promise<string[]> => {
  const answer = await reflect(address, string(7, "*"))
  if (!(answer instanceof Buffer)) throw answer
  const [list = new Uint8Array()] = fieldsOf(answer, 6)
  return fieldsOf(list, 1).flatMap((service) =>
    fieldsOf(service, 1).map((name) => Buffer.from(name).toString()),
  )
}
reflection("lists the services of each listener", () =>
  inFolder(async (folder) => {
    const server = await running({}, { admin: `unix:${folder}/admin.sock` })
    const [tcp = "", admin = ""] = server.addresses
    for (const address of [tcp, admin])
      assert.equal((await listOf(address)).sort(), [
        "assay.v1.AttestationService",
        "assay.v1.DeviceService",
        "assay.v1.EnrollmentService",
        "assay.v1.EnrollmentTokenService",
        "assay.v1.JournalService",
        "assay.v1.PolicyService",
        "assay.v1.TrustService",
      ])
    await server.stop()
  }),
)
reflection("gives the schema of a service", async () => {
  const server = await running()
  const answer = await reflect(server.address, string(4, "assay.v1.AttestationService"))
  if (!(answer instanceof Buffer)) throw answer
  const files = fieldsOf(answer, 4).flatMap((files) => fieldsOf(files, 1))
  const methods = files
    .map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes))
    .flatMap((file) => file.service.flatMap(({ method }) => method.map(({ name }) => name)))
  assert.equal(methods, ["CreateChallenge", "Verify", "VerifyStream", "GetEpoch"])
  await server.stop()
})
reflection("refuses G-12 a symbol that there is not in visible characters", async () => {
  const server = await running()
  const answers = []
  for (const field of [3, 4]) answers.push(await reflect(server.address, string(field, "a\nb\u001b[31m")))
  await server.stop()
  for (const answer of answers) {
    if (!(answer instanceof Buffer)) throw answer
    const [text = new Uint8Array()] = fieldsOf(answer, 7).flatMap((error) => fieldsOf(error, 2))
    assert.match(Buffer.from(text).toString(), /not found: a\\u\{a\}b\\u\{1b\}\[31m$/)
  }
})
reflection("can be switched off", async () => {
  const server = await running({}, { reflection: false })
  const answer = await reflect(server.address, string(7, "*"))
  assert.is("code" in answer ? answer.code : undefined, status.UNIMPLEMENTED)
  await server.stop()
})
reflection("survives requests that make no sense", async () => {
  const server = await running()
  for (const request of [Buffer.alloc(0), string(4, "no.such.Service"), Buffer.from([0xff]), string(99, "x")])
    await reflect(server.address, request)
  await server.client.getEpoch()
  await server.stop()
})
reflection.run()

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
