import fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { cachedCompile } from "../../src/cache/compile.ts"
import { parsePublic } from "../../src/evidence/tpm/public.ts"
import { compile } from "../../src/service/compile.ts"
import type { Compile, DeviceRecord, PolicyRecord, Snapshot } from "../../src/service/ports.ts"
import { throwsCode } from "../support/assert.ts"
import { quoteFixture } from "../support/fixtures.ts"
import { digestOf, newCounters, newDevice, newPolicy, recordOf } from "../support/ports/samples.ts"

const test = suite("cachedCompile")

const document = (lifetimeSeconds: number): string =>
  JSON.stringify({
    version: 1,
    name: "base",
    evidence: { banks: ["sha256"], pcrs: [0], eventLog: "optional" },
    references: [{ name: "release-1", pcrs: { sha256: { 0: "00".repeat(32) } } }],
    session: { lifetimeSeconds, audiences: ["orders"] },
  })
const policyOf = (lifetimeSeconds: number, change: Partial<PolicyRecord> = {}): PolicyRecord => ({
  ...newPolicy("base", document(lifetimeSeconds)),
  revision: 1,
  ...change,
})

const p256 = parsePublic(quoteFixture("p256-sha256").akPublic)
const rsa = parsePublic(quoteFixture("rsa2048-sha256").akPublic)
const snapshotOf = (
  change: Partial<DeviceRecord> = {},
  policy: PolicyRecord | undefined = policyOf(300),
): Snapshot => ({
  device: {
    ...recordOf(newDevice("device-1", { akPublic: p256.bytes, akName: p256.name, createdAt: new Date(0) })),
    ...change,
  },
  policy,
  trustGeneration: 0,
  anchors: 0,
})
const withoutPolicy: Snapshot = { ...snapshotOf(), policy: undefined }

test("compiles once for many calls, and counts both", () => {
  let compiled = 0
  const cached = cachedCompile(
    (snapshot) => {
      compiled++
      return compile(snapshot)
    },
    { max: 10 },
  )
  assert.equal([cached.hits, cached.misses, cached.size], [0, 0, 0])
  const first = cached.compile(snapshotOf())
  for (let i = 0; i < 5; i++) {
    const next = cached.compile(snapshotOf())
    assert.is(next.ak, first.ak)
    assert.is(next.policy, first.policy)
  }
  assert.is(compiled, 1)
  assert.equal([cached.hits, cached.misses, cached.size], [5, 1, 1])
})

test("gives each call the snapshot that it came with", () => {
  const cached = cachedCompile(compile, { max: 10 })
  cached.compile(snapshotOf())
  const later = snapshotOf({ counters: newCounters({ clockMs: 9999n }), qualifiedName: digestOf("q") })
  assert.is(cached.compile(later).snapshot, later)
  assert.is(cached.hits, 1)
})

const others: [what: string, snapshot: Snapshot][] = [
  ["another tenant", snapshotOf({ tenant: "other" })],
  ["another device", snapshotOf({ id: "device-2" })],
  ["another key", snapshotOf({ akName: rsa.name, akPublic: rsa.bytes })],
  ["another revision of the device", snapshotOf({ revision: 2 })],
  ["another policy", snapshotOf({}, policyOf(300, { name: "other" }))],
  ["another revision of the policy", snapshotOf({}, policyOf(300, { revision: 2 }))],
  ["another document under the same revision", snapshotOf({}, policyOf(600))],
  ["a policy of another tenant", snapshotOf({}, policyOf(300, { tenant: "other" }))],
  ["no policy any more", withoutPolicy],
  ["parts that run into each other", snapshotOf({ tenant: "defaultd", id: "evice-1" })],
]
for (const [what, snapshot] of others)
  test(`compiles C-01 anew for ${what}`, () => {
    const cached = cachedCompile(compile, { max: 10 })
    cached.compile(snapshotOf())
    const context = cached.compile(snapshot)
    assert.equal([cached.hits, cached.misses], [0, 2])
    assert.equal(context.policy, compile(snapshot).policy)
    assert.equal(context.ak.area, compile(snapshot).ak.area)
  })

test("compiles C-01 anew when a device gets its first policy", () => {
  const cached = cachedCompile(compile, { max: 10 })
  assert.is(cached.compile(withoutPolicy).policy, undefined)
  assert.is(cached.compile(snapshotOf()).policy?.session.lifetimeSeconds, 300)
})

test("remembers C-06 no failure", () => {
  let fails = true
  const cached = cachedCompile(
    (snapshot) => compile(fails ? { ...snapshot, policy: policyOf(300, { document: "{}" }) } : snapshot),
    { max: 10 },
  )
  for (let i = 0; i < 3; i++) throwsCode(() => cached.compile(snapshotOf()), "REGISTRY")
  assert.equal([cached.hits, cached.misses, cached.size], [0, 3, 0])
  fails = false
  assert.is(cached.compile(snapshotOf()).policy?.name, "base")
})

test("remembers no more than it is told to", () => {
  const cached = cachedCompile(compile, { max: 3 })
  for (let i = 0; i < 10; i++) cached.compile(snapshotOf({ id: `device-${i}` }))
  assert.is(cached.size, 3)
  cached.compile(snapshotOf({ id: "device-9" }))
  assert.is(cached.hits, 1)
})

test("ends every call as without a cache, whatever came before", () => {
  const damaged = snapshotOf({ akPublic: p256.bytes.subarray(1) })
  const pool: readonly Snapshot[] = [...others.map(([, snapshot]) => snapshot), snapshotOf(), damaged]
  const outcome = (one: Compile, snapshot: Snapshot): unknown => {
    try {
      const { ak, policy, snapshot: own } = one(snapshot)
      return { area: ak.area, scheme: ak.scheme, key: ak.keyObject.export({ format: "jwk" }), policy, own }
    } catch (error) {
      return String(error)
    }
  }
  const expected = new Map(pool.map((snapshot) => [snapshot, outcome(compile, snapshot)]))
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...pool), { maxLength: 20 }),
      fc.integer({ min: 1, max: 4 }),
      (calls, max) => {
        const cached = cachedCompile(compile, { max })
        for (const snapshot of calls) assert.equal(outcome(cached.compile, snapshot), expected.get(snapshot))
        assert.is(cached.hits + cached.misses, calls.length)
      },
    ),
    { numRuns: 30 },
  )
})

for (const max of [0, -1, 1.5])
  test(`refuses a size of ${max}`, () => {
    assert.throws(
      () => cachedCompile(compile, { max }),
      (error: unknown) => error instanceof TypeError,
    )
  })

test.run()
