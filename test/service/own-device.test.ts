/** What a device may do that calls for itself, and who holds an enrollment token. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { SoftwareDevice } from "../../src/device/software.ts"
import { parsePublic } from "../../src/evidence/tpm/public.ts"
import { challengeExtraData, epochExtraData, nonceExtraData } from "../../src/evidence/transcript.ts"
import type { Caller, DeviceRecord, DeviceState, Ports } from "../../src/service/ports.ts"
import type { VerifyInput } from "../../src/service/service.ts"
import { rejectsCode } from "../support/assert.ts"
import { ekChainFor, ekDigestOf, newcomer } from "../support/newcomer.ts"
import { newAct, newDevice, SETUP } from "../support/ports/samples.ts"
import {
  answered,
  attest,
  codesOf,
  evidenceOver,
  GATEWAY,
  type ServiceOptions,
  type TestService,
  withService,
} from "../support/service.ts"
import { policyDocument } from "../support/world.ts"

const test = suite("devices that speak for themselves")

const deviceCaller = (id: string): Caller => ({
  tenant: "default",
  id: `device:${id}`,
  own: { kind: "device", id },
})
const holder = (token: string): Caller => ({
  tenant: "default",
  id: `token:${token}`,
  own: { kind: "enrollment", token },
})

/** A device as it is once it has enrolled. */
const known = async (
  { registry }: TestService,
  device: SoftwareDevice,
  id: string,
): Promise<DeviceRecord> => {
  const { bytes: akPublic, name: akName } = parsePublic(device.akPublic)
  const keys = { akPublic, akName, qualifiedName: device.qualifiedName, ek: await ekDigestOf(device) }
  const ekCertificateChain = await ekChainFor(device)
  const endorsement = { ekCertificateChain, akCertificateChain: [], ekDigest: undefined }
  const fresh = { ...newDevice(id), ...keys, binding: "activation", endorsement } as const
  return registry.registerDevice(fresh, newAct("register-device", { caller: SETUP }))
}

const challengeFor = (device: string) => ({ device, audience: "orders", confirmation: undefined, policy: "" })

/** Two devices, one of them enrolled with a token, and a policy for both. */
const withDevices = (
  act: (
    world: TestService,
    mine: DeviceRecord,
    other: DeviceRecord,
    keys: { mine: ReturnType<typeof newcomer>; other: ReturnType<typeof newcomer> },
  ) => Promise<void>,
  options: ServiceOptions = {},
): Promise<void> =>
  withService(async (world) => {
    const keys = { mine: newcomer(), other: newcomer() }
    const mine = await known(world, keys.mine, "d-mine")
    const other = await known(world, keys.other, "d-other")
    const { name } = await world.service.setPolicy(
      policyDocument(keys.mine, { ak: { binding: "proven" } }),
      GATEWAY,
    )
    await world.service.assignPolicy({ policy: name, device: undefined }, GATEWAY)
    await act(world, mine, other, keys)
  }, options)

test("lets a device attest for itself, whether it names itself or not", () =>
  withDevices(async ({ service }, { id }, _other, keys) => {
    for (const named of ["", id]) {
      const { sealed, transcript } = await service.createChallenge(challengeFor(named), deviceCaller(id))
      assert.is(transcript.device, id)
      const evidence = evidenceOver(keys.mine, challengeExtraData(transcript))
      const input: VerifyInput = { freshness: { kind: "challenge", challenge: sealed }, evidence }
      assert.is((await service.verify(input, deviceCaller(id))).token.kind, "session")
    }
  }))

test("refuses G-11 a device a challenge for another, there or not, in the same words", () =>
  withDevices(async ({ service }, { id }, other) => {
    const told: string[] = []
    for (const named of [other.id, "d-nobody", "bystander"]) {
      const error = await rejectsCode(
        () => service.createChallenge(challengeFor(named), deviceCaller(id)),
        "PERMISSION",
      )
      told.push(`${error.message} ${error.location} ${error.expected} ${error.actual}`)
    }
    assert.is(new Set(told).size, 1)
  }))

test("refuses G-11 a device the evidence of another, known or not, in the same words, and spends nothing", () =>
  withDevices(async (world, { id }, _other, keys) => {
    const told: string[] = []
    const before = (await world.journal.records("default")).length
    for (const device of [keys.other, newcomer()]) {
      const input = await answered(world.service, device, {}, deviceCaller(id))
      const error = await rejectsCode(() => world.service.verify(input, deviceCaller(id)), "PERMISSION")
      assert.is(error.challenge, "unspent")
      told.push(`${error.message} ${error.location} ${error.expected} ${error.actual}`)
    }
    assert.is(new Set(told).size, 1)
    assert.is((await world.journal.records("default")).length, before)
  }))

