/** Decisions by contexts that are remembered: what changed meanwhile counts, and nothing is decided by what was. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { cachedContexts } from "../../src/cache/contexts.ts"
import { standardBoot } from "../../src/device/boot.ts"
import { challengeExtraData, epochExtraData, nonceExtraData } from "../../src/evidence/transcript.ts"
import { fingerprintOf, parseCertificate } from "../../src/evidence/x509/certificate.ts"
import { compile } from "../../src/service/compile.ts"
import type { Caller } from "../../src/service/ports.ts"
import { createService, type Service, type VerifyInput } from "../../src/service/service.ts"
import { rejectsCode } from "../support/assert.ts"
import { naming } from "../support/logs.ts"
import { newAct } from "../support/ports/samples.ts"
import {
  answered as answeredBy,
  attest,
  codesOf,
  enroll,
  evidenceOver,
  GATEWAY,
  TEST_ANCHOR,
  type TestService,
  withService,
} from "../support/service.ts"
import { policyDocument, testDevice } from "../support/world.ts"

const test = suite("decisions by what is remembered")
const device = testDevice()
/** Its values are not the device's. */
const OTHER_BOOT = testDevice({ events: standardBoot({ bootLoader: "another" }) })
const CHALLENGE = { device: "", audience: "orders", confirmation: undefined, policy: "" }

/** A service with caches that has seen the device once. */
const withMemory = (
  act: (world: TestService) => Promise<void>,
  options: Parameters<typeof withService>[1] = {},
): Promise<void> =>
  withService(
    async (world) => {
      await enroll(world.service, device, policyDocument(device))
      assert.is((await attest(world.service, device)).token.kind, "session")
      await act(world)
    },
    { ...options, cached: true },
  )

/** Evidence that answers a new challenge, and is not shown yet; with a clock of its own, if it is told one. */
const answered = async ({ service }: TestService, clockMs?: bigint): Promise<VerifyInput> => {
  const { sealed, transcript } = await service.createChallenge(CHALLENGE, GATEWAY)
  const changed: Parameters<typeof evidenceOver>[2] =
    clockMs === undefined
      ? {}
      : { tamper: (fields) => ({ ...fields, clockInfo: { ...fields.clockInfo, clockMs } }) }
  return {
    freshness: { kind: "challenge", challenge: sealed },
    evidence: evidenceOver(device, challengeExtraData(transcript), changed),
  }
}

/** Another replica on the same store, that remembers for itself. */
const replicaOf = ({ ports }: TestService): Service =>
  createService({
    ...ports,
    contexts: cachedContexts({ registry: ports.registry, compile }, { max: 10, maxBytes: 2 ** 20 }),
  })

const attestAt = async (world: TestService, clockMs: bigint) =>
  world.service.verify(await answered(world, clockMs), GATEWAY)

const changes: readonly [name: string, change: (world: TestService) => Promise<unknown>, code: string][] = [
  [
    "S-04 a device that was revoked",
    ({ ports }) =>
      ports.devices.change(
        "default",
        "device-1",
        undefined,
        { state: "revoked", endsSessions: true },
        newAct("revoke-device"),
      ),
    "DEVICE_STATE",
  ],
  [
    "S-04 a device that was suspended",
    ({ ports }) =>
      ports.devices.change(
        "default",
        "device-1",
        undefined,
        { state: "suspended" },
        newAct("suspend-device"),
      ),
    "DEVICE_STATE",
  ],
  [
    "S-04 a policy that was tightened",
    ({ service }) => service.setPolicy(policyDocument(OTHER_BOOT), GATEWAY),
    "REFERENCE_SET",
  ],
]
for (const [name, change, code] of changes)
  test(`refuses by ${name} since the device was last seen`, () =>
    withMemory(async (world) => {
      const early = await answered(world)
      await change(world)
      for (const input of [early, await answered(world)]) {
        const result = await world.service.verify(input, GATEWAY)
        assert.is(result.token.kind, "result")
        assert.ok(codesOf(result).includes(code as never), codesOf(result).join())
      }
    }))

