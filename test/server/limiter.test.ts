import { suite } from "uvu"
import * as assert from "uvu/assert"
import { networkOf } from "../../src/addresses.ts"
import { Buckets } from "../../src/server/buckets.ts"
import { type Asker, createLimiter, RATES, type Rates } from "../../src/server/limiter.ts"
import { throwsCode } from "../support/assert.ts"

const test = suite("Buckets")
const RATE = { perSecond: 10, burst: 3 }

/** How often something is granted until it is refused. */
const grantedOf = (take: () => number): number => {
  for (let n = 0; n < 1000; n++) if (take() > 0) return n
  return 1000
}

test("N-07 grants a burst, and then so many a second", () => {
  const buckets = new Buckets(RATE, 10)
  assert.is(
    grantedOf(() => buckets.take("a", 0)),
    3,
  )
  assert.is(buckets.take("a", 0), 100, "says how long to wait")
  assert.is(
    grantedOf(() => buckets.take("a", 99)),
    0,
  )
  assert.is(
    grantedOf(() => buckets.take("a", 100)),
    1,
  )
  assert.is(
    grantedOf(() => buckets.take("a", 10_000)),
    3,
    "and saves up no more than a burst",
  )
})
test("grants all of a burst at an instant that no number holds exactly", () => {
  for (const [now, perSecond] of [
    [1234.567_890_123, 0.5],
    [987_654_321.123_457, 3],
    [0.1 + 0.2, 7],
  ] as const)
    for (const burst of [1, 2, 10]) {
      const buckets = new Buckets({ perSecond, burst }, 10)
      assert.is(
        grantedOf(() => buckets.take("a", now)),
        burst,
      )
    }
})
test("N-07 takes nothing for what it refuses", () => {
  const buckets = new Buckets(RATE, 10)
  grantedOf(() => buckets.take("a", 0))
  for (let i = 0; i < 1000; i++) buckets.take("a", 50)
  assert.is(buckets.take("a", 100), 0)
})
test("N-07 grants each key its own", () => {
  const buckets = new Buckets(RATE, 10)
  grantedOf(() => buckets.take("a", 0))
  assert.is(
    grantedOf(() => buckets.take("b", 0)),
    3,
  )
})
test("N-07 forgets none who has used up his own for a flood of others", () => {
  const buckets = new Buckets(RATE, 100)
  assert.is(
    grantedOf(() => buckets.take("attacker", 0)),
    3,
  )
  for (let i = 0; i < 100_000; i++) buckets.take(`flood ${i}`, 1)
  assert.ok(buckets.size <= 100)
  assert.ok(buckets.take("attacker", 1) > 0, "he is as limited as before")
})
test("N-07 grants all who find no place the rate of one", () => {
  const buckets = new Buckets(RATE, 100)
  for (let i = 0; i < 100; i++) grantedOf(() => buckets.take(`early ${i}`, 0))
  let granted = 0
  for (let i = 0; i < 10_000; i++) if (buckets.take(`late ${i}`, 0) === 0) granted += 1
  assert.is(granted, 3)
  assert.is(buckets.take("early 7", 100), 0, "those who have a place keep what is theirs")
})
test("N-07 gives a place to others as soon as a bucket is full again", () => {
  const buckets = new Buckets(RATE, 2)
  buckets.take("a", 0)
  buckets.take("b", 0)
  buckets.take("c", 0)
  assert.is(
    grantedOf(() => buckets.take("c", 0)),
    2,
    "still the shared one",
  )
  assert.is(
    grantedOf(() => buckets.take("d", 100)),
    3,
    "a is full, and as good as forgotten",
  )
  assert.is(buckets.size, 2)
})
test("N-07 finds the place of a full bucket behind all those that are not", () => {
  const buckets = new Buckets(RATE, 100)
  for (let i = 0; i < 99; i++) grantedOf(() => buckets.take(`busy ${i}`, 0))
  buckets.take("idle", 0)
  const granted = Array.from({ length: 20 }, () => buckets.take("new", 100) === 0)
  assert.is(granted.filter(Boolean).length, 6, "three of the shared bucket, then three of its own")
  assert.is(buckets.size, 100)
  assert.ok(
    buckets.take("busy 0", 100) === 0 && buckets.take("busy 0", 100) > 0,
    "those who are limited stay so",
  )
})

