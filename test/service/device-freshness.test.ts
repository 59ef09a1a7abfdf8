import { suite } from "uvu"
import * as assert from "uvu/assert"
import { FRESHNESSES, type Freshness, freshnessOf, sessionsOf } from "../../src/service/device-freshness.ts"

const test = suite("freshnessOf")

const NOW = new Date("2026-11-21T12:00:00Z")
const ago = (seconds: number): Date => new Date(NOW.getTime() - seconds * 1000)
const LIFETIME = 300
const SILENCE = 86_400

const cases: [
  what: string,
  admittedAt: Date | undefined,
  lifetime: number | undefined,
  expected: Freshness,
][] = [
  ["a session of now", NOW, LIFETIME, "fresh"],
  ["a session of a clock ahead of ours", ago(-5), LIFETIME, "fresh"],
  ["a session just before two thirds of its lifetime", ago(199), LIFETIME, "fresh"],
  ["a session at two thirds of its lifetime", ago(200), LIFETIME, "due"],
  ["a session in its last second", ago(299), LIFETIME, "due"],
  ["a session at its end", ago(300), LIFETIME, "overdue"],
  ["a session at the limit of silence", ago(SILENCE), LIFETIME, "overdue"],
  ["a session beyond it", ago(SILENCE + 1), LIFETIME, "silent"],
  ["no session ever", undefined, LIFETIME, "silent"],
  ["a session of now without a policy", NOW, undefined, "overdue"],
  ["no session and no policy", undefined, undefined, "silent"],
  ["a session of the longest life, beyond the limit of silence", ago(SILENCE + 1), SILENCE * 2, "silent"],
]
for (const [what, admittedAt, lifetime, expected] of cases)
  test(`says ${expected} after ${what}`, () => {
    const lifetimeMs = lifetime === undefined ? undefined : lifetime * 1000
    assert.is(freshnessOf(admittedAt, lifetimeMs, SILENCE * 1000, NOW), expected)
  })

test("asks the store for every device that can be of a freshness, and of silent ones for no other", () => {
  for (const silence of [60, 3600, SILENCE, 30 * SILENCE])
    for (const seconds of [
      undefined,
      0,
      59,
      60,
      61,
      200,
      300,
      3600,
      3601,
      SILENCE,
      SILENCE + 1,
      31 * SILENCE,
    ])
      for (const lifetime of [undefined, 10, LIFETIME, SILENCE])
        for (const asked of FRESHNESSES) {
          const admittedAt = seconds === undefined ? undefined : ago(seconds)
          const lifetimeMs = lifetime === undefined ? undefined : lifetime * 1000
          const is = freshnessOf(admittedAt, lifetimeMs, silence * 1000, NOW) === asked
          const { silentSince, seenSince } = sessionsOf(asked, silence * 1000, NOW)
          const given =
            (silentSince === undefined || admittedAt === undefined || admittedAt < silentSince) &&
            (seenSince === undefined || (admittedAt !== undefined && admittedAt >= seenSince))
          const place = `${asked}: ${seconds} s ago, lives ${lifetime} s, silence ${silence} s`
          if (is) assert.ok(given, place)
          if (asked === "silent") assert.is(given, is, place)
        }
})

test.run()
