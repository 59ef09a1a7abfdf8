import { hash } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { lengthPrefixed, toHex } from "../../src/bytes.ts"
import type { AttestFields } from "../../src/device/encode.ts"
import type { SoftwareDevice } from "../../src/device/software.ts"
import { AssayError, type ChallengeState, type Code } from "../../src/errors.ts"
import { parseEvidence } from "../../src/evidence/evidence.ts"
import { parseAttest } from "../../src/evidence/tpm/attest.ts"
import { parsePublic } from "../../src/evidence/tpm/public.ts"
import type { Ports } from "../../src/service/ports.ts"
import { createService } from "../../src/service/service.ts"
import { rejectsCode } from "../support/assert.ts"
import { akChainOf, caOf, idOf, ROOT } from "../support/endorsed.ts"
import { assertUnknown, type Enrolling, enrolling } from "../support/enroll-attack.ts"
import { type Coming, certifiedBy, distrusts, enrolls, shownBy, trusts } from "../support/enrolling.ts"
import { ekDigestOf, newcomer } from "../support/newcomer.ts"
import {
  answered,
  attest,
  codesOf,
  GATEWAY,
  TEST_ANCHOR,
  type TestService,
  withService,
} from "../support/service.ts"
import { policyDocument } from "../support/world.ts"

const test = suite("createCompleteEnrollment")

const listed = async (world: TestService, device: SoftwareDevice): Promise<void> => {
  const digest = await ekDigestOf(device)
  await trusts(world, { eks: [{ digest, label: "" }] })
}

/** A policy for every device, that takes no operator's word. */
const provenOnly = async ({ service }: TestService, device: SoftwareDevice): Promise<void> => {
  const { name } = await service.setPolicy(policyDocument(device, { ak: { binding: "proven" } }), GATEWAY)
  await service.assignPolicy({ policy: name, device: undefined }, GATEWAY)
}

test("makes a device of the keys that were proven, under an id of its own, with its record in the journal", () =>
  withService(async (world) => {
    const device = newcomer()
    const { honest, begun } = await enrolling(world, device, { claimedName: "Laptop 7" })
    const made = await world.service.completeEnrollment(honest, GATEWAY)
    assert.match(made.id, /^d-[a-z2-7]{24}$/)
    const { bytes, name } = parsePublic(device.akPublic)
    const { ek, akPublic, akName, qualifiedName = new Uint8Array(), endorsement, counters } = made
    assert.equal(
      [akPublic, akName, qualifiedName, ek ?? new Uint8Array()].map(toHex),
      [bytes, name, device.qualifiedName, await ekDigestOf(device)].map(toHex),
    )
    const { ekCertificateChain, akCertificateChain, ekDigest } = endorsement
    assert.equal([ekCertificateChain.length, akCertificateChain, ekDigest], [2, [], undefined])
    assert.equal(counters, { ...device.state, recordedAt: world.now() })
    assert.equal(
      [made.tenant, made.binding, made.state, made.policy, made.claimedName, made.group, made.token],
      ["default", "activation", "active", undefined, "Laptop 7", "", undefined],
    )
    assert.equal(made.createdAt, world.now())
    assert.equal(await world.registry.device("default", made.id), made)
    const { digest } = parseEvidence(honest.evidence)
    const chains = [lengthPrefixed(...ekCertificateChain), lengthPrefixed()]
    const asked = lengthPrefixed(digest, device.akPublic, await device.ekPublic(), ...chains)
    assert.equal(await world.journal.records("default"), [
      {
        at: world.now(),
        tenant: "default",
        caller: "gateway",
        act: "enroll-device",
        device: made.id,
        outcome: "done",
        codes: [],
        evidenceDigest: new Uint8Array(hash("sha256", asked, "buffer")),
        policyDigest: undefined,
        revisions: { device: 1, policy: undefined, trust: 1 },
        tokenId: undefined,
      },
    ])
    assert.is(begun.sealed.length < 32_768, true)
  }))

test("takes the plain secret of tools that can do no better", () =>
  withService(async (world) => {
    const { honest, secret } = await enrolling(world)
    await world.service.completeEnrollment(
      { ...honest, activation: { kind: "secret", value: secret } },
      GATEWAY,
    )
  }))

