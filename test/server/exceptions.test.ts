/** What throws where nobody waits for it: each ends one call or one connection, and the process answers the next caller. */
import { connect } from "node:net"
import { connect as connectTls } from "node:tls"
import { create, toBinary } from "@bufbuild/protobuf"
import { status } from "@grpc/grpc-js"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import {
  AttestationService,
  CreateChallengeRequestSchema,
  VerifyRequestSchema,
  VerifyStreamRequestSchema,
} from "../../src/gen/assay/v1/attestation_pb.ts"
import { pathOf } from "../../src/rpc.ts"
import type { Service } from "../../src/service/service.ts"
import { keyPem, pem, SERVER_AUTHORITY } from "../support/callers.ts"
import { goodVerify, result } from "./fake.ts"
import {
  framed,
  headersFrame,
  lastData,
  pause,
  rawOpen,
  rawSession,
  rawSocket,
  rawWhole,
  until,
} from "./raw.ts"
import { gateway, outcomeOf, serving } from "./tls.ts"

const { verify, createChallenge, getEpoch, verifyStream } = AttestationService.method
const VERIFY = framed(toBinary(VerifyRequestSchema, create(VerifyRequestSchema, goodVerify())))
const CHALLENGE = framed(
  toBinary(CreateChallengeRequestSchema, create(CreateChallengeRequestSchema, { audience: "orders" })),
)
const inStream = (id: string): Buffer =>
  framed(
    toBinary(VerifyStreamRequestSchema, create(VerifyStreamRequestSchema, { id, request: goodVerify() })),
  )
const hostile = new Proxy(
  {},
  {
    get: () => {
      throw new Error("secret")
    },
  },
)
const INTERNAL = { status: String(status.INTERNAL), code: "INTERNAL" }

/** What a call without an answer comes to. */
const NEVER = { status: undefined, code: "no answer" }

const test = suite("exceptions")

/** A server of whose service something throws; afterwards it answers. */
const throwing = (overrides: Partial<Service>, act: (address: string) => Promise<void>): Promise<void> =>
  serving(
    async ({ address }) => {
      await act(address)
      assert.is(await outcomeOf(address, gateway, [], "/grpc.health.v1.Health/Check"), "OK")
    },
    undefined,
    overrides,
  )
const thrower = (thrown: unknown) => (): never => {
  throw thrown
}
const sooner = (thrown: unknown) => async (): Promise<never> => Promise.reject(thrown)
const later = (thrown: unknown) => async (): Promise<never> => {
  await pause(5)
  throw thrown
}
const ways = { "at once": thrower, "by a promise": sooner, "after a while": later }
const things: [name: string, thrown: unknown][] = [
  ["an error", new Error("secret")],
  ["nothing", undefined],
  ["an object that cannot be looked at", hostile],
  ["the end of the stack", new RangeError("Maximum call stack size exceeded")],
]
const methods: [name: keyof Service, path: string, bytes: Buffer][] = [
  ["verify", pathOf(verify), VERIFY],
  ["createChallenge", pathOf(createChallenge), CHALLENGE],
  ["epoch", pathOf(getEpoch), framed(new Uint8Array())],
]
for (const [method, path, bytes] of methods)
  for (const [way, throws] of Object.entries(ways))
    test(`answers G-10 INTERNAL to that call alone when ${method} throws ${way}`, () => {
      let thrown: unknown
      return throwing({ [method]: () => throws(thrown)() }, async (address) => {
        const session = await rawSession(address, gateway)
        const never = pause(4000).then(() => NEVER)
        for (const [, thing] of things) {
          thrown = thing
          const ended = rawWhole(session, path, bytes)
          const { status: number, code } = await Promise.race([ended, never])
          assert.equal({ status: number, code }, INTERNAL)
        }
        session.destroy()
      })
    })
for (const [name, thrown] of things)
  test(`answers G-10 one message of a stream with INTERNAL when ${name} is thrown, and the next`, () => {
    let calls = 0
    const some = async () => {
      if (calls++ === 0) throw thrown
      return result()
    }
    return throwing({ verify: some }, async (address) => {
      const session = await rawSession(address, gateway)
      const { stream, outcome } = rawOpen(session, pathOf(verifyStream))
      stream.write(inStream("a"))
      stream.end(inStream("b"))
      assert.is((await outcome).status, "0")
      assert.is(calls, 2)
      session.destroy()
    })
  })

