import { fromBinary } from "@bufbuild/protobuf"
import { anyUnpack } from "@bufbuild/protobuf/wkt"
import { Client, credentials, Server, ServerCredentials, type ServiceError, status } from "@grpc/grpc-js"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts"
import { StatusSchema } from "../../src/gen/google/rpc/status_pb.ts"
import { Health } from "../../src/server/health.ts"
import { inFolder, rawCall, running } from "./fake.ts"
import { until } from "./raw.ts"
import { fieldsOf, string } from "./wire-fields.ts"

const CHECK = "/grpc.health.v1.Health/Check"
const LIST = "/grpc.health.v1.Health/List"
const WATCH = "/grpc.health.v1.Health/Watch"
const same = (buffer: Buffer): Buffer => buffer
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
