import { suite } from "uvu"
import * as assert from "uvu/assert"
import { createAdminClient } from "../../src/client/admin.ts"
import { createAttestationClient } from "../../src/client/attestation.ts"
import { AssayError } from "../../src/errors.ts"
import { goodVerify, inFolder, ones, running } from "../server/fake.ts"
import { rejectsCode, throwsCode } from "../support/assert.ts"

const test = suite("createAttestationClient")
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

test("works over TCP and over a Unix socket alike", () =>
  inFolder(async (folder) => {
    const server = await running({}, { listen: ["[::1]:0", `unix:${folder}/s.sock`] })
    for (const address of server.addresses) {
      const client = createAttestationClient(address)
      const { challenge } = await client.createChallenge({ audience: "a" })
      const answer = await client.verify({
        ...goodVerify(),
        freshness: { case: "challenge", value: challenge },
      })
      assert.is(answer.token.case, "resultToken")
      assert.is((await client.getEpoch()).number, 7n)
      client.close()
    }
    await server.stop()
  }))
test("throws the server's error with its code, place, and what became of the challenge", async () => {
  const server = await running({
    verify: async () => {
      const error = new AssayError("JOURNAL", "the disk is full", { location: "journal" })
      error.challenge = "spent"
      throw error
    },
  })
  const error = await rejectsCode(() => server.client.verify(goodVerify()), "JOURNAL")
  assert.equal(
    [error.message, error.location, error.challenge, error.kind],
    ["the disk is full", "journal", "spent", "unavailable"],
  )
  await server.stop()
})
test("throws the path of a wrong field", async () => {
  const server = await running()
  const error = await rejectsCode(() => server.client.createChallenge({}), "FIELD")
  assert.is(error.location, "audience")
  await server.stop()
})
test("refuses an address beyond this machine, to which a credential must not go in plaintext", () => {
  throwsCode(() => createAttestationClient("verifier.example:443", { credential: "secret" }), "INPUT")
  throwsCode(() => createAdminClient("10.0.0.1:443"), "INPUT")
  // HTTP/2 would drop the header, and the call would be anybody's.
  for (const credential of [" secret", "secret ", "secret\n", "", "two words", "sécret"])
    throwsCode(() => createAttestationClient("127.0.0.1:443", { credential }), "INPUT")
})
test("keeps the deadline that it is made with, and lets a call have another", async () => {
  const server = await running({ verify: () => new Promise(() => {}) }, { limits: { drainMs: 50 } })
  const client = createAttestationClient(server.address, { deadlineMs: 30 })
  const start = Date.now()
  await rejectsCode(() => client.verify(goodVerify()), "NO_ANSWER")
  await rejectsCode(() => client.verify(goodVerify(), { deadlineMs: 60 }), "NO_ANSWER")
  const ms = Date.now() - start
  assert.ok(ms >= 80 && ms < 3000, `${ms} ms`)
  client.close()
  await server.stop()
})
test("leaves no listener on a signal that it was given", async () => {
  const server = await running()
  const { signal } = new AbortController()
  const { getEventListeners } = await import("node:events")
  await server.client.getEpoch({ signal })
  const call = server.client.verifyStream({ signal })
  call.end()
  for await (const _ of call) assert.unreachable()
  assert.is(getEventListeners(signal, "abort").length, 0)
  await server.stop()
})
test("cancels a stream when its signal says so, and when its reader leaves", async () => {
  const server = await running()
  const control = new AbortController()
  const first = server.client.verifyStream({ signal: control.signal })
  await first.send({ id: "a", request: goodVerify() })
  await rejectsCode(async () => {
    for await (const _ of first) control.abort()
  }, "NO_ANSWER")
  const second = server.client.verifyStream()
  await second.send({ id: "a", request: goodVerify() })
  for await (const _ of second) break
  await pause(20)
  const ended = server.lines.filter(({ method }) => method === "assay.v1.AttestationService/VerifyStream")
  assert.is(ended.length, 2)
  await server.stop()
})
test("loses what is sent after the end of a stream, and throws nothing", async () => {
  const server = await running()
  const call = server.client.verifyStream()
  call.end()
  for await (const _ of call) assert.unreachable()
  await call.send({ id: "a", request: goodVerify() })
  call.cancel()
  await server.stop()
})
test("tells why a stream ended also to who asks late", async () => {
  const server = await running()
  const call = server.client.verifyStream()
  await call.send({ id: "a b", request: goodVerify() })
  await pause(50)
  await rejectsCode(async () => {
    for await (const _ of call) assert.unreachable()
  }, "FIELD")
  await server.stop()
})
test.run()

