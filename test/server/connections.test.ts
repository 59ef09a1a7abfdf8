import type { ClientHttp2Session } from "node:http2"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { AttestationService } from "../../src/gen/assay/v1/attestation_pb.ts"
import { pathOf } from "../../src/rpc.ts"
import { Connection } from "../../src/server/connections.ts"
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
    const connection = new Connection("#1", "", 0, never, nothingToCut)
    connection.refused.add({ stream, sinceMs: 1000, place: 0 })
    connection.sweep(6000, 0)
    await pause(20)
    assert.is(call.closed, false)
    connection.sweep(6001, 0)
    await until(() => call.closed)
    assert.is(call.rstCode, 8, "CANCEL")
  }))

test.run()
