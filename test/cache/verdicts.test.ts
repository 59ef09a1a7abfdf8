import { suite } from "uvu"
import * as assert from "uvu/assert"
import { cachedVerdicts } from "../../src/cache/verdicts.ts"
import { AssayError, type Code } from "../../src/errors.ts"
import type { ShownLog } from "../../src/evidence/evidence.ts"
import type {
  DeviceRecord,
  Judged,
  PolicyRecord,
  Showing,
  Snapshot,
  Standing,
} from "../../src/service/ports.ts"
import { createVerdicts } from "../../src/service/verdicts.ts"
import { rejectsCode } from "../support/assert.ts"
import {
  afterNoon,
  digestOf,
  NOON,
  newCounters,
  newDevice,
  newPolicy,
  recordOf,
} from "../support/ports/samples.ts"

const test = suite("cachedVerdicts")
const BOUNDS = { devices: 10, bytes: 1 << 20, refutations: 5, refutedMs: 2000 }
const PROVEN: Standing = { kind: "proven", until: undefined }
const REFUTED: Standing = { kind: "refuted" }
const PASSING: Standing = { kind: "passing" }

const judgedAs = (standing: Standing, change: Partial<Judged> = {}): Judged => ({
  appraisal: { tier: "affirming", vector: {}, findings: [] },
  endorsements: [],
  isEndorsed: false,
  answers: true,
  clock: undefined,
  standing,
  ...change,
})

/** What a showing is of, part by part. */
interface Parts {
  readonly device?: Partial<DeviceRecord>
  readonly policy?: Partial<PolicyRecord> | "none"
  readonly trust?: number
  readonly evidence?: string
  readonly log?: ShownLog
  readonly epoch?: string
  readonly at?: Date
}
const policyOf = (change: Partial<PolicyRecord> = {}): PolicyRecord => ({
  ...newPolicy("base", "a document"),
  revision: 1,
  ...change,
})
const showingOf = (parts: Parts = {}): Showing => {
  const { device = {}, policy = {}, trust = 3, evidence = "evidence", epoch = "epoch", at = NOON } = parts
  const record = { ...recordOf(newDevice("device-1")), counters: newCounters(), ...device }
  const snapshot: Snapshot = {
    device: record,
    policy: policy === "none" ? undefined : policyOf(policy),
    trustGeneration: trust,
    anchors: 1,
  }
  const log = parts.log ?? { kind: "none" }
  return {
    evidence: { akName: record.akName, digest: digestOf(evidence), log },
    epoch: digestOf(epoch),
    snapshot,
    at,
  }
}

/** A cache, and how often it had to judge. */
const world = (bounds = BOUNDS) => {
  const cache = cachedVerdicts(createVerdicts(), bounds)
  let judged = 0
  const show = (
    parts: Parts = {},
    as: Judged | (() => Promise<Judged>) = judgedAs(PROVEN),
  ): Promise<Judged> =>
    cache.verdictOn(showingOf(parts), async () => {
      judged++
      return typeof as === "function" ? as() : as
    })
  /** Whether a showing is judged anew. */
  const isMissed = async (parts: Parts): Promise<boolean> => {
    const before = judged
    await show(parts)
    return judged > before
  }
  return { cache, show, isMissed, judged: () => judged }
}

test("judges once what is shown again, and counts hits and misses", async () => {
  const { cache, show, judged } = world()
  assert.not.ok(cache.knows("default", showingOf().evidence))
  const first = await show()
  for (let i = 1; i < 5; i++) assert.is((await show({ at: afterNoon(i) })).appraisal, first.appraisal)
  assert.equal([judged(), cache.hits, cache.misses, cache.size, cache.evictions], [1, 4, 1, 1, 0])
  assert.ok(cache.knows("default", showingOf().evidence))
})

test("keeps nothing of what one call had in hand", async () => {
  const { show } = world()
  const proven = { quote: undefined as never }
  assert.is((await show({}, judgedAs(PROVEN, { proven }))).proven, proven)
  assert.is((await show()).proven, undefined)
})