test("refuses S-04 a device that was removed since it was last seen", () =>
  withMemory(async (world) => {
    const input = await answered(world)
    await world.ports.devices.remove("default", "device-1", undefined, newAct("delete-device"))
    const error = await rejectsCode(() => world.service.verify(input, GATEWAY), "DEVICE_NOT_FOUND")
    assert.is(error.challenge, "spent", "the evidence answered, and its challenge is not given back")
  }))

test("refuses S-09 everybody when the last anchor was removed since the device was last seen", () =>
  withMemory(async (world) => {
    const input = await answered(world)
    await world.trust.removeTrust(
      "default",
      fingerprintOf(parseCertificate(TEST_ANCHOR)),
      newAct("remove-trust"),
    )
    await rejectsCode(() => world.service.verify(input, GATEWAY), "TRUST")
  }))

test("C-01 lets a device speak for itself that was registered anew under another id since its key was last seen", () =>
  withMemory(async (world) => {
    const own = (id: string): Caller => ({ tenant: "default", id, own: { kind: "device", id } })
    const { journal, service } = world
    await world.ports.devices.remove("default", "device-1", undefined, newAct("delete-device"))
    await enroll(service, device, policyDocument(device), "device-2")
    const answer = async (id: string) => {
      const { sealed, transcript } = await service.createChallenge(CHALLENGE, { tenant: "default", id })
      const evidence = evidenceOver(device, challengeExtraData(transcript))
      return service.verify({ freshness: { kind: "challenge", challenge: sealed }, evidence }, own(id))
    }
    assert.is((await answer("device-2")).device, "device-2")
    const before = (await journal.records("default")).length
    await rejectsCode(() => answer("device-1"), "PERMISSION")
    assert.is((await journal.records("default")).length, before)
  }))

/** Under another id, which comes to the same revision, is judged by the same policy and trusts the same. */
const registerAnew = async ({ ports, registry, service }: TestService): Promise<void> => {
  const { akPublic, qualifiedName } = device
  const { revision } = await registry.device("default", "device-1")
  await ports.devices.remove("default", "device-1", undefined, newAct("delete-device"))
  await service.registerDevice({ id: "device-2", akPublic, qualifiedName }, GATEWAY)
  await service.assignPolicy({ policy: "test", device: "device-2" }, GATEWAY)
  assert.is((await registry.device("default", "device-2")).revision, revision)
}

test("C-01 takes a challenge that names what a device is called since its key was last seen, and none that names what it was", () =>
  withMemory(async (world) => {
    const early = await answeredBy(world.service, device, { device: "device-1" })
    await registerAnew(world)
    const result = await attest(world.service, device, { device: "device-2" })
    assert.equal([result.device, result.token.kind], ["device-2", "session"])
    await rejectsCode(() => world.service.verify(early, GATEWAY), "NONCE_CONTEXT")
  }))

test("C-01 finds the log that a device has shown elsewhere under the id that it has since its key was last seen", () =>
  withService(
    async (world) => {
      const { service } = world
      await enroll(service, device, policyDocument(device, { evidence: { eventLog: "optional" } }))
      const { freshness, evidence } = await answered(world)
      await service.verify({ freshness, evidence: { ...evidence, eventLog: undefined } }, GATEWAY)
      await registerAnew(world)
      assert.is((await replicaOf(world).verify(await answered(world), GATEWAY)).token.kind, "session")
      const result = await service.verify(naming(await answered(world)), GATEWAY)
      assert.equal([result.device, result.token.kind], ["device-2", "session"])
    },
    { cached: true },
  ))

test("lets in by a policy that was loosened since the device was last seen", () =>
  withMemory(async (world) => {
    await world.service.setPolicy(policyDocument(device).replace("orders", "billing"), GATEWAY)
    assert.is(codesOf(await attest(world.service, device))[0], "AUDIENCE")
    await world.service.setPolicy(policyDocument(device), GATEWAY)
    assert.is((await attest(world.service, device)).token.kind, "session")
  }))