const callers: Asker = { line: "acme gateway" }
const device: Asker = { line: "acme device:1", own: { kind: "device", id: "1" } }
const VERIFY = "assay.v1.AttestationService/Verify"
const CREATE = "assay.v1.AttestationService/CreateChallenge"
const BEGIN = "assay.v1.EnrollmentService/BeginEnrollment"

/** A limiter at an instant that tests move. */
const limiting = (changed: Partial<Rates> = {}) => {
  const clock = { now: 0 }
  const rate = { perSecond: 10, burst: 1000 }
  const all = {
    ...RATES,
    source: rate,
    caller: rate,
    device: rate,
    challenge: rate,
    enrollment: rate,
    ...changed,
  }
  return { clock, limiter: createLimiter(all, () => clock.now) }
}
const refusedAfter = (act: () => unknown, count: number): void => {
  for (let i = 0; i < count; i++) act()
  const { retryMs, location } = throwsCode(act, "RATE")
  assert.equal([retryMs, typeof location], [100, "string"])
}

const BURST = { perSecond: 10, burst: 5 }
test("N-07 bounds the calls of a caller, those of a device apart", () => {
  const { limiter, clock } = limiting({ caller: BURST, device: { perSecond: 10, burst: 2 } })
  refusedAfter(() => limiter.call(callers, VERIFY)(), 5)
  refusedAfter(() => limiter.call(device, VERIFY)(), 2)
  limiter.call({ line: "other gateway" }, VERIFY)()
  clock.now = 100
  limiter.call(callers, VERIFY)()
})
test("N-07 bounds the requests within a caller's streams by the same", () => {
  const { limiter } = limiting({ caller: BURST })
  limiter.call(callers, "assay.v1.AttestationService/VerifyStream")
  refusedAfter(() => limiter.request(callers), 4)
})
test("N-07 bounds the challenges of a caller, and lets it verify on", () => {
  const { limiter } = limiting({ challenge: BURST })
  refusedAfter(() => limiter.call(callers, CREATE)(), 5)
  limiter.call(callers, VERIFY)()
})
test("N-07 bounds the enrollments of a caller, and lets it verify on", () => {
  const { limiter } = limiting({ enrollment: BURST })
  refusedAfter(() => limiter.call(callers, BEGIN)(), 5)
  limiter.call(callers, VERIFY)()
})
test("N-07 bounds what is asked from one address, whoever asks", () => {
  const { limiter } = limiting({ source: BURST, enrollment: BURST })
  refusedAfter(() => limiter.source("192.0.2.1"), 5)
  limiter.source("192.0.2.2")
  refusedAfter(() => limiter.source(networkOf("2001:db8::1")), 5)
  throwsCode(() => limiter.source(networkOf("2001:db8:0:0:ffff::2")), "RATE")
  limiter.source(networkOf("2001:db8:0:1::1"))
  for (let i = 0; i < 100; i++) limiter.source(undefined)
})
test("N-07 bounds enrollment tokens that are none, those of one connection apart, and counts no others", () => {
  const { limiter } = limiting({ guess: BURST })
  const guess = (connection: string | undefined) => (): void => {
    limiter.tries.check(connection)
    limiter.tries.failed(connection)
  }
  for (let i = 0; i < 100; i++) limiter.tries.check("#1")
  refusedAfter(guess("#1"), 5)
  refusedAfter(guess("#2"), 5)
  refusedAfter(guess(undefined), 5)
})
test("N-07 bounds the holders of one enrollment token at one address, and not those elsewhere", () => {
  const { limiter } = limiting({ enrollee: BURST, device: { perSecond: 1, burst: 1 } })
  const holder: Asker = { ...callers, own: { kind: "enrollment", token: "et-1" } }
  const at = (network: string) => () => limiter.call(holder, VERIFY, { network })
  refusedAfter(at("192.0.2.1"), 5)
  refusedAfter(at("192.0.2.2"), 5)
})
test("N-07 bounds what anyone may ask from one address, over time and at a time", () => {
  const { limiter } = limiting({ anyone: BURST, anyoneMax: 2 })
  const open = [limiter.anyone("192.0.2.1"), limiter.anyone("192.0.2.1")]
  throwsCode(() => limiter.anyone("192.0.2.1"), "RATE")
  for (const end of open) end()
  for (let i = 0; i < 2; i++) limiter.anyone("192.0.2.1")()
  throwsCode(() => limiter.anyone("192.0.2.1"), "RATE")
  limiter.anyone("192.0.2.2")()
})
test("N-07 bounds the streams of a caller at a time, and not its other calls", () => {
  const { limiter } = limiting({ streamsMax: 2, callsMax: 4 })
  const open = () => limiter.call(callers, VERIFY, { isStream: true })
  const [first] = [open(), open()]
  // What is refused does not count as a call that is open.
  for (let i = 0; i < 3; i++) throwsCode(open, "RATE")
  limiter.call(callers, VERIFY)
  first?.()
  open()
})
test("N-07 bounds the connections from one address", () => {
  const { limiter } = limiting({ connection: BURST })
  const taken = Array.from({ length: 10 }, () => limiter.connection("192.0.2.1"))
  assert.is(taken.filter(Boolean).length, 5)
  assert.ok(limiter.connection("192.0.2.2"))
})
test("N-07 bounds the calls of a caller at a time, and counts each end once", () => {
  const { limiter } = limiting({ callsMax: 2 })
  const first = limiter.call(callers, VERIFY)
  const second = limiter.call(callers, VERIFY)
  throwsCode(() => limiter.call(callers, VERIFY), "RATE")
  limiter.call(device, VERIFY)()
  first()
  first()
  const third = limiter.call(callers, VERIFY)
  throwsCode(() => limiter.call(callers, VERIFY), "RATE")
  second()
  third()
  limiter.call(callers, VERIFY)()
})
for (const [whom, asker] of [
  ["a device", device],
  [
    "a holder of an enrollment token",
    { line: "acme enrollment:et-1", own: { kind: "enrollment", token: "et-1" } },
  ],
  ["a gateway", callers],
] as const)
  test(`N-07 says at once that ${whom} has spent its rate, from there, and of nobody else`, () => {
    const { limiter, clock } = limiting({ caller: BURST, device: BURST, enrollee: BURST })
    const isSpent = (line: string = asker.line): boolean => limiter.isSpent(line, "192.0.2.1")
    for (let i = 0; i < 5; i++) {
      assert.not.ok(isSpent(), `${i}`)
      limiter.call(asker, VERIFY, { network: "192.0.2.1" })()
    }
    assert.ok(isSpent())
    assert.not.ok(isSpent(`${asker.line}2`))
    clock.now = 10_000
    assert.not.ok(isSpent(), "there is something left again")
  })