const NAMED: ShownLog = { kind: "named", digest: digestOf("log") }
const SENT: ShownLog = { kind: "sent", digest: digestOf("log"), bytes: new Uint8Array(3) }
const counters = newCounters()
const others: readonly [name: string, parts: Parts, first?: Parts][] = [
  ["C-01 of another tenant", { device: { tenant: "other" } }],
  ["C-01 of another device", { device: { id: "device-2" } }],
  ["C-01 by another key", { device: { akName: digestOf("another key") } }],
  [
    "C-01 by another revision of the device: it was suspended, revoked or given other keys",
    { device: { revision: 2 } },
  ],
  ["C-01 by another policy", { policy: { name: "other" } }],
  ["C-01 by another revision of the policy: it was tightened", { policy: { revision: 2 } }],
  ["C-01 without the policy", { policy: "none" }],
  ["C-01 by another generation of trust: an anchor or a list came or went", { trust: 4 }],
  ["C-01 of another epoch, or of the same by another key", { epoch: "another" }],
  ["C-01 after an answer from a later boot", { device: { counters: newCounters({ resetCount: 6 }) } }],
  ["C-01 after an answer from a later restart", { device: { counters: newCounters({ restartCount: 3 }) } }],
  ["C-01 after an answer with a later clock", { device: { counters: newCounters({ clockMs: 1001n }) } }],
  [
    "C-01 after an answer with other firmware",
    { device: { counters: newCounters({ firmwareVersion: 1n }) } },
  ],
  [
    "C-01 after its firmware was accepted",
    { device: { counters: newCounters({ firmwareVersion: undefined }) } },
  ],
  ["C-01 after another answer", { device: { counters: { ...counters, recordedAt: afterNoon(1) } } }],
  ["C-01 before it ever answered", { device: { counters: undefined } }],
  ["C-02 with a bit more or less", { evidence: "evidence " }],
  ["C-02 with its log sent where it was named", { log: SENT }, { log: NAMED }],
  ["C-02 with its log named where it was sent", { log: NAMED }, { log: SENT }],
  [
    "C-03 of a tenant that runs into the log's kind",
    { device: { tenant: "defaultn" }, log: { kind: "none" } },
  ],
  ["C-03 of a device that runs into its policy", { device: { id: "device-1b" }, policy: { name: "ase" } }],
  [
    "C-03 of a policy whose name runs into the revisions",
    { policy: { name: "base1" }, device: { revision: 1 } },
    { policy: { name: "base" }, device: { revision: 11 } },
  ],
  [
    "C-03 by revisions whose digits are the same",
    { device: { revision: 11 }, policy: { revision: 1 }, trust: 3 },
    { device: { revision: 1 }, policy: { revision: 11 }, trust: 3 },
  ],
  [
    "C-03 by a policy without a name instead of none",
    { policy: { name: "", revision: 0 } },
    { policy: "none" },
  ],
  ["C-03 of a device by a property of every object", { device: { id: "__proto__" } }],
  ["C-04 before it was judged: the clock was set back", { at: afterNoon(-1) }],
]
for (const [name, parts, first = {}] of others)
  test(`judges anew evidence ${name}`, async () => {
    const { show, isMissed } = world()
    await show(first)
    assert.ok(await isMissed(parts))
    assert.not.ok(await isMissed({ ...parts, at: parts.at ?? NOON }))
  })

for (const [name, parts] of others.filter(([name]) => name.startsWith("C-02")))
  test(`keeps C-02 the genuine verdict when it is shown ${name.slice(5)}`, async () => {
    const { show, isMissed } = world()
    await show()
    await show(parts)
    assert.not.ok(await isMissed({}))
  })

for (const [name, ms, missed] of [
  ["an instant before the first certificate ends", 999, false],
  ["when the first certificate ends", 1000, true],
  ["long after it", 100_000, true],
  ["when the clock was set back", -1, true],
  ["when the clock was set back by a day", -86_400_000, true],
] as const)
  test(`C-04 ${missed ? "judges anew" : "remembers"} ${name}`, async () => {
    const { show, isMissed } = world()
    await show({}, judgedAs({ kind: "proven", until: afterNoon(1000) }))
    assert.is(await isMissed({ at: afterNoon(ms) }), missed)
  })

test("C-04 never takes for known evidence of another tenant or key", async () => {
  const { cache, show } = world()
  await show()
  const { evidence } = showingOf()
  assert.not.ok(cache.knows("other", evidence))
  assert.not.ok(cache.knows("default", { ...evidence, akName: digestOf("another") }))
  assert.not.ok(cache.knows("default", { ...evidence, digest: digestOf("another") }))
  assert.not.ok(cache.knows("default", { ...evidence, log: NAMED }))
})

const failures: readonly Code[] = ["REGISTRY", "TRUST", "REVOCATION", "EVENT_LOG_NEEDED", "INTERNAL"]
for (const code of failures)
  test(`remembers C-06 no failure: ${code}`, async () => {
    const { cache, show, isMissed } = world()
    const fail = async () => {
      throw new AssayError(code, "away")
    }
    await rejectsCode(() => show({}, fail), code)
    await rejectsCode(() => show({}, fail), code)
    assert.not.ok(cache.knows("default", showingOf().evidence))
    assert.ok(await isMissed({}))
  })

test("remembers C-06 nothing that may end otherwise by itself", async () => {
  const { cache, show, judged } = world()
  for (let i = 0; i < 3; i++) await show({}, judgedAs(PASSING))
  assert.equal([judged(), cache.size, cache.refutations.size], [3, 0, 0])
})

