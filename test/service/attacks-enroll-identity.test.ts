/** K-03 and K-04 against enrollment: a key that changes between two looks at it, and an identity that others have. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { generateKeys } from "../../src/device/keys.ts"
import type { SoftwareDevice } from "../../src/device/software.ts"
import type { Code } from "../../src/errors.ts"
import { enrollmentExtraData } from "../../src/evidence/transcript.ts"
import type { Caller, DeviceRecord, Ports } from "../../src/service/ports.ts"
import { rejectsCode } from "../support/assert.ts"
import { akChainOf } from "../support/endorsed.ts"
import {
  assertHonestEnrollment,
  assertRefusalJournaled,
  assertRefused,
  type Enrolling,
  enrollAttacks,
  enrolling,
} from "../support/enroll-attack.ts"
import { certifiedBy, enrolls, shownBy, trusts } from "../support/enrolling.ts"
import { ekChainFor, ekDigestOf, newcomer } from "../support/newcomer.ts"
import { type Scene, sceneFor, watch } from "../support/scene.ts"
import { attest, codesOf, evidenceOver, GATEWAY, type TestService, withService } from "../support/service.ts"
import { policyDocument } from "../support/world.ts"

const test = suite("attacks on the identity of devices")
const scene = sceneFor(test, [])

/** Evidence of a device over some enrollment's transcript. */
const quoteBy = (device: SoftwareDevice, { transcript }: Enrolling) => ({
  ...evidenceOver(device, enrollmentExtraData(transcript)),
  eventLog: undefined,
})

// K-03: one key is checked, another is used.

enrollAttacks(
  test,
  "K-03",
  [
    {
      name: "another attestation key of the same TPM than the enrollment was begun with",
      forge: (attempt) => ({ ...attempt.honest, evidence: quoteBy(newcomer(), attempt) }),
      refusal: { code: "AK_BINDING" },
    },
    {
      name: "another attestation key under the Name of the one that was checked",
      forge: (attempt) => ({
        ...attempt.honest,
        evidence: { ...quoteBy(newcomer(), attempt), akName: attempt.device.akName },
      }),
      refusal: { code: "SIGNATURE" },
    },
    {
      name: "the answer of another device to its own enrollment, under this one's",
      forge: async ({ world, honest }) => ({
        ...(await enrolling(world)).honest,
        enrollment: honest.enrollment,
      }),
      refusal: { code: "AK_BINDING" },
    },
    {
      name: "this device's answer under the enrollment of another",
      forge: async ({ world, honest }) => ({
        ...honest,
        enrollment: (await enrolling(world)).honest.enrollment,
      }),
      refusal: { code: "AK_BINDING" },
    },
    {
      name: "the quote of another enrollment of the same device",
      forge: async ({ world, device, honest }) => ({
        ...honest,
        evidence: (await enrolling(world, device)).honest.evidence,
      }),
      refusal: { code: "NONCE_MISMATCH" },
    },
    {
      name: "certificates that come only with the answer",
      forge: ({ honest, device }) => ({
        ...honest,
        evidence: { ...honest.evidence, akCertificateChain: akChainOf(device) },
      }),
      refusal: { code: "FIELD" },
    },
    {
      name: "an answer to a credential where there was none",
      coming: (device) => ({ keys: certifiedBy(device) }),
      forge: ({ honest }) => ({ ...honest, activation: { kind: "secret", value: new Uint8Array(32) } }),
      refusal: { code: "FIELD" },
    },
    {
      name: "a log that says what is not judged",
      forge: ({ honest, device }) => ({
        ...honest,
        evidence: { ...honest.evidence, eventLog: device.eventLog },
      }),
      refusal: { code: "FIELD" },
    },
  ],
  scene,
)

test("takes an answer by what was sealed, whatever its sender changes behind the first step", async () => {
  const { world } = await scene()
  const device = newcomer()
  const keys = await shownBy(device)
  const attempt = await enrolling(world, device, { keys })
  for (const bytes of [keys.akPublic, ...keys.ekCertificateChain]) bytes.fill(0)
  await assertHonestEnrollment(attempt, "enrolls")
})

/** A service whose store says something else of every enrolled device than what was written. */
const altering = (alter: (device: DeviceRecord) => Partial<DeviceRecord>) => ({
  ports: ({ registry }: Ports): Partial<Ports> => ({
    registry: {
      ...registry,
      snapshotFor: async (tenant, akName) => {
        const snapshot = await registry.snapshotFor(tenant, akName)
        return { ...snapshot, device: { ...snapshot.device, ...alter(snapshot.device) } }
      },
    },
  }),
})

const letIn = async ({ service }: TestService, device: SoftwareDevice): Promise<void> => {
  const { name } = await service.setPolicy(policyDocument(device, { ak: { binding: "proven" } }), GATEWAY)
  await service.assignPolicy({ policy: name, device: undefined }, GATEWAY)
}

