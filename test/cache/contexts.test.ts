import { suite } from "uvu"
import * as assert from "uvu/assert"
import { sameBytes } from "../../src/bytes.ts"
import { cachedContexts } from "../../src/cache/contexts.ts"
import { createShares } from "../../src/cache/shares.ts"
import { AssayError } from "../../src/errors.ts"
import { parsePublic } from "../../src/evidence/tpm/public.ts"
import { compile } from "../../src/service/compile.ts"
import type { DeviceRecord, PolicyRecord, Snapshot } from "../../src/service/ports.ts"
import { rejectsCode } from "../support/assert.ts"
import { ekChainOf } from "../support/endorsed.ts"
import { quoteFixture } from "../support/fixtures.ts"
import { newCounters, newDevice, newPolicy, recordOf } from "../support/ports/samples.ts"

const test = suite("cachedContexts")

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
const snapshotOf = (change: Partial<DeviceRecord> = {}, policy = policyOf(300)): Snapshot => ({
  device: {
    ...recordOf(newDevice("device-1", { akPublic: p256.bytes, akName: p256.name, createdAt: new Date(0) })),
    ...change,
  },
  policy,
  trustGeneration: 0,
  anchors: 1,
})

/** A store of one snapshot a key, that counts how often it is read. */
const storeOf = (initial: Snapshot) => {
  const store = { reads: 0, now: initial, failing: false }
  const registry = {
    snapshotFor: async (): Promise<Snapshot> => {
      store.reads++
      if (store.failing) throw new AssayError("REGISTRY", "away")
      // As rows come: nothing of one is another's.
      return structuredClone(store.now)
    },
  }
  const cached = cachedContexts({ registry, compile }, { max: 10, maxBytes: 2 ** 20 })
  return { store, cached }
}

test("reads a device once for many calls, says that it remembers, and counts both", async () => {
  const { store, cached } = storeOf(snapshotOf())
  const first = await cached.contextFor("default", p256.name)
  assert.not.ok(first.isRemembered)
  for (let i = 0; i < 5; i++) {
    const next = await cached.contextFor("default", p256.name)
    assert.ok(next.isRemembered)
    assert.is(next.context, first.context)
  }
  assert.is(store.reads, 1)
  assert.equal([cached.hits, cached.misses, cached.size], [5, 1, 1])
})

test("makes the key of a device again that it has no room to keep ready", async () => {
  const both = [p256, rsa].map(({ bytes, name }) => snapshotOf({ akPublic: bytes, akName: name }))
  let reads = 0
  const registry = {
    snapshotFor: async (_: string, akName: Uint8Array): Promise<Snapshot> => {
      reads++
      const found = both.find(({ device }) => sameBytes(device.akName, akName))
      if (found === undefined) throw new AssayError("DEVICE_NOT_FOUND", "none")
      return structuredClone(found)
    },
  }
  const cached = cachedContexts({ registry, compile }, { max: 10, maxBytes: 2 ** 20, readyMax: 1 })
  const found = async (name: Uint8Array) => (await cached.contextFor("default", name)).context
  const [first, other] = [await found(p256.name), await found(rsa.name)]
  const again = await found(p256.name)
  assert.is.not(again.ak, first.ak)
  assert.equal(again, first)
  assert.is(await found(p256.name), again)
  cached.moved(other, newCounters({ clockMs: 7n }))
  const moved = await found(rsa.name)
  assert.is(moved.snapshot.device.counters?.clockMs, 7n)
  assert.is(moved.ak, other.ak)
  assert.is((await found(p256.name)).snapshot.device.counters, undefined)
  assert.equal([reads, cached.misses, cached.hits, cached.size], [2, 2, 4, 2])
})

test("shares one read among calls that come at a time, and says of all but the first that it may be old", async () => {
  const { store, cached } = storeOf(snapshotOf())
  const found = await Promise.all(Array.from({ length: 4 }, () => cached.contextFor("default", p256.name)))
  assert.is(store.reads, 1)
  assert.equal(
    found.map(({ isRemembered }) => isRemembered),
    [false, true, true, true],
  )
})

test("tells tenants apart that have the same key, C-01", async () => {
  const { store, cached } = storeOf(snapshotOf())
  await cached.contextFor("default", p256.name)
  store.now = snapshotOf({ tenant: "acme", id: "theirs" })
  const { context, isRemembered } = await cached.contextFor("acme", p256.name)
  assert.equal([context.snapshot.device.id, isRemembered], ["theirs", false])
})

test("reads anew when it is told to, and remembers that", async () => {
  const { store, cached } = storeOf(snapshotOf())
  await cached.contextFor("default", p256.name)
  store.now = snapshotOf({ revision: 2, state: "revoked" })
  assert.is((await cached.readContext("default", p256.name)).snapshot.device.state, "revoked")
  const { context } = await cached.contextFor("default", p256.name)
  assert.is(context.snapshot.device.revision, 2)
})

