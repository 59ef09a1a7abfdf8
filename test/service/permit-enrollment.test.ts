import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { PermitEnrollmentInput } from "../../src/service/permit-enrollment.ts"
import type { DeviceState } from "../../src/service/ports.ts"
import { rejectsCode } from "../support/assert.ts"
import { keep, keptDevice, OPERATOR } from "../support/devices.ts"
import { digestOf } from "../support/ports/samples.ts"
import { START, withService } from "../support/service.ts"

const test = suite("createPermitEnrollment")

/** What the Name of a key looks like, by the algorithm and the size of its digest. */
const nameOf = (algorithm: number, size: number): Uint8Array => {
  const name = new Uint8Array(2 + size).fill(0x5a)
  return Uint8Array.of(0, algorithm, ...name.subarray(2))
}
const AK_NAME = nameOf(0x0b, 32)
const OWN_NAME = nameOf(0x0b, 32).fill(0x33, 2)

const EK = digestOf("ek of gate-7")
const NEW_EK = digestOf("ek of a new board")
const input = (given: Partial<PermitEnrollmentInput>): PermitEnrollmentInput => ({
  id: "gate-7",
  etag: "",
  kind: "re-enrollment",
  ek: undefined,
  akName: undefined,
  lifetimeMs: 3_600_000,
  ...given,
})

const permitted: [
  kind: PermitEnrollmentInput["kind"],
  act: string,
  given: Uint8Array | undefined,
  ek: Uint8Array,
][] = [
  ["re-enrollment", "permit-re-enrollment", undefined, EK],
  ["ak-rotation", "permit-ak-rotation", undefined, EK],
  ["board-swap", "permit-board-swap", NEW_EK, NEW_EK],
]
for (const [kind, act, given, ek] of permitted)
  test(`permits a ${kind} with one endorsement key, for as long as was said`, () =>
    withService(async (world) => {
      await keep(world, [keptDevice("gate-7")])
      const { permit, state } = await world.service.permitEnrollment(input({ kind, ek: given }), OPERATOR)
      assert.equal(permit, { kind, ek, expiresAt: new Date(START.getTime() + 3_600_000) })
      assert.is(state, "active")
      const record = (await world.journal.records("default")).at(-1)
      assert.equal([record?.act, record?.device], [act, "gate-7"])
      assert.equal(await world.ports.devices.revocations("default", 0, 10), [])
    }))

test("takes the later permit for the earlier one", () =>
  withService(async (world) => {
    await keep(world, [keptDevice("gate-7")])
    await world.service.permitEnrollment(input({}), OPERATOR)
    const swap = input({ kind: "board-swap", ek: NEW_EK, lifetimeMs: 1000 })
    const { permit } = await world.service.permitEnrollment(swap, OPERATOR)
    assert.equal(permit, { kind: "board-swap", ek: NEW_EK, expiresAt: new Date(START.getTime() + 1000) })
  }))

const refused: [what: string, given: Partial<PermitEnrollmentInput>][] = [
  ["K-05 a re-enrollment with another endorsement key", { ek: NEW_EK }],
  ["K-05 a re-enrollment with a key that is said to be its own", { ek: EK }],
  ["K-05 another attestation key with another endorsement key", { kind: "ak-rotation", ek: NEW_EK }],
  ["a board swap to no board", { kind: "board-swap" }],
  ["a board swap to the board that is there", { kind: "board-swap", ek: EK }],
  ["a board swap to a digest cut short", { kind: "board-swap", ek: NEW_EK.subarray(0, 31) }],
  ["a board swap to a digest of another hash", { kind: "board-swap", ek: new Uint8Array(48) }],
]
for (const [what, given] of refused)
  test(`refuses ${what}`, () =>
    withService(async (world) => {
      await keep(world, [keptDevice("gate-7")])
      const error = await rejectsCode(() => world.service.permitEnrollment(input(given), OPERATOR), "FIELD")
      assert.is(error.location, "ek_digest")
      assert.is((await world.registry.device("default", "gate-7")).permit, undefined)
    }))