test("N-07 bounds the calls at a time of all devices together, and leaves others theirs", () => {
  const { limiter } = limiting({ callsMax: 2 })
  const devices = Array.from({ length: 9 }, (_, i): Asker => ({ ...device, line: `acme device:${i}` }))
  const open = devices.flatMap((one) =>
    one.line === "acme device:8" ? [] : [limiter.call(one, VERIFY), limiter.call(one, VERIFY)],
  )
  const last: Asker = { ...device, line: "acme device:8" }
  for (let i = 0; i < 3; i++) throwsCode(() => limiter.call(last, VERIFY), "RATE")
  assert.ok(limiter.isSpent(last.line, "192.0.2.1"))
  for (const other of [callers, { ...device, line: "other device:8" }, { line: "acme enrollment:1" }])
    limiter.call(other, VERIFY)()
  open[0]?.()
  open[0]?.()
  limiter.call(last, VERIFY)
  throwsCode(() => limiter.call(last, VERIFY), "RATE")
})
test("N-07 counts no call as open that was refused", () => {
  const { limiter, clock } = limiting({ callsMax: 1, challenge: { perSecond: 10, burst: 1 } })
  limiter.call(callers, CREATE)()
  for (let i = 0; i < 5; i++) throwsCode(() => limiter.call(callers, CREATE), "RATE")
  clock.now = 1000
  limiter.call(callers, CREATE)()
})

test.run()
