import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex } from "../../src/bytes.ts"
import { AssayError } from "../../src/errors.ts"
import { challengeExtraData, epochExtraData, nonceExtraData } from "../../src/evidence/transcript.ts"
import { compile } from "../../src/service/compile.ts"
import { openFreshness } from "../../src/service/freshness.ts"
import type { Caller, Challenge, Challenges, Context } from "../../src/service/ports.ts"
import { createChallenges } from "../../src/store/challenges.ts"
import { createEpochs } from "../../src/store/epochs.ts"
import { rejectsCode, throwsCode } from "../support/assert.ts"
import { seededRandom } from "../support/ports/random.ts"
import { digestOf, NOON, newChallenge, newDevice } from "../support/ports/samples.ts"
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
      ...newDevice(id, { akPublic: device.akPublic.subarray(2), akName: device.akName }),
      policy,
      revision: 1,
      counters: undefined,
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
  const random = seededRandom("freshness")
  return { challenges: createChallenges(random), epochs: createEpochs(random) }
}
type TestPorts = ReturnType<typeof ports>

const openWith = (
  { challenges, epochs }: { challenges: Challenges; epochs: TestPorts["epochs"] },
  challenge: Challenge,
  caller = GATEWAY,
) =>
  openFreshness(
    { challenges, epochs },
    { kind: "challenge", challenge: challenges.seal(challenge) },
    caller,
    NOON,
  )

test("opens a challenge without spending it, however often", async () => {
  const world = ports()
  const challenge = newChallenge("one", { device: "" })
  const freshness = [openWith(world, challenge), openWith(world, challenge)]
  for (const { kind, state, nonce, evidenceAgeMs } of freshness)
    assert.equal([kind, state, nonce, evidenceAgeMs], ["challenge", "unspent", undefined, undefined])
  assert.is(world.challenges.counts().spent, 0)
})

test("asks for the digest of what was sealed", () => {
  const confirmation = { method: "jkt", digest: digestOf("key") } as const
  const challenge = newChallenge("one", { confirmation, policy: "base", audience: "orders" })
  const expected = openWith(ports(), challenge).expectedFor(contextWith({ policy: "base" }))
  assert.is(toHex(expected), toHex(challengeExtraData(challenge)))
})

test("gives a session only once the challenge is spent, for the sealed audience and key", async () => {
  const confirmation = { method: "jkt", digest: digestOf("key") } as const
  const freshness = openWith(ports(), newChallenge("one", { confirmation }))
  assert.is(freshness.session(), undefined)
  await freshness.spend()
  assert.is(freshness.state, "spent")
  assert.equal(freshness.session(), { audience: "https://backend.example", confirmation })
})

test("refuses N-01 a challenge that was spent, when it is opened and when it is spent again", async () => {
  const world = ports()
  const challenge = newChallenge("one")
  const early = openWith(world, challenge)
  await openWith(world, challenge).spend()
  throwsCode(() => openWith(world, challenge), "NONCE_SPENT")
  await rejectsCode(() => early.spend(), "NONCE_SPENT")
  assert.is(early.state, "spent")
  assert.is(world.challenges.counts().spent, 1)
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
  test(`refuses N-04 a challenge from ${name}`, () => {
    const error = throwsCode(() => openWith(ports(), newChallenge("one"), caller), "NONCE_CONTEXT")
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
  test(`refuses N-04 ${name}`, () => {
    const freshness = openWith(ports(), newChallenge("one", sealed))
    const error = throwsCode(() => freshness.expectedFor(contextWith(context)), "NONCE_CONTEXT")
    assert.is(error.location, location)
    assert.is(freshness.state, "unspent")
  })

test("refuses P-06 a policy that is older than when the challenge was made", () => {
  const sealed = newChallenge("one", { policy: "base", policyRevision: 3 })
  for (const revision of [1, 2])
    throwsCode(
      () => openWith(ports(), sealed).expectedFor(contextWith({ policy: "base", revision })),
      "POLICY_VERSION",
    )
  for (const revision of [3, 4])
    openWith(ports(), sealed).expectedFor(contextWith({ policy: "base", revision }))
})

for (const [name, code, state] of [
  ["CHALLENGES_FULL, for then it is not spent for certain", "CHALLENGES_FULL", "unspent"],
  ["REGISTRY, for an answer that was lost may have spent it", "REGISTRY", "spent"],
  ["NONCE_EXPIRED", "NONCE_EXPIRED", "spent"],
] as const)
  test(`says ${state} when spending ends with ${name}, and gives no session`, async () => {
    const { challenges, epochs } = ports()
    const failing: Challenges = {
      seal: (challenge) => challenges.seal(challenge),
      open: (sealed, at) => challenges.open(sealed, at),
      spend: async () => Promise.reject(new AssayError(code, "no")),
    }
    const freshness = openWith({ challenges: failing, epochs }, newChallenge("one"))
    await rejectsCode(() => freshness.spend(), code)
    assert.is(freshness.state, state)
    if (state === "unspent") assert.is(freshness.session(), undefined)
  })

test("asks for a nonce's digest, and for the nonce itself only where the policy says so", () => {
  const nonce = new Uint8Array(20).fill(6)
  const freshness = openFreshness(ports(), { kind: "nonce", nonce }, GATEWAY, NOON)
  const digest = toHex(nonceExtraData("default", nonce))
  assert.is(toHex(freshness.expectedFor(contextWith({}))), digest)
  assert.is(toHex(freshness.expectedFor(contextWith({ policy: "base" }))), digest)
  assert.is(toHex(freshness.expectedFor(contextWith({ policy: "base", rawNonce: true }))), toHex(nonce))
})

test("asks for the digest of the epoch's value, and says how old the evidence can be", () => {
  const world = ports()
  const { number, value, startsAt } = world.epochs.current("default", NOON)
  const freshness = openFreshness(world, { kind: "epoch", number }, GATEWAY, NOON)
  assert.is(toHex(freshness.expectedFor(contextWith({}))), toHex(epochExtraData("default", value)))
  assert.is(freshness.evidenceAgeMs, NOON.getTime() - startsAt.getTime())
  const theirs = openFreshness(world, { kind: "epoch", number }, { tenant: "other", id: "gateway" }, NOON)
  assert.is.not(toHex(theirs.expectedFor(contextWith({}))), toHex(freshness.expectedFor(contextWith({}))))
})

test("refuses an epoch that is to come, or too long ago", () => {
  const world = ports()
  const { number } = world.epochs.current("default", NOON)
  for (const wrong of [number + 1, number - 2, 0, -1, number + 0.5, Number.MAX_SAFE_INTEGER])
    throwsCode(() => openFreshness(world, { kind: "epoch", number: wrong }, GATEWAY, NOON), "EPOCH")
})

test("refuses T-08 a session for a nonce and for an epoch, whatever is spent", async () => {
  const world = ports()
  const { number } = world.epochs.current("default", NOON)
  for (const input of [
    { kind: "nonce", nonce: new Uint8Array(32) },
    { kind: "epoch", number },
  ] as const) {
    const freshness = openFreshness(world, input, GATEWAY, NOON)
    await freshness.spend()
    assert.is(freshness.state, "none")
    assert.is(freshness.session(), undefined)
  }
})

test.run()
