/** Peers that take nothing, close nothing, or send what is nothing to speak of. */
import { once } from "node:events"
import { type ClientHttp2Session, connect } from "node:http2"
import { connect as connectTcp, type Socket } from "node:net"
import { connect as connectTls } from "node:tls"
import { gzipSync } from "node:zlib"
import { create, toBinary } from "@bufbuild/protobuf"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import {
  AttestationService,
  VerifyRequestSchema,
  VerifyStreamRequestSchema,
} from "../../src/gen/assay/v1/attestation_pb.ts"
import { pathOf } from "../../src/rpc.ts"
import { keyPem, pem, SERVER_AUTHORITY } from "../support/callers.ts"
import { goodVerify, result } from "./fake.ts"
import { frame, framed, headersFrame, pause, rawOpen, rawSession, rawSocket, SETTINGS, until } from "./raw.ts"
import { gateway, limited, serving } from "./tls.ts"

const VERIFY = pathOf(AttestationService.method.verify)
const STREAM = pathOf(AttestationService.method.verifyStream)
const message = toBinary(VerifyRequestSchema, create(VerifyRequestSchema, goodVerify()))
const asked = framed(
  toBinary(VerifyStreamRequestSchema, create(VerifyStreamRequestSchema, { id: "a", request: goodVerify() })),
)
const DATA = 0

/** A connection that lets no answer come until it says so. */
const shut = async (address: string): Promise<ClientHttp2Session> => {
  const session = connect(`https://${address}`, {
    ca: pem(SERVER_AUTHORITY.der),
    cert: pem(gateway.der),
    key: keyPem(gateway),
    settings: { initialWindowSize: 0 },
  })
  session.on("error", () => {})
  await once(session, "localSettings")
  return session
}

const test = suite("peers that take nothing")

test("G-05 counts an answer that nobody takes as an open call, and lets it go when it is taken", () => {
  const ended: string[] = []
  return serving(
    async ({ address }) => {
      const session = await shut(address)
      const calls = [0, 1, 2, 3].map(() => rawOpen(session, VERIFY))
      for (const { stream } of calls) stream.end(framed(message))
      await until(() => ended.length === 2)
      await pause(100)
      assert.equal(ended, ["RATE", "RATE"])
      session.settings({ initialWindowSize: 65_535 })
      await until(() => ended.length === 4)
      assert.equal(ended.slice(2), ["OK", "OK"])
      session.destroy()
    },
    limited(
      {},
      {
        rates: { callsMax: 2 },
        observe: (_method, code) => void ended.push(code),
        refused: (code) => void ended.push(code),
      },
    ),
  )
})
test("G-05 waits with its end for who takes an answer late", () =>
  serving(async ({ address, stop }) => {
    const session = await shut(address)
    const { stream, outcome } = rawOpen(session, VERIFY)
    stream.end(framed(message))
    await once(stream, "response")
    const stopped = stop()
    await pause(600)
    session.settings({ initialWindowSize: 65_535 })
    assert.is((await outcome).status, "0")
    await stopped
    session.destroy()
  }))
test("G-05 ends a stream whose answers nobody takes", () =>
  serving(
    async ({ address }) => {
      const session = await shut(address)
      const { stream } = rawOpen(session, STREAM)
      stream.write(asked)
      await until(() => stream.closed)
      assert.is(stream.rstCode, 8)
      session.destroy()
    },
    limited({ takeMs: 300 }),
  ))

const pieces: [
  name: string,
  path: string,
  headers: readonly (readonly [string, string])[],
  bytes: Uint8Array,
][] = [
  ["a request", VERIFY, [], message],
  ["a request of a stream", STREAM, [], message],
  ["a compressed request", VERIFY, [["grpc-encoding", "gzip"]], gzipSync(message)],
]
for (const [name, path, headers, bytes] of pieces)
  test(`refuses G-06 ${name} that comes byte by byte, before it has taken many times its size`, () => {
    const ended: string[] = []
    return serving(
      async ({ address }) => {
        const socket = await rawSocket(address, gateway)
        socket.resume()
        socket.write(headersFrame(1, path, headers))
        socket.write(frame(DATA, 0, 1, framed(bytes, { size: 60_000 }).subarray(0, 5)))
        const piece = frame(DATA, 0, 1, Buffer.alloc(1))
        socket.write(Buffer.concat(new Array<Buffer>(1000).fill(piece)))
        await until(() => socket.closed)
        await until(() => ended.length === 1)
        assert.ok(ended[0] === "INVALID_ARGUMENT" || ended[0] === "UNIMPLEMENTED", ended[0])
      },
      limited({}, { observe: (_method, code) => void ended.push(code) }),
    )
  })

/** A connection of which nothing but its being there is known to the server. */
const silent = async (address: string, allowHalfOpen: boolean): Promise<Socket> => {
  const [host = "", port] = address.split(":")
  const socket = connectTcp({ host, port: Number(port), allowHalfOpen })
  socket.on("error", () => {})
  await once(socket, "connect")
  return socket
}
test("serves G-10 nobody who was connected before it stopped and shakes hands after", () =>
  serving(
    async ({ address, stop }) => {
      const session = await rawSession(address, gateway)
      const slow = rawOpen(session, VERIFY)
      slow.stream.end(framed(message))
      const early = await silent(address, false)
      await pause(50)
      const events: string[] = []
      const stopped = stop().then(() => events.push("stopped"))
      const socket = connectTls({ socket: early, ca: pem(SERVER_AUTHORITY.der), ALPNProtocols: ["h2"] })
      socket.on("error", () => {})
      socket.once("close", () => events.push("closed"))
      assert.is((await slow.outcome).status, "0")
      await stopped
      await until(() => events.length === 2)
      assert.equal(events, ["closed", "stopped"])
      session.destroy()
    },
    limited({}),
    {
      verify: async () => {
        await pause(500)
        return result("late")
      },
    },
  ))
test("ends G-10 with a peer left that says nothing and closes nothing", () =>
  serving(async ({ address, stop }) => {
    const socket = connectTls({
      socket: await silent(address, true),
      ca: pem(SERVER_AUTHORITY.der),
      ALPNProtocols: ["h2"],
    })
    let isReset = false
    socket.on("error", () => {
      isReset = true
    })
    await once(socket, "secureConnect")
    socket.write(Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(SETTINGS, 0, 0)]))
    await pause(50)
    await stop()
    // Nobody is there any more: what is sent is answered with a reset, not kept.
    await until(() => {
      socket.write("x")
      return isReset
    })
    socket.destroy()
  }))

test.run()
