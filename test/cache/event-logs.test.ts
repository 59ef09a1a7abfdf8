import { suite } from "uvu"
import * as assert from "uvu/assert"
import { cachedEventLogs } from "../../src/cache/event-logs.ts"
import { EV_IPL, standardBoot } from "../../src/device/boot.ts"
import { createSoftwareDevice, type SoftwareDevice } from "../../src/device/software.ts"
import { AssayError } from "../../src/errors.ts"
import type { SentLog } from "../../src/evidence/evidence.ts"
import { createEventLogs } from "../../src/service/event-logs.ts"
import type { EventLogs, LogOwner } from "../../src/service/ports.ts"
import { verifyReplay } from "../../src/verification/replay.ts"
import { rejectsCode, throwsCode } from "../support/assert.ts"
import { flipped, p256Device, pcrsOf } from "../support/core.ts"
import { logDigest, memoryLogs } from "../support/logs.ts"
import { UNMETERED } from "../support/meter.ts"
import { afterNoon, digestOf, NOON } from "../support/ports/samples.ts"

const test = suite("cachedEventLogs")
const BOUNDS = { logs: 100, bytes: 1 << 24, devices: 100 }
const HOUR_MS = 3_600_000

const ownerOf = (device = "a", change: Partial<LogOwner> = {}): LogOwner => ({
  tenant: "default",
  device,
  akName: digestOf(`name of ${device}`),
  ...change,
})
const [a, b] = [ownerOf("a"), ownerOf("b")]
const GATEWAY = { tenant: "default", id: "gateway" }

/** The log of a boot that measures `n` beside what every boot does. */
const bootLog = (device: SoftwareDevice, n: number): SentLog => {
  device.boot([...standardBoot(), { pcr: 5, type: EV_IPL, data: Uint8Array.of(n, n >>> 8) }])
  return { bytes: device.eventLog, digest: logDigest(device.eventLog) }
}
const device = createSoftwareDevice({ algorithm: "p256", sharedKeys: true })
const logs = Array.from({ length: 40 }, (_, n) => bootLog(device, n))
const logAt = (n: number): SentLog => {
  const log = logs[n]
  if (log === undefined) throw new TypeError("there are not so many logs")
  return log
}

/** A cache over such a store, with what was read below it counted. */
const world = (bounds = BOUNDS, change: (inner: EventLogs) => Partial<EventLogs> = () => ({})) => {
  const memory = memoryLogs()
  const { asked, store } = memory
  const inner = createEventLogs(store)
  const counts = { ...asked, read: 0 }
  const counted: EventLogs = {
    ...inner,
    read: (tenant, log) => {
      counts.read++
      return inner.read(tenant, log)
    },
    ...change(inner),
  }
  const cache = cachedEventLogs(counted, bounds)
  /** What a device does with a log that holds. */
  const show = (owner: LogOwner, log: SentLog, at = NOON): void => {
    const read = cache.read(owner.tenant, log)
    cache.held(owner, read)
    cache.keep(owner, read, at)
  }
  /** Whether a log is read without being parsed. */
  const isKnown = (tenant: string, log: SentLog): boolean => {
    const before = counts.read
    cache.read(tenant, log)
    return counts.read === before
  }
  return { cache, store, memory, asked, counts, show, isKnown }
}

test("reads a log once that held, whoever shows it, and counts hits and misses", () => {
  const { cache, show, counts } = world()
  const first = cache.read("default", logAt(0))
  cache.held(a, first)
  for (let i = 0; i < 4; i++) assert.is(cache.read("default", logAt(0)).outcome, first.outcome)
  show(b, logAt(0))
  assert.equal([counts.read, cache.hits, cache.misses, cache.size, cache.evictions], [1, 5, 1, 1, 0])
})

test("gives what was worked out of the log, and compares it anew with every quote", () => {
  const { cache } = world()
  const quoted = p256Device()
  const log = { bytes: quoted.eventLog, digest: logDigest(quoted.eventLog) }
  const read = cache.read("default", log)
  const before = verifyReplay(pcrsOf(quoted), read.outcome)
  cache.held(a, read)
  assert.equal(verifyReplay(pcrsOf(quoted), cache.read("default", log).outcome), before)
  const other = p256Device()
  other.boot([...standardBoot(), { pcr: 3, type: EV_IPL, data: Uint8Array.of(1) }])
  const again = throwsCode(
    () => verifyReplay(pcrsOf(other), cache.read("default", log).outcome),
    "EVENT_LOG_REPLAY",
  )
  const fresh = throwsCode(
    () => verifyReplay(pcrsOf(other), createEventLogs(memoryLogs().store).read("default", log).outcome),
    "EVENT_LOG_REPLAY",
  )
  assert.equal([again.location, again.expected, again.actual], [fresh.location, fresh.expected, fresh.actual])
})