test("spends a challenge once however often it decides, and never twice, N-01", () =>
  withMemory(async (world) => {
    const input = await answered(world)
    await world.service.setPolicy(policyDocument(device), GATEWAY)
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, () => world.service.verify(input, GATEWAY)),
    )
    const sessions = outcomes.filter(
      (outcome) => outcome.status === "fulfilled" && outcome.value.token.kind === "session",
    )
    assert.is(sessions.length, 1)
    await world.service.setPolicy(policyDocument(device), GATEWAY)
    await rejectsCode(() => world.service.verify(input, GATEWAY), "NONCE_SPENT")
  }))

test("leaves one record of a call that was decided twice", () =>
  withMemory(async (world) => {
    const input = await answered(world)
    await world.service.setPolicy(policyDocument(device), GATEWAY)
    const before = (await world.journal.records("default")).length
    await world.service.verify(input, GATEWAY)
    assert.is((await world.journal.records("default")).length, before + 1)
  }))

test("refuses K-09 a clock behind one that the device has answered with on another replica", () =>
  withMemory(async (world) => {
    const { counters } = await world.registry.device("default", "device-1")
    const ahead = (counters?.clockMs ?? 0n) + 1_000_000n
    const elsewhere = replicaOf(world)
    assert.is((await elsewhere.verify(await answered(world, ahead), GATEWAY)).token.kind, "session")
    world.advance(1000)
    const result = await world.service.verify(await answered(world, ahead - 1n), GATEWAY)
    assert.is(result.token.kind, "result")
    assert.ok(codesOf(result).includes("CLOCK_INFO_ROLLBACK"))
    assert.is((await attestAt(world, ahead + 1n)).token.kind, "session")
  }))

for (const mode of ["nonce", "epoch"] as const)
  test(`refuses K-09 over ${mode === "nonce" ? "a nonce" : "an epoch"} a clock behind one that the device has answered with on another replica`, () =>
    withMemory(async (world) => {
      const { service } = world
      const { counters } = await world.registry.device("default", "device-1")
      const ahead = (counters?.clockMs ?? 0n) + 1_000_000n
      await replicaOf(world).verify(await answered(world, ahead), GATEWAY)
      world.advance(600_000)
      const { epoch } = await service.epoch(GATEWAY)
      const nonce = new Uint8Array(32)
      const freshness = mode === "nonce" ? { kind: mode, nonce } : { kind: mode, number: epoch.number }
      const over =
        mode === "nonce" ? nonceExtraData("default", nonce) : epochExtraData("default", epoch.value)
      const at = (clockMs: bigint): VerifyInput => ({
        freshness,
        evidence: evidenceOver(device, over, {
          tamper: (fields) => ({ ...fields, clockInfo: { ...fields.clockInfo, clockMs } }),
        }),
      })
      const behind = at(ahead - 1n)
      for (let i = 0; i < 2; i++) {
        const codes = codesOf(await service.verify(behind, GATEWAY))
        assert.ok(codes.includes("CLOCK_INFO_ROLLBACK"), codes.join())
      }
      assert.not.ok(codesOf(await service.verify(at(ahead), GATEWAY)).includes("CLOCK_INFO_ROLLBACK"))
    }))

test("K-09 counts resets from the last answer, on whichever replica it was given", () =>
  withMemory(async (world) => {
    await world.service.setPolicy(policyDocument(device, { clock: { resetsMax: 1 } }), GATEWAY)
    const elsewhere = replicaOf(world)
    const { counters } = await world.registry.device("default", "device-1")
    const first = counters?.resetCount ?? 0
    const resetTo = async (resetCount: number): Promise<VerifyInput> => {
      const { sealed, transcript } = await world.service.createChallenge(CHALLENGE, GATEWAY)
      const changed: Parameters<typeof evidenceOver>[2] = {
        tamper: (fields) => ({ ...fields, clockInfo: { ...fields.clockInfo, resetCount } }),
      }
      return {
        freshness: { kind: "challenge", challenge: sealed },
        evidence: evidenceOver(device, challengeExtraData(transcript), changed),
      }
    }
    for (const [i, replica] of [elsewhere, world.service, elsewhere, world.service].entries()) {
      const result = await replica.verify(await resetTo(first + i + 1), GATEWAY)
      assert.is(result.token.kind, "session", `reset ${i + 1}: ${codesOf(result)}`)
    }
  }))

test.run()
