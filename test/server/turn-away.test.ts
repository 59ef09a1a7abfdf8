import { create, toBinary } from "@bufbuild/protobuf"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { PolicyService } from "../../src/gen/assay/v1/admin_pb.ts"
import { AttestationService, VerifyRequestSchema } from "../../src/gen/assay/v1/attestation_pb.ts"
import { EnrollmentService } from "../../src/gen/assay/v1/enrollment_pb.ts"
import { pathOf } from "../../src/rpc.ts"
import type { Holder } from "../support/callers.ts"
import { goodVerify, type Running } from "./fake.ts"
import {
  frame,
  framed,
  headersFrame,
  lastData,
  pause,
  rawOpen,
  rawSession,
  rawSocket,
  rawWhole,
} from "./raw.ts"
import { gateway, limited, operator, serving } from "./tls.ts"

const VERIFY = pathOf(AttestationService.method.verify)
const STREAM = pathOf(AttestationService.method.verifyStream)
const EPOCH = pathOf(AttestationService.method.getEpoch)
const REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
const nothing = framed(new Uint8Array())
const good = framed(toBinary(VerifyRequestSchema, create(VerifyRequestSchema, goodVerify())))
/** So slow that nothing is granted anew while a test runs. */
const few = (burst: number) => ({ perSecond: 0.01, burst })

const test = suite("calls that nothing is done for")

/** A call that is made again and again: what its connection has called first, if anything, and what it sends. */
type Flood = readonly [
  name: string,
  holder: Holder | undefined,
  path: string,
  message: Buffer,
  first?: string | undefined,
]

/**
 * Sends calls on one connection until it is ended, or for a long while, so many at a time; gives how many that were, and over how
 * long.
 */
const flood = async (
  { address }: Running,
  [, holder, path, message, first]: Flood,
  headers: readonly (readonly [string, string])[] = [],
  atOnce = 50,
): Promise<{ sent: number; ms: number }> => {
  const socket = await rawSocket(address, holder)
  socket.resume()
  let id = 1
  if (first !== undefined) {
    socket.write(Buffer.concat([headersFrame(id, first), lastData(id, nothing)]))
    await pause(100)
  }
  let sent = 0
  const startMs = performance.now()
  while (!socket.closed && sent < 4000) {
    const frames: Buffer[] = []
    for (let i = 0; i < atOnce; i++, sent++) {
      id += 2
      frames.push(headersFrame(id, path, headers), lastData(id, message))
    }
    socket.write(Buffer.concat(frames))
    await pause(2)
  }
  socket.destroy()
  return { sent, ms: performance.now() - startMs }
}
const assertEnded = ({ sent, ms }: { sent: number; ms: number }): void => {
  // 512 at once, and 100 a second, and what is under way.
  assert.ok(sent < 900 + ms / 10, `${sent} calls before the end`)
}
const assertServing = async ({ address }: Running): Promise<void> => {
  const session = await rawSession(address, gateway)
  assert.is((await rawWhole(session, EPOCH, nothing)).status, "0", "and nobody else is held up")
  session.destroy()
}

const UNSERVED: readonly (readonly [name: string, path: string])[] = [
  ["a service that there is not", "/x.Y/Z"],
  ["a method that a service does not have", "/assay.v1.AttestationService/Verifies"],
  ["a method and more", `${VERIFY}/`],
  ["a method in lower case", VERIFY.toLowerCase()],
  ["reflection where it is not served", REFLECTION],
  ["a name that every object has", "/assay.v1.AttestationService/constructor"],
]
for (const [name, path] of UNSERVED)
  test(`G-09 turns away who calls ${name}, says so, and ends a stranger's connection that goes on`, () => {
    const seen: string[] = []
    return serving(
      async (server) => {
        const session = await rawSession(server.address)
        const { status, http, code } = await rawWhole(session, path, nothing)
        assert.equal([status, http, code], ["12", 200, "PROTO"])
        session.destroy()
        assertEnded(await flood(server, [name, undefined, path, nothing]))
        await assertServing(server)
        const lines = server.lines.filter(({ msg }) => msg === "call")
        assert.ok(lines.length < 2000)
        assert.is(lines[0]?.["method"], "unknown method")
        assert.not(JSON.stringify(lines).includes(path.slice(1)), "nothing that the caller has chosen")
        assert.equal(seen.slice(0, 2), ["unknown method UNIMPLEMENTED", "unknown method UNIMPLEMENTED"])
      },
      limited({}, { reflection: false, observe: (method, code) => void seen.push(`${method} ${code}`) }),
    )
  })
/** More than 128 of them, which is as many as Node lets in. */
const times = (count: number, header: (i: number) => readonly [string, string]) =>
  Array.from({ length: count }, (_, i) => header(i))
