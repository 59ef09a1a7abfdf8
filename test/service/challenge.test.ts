import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex } from "../../src/bytes.ts"
import { AssayError } from "../../src/errors.ts"
import { challengeExtraData } from "../../src/evidence/transcript.ts"
import type { Caller, Challenge, Ports } from "../../src/service/ports.ts"
import { openChallenge } from "../../src/service/sealed-challenge.ts"
import type { ChallengeInput } from "../../src/service/service.ts"
import { rejectsCode } from "../support/assert.ts"
import {
  answered,
  attest,
  enroll,
  evidenceOver,
  GATEWAY,
  START,
  type TestService,
  withService,
} from "../support/service.ts"
import { policyDocument, testDevice } from "../support/world.ts"

const device = testDevice()
const policy = policyDocument(device)
const other = testDevice()

const test = suite("createCreateChallenge")

const asked = (changed: Partial<ChallengeInput> = {}): ChallengeInput => ({
  device: "",
  audience: "orders",
  confirmation: undefined,
  policy: "",
  ...changed,
})

/** What is sealed, read by the one that sealed it. */
const sealedFor = async (
  { service, ports, now }: TestService,
  input: ChallengeInput,
  caller: Caller = GATEWAY,
): Promise<Challenge> => opened(ports, (await service.createChallenge(input, caller)).sealed, now())

const opened = async ({ singleUse }: Ports, sealed: Uint8Array, at: Date): Promise<Challenge> =>
  (await openChallenge(singleUse, sealed, at)).challenge

test("seals who asked, what for and until when, and shows the transcript alone", () =>
  withService(async (world) => {
    await enroll(world.service, device, policy)
    const confirmation = { method: "x5t#S256", digest: new Uint8Array(32).fill(8) } as const
    const input = asked({ device: "device-1", confirmation, policy: "test" })
    const { sealed, transcript, expiresAt } = await world.service.createChallenge(input, GATEWAY)
    assert.equal(await opened(world.ports, sealed, START), {
      random: transcript.random,
      tenant: "default",
      caller: "gateway",
      device: "device-1",
      audience: "orders",
      confirmation,
      policy: "test",
      policyRevision: 1,
      issuedAt: START,
      expiresAt: new Date(START.getTime() + 60_000),
    })
    assert.equal(transcript, { random: transcript.random, tenant: "default", ...input })
    assert.equal(expiresAt, new Date(START.getTime() + 60_000))
    for (const secret of ["gateway", "device-1", "orders"])
      assert.not.ok(Buffer.from(sealed).includes(secret), `${secret} can be read in the sealed value`)
  }))

test("makes 32 fresh random bytes and another sealed value each time", () =>
  withService(async ({ service }) => {
    const made = await Promise.all(
      Array.from({ length: 50 }, () => service.createChallenge(asked(), GATEWAY)),
    )
    for (const { transcript } of made) assert.is(transcript.random.length, 32)
    assert.is(new Set(made.map(({ transcript }) => toHex(transcript.random))).size, 50)
    assert.is(new Set(made.map(({ sealed }) => toHex(sealed))).size, 50)
    assert.is(new Set(made.map(({ transcript }) => toHex(challengeExtraData(transcript)))).size, 50)
  }))

test("journals nothing and remembers nothing: a challenge that nobody answers costs no memory", () =>
  withService(async ({ service, journal, ports }) => {
    const before = (await journal.records("default")).length
    const { sealed } = await service.createChallenge(asked(), GATEWAY)
    assert.is((await journal.records("default")).length, before)
    assert.is((await opened(ports, sealed, START)).caller, "gateway")
    assert.is((await opened(ports, sealed, START)).caller, "gateway")
  }))

test("seals the caller that asked, of its own tenant", () =>
  withService(async (world) => {
    const callers = [GATEWAY, { tenant: "default", id: "local:unix" }, { tenant: "other", id: "gateway" }]
    for (const who of callers) {
      const { tenant, caller } = await sealedFor(world, asked(), who)
      assert.equal({ tenant, id: caller }, who)
    }
  }))

// The lowest acceptable revision is that of the policy that will judge, if the request determines which one that is.

test("seals the current revision of the policy that was asked for", () =>
  withService(async (world) => {
    for (const revision of [1, 2, 3]) {
      await world.service.setPolicy(policy, GATEWAY)
      assert.is((await sealedFor(world, asked({ policy: "test" }))).policyRevision, revision)
    }
  }))

test("seals the current revision of the device's own policy, else of the default", () =>
  withService(async (world) => {
    const { service } = world
    await enroll(service, device, policy)
    await service.setPolicy(policy, GATEWAY)
    assert.is((await sealedFor(world, asked({ device: "device-1" }))).policyRevision, 2)
    await service.registerDevice(
      { id: "device-2", akPublic: other.akPublic, qualifiedName: undefined },
      GATEWAY,
    )
    assert.is((await sealedFor(world, asked({ device: "device-2" }))).policyRevision, 0)
    await service.setPolicy(policyDocument(device, { name: "base" }), GATEWAY)
    await service.assignPolicy({ policy: "base", device: undefined }, GATEWAY)
    assert.is((await sealedFor(world, asked({ device: "device-2" }))).policyRevision, 1)
    assert.is((await sealedFor(world, asked({ device: "device-1" }))).policyRevision, 2)
  }))