const routes: readonly (readonly [
  name: string,
  coming: (device: SoftwareDevice) => Coming | Promise<Coming>,
  expected: {
    readonly binding: string
    readonly identity: number | undefined
    readonly hardware: number | undefined
  },
])[] = [
  [
    "by activation beside a certified endorsement key",
    () => ({}),
    { binding: "activation", identity: 2, hardware: 2 },
  ],
  [
    "by activation beside a listed endorsement key",
    async (device) => ({ keys: await shownBy(device, { ekCertificateChain: [] }) }),
    { binding: "activation", identity: 2, hardware: undefined },
  ],
  [
    "by a certificate of its own",
    (device) => ({ keys: certifiedBy(device) }),
    { binding: "certificate", identity: 2, hardware: 2 },
  ],
  [
    "by both",
    async (device) => ({ keys: await shownBy(device, { akCertificateChain: akChainOf(device) }) }),
    { binding: "activation", identity: 2, hardware: 2 },
  ],
]
for (const [name, coming, { binding, identity, hardware }] of routes)
  test(`lets a device attest that was bound ${name}, where the operator's word will not do`, () =>
    withService(async (world) => {
      const device = newcomer()
      await listed(world, device)
      const made = await enrolls(world, device, await coming(device))
      assert.is(made.binding, binding)
      await provenOnly(world, device)
      world.advance(1000)
      device.advance(1000)
      const result = await attest(world.service, device)
      assert.is(result.token.kind, "session", codesOf(result).join())
      assert.is(result.device, made.id)
      assert.is(result.vector["instance-identity"], identity)
      assert.is(result.vector.hardware, hardware)
    }))

test("takes the qualified name from the key itself, where the device does not say it, and holds it to that", () =>
  withService(async (world) => {
    const device = newcomer()
    await enrolls(world, device)
    await provenOnly(world, device)
    const other = {
      tamper: (fields: AttestFields) => ({ ...fields, qualifiedSigner: newcomer().qualifiedName }),
    }
    const { freshness, evidence } = await answered(world.service, device)
    const moved = {
      ...evidence,
      ...device.attest({ extraData: parseAttest(evidence.attest).extraData, ...other }),
    }
    const result = await world.service.verify({ freshness, evidence: moved }, GATEWAY)
    assert.equal(codesOf(result), ["QUALIFIED_SIGNER"])
    assert.is((await attest(world.service, device)).token.kind, "session")
  }))

test("lets a device wait where its tenant approves every one, and appraises it all the same", () =>
  withService(
    async (world) => {
      const device = newcomer()
      const made = await enrolls(world, device)
      assert.is(made.state, "pending")
      await provenOnly(world, device)
      const result = await attest(world.service, device)
      assert.is(result.token.kind, "result")
      assert.equal(codesOf(result), ["DEVICE_STATE"])
      assert.is(result.challengeState, "spent")
    },
    {
      ports: ({ settings }) => ({
        settings: { ...settings, enrollment: { ...settings.enrollment, approval: "operator" } },
      }),
    },
  ))

test("completes on one replica what another began", () =>
  withService(async (world) => {
    const attempt = await enrolling(world)
    const replica = createService(world.ports)
    await replica.completeEnrollment(attempt.honest, GATEWAY)
    await rejectsCode(() => world.service.completeEnrollment(attempt.honest, GATEWAY), "NONCE_SPENT")
  }))

// Trust is asked again at the second step.

const changes: readonly (readonly [
  name: string,
  change: (world: TestService, device: SoftwareDevice) => Promise<unknown>,
  code: Code,
  coming?: (device: SoftwareDevice) => Promise<Coming>,
])[] = [
  ["whose maker is trusted no more", (world) => distrusts(world, idOf(TEST_ANCHOR)), "UNTRUSTED_ROOT"],
  [
    "whose endorsement key is off the list",
    async (world, device) => distrusts(world, toHex(await ekDigestOf(device))),
    "UNTRUSTED_ROOT",
    async (device) => ({ keys: await shownBy(device, { ekCertificateChain: [] }) }),
  ],
  [
    "whose maker is trusted for something else",
    async (world) => {
      world.trustAnchor(TEST_ANCHOR, { purpose: "ak" })
    },
    "UNTRUSTED_ROOT",
  ],
]
for (const [name, change, code, coming] of changes)
  test(`refuses a device ${name} between the two steps, and has it on record`, () =>
    withService(async (world) => {
      const device = newcomer()
      await listed(world, device)
      const attempt = await enrolling(world, device, await coming?.(device))
      await change(world, device)
      const error = await rejectsCode(() => world.service.completeEnrollment(attempt.honest, GATEWAY), code)
      assert.is(error.challenge, "unspent")
      const [record] = await world.journal.records("default")
      assert.equal([record?.outcome, record?.codes], ["refused", [code]])
      await assertUnknown(world, device.akName)
    }))

test("enrolls under the trust of the second step, if the keys are good under it too", () =>
  withService(async (world) => {
    const attempt = await enrolling(world)
    world.trustAnchor(caOf(ROOT, ROOT))
    await world.service.completeEnrollment(attempt.honest, GATEWAY)
    const [record] = await world.journal.records("default")
    assert.is(record?.revisions?.trust, 2)
  }))

test("refuses S-04 a device whose trust moves on while it is made, and writes no device", async () => {
  let isMoving = true
  await withService(
    async (world) => {
      const attempt = await enrolling(world)
      const error = await rejectsCode(
        () => world.service.completeEnrollment(attempt.honest, GATEWAY),
        "SNAPSHOT_MOVED",
      )
      assert.is(error.challenge, "spent")
      await assertUnknown(world, attempt.device.akName)
      isMoving = false
      await enrolls(world, attempt.device)
    },
    {
      ports: ({ singleUse, trust }) => ({
        singleUse: {
          ...singleUse,
          // The last await before the device is made.
          spend: async (value, at) => {
            await singleUse.spend(value, at)
            const eks = [{ digest: new Uint8Array(32), label: "" }]
            if (isMoving) await trusts({ trust, now: () => at }, { eks })
          },
        },
      }),
    },
  )
})

