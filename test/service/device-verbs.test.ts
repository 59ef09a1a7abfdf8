import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex } from "../../src/bytes.ts"
import type { DeviceVerb } from "../../src/service/device-verbs.ts"
import type { DeviceState, JournalAct } from "../../src/service/ports.ts"
import { rejectsCode } from "../support/assert.ts"
import { keep, keptDevice, OPERATOR, STRANGER } from "../support/devices.ts"
import { START, type TestService, withService } from "../support/service.ts"

const test = suite("device verbs")

const STATES: readonly DeviceState[] = ["pending", "active", "suspended", "revoked", "retired"]

const VERBS: readonly {
  readonly verb: DeviceVerb
  readonly act: JournalAct
  readonly from: readonly DeviceState[]
  /** What becomes of the device; nothing if it stays as it is. */
  readonly to: DeviceState | undefined
  readonly endsSessions: boolean
}[] = [
  { verb: "approve", act: "approve-device", from: ["pending"], to: "active", endsSessions: false },
  { verb: "suspend", act: "suspend-device", from: ["active"], to: "suspended", endsSessions: true },
  { verb: "resume", act: "resume-device", from: ["suspended"], to: "active", endsSessions: false },
  {
    verb: "revoke",
    act: "revoke-device",
    from: ["pending", "active", "suspended"],
    to: "revoked",
    endsSessions: true,
  },
  {
    verb: "retire",
    act: "retire-device",
    from: ["pending", "active", "suspended"],
    to: "retired",
    endsSessions: true,
  },
  {
    verb: "transfer",
    act: "transfer-device",
    from: ["pending", "active", "suspended", "retired"],
    to: "retired",
    endsSessions: true,
  },
  {
    verb: "acceptFirmware",
    act: "accept-firmware",
    from: ["pending", "active", "suspended"],
    to: undefined,
    endsSessions: false,
  },
]

const COUNTERS = {
  clockMs: 5n,
  resetCount: 6,
  restartCount: 7,
  safe: true,
  firmwareVersion: 8n,
  recordedAt: START,
}

/** The acts of the journal, the oldest first, but for what a test made beforehand. */
const actsOf = async ({ journal }: TestService, tenant = "default") =>
  (await journal.records(tenant)).filter(({ act }) => act !== "import-devices")

for (const { verb, act, from, to, endsSessions } of VERBS)
  for (const state of STATES) {
    const input = { id: "gate-7", etag: "" }
    if (from.includes(state))
      test(`${verb} moves a device that is ${state}, on record${endsSessions ? ", and ends its sessions" : ""}`, () =>
        withService(async (world) => {
          await keep(world, [keptDevice("gate-7", { state, counters: COUNTERS })])
          const device = await world.service.moveDevice(verb, input, OPERATOR)
          assert.equal([device.state, device.revision], [to ?? state, 2])
          assert.is((await world.registry.device("default", "gate-7")).state, to ?? state)
          const [record, ...more] = await actsOf(world)
          assert.equal(
            [record?.act, record?.device, record?.caller, more.length],
            [act, "gate-7", "operator", 0],
          )
          assert.is(record?.revisions?.device, 2)
          const revocations = await world.ports.devices.revocations("default", 0, 10)
          assert.equal(
            revocations.map(({ device: id, fromRevision }) => [id, fromRevision]),
            endsSessions ? [["gate-7", 2]] : [],
          )
        }))
    else
      test(`refuses to ${verb} a device that is ${state}`, () =>
        withService(async (world) => {
          await keep(world, [keptDevice("gate-7", { state })])
          await rejectsCode(() => world.service.moveDevice(verb, input, OPERATOR), "DEVICE_STATE")
          const { state: after, revision } = await world.registry.device("default", "gate-7")
          assert.equal([after, revision, await actsOf(world)], [state, 1, []])
        }))
  }

