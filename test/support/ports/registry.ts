import * as assert from "uvu/assert"
import { toHex } from "../../../src/bytes.ts"
import type { Registry } from "../../../src/service/ports.ts"
import { rejectsCode } from "../assert.ts"
import type { Awaitable, Check } from "./check.ts"
import { digestOf, NO_ENDORSEMENT, newAct, newDevice, newPolicy, plainDevice, recordOf } from "./samples.ts"

/** What every registry does. `create` makes an empty one for each test. */
export const registryConformance = (test: Check, name: string, create: () => Awaitable<Registry>): void => {
  const check = (behavior: string, body: (registry: Registry) => Promise<void>): void =>
    test(`${name} ${behavior}`, async () => body(await create()))

  check("gives a device back as it was registered", async (registry) => {
    const fresh = newDevice("device-1", {
      qualifiedName: digestOf("qualified"),
      endorsement: {
        ekCertificateChain: [digestOf("ek leaf"), new Uint8Array(), digestOf("ek ca")],
        akCertificateChain: [digestOf("ak leaf")],
        ekDigest: digestOf("ek"),
      },
    })
    const expected = recordOf(fresh)
    assert.equal(
      plainDevice(await registry.registerDevice(fresh, newAct("register-device"))),
      plainDevice(expected),
    )
    assert.equal(plainDevice(await registry.device("default", "device-1")), plainDevice(expected))
    const snapshot = await registry.snapshotFor("default", fresh.akName)
    assert.equal(plainDevice(snapshot.device), plainDevice(expected))
    assert.is(snapshot.policy, undefined)
    assert.equal([snapshot.trustGeneration, snapshot.anchors], [0, 0])
  })

  check("gives a device without any endorsement back without any", async (registry) => {
    const { endorsement } = await registry.registerDevice(newDevice("device-1"), newAct("register-device"))
    assert.equal(endorsement, NO_ENDORSEMENT)
    assert.equal((await registry.device("default", "device-1")).endorsement, NO_ENDORSEMENT)
  })

  check("keeps its own copy of the bytes", async (registry) => {
    const [leaf, ekDigest] = [digestOf("leaf"), digestOf("ek")]
    const endorsement = { ekCertificateChain: [leaf], akCertificateChain: [leaf], ekDigest }
    const fresh = newDevice("device-1", { endorsement })
    const before = plainDevice(await registry.registerDevice(fresh, newAct("register-device")))
    for (const bytes of [fresh.akPublic, leaf, ekDigest]) bytes.fill(0)
    assert.equal(plainDevice(await registry.device("default", "device-1")), before)
  })

  const taken: [what: string, second: ReturnType<typeof newDevice>][] = [
    ["the same device again", newDevice("device-1")],
    ["another key under a taken id", newDevice("device-1", { akName: digestOf("other") })],
    ["a taken key under another id", newDevice("device-2", { akName: newDevice("device-1").akName })],
  ]
  for (const [what, second] of taken)
    check(`refuses ${what}, and leaves the old record untouched`, async (registry) => {
      const before = await registry.registerDevice(newDevice("device-1"), newAct("register-device"))
      await rejectsCode(() => registry.registerDevice(second, newAct("register-device")), "DEVICE_EXISTS")
      assert.equal(plainDevice(await registry.device("default", "device-1")), plainDevice(before))
      if (second.id !== "device-1")
        await rejectsCode(() => registry.device("default", second.id), "DEVICE_NOT_FOUND")
    })

  check("refuses a device that it does not know", async (registry) => {
    await rejectsCode(() => registry.device("default", "device-1"), "DEVICE_NOT_FOUND")
    await rejectsCode(() => registry.snapshotFor("default", digestOf("nobody")), "DEVICE_NOT_FOUND")
    await rejectsCode(() => registry.snapshotFor("default", new Uint8Array()), "DEVICE_NOT_FOUND")
  })

  check("counts the documents of a policy's name, and shows the latest", async (registry) => {
    const first = await registry.setPolicy(newPolicy("base", "one"), newAct("set-policy"))
    const second = await registry.setPolicy(newPolicy("base", "two — ≥"), newAct("set-policy"))
    const other = await registry.setPolicy(newPolicy("other", "one"), newAct("set-policy"))
    assert.equal([first.revision, second.revision, other.revision], [1, 2, 1])
    const latest = await registry.policy("default", "base")
    assert.equal([latest.tenant, latest.name, latest.revision], ["default", "base", 2])
    assert.is(latest.document, "two — ≥")
    assert.is(toHex(latest.digest), toHex(digestOf("two — ≥")))
  })

  check("refuses a policy that it does not know", async (registry) => {
    await registry.registerDevice(newDevice("device-1"), newAct("register-device"))
    await rejectsCode(() => registry.policy("default", "base"), "POLICY_NOT_FOUND")
    await rejectsCode(
      () =>
        registry.assignPolicy("default", "base", { kind: "device", id: "device-1" }, newAct("assign-policy")),
      "POLICY_NOT_FOUND",
    )
    await rejectsCode(
      () => registry.assignPolicy("default", "base", { kind: "default" }, newAct("assign-policy")),
      "POLICY_NOT_FOUND",
    )
    assert.is(await registry.groupPolicy("default", ""), undefined)
    assert.is((await registry.device("default", "device-1")).revision, 1)
  })

  check("refuses to assign a policy to a device that it does not know", async (registry) => {
    await registry.setPolicy(newPolicy("base", "one"), newAct("set-policy"))
    await rejectsCode(
      () =>
        registry.assignPolicy("default", "base", { kind: "device", id: "device-1" }, newAct("assign-policy")),
      "DEVICE_NOT_FOUND",
    )
  })

  check(
    "judges by a device's own policy before the default, and by its latest revision",
    async (registry) => {
      const { akName } = await registry.registerDevice(newDevice("device-1"), newAct("register-device"))
      const judgedBy = async (): Promise<string> => {
        const { device, policy } = await registry.snapshotFor("default", akName)
        return `${policy?.name} ${policy?.revision} for revision ${device.revision}`
      }
      assert.is(await judgedBy(), "undefined undefined for revision 1")
      await registry.setPolicy(newPolicy("base", "one"), newAct("set-policy"))
      await registry.assignPolicy("default", "base", { kind: "default" }, newAct("assign-policy"))
      assert.is(await judgedBy(), "base 1 for revision 1")
      assert.is((await registry.groupPolicy("default", ""))?.document, "one")
      await registry.setPolicy(newPolicy("own", "one"), newAct("set-policy"))
      await registry.assignPolicy(
        "default",
        "own",
        { kind: "device", id: "device-1" },
        newAct("assign-policy"),
      )
      assert.is(await judgedBy(), "own 1 for revision 2")
      await registry.setPolicy(newPolicy("own", "two"), newAct("set-policy"))
      assert.is(await judgedBy(), "own 2 for revision 2")
      await registry.setPolicy(newPolicy("default-2", "one"), newAct("set-policy"))
      await registry.assignPolicy("default", "default-2", { kind: "default" }, newAct("assign-policy"))
      assert.is(await judgedBy(), "own 2 for revision 2")
      assert.is((await registry.groupPolicy("default", ""))?.name, "default-2")
      assert.is((await registry.device("default", "device-1")).policy, "own")
    },
  )

  check(
    "judges by a device's own policy before its group's, and by that before the default",
    async (registry) => {
      const made = newDevice("device-1", { group: "edge" })
      const { akName } = await registry.registerDevice(made, newAct("register-device"))
      const judgedBy = async (): Promise<string | undefined> => {
        const { policy } = await registry.snapshotFor("default", akName)
        return policy?.name
      }
      for (const name of ["base", "edge-policy", "own", "core-policy"])
        await registry.setPolicy(newPolicy(name, name), newAct("set-policy"))
      const assign = (name: string, target: Parameters<Registry["assignPolicy"]>[2]): Promise<void> =>
        registry.assignPolicy("default", name, target, newAct("assign-policy"))
      await assign("core-policy", { kind: "group", name: "core" })
      assert.is(await judgedBy(), undefined)
      assert.is(await registry.groupPolicy("default", "edge"), undefined)
      await assign("base", { kind: "default" })
      assert.is(await judgedBy(), "base")
      assert.is((await registry.groupPolicy("default", "edge"))?.name, "base")
      await assign("edge-policy", { kind: "group", name: "edge" })
      assert.is(await judgedBy(), "edge-policy")
      assert.is((await registry.groupPolicy("default", "edge"))?.document, "edge-policy")
      assert.is((await registry.groupPolicy("default", "core"))?.name, "core-policy")
      assert.is((await registry.groupPolicy("default", "nobody"))?.name, "base")
      assert.is((await registry.groupPolicy("default", ""))?.name, "base")
      assert.is(await registry.groupPolicy("other", "edge"), undefined)
      await assign("own", { kind: "device", id: "device-1" })
      assert.is(await judgedBy(), "own")
    },
  )

  check("keeps what belongs to one tenant from every other", async (registry) => {
    const { akName } = await registry.registerDevice(newDevice("device-1"), newAct("register-device"))
    await registry.setPolicy(newPolicy("base", "one"), newAct("set-policy"))
    await registry.assignPolicy("default", "base", { kind: "default" }, newAct("assign-policy"))
    await rejectsCode(() => registry.device("other", "device-1"), "DEVICE_NOT_FOUND")
    await rejectsCode(() => registry.snapshotFor("other", akName), "DEVICE_NOT_FOUND")
    await rejectsCode(() => registry.policy("other", "base"), "POLICY_NOT_FOUND")
    await rejectsCode(
      () =>
        registry.assignPolicy("other", "base", { kind: "device", id: "device-1" }, newAct("assign-policy")),
      "POLICY_NOT_FOUND",
    )
    assert.is(await registry.groupPolicy("other", ""), undefined)
    await registry.registerDevice(newDevice("device-1", { tenant: "other" }), newAct("register-device"))
    assert.is((await registry.snapshotFor("other", akName)).policy, undefined)
    const { revision } = await registry.setPolicy(newPolicy("base", "theirs", "other"), newAct("set-policy"))
    assert.is(revision, 1)
    await registry.assignPolicy("other", "base", { kind: "device", id: "device-1" }, newAct("assign-policy"))
    assert.is((await registry.device("default", "device-1")).revision, 1)
    assert.is((await registry.policy("default", "base")).document, "one")
  })
}
