/** What an operator allows once, and what enrollment tokens let in. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex } from "../../src/bytes.ts"
import { generateKeys } from "../../src/device/keys.ts"
import type { SoftwareDevice } from "../../src/device/software.ts"
import type { Code } from "../../src/errors.ts"
import { parsePublic } from "../../src/evidence/tpm/public.ts"
import { enrollmentExtraData } from "../../src/evidence/transcript.ts"
import type { ShownKeys } from "../../src/service/enroll-keys.ts"
import type { DeviceChange, DeviceRecord, Permit } from "../../src/service/ports.ts"
import { rejectsCode } from "../support/assert.ts"
import { akChainOf } from "../support/endorsed.ts"
import { assertUnknown, enrolling } from "../support/enroll-attack.ts"
import { certifiedBy, enrolls, tokenHolder } from "../support/enrolling.ts"
import { ekDigestOf, newcomer } from "../support/newcomer.ts"
import { newAct, SETUP } from "../support/ports/samples.ts"
import {
  answered,
  attest,
  codesOf,
  evidenceOver,
  GATEWAY,
  type TestService,
  withService,
} from "../support/service.ts"
import { policyDocument } from "../support/world.ts"

const test = suite("enrolling again, and by token")

const operator = async (
  { ports, now }: TestService,
  id: string,
  change: DeviceChange,
): Promise<DeviceRecord> =>
  ports.devices.change(
    "default",
    id,
    undefined,
    change,
    newAct("update-device", { at: now(), caller: SETUP }),
  )

/** Lets a device enroll once more with an endorsement key. */
const permits = async (
  world: TestService,
  id: string,
  kind: Permit["kind"],
  device: SoftwareDevice,
  lifeMs = 3_600_000,
): Promise<void> => {
  const expiresAt = new Date(world.now().getTime() + lifeMs)
  await operator(world, id, { permit: { granted: { kind, ek: await ekDigestOf(device), expiresAt } } })
}

const admits = async ({ service }: TestService, device: SoftwareDevice): Promise<void> => {
  const { name } = await service.setPolicy(policyDocument(device, { ak: { binding: "proven" } }), GATEWAY)
  await service.assignPolicy({ policy: name, device: undefined }, GATEWAY)
}

/** Two attestation keys in one TPM, and one in another. */
const machines = () => {
  const ekKeys = generateKeys("p256")
  return { before: newcomer({ ekKeys }), rotated: newcomer({ ekKeys }), board: newcomer() }
}

const again: readonly (readonly [kind: Permit["kind"], which: "before" | "rotated" | "board"])[] = [
  ["re-enrollment", "before"],
  ["ak-rotation", "rotated"],
  ["board-swap", "board"],
]
for (const [kind, which] of again)
  test(`gives a device that has a permit for ${kind} its new keys under its old id, once`, () =>
    withService(async (world) => {
      const devices = machines()
      const first = await enrolls(world, devices.before, { claimedName: "before" })
      await operator(world, first.id, { group: "servers", labels: new Map([["rack", "4"]]) })
      await admits(world, devices.before)
      const device = devices[which]
      await permits(world, first.id, kind, device)
      const granted = await world.registry.device("default", first.id)
      assert.is(granted.permit?.kind, kind)
      device.setState({ clockMs: 5000n, resetCount: 0 })
      world.advance(60_000)
      const second = await enrolls(world, device, { claimedName: "after" })

      assert.is(second.id, first.id)
      assert.is(second.revision, granted.revision + 1)
      assert.equal([second.permit, second.group, second.claimedName], [undefined, "servers", "after"])
      assert.equal(second.labels, new Map([["rack", "4"]]))
      assert.is(toHex(second.ek ?? new Uint8Array()), toHex(await ekDigestOf(device)))
      assert.is(toHex(second.akName), toHex(parsePublic(device.akPublic).name))
      assert.equal(second.counters, { ...device.state, recordedAt: world.now() })
      const [revocation] = await world.ports.devices.revocations("default", 0, 10)
      assert.equal([revocation?.device, revocation?.fromRevision], [first.id, second.revision])
      const records = (await world.journal.records("default")).filter(({ act }) => act === "enroll-device")
      assert.equal(
        records.map(({ device: id, outcome, revisions }) => [id, outcome, revisions?.device]),
        [
          [first.id, "done", 1],
          [first.id, "done", second.revision],
        ],
      )

      world.advance(1000)
      device.advance(1000)
      assert.is((await attest(world.service, device)).token.kind, "session")
      if (which !== "before")
        await rejectsCode(async () => attest(world.service, devices.before), "DEVICE_NOT_FOUND")
      await rejectsCode(() => enrolls(world, device), "DEVICE_EXISTS")
    }))

