import { suite } from "uvu"
import * as assert from "uvu/assert"
import { cachedContexts } from "../../src/cache/contexts.ts"
import { cachedEventLogs } from "../../src/cache/event-logs.ts"
import { createFlights } from "../../src/cache/flights.ts"
import { cachedLoadTrust } from "../../src/cache/trust.ts"
import { AssayError } from "../../src/errors.ts"
import { parsePublic } from "../../src/evidence/tpm/public.ts"
import { compile } from "../../src/service/compile.ts"
import { createEventLogs } from "../../src/service/event-logs.ts"
import type { Snapshot } from "../../src/service/ports.ts"
import { createTrust } from "../../src/verification/trust.ts"
import { quoteFixture } from "../support/fixtures.ts"
import { memoryLogs } from "../support/logs.ts"
import { UNMETERED } from "../support/meter.ts"
import { digestOf, NOON, newDevice, recordOf } from "../support/ports/samples.ts"
import { NONE_DENIED } from "../support/service.ts"

const test = suite("createFlights")
const MANY = 100

test("does C-07 the work once for a hundred who come at a time, and anew for who comes later", async () => {
  const flights = createFlights<object>()
  let count = 0
  const act = async () => ({ count: ++count })
  const all = await Promise.all(Array.from({ length: MANY }, () => flights.join("key", act)))
  assert.equal([new Set(all).size, count, flights.has("key")], [1, 1, false])
  await flights.join("key", act)
  assert.is(count, 2)
})

for (const [one, other] of [
  ["a", "b"],
  ["", " "],
  ["a", "A"],
  ["__proto__", "constructor"],
  ["toString", "valueOf"],
  ["\u00e9", "e\u0301"],
])
  test(`keeps C-07 flights apart: "${one}" and "${other}"`, async () => {
    const flights = createFlights<string>()
    const told = [one, other].map((key = "") => flights.join(key, async () => key))
    assert.equal(await Promise.all(told), [one, other])
  })

test("C-07 gives each who waited an error of his own that says the same", async () => {
  const flights = createFlights<never>()
  const details = { location: "here", expected: "more", actual: "less", retryMs: 5 }
  const fail = async () => {
    throw new AssayError("REGISTRY", "away", details)
  }
  const errors = await Promise.all(
    Array.from({ length: MANY }, () => flights.join("key", fail).catch((error: unknown) => error)),
  )
  assert.is(new Set(errors).size, MANY)
  for (const error of errors) {
    if (!(error instanceof AssayError)) throw error
    const { code, message, location, expected, actual, retryMs } = error
    assert.equal(
      { code, message, location, expected, actual, retryMs },
      { code: "REGISTRY", message: "away", ...details },
    )
    error.challenge = "spent"
  }
  assert.is(
    await flights.join("key", () => Promise.reject(new Error("ours"))).catch(({ message }) => message),
    "ours",
  )
  assert.not.ok(flights.has("key"))
})

const p256 = parsePublic(quoteFixture("p256-sha256").akPublic)
const snapshot: Snapshot = {
  device: recordOf(newDevice("device-1", { akPublic: p256.bytes, akName: p256.name })),
  policy: undefined,
  trustGeneration: 0,
  anchors: 1,
}
const owner = { tenant: "default", device: "device-1", akName: p256.name }

/** Every cache that asks something outside, over such an outside: how it is asked. */
const caches: readonly [name: string, over: (ask: () => Promise<void>) => () => Promise<unknown>][] = [
  [
    "of contexts",
    (ask) => {
      const registry = { snapshotFor: () => ask().then(() => snapshot) }
      const { contextFor } = cachedContexts({ registry, compile }, { max: 10, maxBytes: 1 << 20 })
      return async () => (await contextFor("default", p256.name)).context.snapshot.device.id
    },
  ],
  [
    "of trust",
    (ask) => {
      const trust = createTrust({ anchors: [], intermediates: [], crls: [], denied: NONE_DENIED })
      const { loadTrust } = cachedLoadTrust(() => ask().then(() => trust), { max: 10 })
      return () => loadTrust("default", 1)
    },
  ],
  [
    "of whose logs are known",
    (ask) => {
      const inner = { ...createEventLogs(memoryLogs().store), shown: () => ask().then(() => NOON) }
      const { shown } = cachedEventLogs(inner, { logs: 10, bytes: 1 << 20, devices: 10 })
      return () => shown(owner, digestOf("log"))
    },
  ],
  [
    "of logs",
    (ask) => {
      const inner = { ...createEventLogs(memoryLogs().store), load: () => ask().then(() => undefined) }
      const { load } = cachedEventLogs(inner, { logs: 10, bytes: 1 << 20, devices: 10 })
      return () => load({ tenant: "default", id: "gateway" }, digestOf("log"), UNMETERED)
    },
  ],
]
for (const [name, over] of caches) {
  test(`C-07 lets a hundred misses of the cache ${name} ask once`, async () => {
    let count = 0
    const asked = over(async () => {
      count++
    })
    const [first, ...rest] = await Promise.all(Array.from({ length: MANY }, asked))
    assert.is(count, 1)
    for (const one of rest) assert.equal(one, first)
  })
  test(`C-06 lets a failure of the cache ${name} be nobody's who comes after it`, async () => {
    let [count, isAway] = [0, true]
    const asked = over(async () => {
      count++
      if (isAway) throw new AssayError("REGISTRY", "away")
    })
    const errors = await Promise.all(
      Array.from({ length: MANY }, () => asked().catch((error: unknown) => error)),
    )
    assert.equal([count, new Set(errors).size], [1, MANY])
    isAway = false
    await asked()
    assert.is(count, 2)
  })
}

test.run()
