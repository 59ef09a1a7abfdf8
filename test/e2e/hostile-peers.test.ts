/**
 * Peers that are slow and peers that ask for more than anybody may, before the running service with limits that are soon
 * reached: nobody else waits, and nothing is held for them.
 */
import { readFileSync } from "node:fs"
import type { ClientHttp2Session, OutgoingHttpHeaders } from "node:http2"
import { connect } from "node:net"
import { join } from "node:path"
import { create, toBinary } from "@bufbuild/protobuf"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import {
  AttestationService,
  CreateChallengeRequestSchema,
  VerifyRequestSchema,
} from "../../src/gen/assay/v1/attestation_pb.ts"
import { EnrollmentService } from "../../src/gen/assay/v1/enrollment_pb.ts"
import { pathOf } from "../../src/rpc.ts"
import { framed, type RawCall, type RawOutcome, rawOpen, rawWhole, until } from "../server/raw.ts"
import { policyDocument, testDevice } from "../support/world.ts"
import { attacking, CHECK, STREAM, session, VERIFY, victimOf } from "./hostile.ts"
import { answered, enroll } from "./server.ts"

const CHALLENGE = pathOf(AttestationService.method.createChallenge)
const BEGIN = pathOf(EnrollmentService.method.beginEnrollment)
const WATCH = "/grpc.health.v1.Health/Watch"
const MIB = 2 ** 20

const [RECEIVE_MS, STRANGERS, CALLS_MAX, STREAMS_MAX, ANYONE_MAX, BURST, GUESSES] = [
  600, 16, 40, 4, 8, 100, 5,
]
const SLOW_RATE = { perSecond: 1, burst: BURST }
const test = suite("hostile peers")
const victim = victimOf(test, {
  settings: () => ({
    limits: {
      ...{ receiveSeconds: RECEIVE_MS / 1000, strangers: STRANGERS, strangerSeconds: 1 },
      heldBytesPerCaller: 4 * MIB,
    },
    rates: {
      ...{ challenge: SLOW_RATE, enrollment: SLOW_RATE, guess: { perSecond: 1, burst: GUESSES } },
      ...{ callsMax: CALLS_MAX, streamsMax: STREAMS_MAX, anyoneMax: ANYONE_MAX },
    },
  }),
})

const attack = attacking(test, victim)

const nothing = framed(new Uint8Array())
const [half, large] = [
  framed(Buffer.alloc(10), { size: 1000 }),
  framed(Buffer.alloc(10_000), { size: 1.5 * MIB }),
]
const challenge = framed(
  toBinary(CreateChallengeRequestSchema, create(CreateChallengeRequestSchema, { audience: "orders" })),
)
/** So many calls, begun alike. */
const opened = (
  one: ClientHttp2Session,
  count: number,
  path: string,
  headers: OutgoingHttpHeaders,
  bytes?: Uint8Array,
): readonly RawCall[] =>
  Array.from({ length: count }, () => {
    const call = rawOpen(one, path, headers)
    if (bytes !== undefined) call.stream.write(bytes)
    return call
  })
/** How many have ended with a code so far. */
const endings = (calls: readonly RawCall[]): ((code: string) => number) => {
  const ended: RawOutcome[] = []
  for (const { outcome } of calls) void outcome.then((one) => ended.push(one))
  return (code) => ended.filter((one) => one.code === code).length
}

const slow: [name: string, path: string, bytes: Buffer | undefined, known: boolean][] = [
  ["nothing at all", VERIFY, undefined, true],
  ["half of the bytes before a message", VERIFY, Buffer.alloc(3), true],
  ["half of a message", VERIFY, half, true],
  ["a message without its end", VERIFY, nothing, true],
  ["half of a stream's message", STREAM, half, true],
  ["half of a question that anyone may ask", CHECK, half, false],
  ["nothing to what anyone may ask", CHECK, undefined, false],
]
/** All at a time, for each waits as long. */
let slowly: ReadonlyMap<string, Promise<RawOutcome>> | undefined
const beginSlowly = (): ReadonlyMap<string, Promise<RawOutcome>> => {
  const one = session(victim().address)
  const calls = slow.map(([name, path, bytes, known]): [string, Promise<RawOutcome>] => {
    const own = known ? { authorization: `Bearer ${victim().credential}` } : {}
    const [call] = opened(one, 1, path, { ...own, "grpc-timeout": "400S" }, bytes)
    return [name, call?.outcome ?? Promise.reject(new TypeError("one call"))]
  })
  void Promise.all(calls.map(([, outcome]) => outcome)).finally(() => one.destroy())
  return new Map(calls)
}
for (const [name] of slow)
  attack(`refuses G-06 a caller that sends ${name}, after a while`, async () => {
    slowly ??= beginSlowly()
    const outcome = await slowly.get(name)
    assert.equal([outcome?.code, outcome?.status], ["SLOW", "4"])
  })
