/**
 * Ends at the worst time, before the running service: callers that go while they are answered, bytes that begin no connection,
 * and a store that makes the work of a call throw. Each ends one call or one connection.
 */
import type { ClientHttp2Session } from "node:http2"
import { connect, type Socket } from "node:net"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { connect as connectTls } from "node:tls"
import { toBinary } from "@bufbuild/protobuf"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { VerifyRequestSchema } from "../../src/gen/assay/v1/attestation_pb.ts"
import { framed, headersFrame, lastData, pause, type RawCall, rawOpen } from "../server/raw.ts"
import { writeServer } from "../support/callers.ts"
import { policyDocument, testDevice } from "../support/world.ts"
import { EPOCH, session, VERIFY, type Victim, victimOf } from "./hostile.ts"
import { answered, enroll, sessionOf } from "./server.ts"

const test = suite("ends at the worst time")
const victim = victimOf(test, {
  settings: (folder) => ({
    listen: [
      "127.0.0.1:0",
      { address: "127.0.0.1:0", tls: writeServer(folder) },
      `unix:${join(folder, "data", "assay.sock")}`,
    ],
  }),
})

/** One attack, after which nothing is different for anybody else. */
const attack = (name: string, act: (found: Victim) => Promise<void>): void => {
  test(name, async () => {
    await act(victim())
    await victim().unharmed()
  })
}
/** A connection that may end at any time. */
const reach = async (address = ""): Promise<Socket> => {
  const [host, port] = address.split(":")
  const socket = connect(Number(port), host)
  socket.on("error", () => {}).resume()
  await new Promise((resolve) => socket.once("connect", resolve))
  return socket
}

const goings: [name: string, go: (one: ClientHttp2Session, call: RawCall) => void][] = [
  ["takes its call back", (_, { stream }) => stream.close(8)],
  ["ends its connection", (one) => one.destroy()],
  ["resets its connection", (one) => one.socket?.resetAndDestroy()],
  ["says goodbye", (one) => one.goaway(2)],
  ["breaks the protocol", (one) => one.destroy(undefined, 1)],
]
for (const [name, go] of goings)
  attack(
    `survives G-10 a caller that ${name} while its answer is made`,
    async ({ address, credential, gateway, device }) => {
      const headers = { authorization: `Bearer ${credential}` }
      // At an instant of its own each: before it is read, while it is judged, journaled and answered.
      for (let ms = 0; ms < 8; ms++) {
        const one = session(address)
        const { request } = await answered(gateway, device)
        const call = rawOpen(one, VERIFY, headers)
        call.stream.end(framed(toBinary(VerifyRequestSchema, request)))
        await pause(ms)
        go(one, call)
        await pause(1)
        one.destroy()
      }
    },
  )
const knocks: [name: string, bytes: Buffer][] = [
  ["bytes that are no TLS", Buffer.alloc(2000, 0x41)],
  ["a request of HTTP/1", Buffer.from("GET / HTTP/1.1\r\n\r\n")],
  ["half of a handshake", Buffer.from("16030100c8010000c40303", "hex")],
  ["a handshake of 16 MB", Buffer.from("1603014000010ffffe0303", "hex")],
  ["an alert", Buffer.from("15030300020228", "hex")],
  ["nothing, and a reset", Buffer.alloc(0)],
]
for (const [name, bytes] of knocks)
  attack(`survives G-10 ${name}, where TLS is asked for and where it is not`, async ({ server }) => {
    const pages = [server.publicUrl, server.privateUrl].map((url) => new URL(url).host)
    for (const address of [...server.listen.slice(0, 2), ...pages]) {
      const socket = await reach(address)
      socket.write(bytes)
      await pause(10)
      socket.resetAndDestroy()
    }
  })
attack(
  "survives G-10 a handshake for another protocol, and bytes that are none behind one",
  async ({ server }) => {
    const [host, port] = (server.listen[1] ?? "").split(":")
    for (const ALPNProtocols of [["http/1.1"], ["h2"], []]) {
      const socket = connectTls({ host, port: Number(port), rejectUnauthorized: false, ALPNProtocols })
      socket.on("error", () => {}).resume()
      await Promise.race([new Promise((resolve) => socket.once("secureConnect", resolve)), pause(200)])
      socket.write(Buffer.alloc(5000, 7))
      await pause(10)
      socket.destroy()
    }
  },
)
attack("survives G-10 a connection that is cut at each twentieth byte of a call", async ({ address }) => {
  const settings = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "latin1")
  const whole = Buffer.concat([settings, headersFrame(1, EPOCH), lastData(1, framed(new Uint8Array()))])
  for (let size = 0; size < whole.length; size += 20) {
    const socket = await reach(address)
    socket.write(whole.subarray(0, size))
    await pause(1)
    socket.resetAndDestroy()
  }
})

/** What a store has of a device after something has gone wrong. */
const damages: [name: string, change: string][] = [
  ["half of its key", "ak_public = substr(ak_public, 1, 9)"],
  ["a digest of something else", "digest = zeroblob(32)"],
  ["a qualified name of one byte", "qualified_name = x'00'"],
  ["certificates that are none", "ak_certificate_chain = x'ffff'"],
  ["labels that are no pairs", `labels = '[{"a":{}}]'`],
]
for (const [i, [name, change]] of damages.entries())
  attack(
    `ends G-10 that one call where its work throws: a device with ${name}`,
    async ({ server, gateway }) => {
      const device = testDevice()
      const id = `damaged-${i}`
      await enroll(server, device, id, policyDocument(device, { name: id }))
      const { request } = await answered(gateway, device)
      const store = new DatabaseSync(join(server.data, "assay.db"))
      store.exec("PRAGMA busy_timeout = 5000")
      assert.is(store.prepare(`UPDATE devices SET ${change} WHERE id = ?`).run(id).changes, 1)
      store.close()
      const found = await gateway.verify(request).then(sessionOf, (error) => error.code)
      assert.is(found, "REGISTRY")
    },
  )

test.run()
