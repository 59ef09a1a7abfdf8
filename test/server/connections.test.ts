import type { ClientHttp2Session } from "node:http2"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { AttestationService } from "../../src/gen/assay/v1/attestation_pb.ts"
import { pathOf } from "../../src/rpc.ts"
import { Connection } from "../../src/server/connection.ts"
import type { Limits } from "../../src/server/limits.ts"
import { bareCall, framed, pause, rawOpen, rawSession, rawWhole, until } from "./raw.ts"
import { gateway, limited, serving } from "./tls.ts"

const EPOCH = pathOf(AttestationService.method.getEpoch)
const nothing = framed(new Uint8Array())
const never = (): undefined => undefined
const nothingToCut = (): void => {}

const test = suite("connections")

/** As many connections as there may be, of so many that are tried one after another. */
const open = async (
  address: string,
  count: number,
  holder?: typeof gateway,
): Promise<ClientHttp2Session[]> => {
  const sessions: ClientHttp2Session[] = []
  for (let i = 0; i < count; i++) {
    try {
      const session = await rawSession(address, holder)
      if (holder !== undefined) await rawWhole(session, EPOCH, nothing)
      sessions.push(session)
    } catch {
      // It was refused.
    }
  }
  return sessions
}
const close = (sessions: readonly ClientHttp2Session[]): void => {
  for (const session of sessions) session.destroy()
}

const bounds: [name: string, limits: Partial<Limits>, known: boolean, count: number][] = [
  ["connections of everybody", { connectionsMax: 3 }, true, 3],
  ["connections of one address", { addressConnectionsMax: 4 }, true, 4],
  ["connections of one address on which nobody has called", { strangersMax: 2 }, false, 2],
]
for (const [name, limits, known, count] of bounds)
  test(`refuses G-06 more ${name} than there may be, and takes others when some have gone`, () =>
    serving(async ({ address }) => {
      const first = await open(address, count + 3, known ? gateway : undefined)
      assert.is(first.length, count)
      close(first)
      await pause(50)
      const next = await open(address, count + 3, known ? gateway : undefined)
      assert.is(next.length, count)
      close(next)
    }, limited(limits)))
test("counts nobody for a stranger who has called", () =>
  serving(
    async ({ address }) => {
      const known = await open(address, 6, gateway)
      assert.is(known.length, 6)
      close(known)
    },
    limited({ strangersMax: 2 }),
  ))
test("refuses G-06 connections to stay that do nothing, and leaves those of known callers", () =>
  serving(
    async ({ address }) => {
      const [known, idle, asked] = [...(await open(address, 1, gateway)), ...(await open(address, 2))]
      if (known === undefined || idle === undefined || asked === undefined) throw new Error("no connections")
      const watch = rawOpen(asked, "/grpc.health.v1.Health/Watch")
      watch.stream.end(nothing)
      await until(() => idle.closed)
      assert.equal([known.closed, asked.closed], [false, false])
      watch.stream.close(8)
      await until(() => asked.closed)
      assert.is((await rawWhole(known, EPOCH, nothing)).status, "0")
      close([known])
    },
    limited({ strangerIdleMs: 300 }),
  ))
test("refuses G-06 a handshake that never comes to its end, like any stranger", () =>
  serving(
    async ({ address }) => {
      const { connect } = await import("node:net")
      const [host = "", port] = address.split(":")
      const socket = connect({ host, port: Number(port) })
      socket.on("error", () => {})
      await new Promise((done) => socket.once("close", done))
    },
    limited({ strangerIdleMs: 200 }),
  ))
test("ends N-07 calls that were refused at once, when their callers have not ended them for five seconds", () =>
  bareCall(async (stream, call) => {
    const connection = new Connection("#1", "", 0, { refuses: never, cut: nothingToCut })
    connection.refused.add({ stream, sinceMs: 1000, place: 0 })
    connection.sweep(6000, 0)
    await pause(20)
    assert.is(call.closed, false)
    connection.sweep(6001, 0)
    await until(() => call.closed)
    assert.is(call.rstCode, 8, "CANCEL")
  }))

const MIB = 2 ** 20
/** Sizes of so many bytes, each as large as the next of `sizes`, which come again and again. */
const cutInto = (bytes: number, ...sizes: readonly number[]): readonly number[] => {
  const pieces: number[] = []
  for (let left = bytes; left > 0; ) {
    const size = Math.min(left, sizes[pieces.length % sizes.length] ?? left)
    pieces.push(size)
    left -= size
  }
  return pieces
}
const messages: [what: string, pieces: readonly number[], times: number, isEnded: boolean][] = [
  ["of 900 bytes, byte by byte", cutInto(900, 1), 1, true],
  ["of 516 bytes, byte by byte", cutInto(516, 1), 1, false],
  ["of a mebibyte in pieces of 255 bytes", cutInto(MIB, 255), 1, true],
  ["of a mebibyte in pieces of 256 bytes", cutInto(MIB, 256), 1, false],
  [
    "of a mebibyte in frames of 16 KiB that are cut where the system's reads end",
    cutInto(MIB, 16_384, 16_384, 16_384, 16_348, 36),
    1000,
    false,
  ],
  ["whose five bytes come first, and the rest in a hundred", cutInto(500, 5, 100), 10_000, true],
  ["whose five bytes come first", cutInto(900, 5, 895), 10_000, false],
  ["in five pieces, none of them large", cutInto(1000, 5, 200, 200, 200), 10_000, false],
]
for (const [what, pieces, times, isEnded] of messages)
  test(`${isEnded ? "ends G-05" : "leaves"} a connection with ${times} messages ${what}`, () => {
    let told = 0
    const crumbled = (): void => {
      told += 1
    }
    const connection = new Connection("#1", "", 0, { refuses: never, cut: nothingToCut, crumbled })
    for (let i = 0; i < times; i += 1) {
      let allBytes = 0
      for (const [at, bytes] of pieces.entries()) {
        allBytes += bytes
        connection.piece({ bytes, count: at + 1, allBytes }, () => 0)
      }
    }
    assert.is(told, isEnded ? 1 : 0)
  })
test("leaves a connection whose small pieces come as slowly as they do", () => {
  let told = 0
  const crumbled = (): void => {
    told += 1
  }
  const connection = new Connection("#1", "", 0, { refuses: never, cut: nothingToCut, crumbled })
  for (let i = 1; i < 100_000; i += 1)
    connection.piece({ bytes: 50, count: i, allBytes: 50 * i }, () => 4 * i)
  assert.is(told, 0)
})

test.run()