for (const kind of ["re-enrollment", "ak-rotation"] as const)
  test(`refuses a ${kind} of a device whose endorsement key nobody knows`, () =>
    withService(async (world) => {
      await keep(world, [keptDevice("gate-7", { ek: undefined })])
      await rejectsCode(() => world.service.permitEnrollment(input({ kind }), OPERATOR), "EK_MISSING")
      await world.service.permitEnrollment(input({ kind: "board-swap", ek: NEW_EK }), OPERATOR)
    }))

for (const [kind, size] of [
  ["re-enrollment", 32],
  ["ak-rotation", 32],
  ["re-enrollment", 48],
  ["ak-rotation", 64],
] as const)
  test(`permits a ${kind} by a Name of ${2 + size} bytes of a device whose endorsement key nobody knows`, () =>
    withService(async (world) => {
      await keep(world, [keptDevice("vm-12", { ek: undefined, binding: "certificate" })])
      const akName = nameOf({ 32: 0x0b, 48: 0x0c, 64: 0x0d }[size], size)
      const asked = input({ id: "vm-12", kind, akName })
      const { permit } = await world.service.permitEnrollment(asked, OPERATOR)
      assert.equal(permit, { kind, akName, expiresAt: new Date(START.getTime() + 3_600_000) })
      const record = (await world.journal.records("default")).at(-1)
      assert.equal([record?.act, record?.device], [`permit-${kind}`, "vm-12"])
    }))

test("tells in the journal by a digest of its own which attestation key was permitted", () =>
  withService(async (world) => {
    await keep(world, [keptDevice("vm-12", { ek: undefined })])
    for (const akName of [AK_NAME, nameOf(0x0b, 32).fill(0x77, 2)])
      await world.service.permitEnrollment(input({ id: "vm-12", akName }), OPERATOR)
    const [one, other] = (await world.journal.records("default")).slice(-2)
    assert.not.equal(one?.evidenceDigest, other?.evidenceDigest)
  }))

const unfitNames: [what: string, ek: Uint8Array | undefined, given: Partial<PermitEnrollmentInput>][] = [
  ["K-05 an attestation key of a device whose endorsement key decides", EK, { akName: AK_NAME }],
  ["K-05 a rotation to an attestation key beside a known one", EK, { kind: "ak-rotation", akName: AK_NAME }],
  [
    "K-04 an attestation key for another board",
    undefined,
    { kind: "board-swap", ek: NEW_EK, akName: AK_NAME },
  ],
  [
    "K-04 a rotation to the attestation key that is there",
    undefined,
    { kind: "ak-rotation", akName: OWN_NAME },
  ],
  ["K-04 a Name cut short", undefined, { akName: AK_NAME.subarray(0, 33) }],
  ["K-04 a digest without its algorithm", undefined, { akName: AK_NAME.subarray(2) }],
  ["K-04 a Name by SHA-1", undefined, { akName: nameOf(0x04, 20) }],
  ["K-04 a Name with the digest of another algorithm", undefined, { akName: nameOf(0x0c, 32) }],
]
for (const [what, ek, given] of unfitNames)
  test(`refuses ${what}`, () =>
    withService(async (world) => {
      await keep(world, [{ ...keptDevice("gate-7", { ek }), akName: OWN_NAME }])
      const error = await rejectsCode(() => world.service.permitEnrollment(input(given), OPERATOR), "FIELD")
      assert.is(error.location, "ak_name")
      assert.is((await world.registry.device("default", "gate-7")).permit, undefined)
    }))

const states: [state: DeviceState, isPermitted: boolean][] = [
  ["pending", true],
  ["suspended", true],
  ["revoked", false],
  ["retired", false],
]
for (const [state, isPermitted] of states)
  test(`${isPermitted ? "permits" : "refuses"} a device that is ${state} to enroll again`, () =>
    withService(async (world) => {
      await keep(world, [keptDevice("gate-7", { state })])
      const act = () => world.service.permitEnrollment(input({}), OPERATOR)
      if (isPermitted) assert.is((await act()).state, state)
      else await rejectsCode(act, "DEVICE_STATE")
    }))

test.run()