const stranger = newcomer()
const strangeChain = await ekChainFor(stranger)
const strangeDigest = await ekDigestOf(stranger)
const swapped: readonly (readonly [
  name: string,
  alter: (device: DeviceRecord) => Partial<DeviceRecord>,
  code: Code,
])[] = [
  [
    "whose certificates are those of another endorsement key",
    ({ endorsement }) => ({ endorsement: { ...endorsement, ekCertificateChain: strangeChain } }),
    "AK_BINDING",
  ],
  ["whose endorsement key is another one's", () => ({ ek: strangeDigest }), "AK_BINDING"],
  [
    "whose certificates are gone, and whose listed key is another",
    ({ endorsement }) => ({
      endorsement: { ...endorsement, ekCertificateChain: [], ekDigest: strangeDigest },
    }),
    "UNTRUSTED_ROOT",
  ],
  [
    "whose certificates are gone",
    ({ endorsement }) => ({ endorsement: { ...endorsement, ekCertificateChain: [] } }),
    "AK_BINDING_UNPROVEN",
  ],
  ["that nobody activated", () => ({ binding: "operator" }), "AK_BINDING_UNPROVEN"],
  ["whose endorsement key is forgotten", () => ({ ek: undefined }), "AK_BINDING_UNPROVEN"],
  [
    "with the certificates of another attestation key",
    ({ endorsement }) => ({ endorsement: { ...endorsement, akCertificateChain: akChainOf(stranger) } }),
    "AK_NAME",
  ],
]
for (const [name, alter, code] of swapped)
  test(`refuses K-03 a device ${name} in the store, when it attests`, () =>
    withService(async (world) => {
      const device = newcomer()
      await enrolls(world, device)
      await letIn(world, device)
      const result = await attest(world.service, device)
      assert.is(result.token.kind, "result")
      assert.is(result.tier, "contraindicated")
      assert.ok(codesOf(result).includes(code), codesOf(result).join())
    }, altering(alter)))

test("refuses K-03 a listed key that is another than the enrolled one, when it attests", () =>
  withService(
    async (world) => {
      const device = newcomer()
      for (const digest of [await ekDigestOf(device), strangeDigest])
        await trusts(world, { eks: [{ digest, label: "" }] })
      await enrolls(world, device, { keys: await shownBy(device, { ekCertificateChain: [] }) })
      await letIn(world, device)
      assert.is(codesOf(await attest(world.service, device))[0], "AK_BINDING")
    },
    altering(({ endorsement }) => ({ endorsement: { ...endorsement, ekDigest: strangeDigest } })),
  ))

// K-04: an identity that is somebody's already.

/** Devices that share keys: `same` the endorsement key's pair, or the attestation key of this process. */
const sharing = (same: "ek" | "ak" | "both"): (() => SoftwareDevice) => {
  const ekKeys = generateKeys("p256")
  switch (same) {
    case "ek":
      return () => newcomer({ ekKeys })
    case "ak":
      return () => newcomer({ sharedKeys: true })
    case "both": {
      const device = newcomer({ ekKeys })
      return () => device
    }
  }
}

const bytesOf = async ({ world }: Scene, { id }: DeviceRecord): Promise<DeviceRecord> =>
  world.registry.device("default", id)

const taken: readonly (readonly [name: string, same: Parameters<typeof sharing>[0]])[] = [
  ["the same endorsement key beside another attestation key", "ek"],
  ["the same keys a second time", "both"],
]
for (const [name, same] of taken)
  test(`refuses K-04 ${name}, and leaves the device as it was`, async () => {
    const made = await scene()
    const make = sharing(same)
    const first = await enrolls(made.world, make())
    const before = await bytesOf(made, first)
    const attempt = await enrolling(made.world, make())
    const { outcomes, journaled } = await watch(made, [
      () => made.world.service.completeEnrollment(attempt.honest, GATEWAY),
    ])
    assertRefused(outcomes[0], { code: "DEVICE_EXISTS", challenge: "spent" }, attempt)
    assertRefusalJournaled(journaled, "DEVICE_EXISTS", attempt)
    assert.equal(await bytesOf(made, first), before)
    await assertHonestEnrollment(attempt, "NONCE_SPENT")
  })

test("refuses K-04 the same attestation key beside another endorsement key", async () => {
  const made = await scene()
  const make = sharing("ak")
  const first = await enrolls(made.world, make())
  const before = await bytesOf(made, first)
  const attempt = await enrolling(made.world, make())
  const { outcomes, journaled } = await watch(made, [
    () => made.world.service.completeEnrollment(attempt.honest, GATEWAY),
  ])
  assertRefused(outcomes[0], { code: "DEVICE_EXISTS", challenge: "spent" }, attempt)
  assertRefusalJournaled(journaled, "DEVICE_EXISTS", attempt)
  assert.equal(await bytesOf(made, first), before)
})

