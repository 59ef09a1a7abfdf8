import fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { type Crl, parseCrl } from "../../src/evidence/x509/crl.ts"
import {
  attempted,
  dueAt,
  failed,
  fairly,
  NO_PROGRESS,
  succeeded,
} from "../../src/service/refresh-schedule.ts"
import type { Source } from "../../src/service/refresh-sources.ts"
import { time } from "../support/x509.ts"
import { afterNoon, crlAt, DAY, HOUR, MINUTE, NOON, ROOT } from "./published.ts"

const test = suite("dueAt")

/** A CRL from noon to so much later. */
const listFor = (ms: number): Crl =>
  parseCrl(crlAt(ROOT, NOON, "01", { thisUpdate: time(NOON), nextUpdate: time(afterNoon(ms)) }))

const noon = NOON.getTime()
const loadedAt = (at: number) => succeeded(attempted(NO_PROGRESS, noon + at), noon + at)
const weekly = listFor(7 * DAY)
const hourly = listFor(HOUR)
const lists: [name: string, crl: Crl, success: number, due: number][] = [
  ["a day after it was loaded", weekly, HOUR, DAY + HOUR],
  ["when half of its time has passed", weekly, 3 * DAY, 3.5 * DAY],
  ["an hour before nextUpdate", weekly, 6.5 * DAY, 7 * DAY - HOUR],
  ["after five minutes in the last hour", weekly, 7 * DAY - 30 * MINUTE, 7 * DAY - 25 * MINUTE],
  ["after five minutes when it has expired", weekly, 8 * DAY, 8 * DAY + 5 * MINUTE],
  ["a day later although half has passed", listFor(30 * DAY), 16 * DAY, 17 * DAY],
  ["when half of a short time has passed", listFor(4 * HOUR), MINUTE, 2 * HOUR],
  ["every five minutes if it is never good for longer than an hour", hourly, 0, 5 * MINUTE],
]
for (const [name, crl, success, due] of lists)
  test(`asks for a CRL ${name}`, () => {
    assert.is(dueAt("crl", loadedAt(success), { crl, since: noon }), noon + due)
  })

test("asks by rank, in turns from who waits longest on, and of each share what was not asked for longest", () => {
  const asked: readonly [url: string, rank: Source["rank"], share: string, lastAttempt: number][] = [
    ["a1", "wanted", "a", 5],
    ["a2", "wanted", "a", 0],
    ["a3", "wanted", "a", 3],
    ["b1", "wanted", "b", 0],
    ["b2", "wanted", "b", 2],
    ["not due", "wanted", "c", 0],
    ["c1", "wanted", "c", 1],
    ["k1", "kept", "k", 9],
    ["r1", "anchor", "r", 8],
    ["r2", "anchor", "r", 7],
    ["r3", "anchor", "r", 6],
  ]
  const sources = asked.map(([url, rank, share]): Source => {
    return { url, kind: "crl", rank, share, issuers: new Set(), namedBy: [], shown: [] }
  })
  const lastAttempts = new Map(asked.map(([url, , , at]) => [url, at]))
  const order = fairly(
    sources,
    ({ url }) => url !== "not due",
    ({ url }) => lastAttempts.get(url) ?? 0,
  )
  assert.equal(
    order.map(({ url }) => url),
    ["r3", "r2", "r1", "k1", "c1", "b1", "a2", "b2", "a3", "a1"],
  )
})

test("asks at once for what was never loaded, and for a CRL that was removed", () => {
  assert.ok(dueAt("crl", NO_PROGRESS, undefined) <= noon)
  assert.ok(dueAt("certificates", NO_PROGRESS, undefined) <= noon)
  assert.is(dueAt("crl", loadedAt(0), undefined), noon + 5 * MINUTE)
})

test("asks for certificates once a day, also after a start anew", () => {
  assert.is(dueAt("certificates", loadedAt(0), undefined), noon + DAY)
  assert.is(dueAt("certificates", NO_PROGRESS, { crl: undefined, since: noon }), noon + DAY)
  assert.is(dueAt("crl", NO_PROGRESS, { crl: weekly, since: noon + HOUR }), noon + HOUR + DAY)
})

test("doubles the pause after each failure, up to an hour", () => {
  let progress = NO_PROGRESS
  const pauses: number[] = []
  for (let i = 0; i < 8; i++) {
    progress = failed(attempted(progress, noon), noon, "REVOCATION", 0)
    pauses.push((dueAt("crl", progress, { crl: hourly, since: noon }) - noon) / MINUTE)
  }
  assert.equal(pauses, [5, 10, 20, 40, 60, 60, 60, 60])
})

test("never asks twice within five minutes, nor waits longer than a day", () => {
  const minutes = fc.integer({ min: 0, max: 60 * 24 * 40 })
  const property = fc.property(
    minutes,
    minutes,
    fc.integer({ min: 0, max: 50 }),
    fc.double({ min: -1, max: 2, noNaN: true }),
    (validity, at, failures, jitter) => {
      const now = noon + at * MINUTE
      let progress = loadedAt(at * MINUTE)
      for (let i = 0; i < failures; i++) progress = failed(attempted(progress, now), now, "TRUST", jitter)
      const pause = dueAt("crl", progress, { crl: listFor(validity * MINUTE), since: noon }) - now
      assert.ok(pause >= 5 * MINUTE && pause <= DAY, String(pause))
    },
  )
  fc.assert(property, { seed: 3, numRuns: 200 })
})

test.run()