const refused: readonly (readonly [
  name: string,
  prepare: (world: TestService, id: string, devices: ReturnType<typeof machines>) => Promise<unknown>,
  which: keyof ReturnType<typeof machines>,
  code: Code,
])[] = [
  ["without any permit", async () => {}, "rotated", "DEVICE_EXISTS"],
  [
    "after the permit's end",
    async (world, id, { rotated }) => {
      await permits(world, id, "ak-rotation", rotated, 1000)
      world.advance(2000)
    },
    "rotated",
    "DEVICE_EXISTS",
  ],
  [
    "with a permit for another TPM",
    (world, id, { board }) => permits(world, id, "board-swap", board),
    "rotated",
    "DEVICE_EXISTS",
  ],
  [
    "with a permit that was taken back",
    async (world, id, { rotated }) => {
      await permits(world, id, "ak-rotation", rotated)
      await operator(world, id, { permit: { granted: undefined } })
    },
    "rotated",
    "DEVICE_EXISTS",
  ],
  [
    "of a device that was revoked",
    async (world, id, { rotated }) => {
      await permits(world, id, "ak-rotation", rotated)
      await operator(world, id, { state: "revoked" })
    },
    "rotated",
    "DEVICE_EXISTS",
  ],
  [
    "by a board that is another device's",
    async (world, id, { board }) => {
      await enrolls(world, board)
      await permits(world, id, "board-swap", board)
    },
    "board",
    "DEVICE_EXISTS",
  ],
]
for (const [name, prepare, which, code] of refused)
  test(`refuses K-04 new keys ${name}, and leaves the device as it was`, () =>
    withService(async (world) => {
      const devices = machines()
      const { id } = await enrolls(world, devices.before)
      await prepare(world, id, devices)
      const before = await world.registry.device("default", id)
      const attempt = await enrolling(world, devices[which])
      const error = await rejectsCode(() => world.service.completeEnrollment(attempt.honest, GATEWAY), code)
      assert.is(error.challenge, "spent")
      assert.equal(await world.registry.device("default", id), before)
    }))

// Of a virtual TPM without an endorsement key: by a certificate of the attestation key that its operator names.

/** Lets a device enroll once more with an attestation key. */
const permitsKey = (world: TestService, id: string, akName: Uint8Array, lifeMs = 3_600_000) =>
  world.service.permitEnrollment(
    { id, etag: "", kind: "ak-rotation", ek: undefined, akName, lifetimeMs: lifeMs },
    GATEWAY,
  )

const certifies = (world: TestService, device: SoftwareDevice, changed: Partial<ShownKeys> = {}) =>
  enrolls(world, device, { keys: certifiedBy(device, changed) })

test("gives a certified device that has a permit for an attestation key that key under its old id, once", () =>
  withService(async (world) => {
    const [before, after] = [newcomer(), newcomer()]
    const first = await certifies(world, before)
    assert.equal([first.ek, first.binding], [undefined, "certificate"])
    await admits(world, before)
    await permitsKey(world, first.id, after.akName)
    after.setState({ clockMs: 5000n, resetCount: 0 })
    world.advance(60_000)
    const second = await certifies(world, after)
    assert.equal([second.id, second.permit, second.binding], [first.id, undefined, "certificate"])
    assert.is(toHex(second.akName), toHex(after.akName))
    assert.equal(second.counters, { ...after.state, recordedAt: world.now() })
    const [revocation] = await world.ports.devices.revocations("default", 0, 10)
    assert.equal([revocation?.device, revocation?.fromRevision], [first.id, second.revision])
    world.advance(1000)
    after.advance(1000)
    assert.is((await attest(world.service, after)).token.kind, "session")
    await rejectsCode(async () => attest(world.service, before), "DEVICE_NOT_FOUND")
    await rejectsCode(() => certifies(world, after), "DEVICE_EXISTS")
  }))