test("does not hold a device to the revision of a default policy that is not its own", () =>
  withService(async (world) => {
    const { service } = world
    const base = policyDocument(device, { name: "base" })
    for (let revision = 1; revision <= 3; revision++) await service.setPolicy(base, GATEWAY)
    await service.assignPolicy({ policy: "base", device: undefined }, GATEWAY)
    await enroll(service, device, policy)
    assert.is((await attest(service, device)).token.kind, "session")
    assert.is((await attest(service, device, { device: "device-1" })).token.kind, "session")
  }))

test("is answered under a later revision than it was made under", () =>
  withService(async (world) => {
    await enroll(world.service, device, policy)
    const input = await answered(world.service, device, { device: "device-1", policy: "test" })
    await world.service.setPolicy(policyDocument(device, { session: { lifetimeSeconds: 60 } }), GATEWAY)
    const result = await world.service.verify(input, GATEWAY)
    assert.is(result.token.kind, "session")
    assert.is(result.policy?.revision, 2)
  }))

const refused: readonly [
  name: string,
  input: Partial<ChallengeInput>,
  code: Parameters<typeof rejectsCode>[1],
][] = [
  ["a device that nobody registered", { device: "device-9" }, "DEVICE_NOT_FOUND"],
  [
    "a device that nobody registered, with a policy",
    { device: "device-9", policy: "test" },
    "DEVICE_NOT_FOUND",
  ],
  ["a policy that nobody set", { policy: "nothing" }, "POLICY_NOT_FOUND"],
  ["N-04 a policy that is not the device's", { device: "device-1", policy: "weaker" }, "NONCE_CONTEXT"],
  [
    "N-04 a policy that nobody set for a device with one",
    { device: "device-1", policy: "x" },
    "NONCE_CONTEXT",
  ],
]
for (const [name, input, code] of refused)
  test(`refuses ${name}`, () =>
    withService(async ({ service, journal }) => {
      await enroll(service, device, policy)
      await service.setPolicy(policyDocument(device, { name: "weaker" }), GATEWAY)
      const before = await journal.records("default")
      await rejectsCode(() => service.createChallenge(asked(input), GATEWAY), code)
      assert.is((await journal.records("default")).length, before.length)
    }))

test("refuses N-04 a device and a policy of another tenant, as if they were not there", () =>
  withService(async ({ service }) => {
    await enroll(service, device, policy)
    const stranger = { tenant: "other", id: "gateway" }
    await rejectsCode(
      () => service.createChallenge(asked({ device: "device-1" }), stranger),
      "DEVICE_NOT_FOUND",
    )
    await rejectsCode(() => service.createChallenge(asked({ policy: "test" }), stranger), "POLICY_NOT_FOUND")
  }))

test("refuses N-04 a device without a policy of its own the evidence of which was asked for under another one", () =>
  withService(async ({ service }) => {
    await enroll(service, device, policy)
    await service.registerDevice(
      { id: "device-2", akPublic: other.akPublic, qualifiedName: undefined },
      GATEWAY,
    )
    await service.setPolicy(policyDocument(other, { name: "default" }), GATEWAY)
    await service.assignPolicy({ policy: "default", device: undefined }, GATEWAY)
    const input = await answered(service, other, { device: "device-2", policy: "test" })
    await rejectsCode(() => service.verify(input, GATEWAY), "NONCE_CONTEXT")
  }))

test("refuses N-04 a challenge whose time is over at its last instant, not before", () =>
  withService(async (world) => {
    await enroll(world.service, device, policy)
    const [first, second] = [await answered(world.service, device), await answered(world.service, device)]
    world.advance(59_999)
    assert.is((await world.service.verify(first, GATEWAY)).token.kind, "session")
    world.advance(1)
    await rejectsCode(() => world.service.verify(second, GATEWAY), "NONCE_EXPIRED")
  }))

test("refuses N-04 a challenge of another service with the same registry", () =>
  withService(async (world) =>
    withService(async (twin) => {
      for (const { service } of [world, twin]) await enroll(service, device, policy)
      const { sealed, transcript } = await twin.service.createChallenge(asked(), GATEWAY)
      const evidence = evidenceOver(device, challengeExtraData(transcript))
      const freshness = { kind: "challenge", challenge: sealed } as const
      await rejectsCode(() => world.service.verify({ freshness, evidence }, GATEWAY), "NONCE_UNKNOWN")
      assert.is((await twin.service.verify({ freshness, evidence }, GATEWAY)).token.kind, "session")
    }),
  ))

test("refuses a challenge when the registry cannot say which policy will judge", () =>
  withService(
    async ({ service }) => {
      await rejectsCode(() => service.createChallenge(asked({ device: "device-1" }), GATEWAY), "REGISTRY")
    },
    {
      ports: ({ registry }) => ({
        registry: {
          ...registry,
          device: async () => Promise.reject(new AssayError("REGISTRY", "gone")),
        },
      }),
    },
  ))

test.run()