const TOO_MANY: readonly (readonly [
  name: string,
  headers: readonly (readonly [string, string])[],
  holder: Holder | undefined,
  first: string | undefined,
])[] = [
  ["small ones, of a stranger", times(1000, (i) => [`x-${i}`, "1"]), undefined, undefined],
  ["of one name, of a stranger", times(1000, () => ["x-same", "1"]), undefined, undefined],
  ["just too many, of a stranger who has called", times(140, () => ["a", ""]), undefined, EPOCH],
  [
    "with values, of a stranger who has called",
    times(140, (i) => [`x-${i}`, "y".repeat(90)]),
    undefined,
    EPOCH,
  ],
  ["small ones, of a known caller", times(1000, (i) => [`x-${i}`, "1"]), gateway, EPOCH],
  ["that say who calls, of a known caller", times(300, () => ["authorization", "Bearer x"]), gateway, EPOCH],
]
for (const [name, headers, holder, first] of TOO_MANY)
  test(`ends G-04 the connection of calls with too many headers, which never come to us: ${name}`, () =>
    serving(async (server) => {
      const { sent } = await flood(server, [name, holder, EPOCH, nothing, first], headers, 5)
      assert.ok(sent < 3500, `${sent} calls before the end`)
      await assertServing(server)
    }, limited({})))
test("leaves whoever has called with too many headers G-04 now and then", () =>
  serving(async ({ address }) => {
    const session = await rawSession(address, gateway)
    const much = Object.fromEntries(times(200, (i) => [`x-${i}`, "1"]))
    for (let i = 0; i < 60; i++)
      assert.is((await rawWhole(session, EPOCH, nothing, much)).status, undefined, "it was reset")
    await pause(600)
    assert.is((await rawWhole(session, EPOCH, nothing)).status, "0")
    session.destroy()
  }, limited({})))
test("ends G-05 a connection on which much comes and nobody calls", () =>
  serving(async (server) => {
    const socket = await rawSocket(server.address)
    socket.resume()
    const sinceMs = performance.now()
    // Frames of a type that there is not, which have to be ignored (RFC 9113, 4.1).
    for (let i = 0; !socket.closed && i < 400; i++) {
      socket.write(frame(0xbe, 0, 0, Buffer.alloc(16_000)))
      await pause(5)
    }
    socket.destroy()
    assert.ok(performance.now() - sinceMs < 1900, "it was let go on")
    await assertServing(server)
  }, limited({})))

const foreign: [name: string, headers: Record<string, string>, http: number][] = [
  ["a text", { "content-type": "text/plain" }, 415],
  ["JSON", { "content-type": "application/json" }, 415],
  ["a form", { "content-type": "application/x-www-form-urlencoded" }, 415],
  ["an empty content type", { "content-type": "" }, 415],
  ["gRPC for the web", { "content-type": "application/grpc-web" }, 200],
]
for (const [name, headers, http] of foreign)
  test(`G-09 turns away who sends ${name} to a method that there is, and ends a connection that goes on`, () =>
    serving(async (server) => {
      const session = await rawSession(server.address, gateway)
      const answer = await rawWhole(session, VERIFY, good, headers)
      assert.equal([answer.http, answer.code], [http, "PROTO"])
      session.destroy()
      assert.is(server.seen.length, 0)
      assertEnded(await flood(server, [name, undefined, VERIFY, good], [["grpc-timeout", "soon"]]))
      await assertServing(server)
    }))
test("G-09 counts calls to what nobody serves among those of an address", () =>
  serving(
    async ({ address }) => {
      const session = await rawSession(address)
      const codes: (string | undefined)[] = []
      for (let i = 0; i < 5; i++) codes.push((await rawWhole(session, "/x.Y/Z", nothing)).code)
      assert.equal(codes, ["PROTO", "PROTO", "PROTO", "RATE", "RATE"])
      session.destroy()
    },
    limited({}, { rates: { source: few(3) } }),
  ))

const known: Flood[] = [
  ["calls without a message", gateway, VERIFY, Buffer.alloc(0), EPOCH],
  ["calls with half a message", gateway, VERIFY, good.subarray(0, 20), EPOCH],
  ["calls with two messages", gateway, VERIFY, Buffer.concat([good, good]), EPOCH],
  ["messages of a flag that there is not", gateway, VERIFY, framed(Buffer.alloc(5), { flag: 2 }), EPOCH],
  [
    "messages that say that they are too large",
    gateway,
    VERIFY,
    framed(Buffer.alloc(5), { size: 2 ** 31 }),
    EPOCH,
  ],
  ["what is not for its role", operator, VERIFY, good, pathOf(PolicyService.method.getPolicy)],
  ["calls to what nobody serves", gateway, "/x.Y/Z", nothing, EPOCH],
]
for (const one of known)
  test(`G-09 ends the connection of a known caller that goes on with ${one[0]}`, () =>
    serving(
      async (server) => {
        assertEnded(await flood(server, one))
        await assertServing(server)
      },
      // Alone, without what else would keep it back.
      limited({}, { rates: { refused: { perSecond: 1e6, burst: 1e6 } } }),
    ))