const admin = suite("createAdminClient")
admin("calls each method of the administration socket", () =>
  inFolder(async (folder) => {
    const server = await running({}, { listen: [], admin: `unix:${folder}/admin.sock` })
    const client = createAdminClient(server.address)
    const registered = await client.registerDevice({ id: "device-1", akPublic: ones(90) })
    assert.is(registered.device?.id, "device-1")
    assert.is(registered.device?.createTime?.seconds, 1767323045n)
    assert.is((await client.getDevice("device-1")).device?.policy, "servers")
    assert.is((await client.setPolicy("name: servers")).policy?.revision, 2n)
    await client.assignPolicy({ policy: "servers", device: "device-1" })
    assert.is((await client.assignPolicy({ policy: "servers" })).device, "")
    assert.is((await client.getPolicy("servers")).policy?.document, "name: servers")
    const caller = { tenant: "default", id: "local:admin", role: "operator" }
    const akPublic = ones(90)
    const nothing = { ekCertificateChain: [], akCertificateChain: [], ekPublic: undefined }
    assert.equal(server.seen, [
      {
        method: "registerDevice",
        input: { id: "device-1", akPublic, qualifiedName: undefined, endorsement: nothing },
        caller,
      },
      { method: "device", input: "device-1", caller },
      { method: "setPolicy", input: "name: servers", caller },
      { method: "assignPolicy", input: { policy: "servers", device: "device-1", group: undefined }, caller },
      { method: "assignPolicy", input: { policy: "servers", device: undefined, group: undefined }, caller },
      { method: "policy", input: "servers", caller },
    ])
    client.close()
    await server.stop()
  }),
)
const refused: [
  name: string,
  call: (client: ReturnType<typeof createAdminClient>) => Promise<unknown>,
  path: string,
][] = [
  ["a device without an id", (client) => client.registerDevice({ akPublic: ones(90) }), "id"],
  ["a device with a slash", (client) => client.registerDevice({ id: "a/b", akPublic: ones(90) }), "id"],
  ["a device without a key", (client) => client.registerDevice({ id: "a" }), "ak_public"],
  ["an oversized key", (client) => client.registerDevice({ id: "a", akPublic: ones(2049) }), "ak_public"],
  [
    "an oversized qualified name",
    (client) => client.registerDevice({ id: "a", akPublic: ones(9), qualifiedName: ones(67) }),
    "qualified_name",
  ],
  ["a look-up without an id", (client) => client.getDevice(""), "id"],
  ["an empty policy", (client) => client.setPolicy(""), "document"],
  ["an oversized policy", (client) => client.setPolicy("ä".repeat(131073)), "document"],
  ["an assignment without a policy", (client) => client.assignPolicy({ device: "a" }), "policy"],
  [
    "an assignment to no device's name",
    (client) => client.assignPolicy({ policy: "a", device: "*" }),
    "device",
  ],
  ["a policy's name in capitals", (client) => client.getPolicy("A"), "name"],
]
for (const [name, call, path] of refused)
  admin(`refuses ${name} with the path ${path}`, () =>
    inFolder(async (folder) => {
      const server = await running({}, { listen: [], admin: `unix:${folder}/admin.sock` })
      const client = createAdminClient(server.address)
      const error = await rejectsCode(() => call(client), "FIELD")
      assert.is(error.location, path)
      assert.is(server.seen.length, 0)
      client.close()
      await server.stop()
    }),
  )
admin.run()