/** Answers when it is told to, and says whether it was asked. */
const waiting = () => {
  const asked = Promise.withResolvers<void>()
  const answer = Promise.withResolvers<void>()
  const some: Service["verify"] = async () => {
    asked.resolve()
    await answer.promise
    return result()
  }
  return { asked: asked.promise, answer: answer.resolve, overrides: { verify: some } }
}
const goings: [
  name: string,
  go: (session: Awaited<ReturnType<typeof rawSession>>, call: ReturnType<typeof rawOpen>) => void,
][] = [
  ["takes its call back", (_, { stream }) => stream.close(8)],
  ["ends its connection", (session) => session.destroy()],
  ["resets its connection", (session) => session.socket?.destroy()],
  ["says goodbye", (session) => session.goaway(2)],
  ["breaks the protocol", (session) => session.destroy(undefined, 1)],
]
for (const [name, go] of goings)
  test(`survives G-10 a caller that ${name} while its answer is made`, async () => {
    const { asked, answer, overrides } = waiting()
    await throwing(overrides, async (address) => {
      const session = await rawSession(address, gateway)
      const call = rawOpen(session, pathOf(verify))
      call.stream.end(VERIFY)
      await asked
      go(session, call)
      await pause(20)
      answer()
      await pause(20)
      session.destroy()
    })
  })

const knocks: [name: string, knock: (host: string, port: number) => Promise<void>][] = [
  ["bytes that are no TLS", (host, port) => wrote(host, port, Buffer.alloc(2000, 0x41))],
  ["a request of HTTP/1", (host, port) => wrote(host, port, Buffer.from("GET / HTTP/1.1\r\n\r\n"))],
  ["half of a handshake", (host, port) => wrote(host, port, Buffer.from("16030100c8010000c40303", "hex"))],
  ["a handshake of 16 MB", (host, port) => wrote(host, port, Buffer.from("1603014000010ffffe0303", "hex"))],
  ["an alert", (host, port) => wrote(host, port, Buffer.from("15030300020228", "hex"))],
  ["nothing, and a reset", (host, port) => wrote(host, port, Buffer.alloc(0))],
  ["a handshake for another protocol", (host, port) => shook(host, port, { ALPNProtocols: ["http/1.1"] })],
  ["a handshake for no protocol", (host, port) => shook(host, port, {})],
  ["a handshake for a name that there is not", (host, port) => shook(host, port, { servername: "a.b" })],
  [
    "a handshake and bytes that are no HTTP/2",
    (host, port) => shook(host, port, { ALPNProtocols: ["h2"] }, Buffer.alloc(5000, 7)),
  ],
]
const wrote = async (host: string, port: number, bytes: Uint8Array): Promise<void> => {
  const socket = connect(port, host)
  socket.on("error", () => {})
  await new Promise((resolve) => socket.once("connect", resolve))
  socket.write(bytes)
  await pause(20)
  socket.resetAndDestroy()
}
const shook = async (
  host: string,
  port: number,
  options: { readonly ALPNProtocols?: string[]; readonly servername?: string },
  bytes = Buffer.alloc(0),
): Promise<void> => {
  const ca = pem(SERVER_AUTHORITY.der)
  const identity = { cert: pem(gateway.der), key: keyPem(gateway) }
  const socket = connectTls({ host, port, ca, checkServerIdentity: () => undefined, ...identity, ...options })
  socket.on("error", () => {})
  await Promise.race([new Promise((resolve) => socket.once("secureConnect", resolve)), pause(500)])
  socket.write(bytes)
  await pause(20)
  socket.destroy()
}
for (const [name, knock] of knocks)
  test(`survives G-10 ${name}`, () =>
    throwing({}, async (address) => {
      const [host = "", port] = address.split(":")
      for (let i = 0; i < 5; i++) await knock(host, Number(port))
    }))
test("survives G-10 a connection that is cut at each byte of a call", () =>
  throwing({}, async (address) => {
    const whole = Buffer.concat([headersFrame(1, pathOf(getEpoch)), lastData(1, framed(new Uint8Array()))])
    for (let size = 0; size < whole.length; size += 20) {
      const socket = await rawSocket(address, gateway)
      socket.write(whole.subarray(0, size))
      await pause(2)
      socket.destroy()
      await until(() => socket.destroyed)
    }
  }))

test.run()