const foreign: [name: string, owner: LogOwner][] = [
  ["of another tenant", ownerOf("a", { tenant: "other" })],
  ["of another device", b],
  ["under another key", ownerOf("a", { akName: digestOf("another") })],
  ["of a device whose name runs into the tenant's", ownerOf("lta", { tenant: "defau", akName: a.akName })],
  ["of a device without a name", ownerOf("", { akName: a.akName })],
]
for (const [name, owner] of foreign)
  test(`asks the store C-01 for a log ${name}`, async () => {
    const { cache, show, asked } = world()
    show(a, logAt(0))
    assert.equal(cache.known(a, logAt(0).digest)?.bytes, logAt(0).bytes)
    assert.equal(await cache.shown(a, logAt(0).digest), NOON)
    assert.is(asked.shown, 0)
    assert.is(cache.known(owner, logAt(0).digest), undefined)
    assert.is(await cache.shown(owner, logAt(0).digest), undefined)
    assert.is(asked.shown, 1)
  })

test("reads C-01 anew what another tenant has shown", () => {
  const { show, isKnown } = world()
  show(a, logAt(0))
  assert.equal([isKnown("default", logAt(0)), isKnown("other", logAt(0))], [true, false])
})

const twins: [name: string, twin: (log: Uint8Array) => Uint8Array][] = [
  ["a byte more", (log) => Uint8Array.of(...log, 0)],
  ["zeros behind its last event", (log) => Uint8Array.of(...log, ...new Uint8Array(32))],
  ["another type in its last event", (log) => flipped(log, log.length - 80)],
  ["its last byte changed", (log) => flipped(log, log.length - 1)],
  ["its first byte changed", (log) => flipped(log, 0)],
]
for (const [name, twin] of twins)
  test(`takes C-02 a log with ${name} for another one, and keeps the genuine one`, () => {
    const { show, isKnown, cache } = world()
    show(a, logAt(0))
    const bytes = twin(logAt(0).bytes)
    const other = { bytes, digest: logDigest(bytes) }
    try {
      assert.not.equal(cache.read("default", other).bytes, logAt(0).bytes)
    } catch (error) {
      assert.instance(error, AssayError)
    }
    assert.is(isKnown("default", logAt(0)), true)
  })

const ambiguous: [name: string, one: LogOwner, other: LogOwner][] = [
  [
    "a tenant and a device",
    ownerOf("b", { tenant: "a", akName: a.akName }),
    ownerOf("", { tenant: "ab", akName: a.akName }),
  ],
  [
    "a device and a key",
    ownerOf("aA", { akName: Uint8Array.of(66) }),
    ownerOf("a", { akName: Uint8Array.of(65, 66) }),
  ],
  [
    "a separator in a name",
    ownerOf("a b", { akName: a.akName }),
    ownerOf("a", { tenant: "default a", akName: a.akName }),
  ],
  [
    "a name that every object has",
    ownerOf("__proto__", { akName: a.akName }),
    ownerOf("constructor", { akName: a.akName }),
  ],
  [
    "names that look alike",
    ownerOf("\u00e9", { akName: a.akName }),
    ownerOf("e\u0301", { akName: a.akName }),
  ],
]
for (const [name, one, other] of ambiguous)
  test(`tells C-03 keys apart: ${name}`, async () => {
    const { cache, show } = world()
    show(one, logAt(0))
    assert.equal(await cache.shown(one, logAt(0).digest), NOON)
    assert.is(await cache.shown(other, logAt(0).digest), undefined)
    assert.is(await cache.shown(one, logAt(1).digest), undefined)
  })

