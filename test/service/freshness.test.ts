import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex } from "../../src/bytes.ts"
import { AssayError } from "../../src/errors.ts"
import { challengeExtraData, epochExtraData, nonceExtraData } from "../../src/evidence/transcript.ts"
import { compile } from "../../src/service/compile.ts"
import { openFreshness } from "../../src/service/freshness.ts"
import type { Caller, Challenge, Context, SingleUse } from "../../src/service/ports.ts"
import { sealChallenge } from "../../src/service/sealed-challenge.ts"
import { createMemoryEngine } from "../../src/store/engine/memory.ts"
import { createEpochs } from "../../src/store/epochs.ts"
import { rejectsCode, throwsCode } from "../support/assert.ts"
import { seededRandom } from "../support/ports/random.ts"
import { digestOf, NOON, newChallenge, newDevice, recordOf } from "../support/ports/samples.ts"
import { policyDocument, testDevice } from "../support/world.ts"

const test = suite("openFreshness")

const GATEWAY: Caller = { tenant: "default", id: "gateway" }
const device = testDevice()

/** What a verification knows of the device, with a policy of some revision or none. */
const contextWith = (options: {
  readonly id?: string
  readonly policy?: string
  readonly revision?: number
  readonly rawNonce?: boolean
}): Context => {
  const { id = "device-1", policy, revision = 1, rawNonce = false } = options
  const document = policyDocument(device, { name: policy ?? "test", evidence: { rawNonce } })
  return compile({
    device: {
      ...recordOf(newDevice(id, { akPublic: device.akPublic.subarray(2), akName: device.akName })),
      policy,
    },
    policy:
      policy === undefined
        ? undefined
        : { tenant: "default", name: policy, revision, document, digest: digestOf(document) },
    trustGeneration: 0,
    anchors: 0,
  })
}

const ports = () => {
  const { singleUse, epochKey, counts } = createMemoryEngine(seededRandom("freshness"))
  return { singleUse, epochs: createEpochs(epochKey), counts }
}
type TestPorts = ReturnType<typeof ports>

const openWith = async (
  { singleUse, epochs }: Omit<TestPorts, "counts">,
  challenge: Challenge,
  caller = GATEWAY,
) =>
  openFreshness(
    { singleUse, epochs },
    { kind: "challenge", challenge: await sealChallenge(singleUse, challenge) },
    caller,
    NOON,
  )

test("opens a challenge without spending it, however often", async () => {
  const world = ports()
  const challenge = newChallenge("one", { device: "" })
  const freshness = [await openWith(world, challenge), await openWith(world, challenge)]
  for (const { kind, state, nonce, evidenceAgeMs } of freshness)
    assert.equal([kind, state, nonce, evidenceAgeMs], ["challenge", "unspent", undefined, undefined])
  assert.is(world.counts().spent, 0)
})

test("asks for the digest of what was sealed", async () => {
  const confirmation = { method: "jkt", digest: digestOf("key") } as const
  const challenge = newChallenge("one", { confirmation, policy: "base", audience: "orders" })
  const expected = (await openWith(ports(), challenge)).expectedFor(contextWith({ policy: "base" }))
  assert.is(toHex(expected), toHex(challengeExtraData(challenge)))
})

test("gives a session only once the challenge is spent, for the sealed audience and key", async () => {
  const confirmation = { method: "jkt", digest: digestOf("key") } as const
  const freshness = await openWith(ports(), newChallenge("one", { confirmation }))
  assert.is(freshness.session(), undefined)
  await freshness.spend()
  assert.is(freshness.state, "spent")
  assert.equal(freshness.session(), { audience: "https://backend.example", confirmation })
})

test("refuses N-01 a challenge that was spent, when it is opened and when it is spent again", async () => {
  const world = ports()
  const challenge = newChallenge("one")
  const early = await openWith(world, challenge)
  await (await openWith(world, challenge)).spend()
  await rejectsCode(() => openWith(world, challenge), "NONCE_SPENT")
  await rejectsCode(() => early.spend(), "NONCE_SPENT")
  assert.is(early.state, "spent")
  assert.is(world.counts().spent, 1)
})

const others: readonly [name: string, caller: Caller][] = [
  ["another caller", { tenant: "default", id: "backend" }],
  ["a caller without a credential", { tenant: "default", id: "local:127.0.0.1" }],
  ["the same name of another tenant", { tenant: "other", id: "gateway" }],
  ["a name in other letters", { tenant: "default", id: "Gateway" }],
  ["a name that begins alike", { tenant: "default", id: "gatewa" }],
  ["nobody", { tenant: "default", id: "" }],
]
for (const [name, caller] of others)
  test(`refuses N-04 a challenge from ${name}`, async () => {
    const error = await rejectsCode(() => openWith(ports(), newChallenge("one"), caller), "NONCE_CONTEXT")
    assert.is(error.location, "caller")
  })

