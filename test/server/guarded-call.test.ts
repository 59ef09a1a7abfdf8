import { suite } from "uvu"
import * as assert from "uvu/assert"
import { Connection } from "../../src/server/connection.ts"
import { Guard } from "../../src/server/guard.ts"
import type { GuardedCall } from "../../src/server/guarded-call.ts"
import { LIMITS } from "../../src/server/limits.ts"
import { throwsCode } from "../support/assert.ts"
import { bareCall, framed } from "./raw.ts"

const RECEIVE_MS = 900
const LOOK_MS = 250
const LOOKS = 40
const MIB = 1024 * 1024
const PROVEN = { proveAgain: () => {} }
const STREAM = { requestStream: true, responseStream: true, openToAll: false }

const connection = (id = "#1"): Connection =>
  new Connection(id, "", 0, { refuses: () => undefined, cut: () => {} })

/** At which look a stream is refused that has half of a message, and is paused at some of them. */
const refusedAt = async (
  isPausedAt: (look: number) => boolean,
  { beginsAtMs = 0, pieces = false } = {},
): Promise<readonly [code: string, look: number] | undefined> => {
  let refused: readonly [code: string, look: number] | undefined
  await bareCall((stream) => {
    let nowMs = 0
    let look = 0
    const guard = new Guard({ ...LIMITS, receiveMs: RECEIVE_MS }, () => nowMs)
    const arrival = { connection: connection(), flaw: undefined }
    const call = guard.open(stream, arrival, STREAM, ({ code }) => {
      refused ??= [code, look]
    })
    nowMs = beginsAtMs
    call.received(framed(Buffer.alloc(10), { size: 1000 }))
    for (look = 1 + Math.floor(beginsAtMs / LOOK_MS); look <= LOOKS; look++) {
      if (isPausedAt(look)) stream.pause()
      else stream.resume()
      nowMs = look * LOOK_MS
      guard.sweep()
      if (pieces) call.received(Buffer.alloc(1))
    }
  })
  return refused
}

const test = suite("GuardedCall")

const slow: [name: string, isPausedAt: (look: number) => boolean, look: number][] = [
  ["always", () => false, 4],
  ["but for one moment", (look) => look === 4, 5],
  ["but for a moment each second", (look) => look % 4 === 3, 5],
  ["every other moment", (look) => look % 2 === 0, 7],
  ["one moment of four", (look) => look % 4 !== 0, 16],
  ["after two seconds", (look) => look <= 8, 12],
]
for (const [name, isPausedAt, look] of slow) {
  test(`refuses G-06 a message of a stream that is not whole when it was read for its time: ${name}`, async () =>
    assert.equal(await refusedAt(isPausedAt), ["SLOW", look]))
  test(`refuses G-06 a message that comes byte by byte when it was read for its time: ${name}`, async () =>
    assert.equal(await refusedAt(isPausedAt, { pieces: true }), ["SLOW", look]))
}
test("refuses nobody for a message that is not read", async () =>
  assert.is(await refusedAt(() => true), undefined))
test("counts for a message that begins while it is not read no time to come", async () =>
  assert.equal(await refusedAt((look) => look === 1, { beginsAtMs: 240 }), ["SLOW", 5]))
test("refuses G-06 a caller's claims beyond its share, those too that came before it was known", () =>
  bareCall((stream) => {
    const guard = new Guard({ ...LIMITS, callerBytesMax: 4 * MIB })
    const refused: string[] = []
    let connections = 0
    /** A call that claims so much before it is known whose it is. */
    const claim = (bytes: number): GuardedCall => {
      const arrival = { connection: connection(`#${connections++}`), flaw: undefined }
      const call = guard.open(stream, arrival, STREAM, ({ code }) => refused.push(code))
      call.received(framed(Buffer.alloc(1), { size: bytes }))
      return call
    }
    const calls = [claim(1.5 * MIB), claim(1.5 * MIB)]
    for (const call of calls) call.known("default gateway", PROVEN)
    assert.is(guard.held.total, 3 * MIB)
    const third = claim(1.5 * MIB)
    throwsCode(() => third.known("default gateway", PROVEN), "OVERLOADED")
    assert.is(guard.held.total, 3 * MIB, "nothing of it is held")
    for (const call of [...calls, third]) call.closed()
    assert.is(guard.held.total, 0)
    claim(1.5 * MIB).known("default gateway", PROVEN)
    assert.equal(refused, [])
  }))

test.run()