const failures: [
  name: string,
  spoil: (tries: { n: number }) => Partial<EventLogs>,
  ask: (logs: EventLogs) => Promise<unknown>,
  want: unknown,
][] = [
  [
    "a store that cannot say whose it is",
    (tries) => ({
      shown: async () => {
        if (tries.n++ === 0) throw new AssayError("REGISTRY", "no")
        return NOON
      },
    }),
    (cache) => cache.shown(a, logAt(0).digest),
    NOON,
  ],
  [
    "a store that does not know yet",
    (tries) => ({ shown: async () => (tries.n++ === 0 ? undefined : NOON) }),
    (cache) => cache.shown(a, logAt(0).digest),
    NOON,
  ],
  [
    "a store that cannot be read",
    (tries) => ({
      load: async () => {
        if (tries.n++ === 0) throw new AssayError("REGISTRY", "no")
        return undefined
      },
    }),
    (cache) => cache.load(GATEWAY, logAt(0).digest, UNMETERED),
    undefined,
  ],
]
for (const [name, spoil, ask, want] of failures)
  test(`asks C-06 again after ${name}`, async () => {
    const tries = { n: 0 }
    const { cache } = world(BOUNDS, () => spoil(tries))
    await ask(cache).catch((error: unknown) => assert.instance(error, AssayError))
    assert.equal(await ask(cache), want)
    assert.is(tries.n, 2)
  })

test("remembers C-06 no log that did not hold, however often it is sent", () => {
  const { cache, isKnown } = world()
  for (let i = 0; i < 5; i++) cache.read("default", logAt(0))
  assert.equal([isKnown("default", logAt(0)), cache.size], [false, 0])
  for (let i = 0; i < 3; i++)
    throwsCode(() => cache.read("default", { bytes: Uint8Array.of(1), digest: digestOf("junk") }), "FRAMING")
  assert.is(cache.size, 0)
})

test("lets C-06 one device that makes up a log each time take nothing from others", () => {
  const { show, isKnown, cache } = world({ ...BOUNDS, logs: 10 })
  for (let n = 0; n < 5; n++) show(ownerOf(`device ${n}`), logAt(n))
  for (let n = 5; n < 40; n++) show(ownerOf("hostile"), logAt(n))
  for (let n = 0; n < 5; n++) assert.is(isKnown("default", logAt(n)), true)
  assert.is(cache.size, 5 + 4)
})

test("lets C-06 one tenant take nothing from another that has less", () => {
  const { show, isKnown, cache } = world({ ...BOUNDS, logs: 10 })
  const victim = ownerOf("victim", { tenant: "small" })
  for (let n = 0; n < 3; n++) show(victim, logAt(n))
  for (let n = 0; n < 40; n++) show(ownerOf(`device ${n}`), logAt(n))
  for (let n = 0; n < 3; n++) assert.is(isKnown("small", logAt(n)), true)
  assert.equal([cache.size, cache.evictions], [10, 33])
})

for (const [name, bounds] of [
  ["logs", { ...BOUNDS, logs: 3 }],
  ["bytes", { ...BOUNDS, bytes: 3 * (logAt(0).bytes.length + 12_000) + 100 }],
] as const)
  test(`holds no more ${name} than it may, and lets the least lately used go`, () => {
    const { show, isKnown, cache } = world(bounds)
    for (let n = 0; n < 3; n++) show(ownerOf(`device ${n}`), logAt(n))
    assert.is(isKnown("default", logAt(0)), true)
    show(ownerOf("device 3"), logAt(3))
    assert.equal(
      [0, 1, 2, 3].map((n) => isKnown("default", logAt(n))),
      [true, false, true, true],
    )
    assert.equal([cache.size, cache.evictions], [3, 1])
  })

test("asks C-07 the store once for what many ask at a time, and a failure is nobody's afterwards", async () => {
  let fail = true
  const gate = Promise.withResolvers<void>()
  const counts = { shown: 0, load: 0 }
  const { cache } = world(BOUNDS, () => ({
    shown: async () => {
      counts.shown++
      await gate.promise
      if (fail) throw new AssayError("REGISTRY", "no")
      return NOON
    },
    load: async () => {
      counts.load++
      await gate.promise
      return undefined
    },
  }))
  const all = Array.from({ length: 10 }, () => rejectsCode(() => cache.shown(a, logAt(0).digest), "REGISTRY"))
  const loads = Array.from({ length: 10 }, () => cache.load(GATEWAY, logAt(0).digest, UNMETERED))
  gate.resolve()
  await Promise.all([...all, ...loads])
  assert.equal(counts, { shown: 1, load: 1 })
  fail = false
  assert.equal(await cache.shown(a, logAt(0).digest), NOON)
})

