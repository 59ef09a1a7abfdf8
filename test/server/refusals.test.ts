import type { ClientHttp2Session } from "node:http2"
import { create, toBinary } from "@bufbuild/protobuf"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { GetPolicyRequestSchema, PolicyService } from "../../src/gen/assay/v1/admin_pb.ts"
import { AttestationService, VerifyRequestSchema } from "../../src/gen/assay/v1/attestation_pb.ts"
import { pathOf } from "../../src/rpc.ts"
import { goodVerify, type Running } from "./fake.ts"
import { framed, pause, rawOpen, rawSession, rawWhole, until } from "./raw.ts"
import { gateway, limited, operator, serving } from "./tls.ts"

const VERIFY = pathOf(AttestationService.method.verify)
const STREAM = pathOf(AttestationService.method.verifyStream)
const EPOCH = pathOf(AttestationService.method.getEpoch)
const POLICY = pathOf(PolicyService.method.getPolicy)
const nothing = framed(new Uint8Array())
const good = framed(toBinary(VerifyRequestSchema, create(VerifyRequestSchema, goodVerify())))
const named = framed(toBinary(GetPolicyRequestSchema, create(GetPolicyRequestSchema, { name: "servers" })))
const CONNECTIONS = 4
const CALLS = 800
/** Without turns, all of them come first. How many do with turns is a matter of how long those take here. */
const MOST = 0.9 * CONNECTIONS * CALLS

const test = suite("refusals at once")

/** Whoever has made five calls is refused at once from then on. */
const rated = limited({}, { rates: { caller: { perSecond: 0.01, burst: 5 } } })

/** Connections of a caller that has spent its rate. */
const spent = async ({ address }: Running): Promise<ClientHttp2Session[]> => {
  const sessions = await Promise.all(Array.from({ length: CONNECTIONS }, () => rawSession(address, gateway)))
  for (const session of sessions) assert.is((await rawWhole(session, EPOCH, nothing)).status, "0")
  const [first] = sessions
  if (first === undefined) throw new Error("no connection")
  for (let i = CONNECTIONS; i < 5; i++) await rawWhole(first, EPOCH, nothing)
  return sessions
}

const floods: [name: string, path: string, message: Buffer][] = [
  ["good requests", VERIFY, good],
  ["empty requests", VERIFY, nothing],
  ["calls without a message", VERIFY, Buffer.alloc(0)],
  ["messages that are no protobuf", VERIFY, framed(Buffer.alloc(64, 0xff))],
  ["a field that there is not", VERIFY, framed(Buffer.of(0xfa, 0x3f, 2, 1, 2))],
  ["messages that say that they are too large", VERIFY, framed(Buffer.alloc(5), { size: 2 ** 31 })],
  ["what is not for its role", POLICY, named],
  ["calls to what nobody serves", "/x.Y/Z", nothing],
  ["streams", STREAM, nothing],
]
for (const [name, path, message] of floods)
  test(`G-09 answers another caller between the refusals of one that sends ${name} on many connections`, () =>
    serving(async (server) => {
      const sessions = await spent(server)
      const other = await rawSession(server.address, operator)
      const codes: Record<string, number> = {}
      let answered = 0
      const flood = sessions.flatMap((session) =>
        Array.from({ length: CALLS }, async () => {
          const { code = "" } = await rawWhole(session, path, message)
          answered += 1
          codes[code] = (codes[code] ?? 0) + 1
        }),
      )
      assert.is((await rawWhole(other, POLICY, named)).status, "0")
      const before = answered
      await Promise.all(flood)
      assert.equal(codes, { RATE: CONNECTIONS * CALLS }, "each of them is answered")
      assert.ok(before < MOST, `${before} refusals came first`)
      for (const session of [...sessions, other]) session.destroy()
    }, rated))
test("G-09 refuses one call of a connection before the many of another one that came first", () =>
  serving(async (server) => {
    const sessions = await spent(server)
    const [one, two] = sessions
    if (one === undefined || two === undefined) throw new Error("no connections")
    let answered = 0
    const flood = Array.from({ length: CONNECTIONS * CALLS }, async () => {
      await rawWhole(one, VERIFY, good)
      answered += 1
    })
    assert.is((await rawWhole(two, EPOCH, nothing)).code, "RATE")
    assert.ok(answered < MOST, `${answered} refusals came first`)
    await Promise.all(flood)
    for (const session of sessions) session.destroy()
  }, rated))
test("refuses N-07 more calls in a turn of the loop when turns take long, so that steady calls do not wait ever longer", () =>
  serving(async (server) => {
    const [session, ...others] = await spent(server)
    if (session === undefined) throw new Error("no connection")
    let turns = 0
    const dawdle = (): void => {
      turns += 1
      const endMs = performance.now() + 40
      while (performance.now() < endMs);
      dawdling = setImmediate(dawdle)
    }
    let dawdling = setImmediate(dawdle)
    await Promise.all(Array.from({ length: CONNECTIONS * CALLS }, () => rawWhole(session, VERIFY, nothing)))
    clearImmediate(dawdling)
    assert.ok(turns < 11, `${turns} turns`)
    for (const one of [session, ...others]) one.destroy()
  }, rated))
test("G-03 goes on when calls are taken back that wait for their refusal, and when their connection goes", () =>
  serving(async (server) => {
    const [leaving, cut, ...others] = await spent(server)
    if (leaving === undefined || cut === undefined) throw new Error("no connections")
    for (let i = 0; i < CALLS; i++) rawOpen(cut, VERIFY)
    const calls = Array.from({ length: CALLS }, () => rawOpen(leaving, VERIFY))
    const thrown: Error[] = []
    const note = (error: Error): void => void thrown.push(error)
    process.on("uncaughtException", note)
    try {
      await pause(5)
      for (const { stream } of calls) stream.close(8)
      cut.destroy()
      await until(() => calls.every(({ stream }) => stream.destroyed))
      const other = await rawSession(server.address, operator)
      assert.is((await rawWhole(other, POLICY, named)).status, "0")
      for (const session of [leaving, ...others, other]) session.destroy()
    } finally {
      process.off("uncaughtException", note)
    }
    assert.equal(thrown, [])
  }, rated))
test.run()