attack("refuses G-06 one byte at a time to be no end", async (one, headers) => {
  const [call] = opened(one, 1, VERIFY, headers, framed(Buffer.alloc(1), { size: 1000 }))
  const timer = setInterval(() => call?.stream.write(Buffer.alloc(1)), 20)
  assert.is((await call?.outcome)?.code, "SLOW")
  clearInterval(timer)
})
attack(
  "takes G-06 a message whose bytes come each in a frame of its own",
  async (one, headers, { gateway }) => {
    const device = testDevice()
    await enroll(victim().server, device, "byte-by-byte", policyDocument(device, { name: "byte-by-byte" }))
    const { request } = await answered(gateway, device)
    const { stream, outcome } = rawOpen(one, VERIFY, headers)
    for (const byte of framed(toBinary(VerifyRequestSchema, request)).subarray(0, 1500))
      stream.write(Buffer.of(byte))
    stream.end(framed(toBinary(VerifyRequestSchema, request)).subarray(1500))
    assert.is((await outcome).status, "0")
  },
)
attack("refuses G-06 to hold more bytes of one caller than it may send at a time", async (one, headers) => {
  const ended = endings(opened(one, 10, VERIFY, headers, large))
  await until(() => ended("OVERLOADED") === 8)
})
attack("refuses G-06 connections of nobody beyond a few, and ends those that do nothing", async () => {
  const [host, port] = victim().address.split(":")
  let closed = 0
  for (let i = 0; i < 4 * STRANGERS; i++)
    connect(Number(port), host)
      .on("error", () => {})
      .on("close", () => closed++)
      .resume()
  await until(() => closed >= 3 * STRANGERS)
  await until(() => closed === 4 * STRANGERS)
})

/** So many calls of somebody at once over two connections: how many ended with each code, or with a status of gRPC's. */
const flood = async (
  who: "backend" | "gateway",
  count: number,
  path: string,
  bytes: Uint8Array,
): Promise<ReadonlyMap<string, number>> => {
  const { server, address } = victim()
  const authorization = `Bearer ${readFileSync(join(server.data, `${who}.credential`), "utf8").trim()}`
  const two = [session(address), session(address)]
  const calls = Array.from({ length: count }, (_, i) =>
    rawWhole(two[i % 2] ?? session(address), path, bytes, { authorization }),
  )
  const counts = new Map<string, number>()
  for (const { code, status } of await Promise.all(calls))
    counts.set(code ?? String(status), (counts.get(code ?? String(status)) ?? 0) + 1)
  for (const one of two) one.destroy()
  return counts
}
const floods: [name: string, who: "backend" | "gateway", path: string, bytes: Uint8Array][] = [
  ["challenges", "backend", CHALLENGE, challenge],
  ["enrollments", "gateway", BEGIN, nothing],
]
for (const [name, who, path, bytes] of floods)
  attack(`refuses N-07 ${name} of one caller beyond its rate, over all its connections`, async () => {
    // Few at a time, for calls at a time have a bound of their own.
    let refused = 0
    for (let sent = 0; sent < 2 * BURST; sent += CALLS_MAX / 2)
      refused += (await flood(who, CALLS_MAX / 2, path, bytes)).get("RATE") ?? 0
    assert.ok(refused >= BURST / 2, `${refused}`)
  })
attack("refuses N-07 calls of one caller at a time beyond a few", async (one, headers) => {
  const ended = endings(opened(one, CALLS_MAX + 10, VERIFY, headers))
  await until(() => ended("RATE") === 10)
})
attack("refuses N-07 streams of one caller at a time beyond a few", async (one, headers) => {
  const ended = endings(opened(one, STREAMS_MAX + 6, STREAM, headers))
  await until(() => ended("RATE") === 6)
})
attack("refuses N-07 calls that need no caller, beyond a few of one address at a time", async (one) => {
  const watches = opened(one, ANYONE_MAX + 7, WATCH, {})
  for (const { stream } of watches) stream.end(nothing)
  const ended = endings(watches)
  await until(() => ended("RATE") === 7)
})
attack("refuses N-07 to be asked for one enrollment token after another", async (one) => {
  const codes = []
  for (let i = 0; i < GUESSES + 5; i++) {
    const authorization = `Bearer aet_${`${i}`.padStart(43, "A")}`
    codes.push((await rawWhole(one, BEGIN, nothing, { authorization })).code)
  }
  assert.equal(new Set(codes.slice(0, GUESSES)), new Set(["CALLER_UNKNOWN"]))
  assert.is(codes.at(-1), "RATE")
})

test.run()
