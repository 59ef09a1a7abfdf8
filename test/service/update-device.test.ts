import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { UpdateDeviceInput } from "../../src/service/update-device.ts"
import { rejectsCode } from "../support/assert.ts"
import { documentWith } from "../support/core.ts"
import { keep, keptDevice, OPERATOR, STRANGER } from "../support/devices.ts"
import { type TestService, withService } from "../support/service.ts"

const test = suite("createUpdateDevice")

type Given = Partial<Omit<UpdateDeviceInput, "labels" | "mask">> & { labels?: Record<string, string> }
const input = (mask: readonly string[], given: Given = {}): UpdateDeviceInput => ({
  id: "gate-7",
  etag: "",
  group: "",
  policy: "",
  ...given,
  mask,
  labels: new Map(Object.entries(given.labels ?? {})),
})

const withDevice = (act: (world: TestService) => Promise<void>): Promise<void> =>
  withService(async (world) => {
    for (const tenant of ["default", "other"]) {
      const caller = { tenant, id: "operator" }
      await world.service.setPolicy(documentWith({ name: `policy-of-${tenant}` }), caller)
    }
    const labels = new Map([
      ["rack", "4"],
      ["site", "north"],
    ])
    await keep(world, [keptDevice("gate-7", { group: "edge", policy: "policy-of-default", labels })])
    await act(world)
  })

const changes: [what: string, input: UpdateDeviceInput, expected: unknown][] = [
  [
    "the group alone",
    input(["group"], { group: "core" }),
    ["core", "policy-of-default", "rack=4 site=north"],
  ],
  ["no group", input(["group"]), ["", "policy-of-default", "rack=4 site=north"]],
  ["no policy of its own", input(["policy"]), ["edge", undefined, "rack=4 site=north"]],
  ["all labels", input(["labels"], { labels: { floor: "2" } }), ["edge", "policy-of-default", "floor=2"]],
  ["no labels", input(["labels"]), ["edge", "policy-of-default", ""]],
  [
    "one label",
    input(["labels.site"], { labels: { site: "south 2" } }),
    ["edge", "policy-of-default", "rack=4 site=south 2"],
  ],
  [
    "a label more",
    input(["labels.floor"], { labels: { floor: "" } }),
    ["edge", "policy-of-default", "floor= rack=4 site=north"],
  ],
  ["a label less", input(["labels.rack"]), ["edge", "policy-of-default", "site=north"]],
  [
    "a label less that was not there",
    input(["labels.none"]),
    ["edge", "policy-of-default", "rack=4 site=north"],
  ],
  [
    "everything at once",
    input(["policy", "group", "labels.rack", "labels.floor"], { group: "core", labels: { floor: "3" } }),
    ["core", undefined, "floor=3 site=north"],
  ],
]
for (const [what, update, expected] of changes)
  test(`sets ${what}, and leaves the rest`, () =>
    withDevice(async (world) => {
      const device = await world.service.updateDevice(update, OPERATOR)
      const labels = [...device.labels].map(([key, value]) => `${key}=${value}`).sort()
      assert.equal([device.group, device.policy, labels.join(" ")], expected)
      assert.equal([device.revision, device.state], [2, "active"])
      const record = (await world.journal.records("default")).at(-1)
      assert.equal([record?.act, record?.device], ["update-device", "gate-7"])
      assert.equal(await world.ports.devices.revocations("default", 0, 10), [])
    }))

const many = (from: number, count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${from + i}`, "v"]))
const refused: [what: string, input: UpdateDeviceInput, location: string][] = [
  ["a mask that says nothing", input([]), "update_mask"],
  ["a mask with another field", input(["state"]), "update_mask"],
  ["a mask with a field of every object", input(["constructor"]), "update_mask"],
  ["a mask with everything", input(["*"]), "update_mask"],
  ["a field twice", input(["group", "group"], { group: "core" }), "update_mask"],
  ["a label twice", input(["labels.a", "labels.a"], { labels: { a: "1" } }), "update_mask"],
  ["all labels and one of them", input(["labels", "labels.a"], { labels: { a: "1" } }), "update_mask"],
  ["G-12 a label with a newline in the mask", input(["labels.a\n"]), "update_mask"],
  ["G-12 a label of path parts in the mask", input(["labels.../a"]), "update_mask"],
  ["G-12 a label with a look-alike in the mask", input(["labels.s\u0456te"]), "update_mask"],
  ["G-12 a label with an escape sequence in the mask", input(["labels.\u001b[2J"]), "update_mask"],
  ["G-12 a label of 64 characters in the mask", input([`labels.${"a".repeat(64)}`]), "update_mask"],
  ["a label without a key in the mask", input(["labels."]), "update_mask"],
  ["a group beside the mask", input(["policy"], { group: "core" }), "group"],
  ["a policy beside the mask", input(["group"], { policy: "policy-of-default" }), "policy"],
  ["labels beside the mask", input(["group"], { labels: { a: "1" } }), "labels.a"],
  ["another label than the mask's", input(["labels.a"], { labels: { a: "1", b: "2" } }), "labels.b"],
  [
    "more labels than 32 in all",
    input(
      Object.keys(many(0, 31)).map((key) => `labels.${key}`),
      { labels: many(0, 31) },
    ),
    "labels",
  ],
]
for (const [what, update, location] of refused)
  test(`refuses ${what}`, () =>
    withDevice(async (world) => {
      const error = await rejectsCode(() => world.service.updateDevice(update, OPERATOR), "FIELD")
      assert.is(error.location, location)
      assert.is((await world.registry.device("default", "gate-7")).revision, 1)
    }))

const policies: [what: string, policy: string][] = [
  ["that there is not", "nobody"],
  ["P-06 of another tenant", "policy-of-other"],
]
for (const [what, policy] of policies)
  test(`refuses a policy ${what}`, () =>
    withDevice(async (world) => {
      const update = input(["policy"], { policy })
      await rejectsCode(() => world.service.updateDevice(update, OPERATOR), "POLICY_NOT_FOUND")
      assert.is((await world.registry.device("default", "gate-7")).policy, "policy-of-default")
    }))

test("refuses P-06 an update of another tenant's device, whose policy it may know", () =>
  withDevice(async (world) => {
    const update = input(["policy"], { policy: "policy-of-other" })
    await rejectsCode(() => world.service.updateDevice(update, STRANGER), "DEVICE_NOT_FOUND")
    assert.is((await world.registry.device("default", "gate-7")).policy, "policy-of-default")
  }))

test("loses no label to another update at the same time", () =>
  withDevice(async (world) => {
    const keys = ["a", "b", "c", "d"]
    await Promise.all(
      keys.map((key) =>
        world.service.updateDevice(input([`labels.${key}`], { labels: { [key]: key } }), OPERATOR),
      ),
    )
    const { labels } = await world.registry.device("default", "gate-7")
    assert.equal([...labels.keys()].sort(), ["a", "b", "c", "d", "rack", "site"])
  }))

test("refuses an update of what has changed since it was looked at", () =>
  withDevice(async (world) => {
    const { etag } = await world.service.device("gate-7", OPERATOR)
    await world.service.updateDevice(input(["group"], { group: "core", etag }), OPERATOR)
    await rejectsCode(
      () => world.service.updateDevice(input(["group"], { group: "x", etag }), OPERATOR),
      "ETAG",
    )
  }))

test.run()