test("takes other firmware in, and leaves the clock as it was", () =>
  withService(async (world) => {
    await keep(world, [keptDevice("gate-7", { counters: COUNTERS })])
    const { counters } = await world.service.moveDevice(
      "acceptFirmware",
      { id: "gate-7", etag: "" },
      OPERATOR,
    )
    assert.equal(counters, { ...COUNTERS, firmwareVersion: undefined })
  }))

test("frees a transferred device's keys, for another id alone", () =>
  withService(async (world) => {
    const before = keptDevice("gate-7")
    await keep(world, [before])
    const device = await world.service.moveDevice("transfer", { id: "gate-7", etag: "" }, OPERATOR)
    assert.equal([device.akName.length, device.akPublic.length, device.ek], [0, 0, undefined])
    await rejectsCode(() => world.registry.snapshotFor("default", before.akName), "DEVICE_NOT_FOUND")
    await rejectsCode(() => keep(world, [before]), "DEVICE_EXISTS")
    await keep(world, [{ ...before, id: "gate-8" }])
    assert.is((await world.registry.snapshotFor("default", before.akName)).device.id, "gate-8")
  }))

for (const verb of ["revoke", "retire", "transfer"] as const)
  test(`refuses to let a device enroll again that was permitted to before it was told to ${verb}`, () =>
    withService(async (world) => {
      await keep(world, [keptDevice("gate-7")])
      const permit = {
        id: "gate-7",
        etag: "",
        kind: "re-enrollment",
        ek: undefined,
        akName: undefined,
        lifetimeMs: 60_000,
      } as const
      assert.is((await world.service.permitEnrollment(permit, OPERATOR)).permit?.kind, "re-enrollment")
      const device = await world.service.moveDevice(verb, { id: "gate-7", etag: "" }, OPERATOR)
      assert.is(device.permit, undefined)
    }))

test("forgets a device, ends its sessions, and never gives its id again", () =>
  withService(async (world) => {
    await keep(world, [keptDevice("gate-7")])
    await world.service.deleteDevice({ id: "gate-7", etag: "" }, OPERATOR)
    await rejectsCode(() => world.service.device("gate-7", OPERATOR), "DEVICE_NOT_FOUND")
    await rejectsCode(() => keep(world, [keptDevice("gate-7")]), "DEVICE_EXISTS")
    const [revocation] = await world.ports.devices.revocations("default", 0, 10)
    assert.equal([revocation?.device, revocation?.fromRevision], ["gate-7", 2])
    assert.equal(
      (await actsOf(world)).map(({ act, device }) => [act, device]),
      [["delete-device", "gate-7"]],
    )
  }))

test("makes a change on the device as it was looked at, or not at all", () =>
  withService(async (world) => {
    const { service } = world
    await keep(world, [keptDevice("gate-7"), keptDevice("gate-8")])
    const seen = await service.device("gate-7", OPERATOR)
    const changed = await service.moveDevice("suspend", { id: "gate-7", etag: seen.etag }, OPERATOR)
    assert.is.not(changed.etag, seen.etag)
    const stale: [what: string, act: () => Promise<unknown>][] = [
      ["resume", () => service.moveDevice("resume", { id: "gate-7", etag: seen.etag }, OPERATOR)],
      ["delete", () => service.deleteDevice({ id: "gate-7", etag: seen.etag }, OPERATOR)],
      [
        "another device's etag",
        () => service.moveDevice("suspend", { id: "gate-8", etag: seen.etag }, OPERATOR),
      ],
      ["no etag of ours", () => service.moveDevice("resume", { id: "gate-7", etag: "2" }, OPERATOR)],
      [
        "an etag with more",
        () => service.moveDevice("resume", { id: "gate-7", etag: `${changed.etag}=` }, OPERATOR),
      ],
    ]
    for (const [what, act] of stale) assert.ok(await rejectsCode(act, "ETAG"), what)
    assert.is((await service.device("gate-7", OPERATOR)).revision, 2)
    await service.moveDevice("resume", { id: "gate-7", etag: changed.etag }, OPERATOR)
  }))