const [EK_CHAIN, OTHER_CHAIN] = [ekChainOf(), ekChainOf()]
const certified = (change: Partial<DeviceRecord> = {}, ekCertificateChain = EK_CHAIN): Snapshot => {
  const snapshot = snapshotOf(change)
  return {
    ...snapshot,
    device: { ...snapshot.device, endorsement: { ...snapshot.device.endorsement, ekCertificateChain } },
  }
}
test("keeps C-06 what is known of a device's key and certificates when anybody has it read again", async () => {
  const { store, cached } = storeOf(certified())
  const { context: first } = await cached.contextFor("default", p256.name)
  assert.is(first.ekChain.length, 2)
  store.now = { ...certified(), trustGeneration: 7 }
  const again = await cached.readContext("default", p256.name)
  assert.is(again.snapshot.trustGeneration, 7)
  for (const name of ["ak", "owner", "akChain", "ekChain"] as const) assert.is(again[name], first[name], name)
  assert.is((await cached.contextFor("default", p256.name)).context, again)
})
const others: [name: string, snapshot: () => Snapshot][] = [
  ["another revision", () => certified({ revision: 2 })],
  ["another device with the same key", () => certified({ id: "device-2" })],
  ["other certificates", () => certified({}, OTHER_CHAIN)],
  ["fewer certificates", () => certified({}, EK_CHAIN.slice(0, 1))],
  ["no certificates", () => snapshotOf()],
]
for (const [name, snapshot] of others)
  test(`keeps nothing C-01 of what is known of a key and its certificates for ${name}`, async () => {
    const { store, cached } = storeOf(certified())
    const { context: first } = await cached.contextFor("default", p256.name)
    store.now = snapshot()
    const again = await cached.readContext("default", p256.name)
    assert.is.not(again.ak, first.ak)
    assert.is.not(again.ekChain, first.ekChain)
  })

test("remembers no failure", async () => {
  const { store, cached } = storeOf(snapshotOf())
  store.failing = true
  await rejectsCode(() => cached.contextFor("default", p256.name), "REGISTRY")
  store.failing = false
  assert.not.ok((await cached.contextFor("default", p256.name)).isRemembered)
})

test("holds each revision of a policy once, however many devices are judged by it, and never one for another", async () => {
  const { store, cached } = storeOf(snapshotOf())
  const { context: one } = await cached.contextFor("default", p256.name)
  store.now = snapshotOf({ id: "device-2", akName: rsa.name, akPublic: rsa.bytes })
  const { context: other } = await cached.contextFor("default", rsa.name)
  assert.is(other.policy, one.policy)
  assert.is(other.snapshot.policy, one.snapshot.policy)
  store.now = snapshotOf({}, policyOf(60, { revision: 2 }))
  assert.is((await cached.readContext("default", p256.name)).policy?.terms.session.lifetimeSeconds, 60)
})

test("moves counters on as commits do, and never back", async () => {
  const { cached } = storeOf(snapshotOf({ counters: newCounters({ resetCount: 1, clockMs: 100n }) }))
  const { context } = await cached.contextFor("default", p256.name)
  const heldClock = async () =>
    (await cached.contextFor("default", p256.name)).context.snapshot.device.counters?.clockMs
  cached.moved(context, newCounters({ resetCount: 1, clockMs: 300n }))
  assert.is(await heldClock(), 300n)
  cached.moved(context, newCounters({ resetCount: 1, clockMs: 200n }))
  assert.is(await heldClock(), 300n)
  cached.moved(context, newCounters({ resetCount: 2, clockMs: 7n }))
  assert.is(await heldClock(), 7n)
})

test("takes no counters of another revision of the device", async () => {
  const { store, cached } = storeOf(snapshotOf({ counters: undefined }))
  const { context } = await cached.contextFor("default", p256.name)
  store.now = snapshotOf({ revision: 2, counters: undefined })
  await cached.readContext("default", p256.name)
  cached.moved(context, newCounters({ clockMs: 300n }))
  const { context: held } = await cached.contextFor("default", p256.name)
  assert.is(held.snapshot.device.counters, undefined)
})

test("takes no counters of what the key was of before, under the same revision, C-01", async () => {
  const { store, cached } = storeOf(snapshotOf({ counters: undefined }))
  const { context } = await cached.contextFor("default", p256.name)
  store.now = snapshotOf({ id: "device-2", counters: undefined })
  await cached.readContext("default", p256.name)
  cached.moved(context, newCounters({ clockMs: 300n }))
  const { context: held } = await cached.contextFor("default", p256.name)
  assert.equal([held.snapshot.device.id, held.snapshot.device.counters], ["device-2", undefined])
})

test("takes from the tenant that has most when there are too many, and counts what went", () => {
  const shares = createShares<object>({ max: 10, maxBytes: 1000, sizeOf: () => 1 })
  for (let i = 0; i < 3; i++) shares.set("small", `${i}`, {})
  for (let i = 0; i < 100; i++) shares.set("large", `${i}`, {})
  assert.is(shares.size, 10)
  for (let i = 0; i < 3; i++)
    assert.ok(shares.get("small", `${i}`) !== undefined, "what others show takes nothing")
  assert.is(shares.get("large", "0"), undefined)
  assert.ok(shares.get("large", "99") !== undefined)
  assert.is(shares.evictions, 93)
})

test("is bounded by bytes too", () => {
  const shares = createShares<{ readonly size: number }>({
    max: 1000,
    maxBytes: 100,
    sizeOf: ({ size }) => size,
  })
  for (let i = 0; i < 50; i++) shares.set("default", `${i}`, { size: 30 })
  assert.is(shares.size, 3)
  shares.set("default", "too large", { size: 101 })
  assert.is(shares.get("default", "too large"), undefined)
  shares.delete("default", "49")
  assert.is(shares.size, 2)
})

test.run()
