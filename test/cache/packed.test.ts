import { suite } from "uvu"
import * as assert from "uvu/assert"
import { compilePolicy } from "../../src/appraisal/compile.ts"
import { parsePolicy } from "../../src/appraisal/policy.ts"
import { createPacker, unpack } from "../../src/cache/packed.ts"
import type { DeviceRecord, Snapshot } from "../../src/service/ports.ts"
import { digestOf, NOON, newCounters, newDevice, newPolicy, recordOf } from "../support/ports/samples.ts"

const test = suite("packed contexts")

const everyByte = Uint8Array.from({ length: 256 }, (_, i) => i)
const DOCUMENT = JSON.stringify({
  version: 1,
  name: "base",
  evidence: { banks: ["sha256"], pcrs: [0], eventLog: "optional" },
  references: [{ name: "release-1", pcrs: { sha256: { 0: "00".repeat(32) } } }],
  session: { lifetimeSeconds: 300, audiences: ["orders"] },
})
const policy = { ...newPolicy("base", DOCUMENT), revision: 1 }
const contextOf = (device: DeviceRecord, change: Partial<Snapshot> = {}) => ({
  snapshot: { device, policy, trustGeneration: 4, anchors: 2, ...change },
  policy: undefined,
  akChain: [],
  ekChain: [],
})

const devices: readonly (readonly [name: string, change: Partial<DeviceRecord>])[] = [
  ["as it is registered", {}],
  ["with every byte in its key", { akPublic: everyByte, qualifiedName: everyByte.toReversed() }],
  ["with labels and names beyond Latin-1", { labels: new Map([["räum", "東京 \u0000"]]), claimedName: "🔑" }],
  ["with counters of 64 bits", { counters: newCounters({ clockMs: 2n ** 64n - 1n, firmwareVersion: 0n }) }],
  [
    "with its last result",
    { lastResult: { at: NOON, tier: "warning", code: "CODE", admittedAt: undefined } },
  ],
  ["with a permit by an endorsement key", { permit: { kind: "board-swap", ek: everyByte, expiresAt: NOON } }],
  ["with a permit by a name", { permit: { kind: "ak-rotation", akName: everyByte, expiresAt: NOON } }],
  [
    "with an endorsement key of no certificate",
    {
      ek: digestOf("ek"),
      endorsement: { ekCertificateChain: [], akCertificateChain: [], ekDigest: digestOf("ek") },
    },
  ],
  ["of a policy, a group and a token", { policy: "own", group: "racks", token: "t-1", revision: 9 }],
]
for (const [name, change] of devices)
  test(`gives back a device ${name}`, () => {
    const context = contextOf({ ...recordOf(newDevice("device-1")), ...change })
    const packed = createPacker()(context)
    assert.equal(unpack(packed), context)
    assert.equal(unpack(packed), context, "it can be had more than once")
  })

test("C-01 holds once what devices have in common, and no more than that", () => {
  const pack = createPacker()
  const device = recordOf(newDevice("device-1"))
  const first = pack(contextOf(device))
  assert.is(pack(contextOf({ ...device, id: "device-2" })).common, first.common)
  const others: readonly Partial<Snapshot>[] = [
    { trustGeneration: 5 },
    { anchors: 0 },
    { policy: { ...policy, revision: 2 } },
    { policy: undefined },
  ]
  for (const change of others) {
    const other = contextOf(device, change)
    assert.equal(unpack(pack(other)), other)
  }
  const ruled = { ...contextOf(device), policy: compilePolicy(parsePolicy(DOCUMENT)) }
  pack(contextOf(device))
  assert.is(unpack(pack(ruled)).policy, ruled.policy)
  assert.equal(unpack(first), contextOf(device))
})

test("gives back bytes that share no memory with those of other devices", () => {
  const { device } = unpack(createPacker()(contextOf(recordOf(newDevice("device-1"))))).snapshot
  assert.ok(device.akPublic.buffer.byteLength < 1024, "not the pool's 8 KB")
})

test.run()