const contexts: readonly [
  name: string,
  sealed: Partial<Challenge>,
  context: Parameters<typeof contextWith>[0],
  location: string,
][] = [
  ["another device", { device: "device-1" }, { id: "device-2" }, "device"],
  ["a device whose id begins alike", { device: "device-1" }, { id: "device-10" }, "device"],
  ["a device under another policy", { policy: "strict" }, { policy: "weak" }, "policy"],
  ["a device without the policy that was asked for", { policy: "strict" }, {}, "policy"],
]
for (const [name, sealed, context, location] of contexts)
  test(`refuses N-04 ${name}`, async () => {
    const freshness = await openWith(ports(), newChallenge("one", sealed))
    const error = throwsCode(() => freshness.expectedFor(contextWith(context)), "NONCE_CONTEXT")
    assert.is(error.location, location)
    assert.is(freshness.state, "unspent")
  })

test("refuses P-06 a policy that is older than when the challenge was made", async () => {
  const sealed = newChallenge("one", { policy: "base", policyRevision: 3 })
  const freshness = await openWith(ports(), sealed)
  for (const revision of [1, 2])
    throwsCode(() => freshness.expectedFor(contextWith({ policy: "base", revision })), "POLICY_VERSION")
  for (const revision of [3, 4]) freshness.expectedFor(contextWith({ policy: "base", revision }))
})

for (const [name, code, state] of [
  ["CHALLENGES_FULL, for then it is not spent for certain", "CHALLENGES_FULL", "unspent"],
  ["NONCE_STORE, for an answer that was lost may have spent it", "NONCE_STORE", "spent"],
  ["NONCE_FENCED, for what was forgotten may have been spent", "NONCE_FENCED", "spent"],
  ["NONCE_EXPIRED", "NONCE_EXPIRED", "spent"],
] as const)
  test(`says ${state} when spending ends with ${name}, and gives no session`, async () => {
    const { singleUse, epochs } = ports()
    const failing: SingleUse = {
      ...singleUse,
      spend: async () => Promise.reject(new AssayError(code, "no")),
    }
    const freshness = await openWith({ singleUse: failing, epochs }, newChallenge("one"))
    await rejectsCode(() => freshness.spend(), code)
    assert.is(freshness.state, state)
    if (state === "unspent") assert.is(freshness.session(), undefined)
  })

test("asks for a nonce's digest, and for the nonce itself only where the policy says so", async () => {
  const nonce = new Uint8Array(20).fill(6)
  const freshness = await openFreshness(ports(), { kind: "nonce", nonce }, GATEWAY, NOON)
  const digest = toHex(nonceExtraData("default", nonce))
  assert.is(toHex(freshness.expectedFor(contextWith({}))), digest)
  assert.is(toHex(freshness.expectedFor(contextWith({ policy: "base" }))), digest)
  assert.is(toHex(freshness.expectedFor(contextWith({ policy: "base", rawNonce: true }))), toHex(nonce))
})

test("asks for the digest of the epoch's value, and says how old the evidence can be", async () => {
  const world = ports()
  const { number, value, startsAt } = await world.epochs.current("default", NOON)
  const freshness = await openFreshness(world, { kind: "epoch", number }, GATEWAY, NOON)
  assert.is(toHex(freshness.expectedFor(contextWith({}))), toHex(epochExtraData("default", value)))
  assert.is(freshness.evidenceAgeMs, NOON.getTime() - startsAt.getTime())
  const theirs = await openFreshness(
    world,
    { kind: "epoch", number },
    { tenant: "other", id: "gateway" },
    NOON,
  )
  assert.is.not(toHex(theirs.expectedFor(contextWith({}))), toHex(freshness.expectedFor(contextWith({}))))
})

test("refuses an epoch that is to come, or too long ago", async () => {
  const world = ports()
  const { number } = await world.epochs.current("default", NOON)
  for (const wrong of [number + 1, number - 2, 0, -1, number + 0.5, Number.MAX_SAFE_INTEGER])
    await rejectsCode(() => openFreshness(world, { kind: "epoch", number: wrong }, GATEWAY, NOON), "EPOCH")
})

test("refuses T-08 a session for a nonce and for an epoch, whatever is spent", async () => {
  const world = ports()
  const { number } = await world.epochs.current("default", NOON)
  for (const input of [
    { kind: "nonce", nonce: new Uint8Array(32) },
    { kind: "epoch", number },
  ] as const) {
    const freshness = await openFreshness(world, input, GATEWAY, NOON)
    await freshness.spend()
    assert.is(freshness.state, "none")
    assert.is(freshness.session(), undefined)
  }
})

test.run()