test("remembers C-06 a refutation for seconds, and counts it apart", async () => {
  const { cache, show, judged } = world()
  const refuted = judgedAs(REFUTED, { answers: false })
  for (const ms of [0, 1, 1999]) await show({ at: afterNoon(ms) }, refuted)
  assert.equal([judged(), cache.refutations.hits, cache.hits, cache.size], [1, 2, 0, 0])
  await show({ at: afterNoon(2000) }, refuted)
  await show({ at: afterNoon(1000) }, refuted)
  assert.is(judged(), 3, "too late, and the clock set back")
})

test("lets C-06 junk take nothing from what is proven, however much of it there is", async () => {
  const { cache, show, isMissed } = world()
  for (let i = 0; i < 8; i++) await show({ device: { id: `${i}`, akName: digestOf(`${i}`) } })
  for (let i = 0; i < 200; i++)
    await show({ evidence: `junk ${i}`, device: { id: "0", akName: digestOf("0") } }, judgedAs(REFUTED))
  for (let i = 0; i < 8; i++)
    assert.not.ok(await isMissed({ device: { id: `${i}`, akName: digestOf(`${i}`) } }))
  assert.equal([cache.refutations.size, cache.refutations.evictions], [5, 195])
})

test("lets C-06 one device that shows evidence in any number of ways take nothing from others", async () => {
  const { cache, show, isMissed } = world()
  await show({ device: { id: "other", akName: digestOf("other") } })
  for (let i = 0; i < 200; i++) await show({ evidence: `variant ${i}` })
  assert.is(cache.size, 2)
  assert.not.ok(await isMissed({ evidence: "variant 199" }))
  assert.not.ok(await isMissed({ evidence: "variant 196" }))
  assert.ok(await isMissed({ evidence: "variant 195" }), "four for each device")
  assert.not.ok(await isMissed({ device: { id: "other", akName: digestOf("other") } }))
})

test("lets C-06 one tenant take nothing from another that has less", async () => {
  const { cache, show, isMissed } = world()
  const small = { tenant: "small", id: "one", akName: digestOf("one") }
  await show({ device: small })
  for (let i = 0; i < 100; i++) await show({ device: { id: `${i}`, akName: digestOf(`${i}`) } })
  assert.not.ok(await isMissed({ device: small }))
  assert.equal([cache.size, cache.evictions], [10, 91])
})

test("is bounded by bytes too", async () => {
  const { cache, show } = world({ ...BOUNDS, devices: 1000, bytes: 10_000 })
  for (let i = 0; i < 100; i++) await show({ device: { id: `${i}`, akName: digestOf(`${i}`) } })
  assert.is(cache.size, 10)
})

test("judges C-07 once what a hundred show at a time", async () => {
  const { cache, show, judged } = world()
  const land = Promise.withResolvers<Judged>()
  const all = Array.from({ length: 100 }, () => show({}, () => land.promise))
  land.resolve(judgedAs(PROVEN))
  const [first, ...rest] = await Promise.all(all)
  for (const one of rest) assert.is(one.appraisal, first?.appraisal)
  assert.equal([judged(), cache.misses], [1, 100])
})

test("C-07 lets a failed flight fail whom it carried, each with an error of his own, and nobody after", async () => {
  const { show, judged, isMissed } = world()
  const land = Promise.withResolvers<Judged>()
  const all = Array.from({ length: 100 }, () => show({}, () => land.promise).catch((error: unknown) => error))
  land.reject(new AssayError("REGISTRY", "away"))
  const errors = await Promise.all(all)
  assert.is(new Set(errors).size, 100)
  for (const error of errors) assert.ok(error instanceof AssayError && error.code === "REGISTRY")
  assert.is(judged(), 1)
  assert.ok(await isMissed({}))
  assert.not.ok(await isMissed({}))
})

for (const [name, parts] of others)
  test(`lets C-07 no call join another's flight: ${name.slice(5)}`, async () => {
    const { show, judged } = world()
    const land = Promise.withResolvers<Judged>()
    const first = show({ log: { kind: "none" } }, () => land.promise)
    const second = show(parts, judgedAs(PROVEN, { isEndorsed: true }))
    land.resolve(judgedAs(PROVEN))
    assert.not.ok((await first).isEndorsed)
    assert.ok((await second).isEndorsed)
    assert.is(judged(), 2)
  })

for (const [name, parts] of others)
  test(`lets C-07 no call fail with another's flight: ${name.slice(5)}`, async () => {
    const { show } = world()
    const land = Promise.withResolvers<Judged>()
    const first = show({ evidence: "first" }, () => land.promise)
    const second = show({ ...parts, evidence: parts.evidence ?? "first" })
    land.reject(new AssayError("REGISTRY", "away"))
    await rejectsCode(() => first, "REGISTRY")
    if (name.startsWith("C-04")) await rejectsCode(() => second, "REGISTRY")
    else assert.is((await second).appraisal.tier, "affirming")
  })

test.run()