const guessed: [name: string, path: string, message: Buffer][] = [
  ["BeginEnrollment", pathOf(EnrollmentService.method.beginEnrollment), nothing],
  ["CompleteEnrollment", pathOf(EnrollmentService.method.completeEnrollment), nothing],
  ["CreateChallenge", pathOf(AttestationService.method.createChallenge), nothing],
  ["Verify", VERIFY, good],
  ["VerifyStream", STREAM, nothing],
]
for (const [name, path, message] of guessed)
  test(`N-07 ends the connection of a known caller that goes on with enrollment tokens that are none: ${name}`, () => {
    let looked = 0
    const enrollmentToken = async (): Promise<undefined> => {
      looked += 1
    }
    return serving(
      async (server) => {
        const sent = await flood(
          server,
          [name, gateway, path, message, EPOCH],
          [["authorization", "Bearer aet_none"]],
        )
        assertEnded(sent)
        assert.ok(looked <= 20, `${looked} were looked for`)
        await assertServing(server)
      },
      limited({}, { enrollmentToken, rates: { guess: few(20) } }),
    )
  })
test("N-07 does not end the connection of a known caller for too many calls that anyone may make", () =>
  serving(
    async ({ address }) => {
      const session = await rawSession(address, gateway)
      assert.is((await rawWhole(session, EPOCH, nothing)).status, "0")
      const codes: Record<string, number> = {}
      for (let i = 0; i < 20; i++) {
        const calls = Array.from({ length: 50 }, () =>
          rawWhole(session, "/grpc.health.v1.Health/Check", nothing),
        )
        for (const { status, code } of await Promise.all(calls)) {
          const key = code ?? `${status}`
          codes[key] = (codes[key] ?? 0) + 1
        }
      }
      assert.equal(codes, { 0: 5, RATE: 995 })
      assert.is(session.closed, false)
      session.destroy()
    },
    limited({}, { rates: { anyone: few(5) } }),
  ))
test("N-07 refuses at once who is beyond its rate, and does not end its connection", () => {
  const seen: string[] = []
  return serving(
    async ({ address }) => {
      const session = await rawSession(address, gateway)
      const codes: Record<string, number> = {}
      for (let i = 0; i < 30; i++) {
        const calls = Array.from({ length: 50 }, () => rawWhole(session, EPOCH, nothing))
        for (const { status, code } of await Promise.all(calls)) {
          const key = code ?? `${status}`
          codes[key] = (codes[key] ?? 0) + 1
        }
      }
      assert.equal(codes, { 0: 5, RATE: 1495 })
      assert.is(session.closed, false)
      assert.ok(seen.length < 60, `${seen.length} have cost what a call costs`)
      session.destroy()
    },
    limited({}, { rates: { caller: few(5) }, observe: (_method, code) => void seen.push(code) }),
  )
})
test("N-07 refuses at once a caller of whose calls too many were refused late, on all its connections, and nobody else", () => {
  const seen: string[] = []
  return serving(
    async (server) => {
      const { address } = server
      const [one, two] = [await rawSession(address, gateway), await rawSession(address, gateway)]
      for (const session of [one, two]) assert.is((await rawWhole(session, EPOCH, nothing)).status, "0")
      const held = [rawOpen(one, STREAM), rawOpen(one, STREAM)]
      await pause(100)
      const codes: (string | undefined)[] = []
      for (let i = 0; i < 20; i++) codes.push((await rawWhole(two, STREAM, nothing)).code)
      assert.equal(codes, Array(20).fill("RATE"))
      assert.is(seen.filter((code) => code === "RESOURCE_EXHAUSTED").length, 10)
      assert.is((await rawWhole(one, EPOCH, nothing)).code, "RATE")
      const other = await rawSession(address, operator)
      assert.is((await rawWhole(other, EPOCH, nothing)).code, "PERMISSION")
      for (const { stream } of held) stream.close(8)
      for (const session of [one, two, other]) session.destroy()
    },
    limited(
      {},
      { rates: { refused: few(10), streamsMax: 2 }, observe: (_method, code) => void seen.push(code) },
    ),
  )
})
test.run()