test("refuses G-11 a device the evidence of another in every mode", () =>
  withDevices(async ({ service }, { id }, _other, { other }) => {
    const nonce = new Uint8Array(32).fill(7)
    const { epoch } = await service.epoch(GATEWAY)
    const inputs: VerifyInput[] = [
      {
        freshness: { kind: "nonce", nonce },
        evidence: evidenceOver(other, nonceExtraData("default", nonce)),
      },
      {
        freshness: { kind: "epoch", number: epoch.number },
        evidence: evidenceOver(other, epochExtraData("default", epoch.value)),
      },
    ]
    for (const input of inputs) {
      await rejectsCode(() => service.verify(input, deviceCaller(id)), "PERMISSION")
      assert.is((await service.verify(input, GATEWAY)).tier, "affirming")
    }
  }))

/** A store that knows one device by a token. */
const letInBy = (token: string, id: string): ServiceOptions => {
  const of = (device: DeviceRecord): DeviceRecord => (device.id === id ? { ...device, token } : device)
  return {
    ports: ({ registry }: Ports) => ({
      registry: {
        ...registry,
        device: async (tenant, id) => of(await registry.device(tenant, id)),
        snapshotFor: async (tenant, akName) => {
          const snapshot = await registry.snapshotFor(tenant, akName)
          return { ...snapshot, device: of(snapshot.device) }
        },
      },
    }),
  }
}

test("lets who holds an enrollment token speak for the devices that it let in, and for no others", () =>
  withDevices(
    async (world, _mine, other) => {
      const { service } = world
      const device = newcomer()
      const { id } = await known(world, device, "d-let-in")
      const { sealed, transcript } = await service.createChallenge(challengeFor(id), holder("t-1"))
      const input: VerifyInput = {
        freshness: { kind: "challenge", challenge: sealed },
        evidence: evidenceOver(device, challengeExtraData(transcript)),
      }
      assert.not.equal((await service.verify(input, holder("t-1"))).device, other.id)
      for (const named of ["", other.id, "d-nobody"])
        await rejectsCode(() => service.createChallenge(challengeFor(named), holder("t-1")), "PERMISSION")
      for (const token of ["t-2", ""])
        await rejectsCode(() => service.createChallenge(challengeFor(id), holder(token)), "PERMISSION")
      const again = await answered(service, device, { device: id }, holder("t-1"))
      await rejectsCode(() => service.verify(again, holder("t-2")), "NONCE_CONTEXT")
    },
    letInBy("t-1", "d-let-in"),
  ))

test("refuses G-11 evidence of devices that a token did not let in, in any mode", () =>
  withDevices(async ({ service }, _mine, _other, { other }) => {
    const nonce = new Uint8Array(32).fill(7)
    const evidence = evidenceOver(other, nonceExtraData("default", nonce))
    for (const token of ["t-1", ""])
      await rejectsCode(
        () => service.verify({ freshness: { kind: "nonce", nonce }, evidence }, holder(token)),
        "PERMISSION",
      )
  }))

// Devices that are not active.

const states: readonly DeviceState[] = ["pending", "suspended", "revoked", "retired"]
const stored = (state: () => DeviceState): ServiceOptions => ({
  ports: ({ registry }: Ports) => ({
    registry: {
      ...registry,
      snapshotFor: async (tenant, akName) => {
        const snapshot = await registry.snapshotFor(tenant, akName)
        return { ...snapshot, device: { ...snapshot.device, state: state() } }
      },
    },
  }),
})

for (const state of states)
  test(`refuses a session to a device that is ${state}, once it has proven that it is the one`, () => {
    let now: DeviceState = "active"
    return withDevices(
      async (world, { id }, _other, { mine }) => {
        now = state
        world.advance(1000)
        mine.advance(1000)
        const result = await attest(world.service, mine)
        assert.equal(codesOf(result), ["DEVICE_STATE"])
        assert.equal(
          [result.tier, result.token.kind, result.challengeState],
          ["contraindicated", "result", "spent"],
        )
        assert.is(result.vector["instance-identity"], 96)
        assert.is((await world.registry.device("default", id)).counters?.clockMs, mine.state.clockMs)
        const record = (await world.journal.records("default")).at(-1)
        assert.equal(record?.codes, ["DEVICE_STATE"])
        // Whoever has not proven it is told no state.
        const forged = await answered(world.service, newcomer())
        const shown = { ...forged, evidence: { ...forged.evidence, akName: mine.akName } }
        const unproven = await world.service.verify(shown, GATEWAY)
        assert.equal([codesOf(unproven), unproven.challengeState], [["SIGNATURE"], "unspent"])
        now = "active"
        assert.is((await attest(world.service, mine)).token.kind, "session")
      },
      stored(() => now),
    )
  })

test("refuses a device that is not active in the modes without a session too", () =>
  withDevices(
    async ({ service }, _mine, _other, { mine }) => {
      const nonce = new Uint8Array(32).fill(7)
      const evidence = evidenceOver(mine, nonceExtraData("default", nonce))
      const result = await service.verify({ freshness: { kind: "nonce", nonce }, evidence }, GATEWAY)
      assert.equal(codesOf(result), ["DEVICE_STATE"])
    },
    stored(() => "suspended"),
  ))

test.run()
