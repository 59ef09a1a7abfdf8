import { hash } from "node:crypto"
import { create, toBinary } from "@bufbuild/protobuf"
import { Client, credentials as credentialsOf, Metadata, status } from "@grpc/grpc-js"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { AttestationService, VerifyRequestSchema } from "../../src/gen/assay/v1/attestation_pb.ts"
import { pathOf } from "../../src/rpc.ts"
import { Acquaintances } from "../../src/server/acquaintances.ts"
import { goodVerify, result, running } from "./fake.ts"
import { pause, until } from "./raw.ts"

const unit = suite("Acquaintances")

unit("knows callers by what they have said, and nobody else", () => {
  const known = new Acquaintances()
  assert.is(known.lineOf(""), undefined)
  known.add("Bearer a", "default a")
  known.add("", "default device")
  assert.equal(
    ["Bearer a", "", "Bearer b", "Bearer A", "Bearer"].map((said) => known.lineOf(said)),
    ["default a", "default device", undefined, undefined, undefined],
  )
})
unit("knows what was found out last, should it be another", () => {
  const known = new Acquaintances()
  known.add("Bearer a", "default a")
  known.add("Bearer b", "default b")
  known.add("Bearer a", "other a")
  assert.equal([known.lineOf("Bearer a"), known.lineOf("Bearer b")], ["other a", "default b"])
})
unit("N-07 remembers a few, the latest", () => {
  const known = new Acquaintances()
  for (let i = 0; i < 100; i++) known.add(`Bearer ${i}`, `default ${i}`)
  const remembered = Array.from({ length: 100 }, (_, i) => known.lineOf(`Bearer ${i}`)).filter(
    (line) => line !== undefined,
  )
  assert.equal(
    remembered,
    [92, 93, 94, 95, 96, 97, 98, 99].map((i) => `default ${i}`),
  )
})
unit.run()

const shared = suite("a connection of several callers")
const callers = ["hostile", "honest"].map((name) => ({
  name,
  role: "gateway" as const,
  tenant: "default",
  sha256: hash("sha256", `secret-of-${name}`, "buffer"),
}))
const { verify, getEpoch } = AttestationService.method
const requests = {
  verify: [
    pathOf(verify),
    Buffer.from(toBinary(VerifyRequestSchema, create(VerifyRequestSchema, goodVerify()))),
  ],
  getEpoch: [pathOf(getEpoch), Buffer.alloc(0)],
} as const

/** A server that answers one at a time, when it is told to, and what calls on one connection to it end with. */
const onOne = async (
  waitingMax: number,
  act: (
    call: (name: string, method: keyof typeof requests) => Promise<status>,
    letGo: () => void,
  ) => Promise<void>,
): Promise<void> => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const wait = async () => {
    await promise
    return result()
  }
  const limits = { runningMax: 1, waitingMax }
  const server = await running({ verify: wait }, { credentials: callers, limits })
  const client = new Client(server.address, credentialsOf.createInsecure())
  const same = (bytes: Buffer): Buffer => bytes
  const call = (name: string, method: keyof typeof requests): Promise<status> =>
    new Promise((ended) => {
      const metadata = new Metadata()
      metadata.set("authorization", `Bearer secret-of-${name}`)
      const [path, request] = requests[method]
      client.makeUnaryRequest(path, same, same, request, metadata, (error) => ended(error?.code ?? status.OK))
    })
  try {
    await act(call, resolve)
  } finally {
    resolve()
    client.close()
    await server.stop()
  }
}

shared("refuses N-07 who asks too much, and nobody else who calls on the same connection", () =>
  onOne(4, async (call, letGo) => {
    assert.equal(
      [await call("honest", "getEpoch"), await call("hostile", "getEpoch")],
      [status.OK, status.OK],
    )
    let refused = 0
    const askToo = (): Promise<void> =>
      call("hostile", "verify").then((code) => {
        if (code === status.RESOURCE_EXHAUSTED) refused += 1
      })
    const hostile = Array.from({ length: 40 }, askToo)
    await until(() => refused >= 35)
    // One has begun meanwhile, and its place is taken.
    hostile.push(askToo(), askToo())
    await until(() => refused >= 37)
    const honest = [call("honest", "verify"), call("honest", "verify")]
    await pause(200)
    letGo()
    assert.equal(await Promise.all(honest), [status.OK, status.OK])
    await Promise.all(hostile)
    assert.is(refused, 39)
  }),
)
shared("refuses N-07 no caller for the room that another's open calls take", () =>
  onOne(4096, async (call, letGo) => {
    assert.is(await call("hostile", "getEpoch"), status.OK)
    let refused = 0
    const hostile = Array.from({ length: 1100 }, () =>
      call("hostile", "verify").then((code) => {
        if (code === status.RESOURCE_EXHAUSTED) refused += 1
      }),
    )
    await until(() => refused >= 76)
    const honest = [call("honest", "verify"), call("honest", "verify")]
    await pause(200)
    letGo()
    assert.equal(await Promise.all(honest), [status.OK, status.OK])
    await Promise.all(hostile)
    assert.is(refused, 76, "by the caller's rates, all but 1024")
  }),
)
shared.run()
