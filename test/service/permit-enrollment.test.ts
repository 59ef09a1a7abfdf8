import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { PermitEnrollmentInput } from "../../src/service/permit-enrollment.ts"
import type { DeviceState } from "../../src/service/ports.ts"
import { rejectsCode } from "../support/assert.ts"
import { keep, keptDevice, OPERATOR } from "../support/devices.ts"
import { digestOf } from "../support/ports/samples.ts"
import { START, withService } from "../support/service.ts"

const test = suite("createPermitEnrollment")

const EK = digestOf("ek of gate-7")
const NEW_EK = digestOf("ek of a new board")
const input = (given: Partial<PermitEnrollmentInput>): PermitEnrollmentInput => ({
  id: "gate-7",
  etag: "",
  kind: "re-enrollment",
  ek: undefined,
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