const TOKEN_HOLDER: Caller = { tenant: "default", id: "gateway-2" }
test("refuses K-04 an enrolled device's keys by another caller, and by way of a certificate of the key", async () => {
  const made = await scene()
  const device = newcomer()
  const first = await enrolls(made.world, device)
  const before = await bytesOf(made, first)
  for (const coming of [{ caller: TOKEN_HOLDER }, { keys: certifiedBy(device) }])
    await rejectsCode(() => enrolls(made.world, device, coming), "DEVICE_EXISTS")
  assert.equal(await bytesOf(made, first), before)
})

test("refuses K-04 an id by its claim: a name is a label, and the id is Assay's to give", async () => {
  const made = await scene()
  const first = await enrolls(made.world, newcomer(), { claimedName: "laptop-7" })
  const before = await bytesOf(made, first)
  const second = await enrolls(made.world, newcomer(), { claimedName: "laptop-7" })
  const third = await enrolls(made.world, newcomer(), { claimedName: first.id })
  assert.is(new Set([first.id, second.id, third.id]).size, 3)
  assert.equal(await bytesOf(made, first), before)
})

test("refuses K-04 to say that a device is there to whoever has proven nothing", async () => {
  const made = await scene()
  const device = newcomer()
  await enrolls(made.world, device)
  // The first step is the same for a key that is known and for one that is not.
  const attempt = await enrolling(made.world, device)
  const strange = await enrolling(made.world)
  const shape = ({ begun: { credential, transcript } }: Enrolling) =>
    [credential?.credentialBlob, credential?.encryptedSecret, transcript.random].map((part) => part?.length)
  assert.equal(shape(attempt), shape(strange))
  const unproven: readonly (readonly [forged: Partial<Enrolling["honest"]>, code: Code])[] = [
    [{ activation: undefined }, "AK_BINDING"],
    [{ activation: { kind: "secret", value: new Uint8Array(32) } }, "ACTIVATION"],
    [{ evidence: quoteBy(strange.device, attempt) }, "AK_BINDING"],
    [{ evidence: { ...quoteBy(strange.device, attempt), akName: device.akName } }, "SIGNATURE"],
  ]
  for (const [forged, code] of unproven)
    await rejectsCode(
      () => made.world.service.completeEnrollment({ ...attempt.honest, ...forged }, GATEWAY),
      code,
    )
  await assertHonestEnrollment(attempt, "DEVICE_EXISTS")
})

for (const [name, same, racers] of [
  ["two attestation keys with one endorsement key", "ek", 2],
  ["ten attestation keys with one endorsement key", "ek", 10],
  ["two endorsement keys with one attestation key", "ak", 2],
  ["ten endorsement keys with one attestation key", "ak", 10],
  ["one device that began ten times", "both", 10],
] as const)
  test(`refuses K-04 all but one of ${name} at a time`, () =>
    withService(async (world) => {
      const make = sharing(same)
      const attempts: Enrolling[] = []
      for (let i = 0; i < racers; i++) attempts.push(await enrolling(world, make()))
      const outcomes = await Promise.allSettled(
        attempts.map(({ honest }) => world.service.completeEnrollment(honest, GATEWAY)),
      )
      const codes = outcomes.map((outcome) => (outcome.status === "fulfilled" ? "made" : outcome.reason.code))
      assert.is(codes.filter((code) => code === "made").length, 1, codes.join())
      assert.is(codes.filter((code) => code === "DEVICE_EXISTS").length, racers - 1, codes.join())
      const records = await world.journal.records("default")
      assert.equal(records.map(({ outcome }) => outcome).toSorted(), [
        "done",
        ...Array<string>(racers - 1).fill("refused"),
      ])
    }))

test("refuses K-04 all but one of ten answers to one enrollment at a time", () =>
  withService(async (world) => {
    const attempt = await enrolling(world)
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, () => world.service.completeEnrollment(attempt.honest, GATEWAY)),
    )
    assert.is(outcomes.filter(({ status }) => status === "fulfilled").length, 1)
  }))

test("knows devices by their tenant: the same TPM is another device in another one", () =>
  withService(async (world) => {
    const anchors = (await world.trust.trust("default")).anchors.map(
      ({ tenant: _, addedAt: __, ...anchor }) => anchor,
    )
    await trusts(world, { anchors }, "other")
    const device = newcomer()
    const [ours, theirs] = [
      await enrolls(world, device),
      await enrolls(world, device, { caller: { tenant: "other", id: "gateway" } }),
    ]
    assert.is.not(ours.id, theirs.id)
    assert.equal([ours.tenant, theirs.tenant], ["default", "other"])
  }))

test.run()