test("decides anew when another change came between, unless an etag says on what", () => {
  let overtaken = 0
  return withService(
    async (world) => {
      await keep(world, [keptDevice("gate-7")])
      overtaken = 2
      const { state } = await world.service.moveDevice("suspend", { id: "gate-7", etag: "" }, OPERATOR)
      assert.equal([state, overtaken], ["suspended", 0])
      const { etag } = await world.service.device("gate-7", OPERATOR)
      overtaken = 1
      await rejectsCode(() => world.service.moveDevice("resume", { id: "gate-7", etag }, OPERATOR), "ETAG")
      overtaken = 1000
      await rejectsCode(
        () => world.service.moveDevice("resume", { id: "gate-7", etag: "" }, OPERATOR),
        "ETAG",
      )
    },
    {
      ports: ({ devices }) => ({
        devices: {
          ...devices,
          change: async (tenant, id, revision, change, act) => {
            if (overtaken-- > 0) {
              const { labels } = await devices.change(tenant, id, undefined, { labels: new Map() }, act)
              assert.is(labels.size, 0)
            } else overtaken = 0
            return devices.change(tenant, id, revision, change, act)
          },
        },
      }),
    },
  )
})

const foreign: [what: string, act: (world: TestService, id: string) => Promise<unknown>][] = [
  ["be shown", ({ service }, id) => service.device(id, STRANGER)],
  ...VERBS.map(({ verb }): [string, (world: TestService, id: string) => Promise<unknown>] => [
    `be told to ${verb}`,
    ({ service }, id) => service.moveDevice(verb, { id, etag: "" }, STRANGER),
  ]),
  ["be forgotten", ({ service }, id) => service.deleteDevice({ id, etag: "" }, STRANGER)],
  [
    "be updated",
    ({ service }, id) =>
      service.updateDevice(
        { id, etag: "", mask: ["group"], group: "edge", labels: new Map(), policy: "" },
        STRANGER,
      ),
  ],
  [
    "be permitted to enroll",
    ({ service }, id) =>
      service.permitEnrollment(
        { id, etag: "", kind: "re-enrollment", ek: undefined, akName: undefined, lifetimeMs: 1000 },
        STRANGER,
      ),
  ],
]
for (const [what, act] of foreign)
  test(`refuses P-06 a device of another tenant to ${what}, as one that is not there`, () =>
    withService(async (world) => {
      await keep(world, [keptDevice("gate-7")])
      const before = await world.registry.device("default", "gate-7")
      const there = await rejectsCode(() => act(world, "gate-7"), "DEVICE_NOT_FOUND")
      const nowhere = await rejectsCode(() => act(world, "gate-9"), "DEVICE_NOT_FOUND")
      assert.is(there.message.replace("gate-7", "gate-9"), nowhere.message)
      assert.equal(await world.registry.device("default", "gate-7"), before)
      assert.equal(await actsOf(world, "other"), [])
    }))

test("refuses P-06 the etag of another tenant's device of the same id and revision", () =>
  withService(async (world) => {
    await keep(world, [keptDevice("gate-7")])
    await keep(world, [keptDevice("gate-7")], "other")
    const { etag } = await world.service.device("gate-7", STRANGER)
    await rejectsCode(() => world.service.moveDevice("revoke", { id: "gate-7", etag }, OPERATOR), "ETAG")
  }))

test("says of each act what was asked for, and never twice the same of two things", () =>
  withService(async (world) => {
    await keep(world, [keptDevice("gate-7"), keptDevice("gate-8")])
    for (const id of ["gate-7", "gate-8"]) {
      await world.service.moveDevice("suspend", { id, etag: "" }, OPERATOR)
      await world.service.moveDevice("resume", { id, etag: "" }, OPERATOR)
    }
    const digests = (await actsOf(world)).map(({ act, evidenceDigest }) => `${act} ${toHex(evidenceDigest)}`)
    assert.is(new Set(digests).size, 4)
  }))

test.run()