test("lets a certified device start anew whose TPM was cleared and made the same key again", () =>
  withService(async (world) => {
    const device = newcomer()
    const { id } = await certifies(world, device)
    const asked = { id, etag: "", kind: "re-enrollment", ek: undefined, lifetimeMs: 1000 } as const
    await world.service.permitEnrollment({ ...asked, akName: device.akName }, GATEWAY)
    device.setState({ clockMs: 5n, resetCount: 0 })
    const again = await certifies(world, device)
    assert.equal([again.id, again.permit, again.counters?.clockMs], [id, undefined, 5n])
  }))

const certifiedRefusals: readonly (readonly [
  name: string,
  come: (world: TestService, id: string, next: SoftwareDevice) => Promise<unknown>,
  code: Code,
])[] = [
  [
    "K-04 after the permit's end",
    async (world, id, next) => {
      await certifies(world, next)
      await permitsKey(world, id, next.akName, 1000)
      world.advance(2000)
      await certifies(world, next)
    },
    "DEVICE_EXISTS",
  ],
  [
    "K-04 by a key that is another device's",
    async (world, id, next) => {
      await certifies(world, next)
      await permitsKey(world, id, next.akName)
      await certifies(world, next)
    },
    "DEVICE_EXISTS",
  ],
  [
    "K-02 by the certificate of another key",
    async (world, id, next) => {
      await permitsKey(world, id, next.akName)
      await certifies(world, next, { akCertificateChain: akChainOf(newcomer()) })
    },
    "AK_NAME",
  ],
  [
    "K-02 by a certificate of nobody's whom the tenant trusts",
    async (world, id, next) => {
      await permitsKey(world, id, next.akName)
      await certifies(world, next, { akCertificateChain: akChainOf(next).slice(0, 1) })
    },
    "UNTRUSTED_ROOT",
  ],
  [
    "K-02 without any certificate",
    async (world, id, next) => {
      await permitsKey(world, id, next.akName)
      await certifies(world, next, { akCertificateChain: [] })
    },
    "EK_MISSING",
  ],
  [
    "K-02 by the quote of another key",
    async (world, id, next) => {
      await permitsKey(world, id, next.akName)
      const { honest, transcript } = await enrolling(world, next, { keys: certifiedBy(next) })
      const quoted = evidenceOver(newcomer(), enrollmentExtraData(transcript))
      const evidence = { ...quoted, eventLog: undefined, akName: next.akName }
      await world.service.completeEnrollment({ ...honest, evidence }, GATEWAY)
    },
    "SIGNATURE",
  ],
  [
    "K-02 by the answer to another enrollment",
    async (world, id, next) => {
      await permitsKey(world, id, next.akName)
      const keys = certifiedBy(next)
      const { honest } = await enrolling(world, next, { keys })
      const other = await enrolling(world, next, { keys })
      await world.service.completeEnrollment({ ...honest, evidence: other.honest.evidence }, GATEWAY)
    },
    "NONCE_MISMATCH",
  ],
]
for (const [name, come, code] of certifiedRefusals)
  test(`refuses ${name} to give a certified device another attestation key`, () =>
    withService(async (world) => {
      const device = newcomer()
      const { id, akName } = await certifies(world, device)
      await rejectsCode(() => come(world, id, newcomer()), code)
      const left = await world.registry.device("default", id)
      assert.equal([left.akName, left.permit !== undefined], [akName, true])
    }))

test("refuses K-04 all but one of those that come with one permit at a time", () =>
  withService(async (world) => {
    const devices = machines()
    const ekKeys = generateKeys("p256")
    const boards = Array.from({ length: 5 }, () => newcomer({ ekKeys }))
    const { id } = await enrolls(world, devices.before)
    await permits(world, id, "board-swap", newcomer({ ekKeys }))
    const attempts = []
    for (const board of boards) attempts.push(await enrolling(world, board))
    const outcomes = await Promise.allSettled(
      attempts.map(({ honest }) => world.service.completeEnrollment(honest, GATEWAY)),
    )
    assert.is(outcomes.filter(({ status }) => status === "fulfilled").length, 1)
    assert.is((await world.registry.device("default", id)).permit, undefined)
  }))