// What fails, and what is left then.

const failing = (code: Code) => async () => {
  throw new AssayError(code, "it fails")
}
const faults: readonly (readonly [
  name: string,
  code: Code,
  challenge: ChallengeState,
  ports: (ports: Ports) => Partial<Ports>,
])[] = [
  [
    "its tries cannot be counted",
    "NONCE_STORE",
    "unspent",
    ({ singleUse }) => ({ singleUse: { ...singleUse, attempt: failing("NONCE_STORE") } }),
  ],
  [
    "it may or may not be spent",
    "NONCE_STORE",
    "spent",
    ({ singleUse }) => ({ singleUse: { ...singleUse, spend: failing("NONCE_STORE") } }),
  ],
  [
    "nothing more can be spent",
    "CHALLENGES_FULL",
    "unspent",
    ({ singleUse }) => ({ singleUse: { ...singleUse, spend: failing("CHALLENGES_FULL") } }),
  ],
  [
    "trust cannot be read",
    "REGISTRY",
    "unspent",
    ({ trust }) => {
      let calls = 0
      return {
        trust: {
          ...trust,
          trustState: async (tenant) => (++calls > 1 ? failing("REGISTRY")() : trust.trustState(tenant)),
        },
      }
    },
  ],
  [
    "it cannot be stored",
    "REGISTRY",
    "spent",
    ({ devices }) => ({ devices: { ...devices, enroll: failing("REGISTRY") } }),
  ],
  [
    "its record cannot be written",
    "JOURNAL",
    "spent",
    ({ devices }) => ({ devices: { ...devices, enroll: failing("JOURNAL") } }),
  ],
  [
    "there is no randomness for its id",
    "RNG",
    "spent",
    ({ random }) => ({
      random: {
        bytes: (size) => {
          if (size === 15) throw new AssayError("RNG", "no")
          return random.bytes(size)
        },
      },
    }),
  ],
]
for (const [name, code, challenge, ports] of faults)
  test(`makes no device if ${name}`, () =>
    withService(
      async (world) => {
        const attempt = await enrolling(world)
        const error = await rejectsCode(() => world.service.completeEnrollment(attempt.honest, GATEWAY), code)
        assert.is(error.challenge, challenge)
        await assertUnknown(world, attempt.device.akName)
        assert.equal(
          await world.journal.records("default"),
          [],
          "what is not the device's fault is no refusal",
        )
      },
      { ports },
    ))

test("answers nothing that it cannot record: not even a refusal", () =>
  withService(
    async (world) => {
      const attempt = await enrolling(world)
      const wrong = { ...attempt.honest, activation: { kind: "mac", value: new Uint8Array(32) } } as const
      await rejectsCode(() => world.service.completeEnrollment(wrong, GATEWAY), "JOURNAL")
    },
    { ports: ({ journal }) => ({ journal: { ...journal, append: failing("JOURNAL") } }) },
  ))

test("says of what is no AssayError that it is a fault, and what became of the enrollment", () =>
  withService(
    async (world) => {
      const attempt = await enrolling(world)
      const error = await rejectsCode(
        () => world.service.completeEnrollment(attempt.honest, GATEWAY),
        "INTERNAL",
      )
      assert.is(error.challenge, "spent")
    },
    {
      ports: ({ devices }) => ({
        devices: {
          ...devices,
          enroll: async () => {
            throw new TypeError("oops")
          },
        },
      }),
    },
  ))

const malformed: readonly (readonly [name: string, change: (attempt: Enrolling) => object, code: Code])[] = [
  ["a quote that is cut", ({ honest }) => ({ attest: honest.evidence.attest.subarray(0, 60) }), "FRAMING"],
  ["a signature that is none", () => ({ signature: new Uint8Array(1) }), "FRAMING"],
  [
    "a bank twice",
    ({ honest: { evidence } }) => ({ pcrBanks: [...evidence.pcrBanks, ...evidence.pcrBanks] }),
    "FIELD",
  ],
]
for (const [name, change, code] of malformed)
  test(`refuses ${name} before it counts a try`, () =>
    withService(async (world) => {
      const attempt = await enrolling(world)
      const evidence = { ...attempt.honest.evidence, ...change(attempt) }
      for (let i = 0; i < 10; i++)
        await rejectsCode(
          () => world.service.completeEnrollment({ ...attempt.honest, evidence }, GATEWAY),
          code,
        )
      assert.equal(await world.journal.records("default"), [])
      await world.service.completeEnrollment(attempt.honest, GATEWAY)
    }))

test.run()