const apart: [
  name: string,
  one: (cache: EventLogs) => Promise<unknown>,
  other: (cache: EventLogs) => Promise<unknown>,
][] = [
  [
    "two tenants and one log",
    (c) => c.load(GATEWAY, logAt(0).digest, UNMETERED),
    (c) => c.load({ ...GATEWAY, tenant: "other" }, logAt(0).digest, UNMETERED),
  ],
  [
    "one tenant and two logs",
    (c) => c.load(GATEWAY, logAt(0).digest, UNMETERED),
    (c) => c.load(GATEWAY, logAt(1).digest, UNMETERED),
  ],
  ["two devices and one log", (c) => c.shown(a, logAt(0).digest), (c) => c.shown(b, logAt(0).digest)],
  [
    "one device and two keys",
    (c) => c.shown(a, logAt(0).digest),
    (c) => c.shown({ ...a, akName: b.akName }, logAt(0).digest),
  ],
  ["one device and two logs", (c) => c.shown(a, logAt(0).digest), (c) => c.shown(a, logAt(1).digest)],
]
for (const [name, one, other] of apart)
  test(`lets C-07 no call join another's flight: ${name}`, async () => {
    const { cache, asked } = world()
    await Promise.all([one(cache), one(cache), other(cache), other(cache)])
    assert.is(asked.shown + asked.log, 2)
  })

test("tells the store of a log that is in use once an hour, and at once of a new one", () => {
  const { show, asked } = world()
  for (const ms of [0, 1, HOUR_MS - 1]) show(a, logAt(0), afterNoon(ms))
  assert.is(asked.note, 1)
  show(b, logAt(0))
  show(a, logAt(1))
  assert.is(asked.note, 3)
  show(a, logAt(0), afterNoon(HOUR_MS))
  assert.is(asked.note, 4)
  show(a, logAt(0), afterNoon(-1))
  assert.is(asked.note, 5)
})

test("takes the store's word for when it was told last", async () => {
  const { cache, asked, store } = world()
  store.note(a, logAt(0), NOON)
  assert.equal(await cache.shown(a, logAt(0).digest), NOON)
  const log = await cache.load(GATEWAY, logAt(0).digest, UNMETERED)
  if (log === undefined) throw new TypeError("the store has it")
  cache.held(a, log)
  cache.keep(a, log, afterNoon(1))
  assert.equal(asked, { shown: 1, log: 1, note: 1 })
  await cache.shown(a, logAt(0).digest)
  await cache.load(GATEWAY, logAt(0).digest, UNMETERED)
  assert.equal(asked, { shown: 1, log: 1, note: 1 })
})

test("asks C-06 again for a log that had to go, although it is known whose it is", async () => {
  const { cache, show, asked } = world({ ...BOUNDS, logs: 1 })
  show(a, logAt(0))
  show(b, logAt(1))
  assert.is(cache.known(a, logAt(0).digest), undefined)
  assert.equal(await cache.shown(a, logAt(0).digest), NOON)
  assert.equal((await cache.load(GATEWAY, logAt(0).digest, UNMETERED))?.bytes, logAt(0).bytes)
  assert.equal(asked, { shown: 0, log: 1, note: 2 })
})

const lost: [name: string, parts: readonly ("kept" | "links")[]][] = [
  ["whose note came to nothing", ["kept", "links"]],
  ["that it has pruned", ["kept"]],
]
for (const [name, parts] of lost)
  test(`tells the store C-06 at once of a log ${name}, when the device sends it again`, async () => {
    const { cache, show, asked, memory } = world({ ...BOUNDS, logs: 1 })
    const named = async () => {
      assert.equal(await cache.shown(a, logAt(0).digest), NOON)
      show(b, logAt(1)) // takes the place of what is remembered
      return cache.load(GATEWAY, logAt(0).digest, UNMETERED)
    }
    show(a, logAt(0))
    for (const part of parts) memory[part].clear()
    assert.is(await named(), undefined)
    const before = asked.note
    for (const ms of [0, 1, 2]) show(a, logAt(0), afterNoon(ms))
    assert.is(asked.note, before + 1)
    assert.equal((await named())?.bytes, logAt(0).bytes)
  })

test("names nothing for a device whose log only ever held", async () => {
  const { cache, asked } = world()
  cache.held(a, cache.read("default", logAt(0)))
  assert.is(cache.known(a, logAt(0).digest), undefined)
  assert.is(await cache.shown(a, logAt(0).digest), undefined)
  assert.equal(asked, { shown: 1, log: 0, note: 0 })
})

test.run()