test("gives back no freedom that an operator took: a suspended device stays suspended", () =>
  withService(async (world) => {
    const { before } = machines()
    const { id } = await enrolls(world, before)
    await admits(world, before)
    await operator(world, id, { state: "suspended" })
    await permits(world, id, "re-enrollment", before)
    assert.is((await enrolls(world, before)).state, "suspended")
    assert.equal(codesOf(await attest(world.service, before)), ["DEVICE_STATE"])
  }))

// Enrollment tokens.

test("puts a device into its token's group, keeps the token with it, and counts the use", () =>
  withService(async (world) => {
    const labels = new Map([["site", "north"]])
    const caller = await tokenHolder(world, "t-1", { group: "kiosks", labels, usesMax: 2 })
    const made = await enrolls(world, newcomer(), { caller })
    assert.equal([made.group, made.token, made.state], ["kiosks", "t-1", "active"])
    assert.equal(made.labels, labels)
    const [token] = await world.ports.devices.enrollmentTokens("default", "", 10)
    assert.is(token?.uses, 1)
    const record = (await world.journal.records("default")).at(-1)
    assert.equal([record?.caller, record?.device], ["token:t-1", made.id])
  }))

test("lets a device attest that was let in by a token, by that token", () =>
  withService(async (world) => {
    const caller = await tokenHolder(world, "t-1")
    const device = newcomer()
    const { id } = await enrolls(world, device, { caller })
    await admits(world, device)
    const stranger = await tokenHolder(world, "t-2")
    await rejectsCode(() => answered(world.service, device, { device: id }, stranger), "PERMISSION")
    const input = await answered(world.service, device, { device: id }, caller)
    assert.is((await world.service.verify(input, caller)).token.kind, "session")
  }))

const spentTokens: readonly (readonly [name: string, prepare: (world: TestService) => Promise<unknown>])[] = [
  [
    "that is used up",
    async (world) => enrolls(world, newcomer(), { caller: await tokenHolder(world, "t-1", { usesMax: 1 }) }),
  ],
  [
    "that has expired",
    async (world) => {
      await tokenHolder(world, "t-1", { expiresAt: new Date(world.now().getTime() + 500) })
    },
  ],
  [
    "that was revoked",
    async (world) => {
      await tokenHolder(world, "t-1")
      await world.ports.devices.revokeEnrollmentToken("default", "t-1", newAct("revoke-enrollment-token"))
    },
  ],
  ["of another tenant", (world) => tokenHolder(world, "t-1", { tenant: "other" })],
  ["that nobody made", async () => {}],
]
for (const [name, prepare] of spentTokens)
  test(`refuses a device by a token ${name}, makes none, and has it on record`, () =>
    withService(async (world) => {
      await prepare(world)
      const caller = {
        tenant: "default",
        id: "token:t-1",
        own: { kind: "enrollment", token: "t-1" },
      } as const
      const attempt = await enrolling(world, newcomer(), { caller })
      const error = await rejectsCode(
        () => world.service.completeEnrollment(attempt.honest, caller),
        "ENROLLMENT_TOKEN",
      )
      assert.is(error.challenge, "spent")
      await assertUnknown(world, attempt.device.akName)
      const record = (await world.journal.records("default")).at(-1)
      assert.equal([record?.outcome, record?.codes], ["refused", ["ENROLLMENT_TOKEN"]])
    }))

test("lets no more devices in than a token is for, though they come at a time", () =>
  withService(async (world) => {
    const caller = await tokenHolder(world, "t-1", { usesMax: 3 })
    const attempts = []
    for (let i = 0; i < 8; i++) attempts.push(await enrolling(world, newcomer(), { caller }))
    const outcomes = await Promise.allSettled(
      attempts.map(({ honest }) => world.service.completeEnrollment(honest, caller)),
    )
    assert.is(outcomes.filter(({ status }) => status === "fulfilled").length, 3)
    for (const outcome of outcomes)
      if (outcome.status === "rejected") assert.is(outcome.reason.code, "ENROLLMENT_TOKEN")
  }))

test("uses up no token for a device that is not made", () =>
  withService(async (world) => {
    const caller = await tokenHolder(world, "t-1", { usesMax: 5 })
    const device = newcomer()
    await enrolls(world, device)
    await rejectsCode(() => enrolls(world, device, { caller }), "DEVICE_EXISTS")
    const [token] = await world.ports.devices.enrollmentTokens("default", "", 10)
    assert.is(token?.uses, 0)
  }))

test.run()
