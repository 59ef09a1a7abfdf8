import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { Freshness } from "../../src/service/device-freshness.ts"
import type { ListDevicesInput } from "../../src/service/list-devices.ts"
import type { Caller, DeviceRecord } from "../../src/service/ports.ts"
import type { Service } from "../../src/service/service.ts"
import { rejectsCode } from "../support/assert.ts"
import { documentWith } from "../support/core.ts"
import { keep, keptDevice, OPERATOR, STRANGER } from "../support/devices.ts"
import { attest, enroll, GATEWAY, START, type TestService, withService } from "../support/service.ts"
import { policyDocument, testDevice } from "../support/world.ts"
import { EK_EXTENSIONS, makeChain } from "../support/x509.ts"

const test = suite("listing and exporting devices")

const input = (given: Partial<ListDevicesInput> = {}): ListDevicesInput => ({
  filter: "",
  orderBy: "",
  pageSize: 1000,
  pageToken: "",
  ...given,
})
const idsOf = (devices: readonly { readonly id: string }[]): string[] => devices.map(({ id }) => id)

/** Every page of a list, one after another, with what happens between two pages. */
const pagesOf = async (
  service: Service,
  given: Partial<ListDevicesInput>,
  between: (page: number) => Promise<void> = async () => {},
  caller: Caller = OPERATOR,
): Promise<string[][]> => {
  const pages: string[][] = []
  let pageToken = ""
  do {
    const page = await service.listDevices(input({ ...given, pageToken }), caller)
    pages.push(idsOf(page.devices))
    pageToken = page.nextPageToken
    await between(pages.length)
  } while (pageToken !== "")
  return pages
}
const exportedOf = async (service: Service, filter = "", caller = OPERATOR): Promise<string[]> => {
  const ids: string[] = []
  for await (const page of service.exportDevices(filter, caller)) ids.push(...idsOf(page))
  return ids
}
const later = (minutes: number): Date => new Date(START.getTime() + minutes * 60_000)

/** A fleet of ten, the youngest first by its id. */
const keepFleet = (world: TestService): Promise<void> =>
  keep(
    world,
    Array.from({ length: 10 }, (_, i) =>
      keptDevice(`${i < 7 ? "gate" : "press"}-${i}`, {
        createdAt: later(-i),
        group: i % 2 === 0 ? "edge" : "",
        state: i === 3 ? "suspended" : i === 5 ? "revoked" : "active",
        labels: new Map([["site", i < 5 ? "north 4" : 'the "south"']]),
      }),
    ),
  )

const filters: [filter: string, expected: readonly string[]][] = [
  [
    "",
    ["gate-0", "gate-1", "gate-2", "gate-3", "gate-4", "gate-5", "gate-6", "press-7", "press-8", "press-9"],
  ],
  ["state=suspended", ["gate-3"]],
  ['group="edge"', ["gate-0", "gate-2", "gate-4", "gate-6", "press-8"]],
  ['id="press-*"', ["press-7", "press-8", "press-9"]],
  ['labels.site="the \\"south\\"" AND group=edge', ["gate-6", "press-8"]],
  ["state=active AND group=edge AND id=gate-*", ["gate-0", "gate-2", "gate-4", "gate-6"]],
  ["state=retired", []],
  ["freshness=silent AND id=press-*", ["press-7", "press-8", "press-9"]],
  ["freshness=fresh", []],
]
for (const [filter, expected] of filters)
  test(`lists and exports ${filter || "everything"}`, () =>
    withService(async (world) => {
      await keepFleet(world)
      assert.equal((await pagesOf(world.service, { filter })).flat(), expected)
      assert.equal((await pagesOf(world.service, { filter, pageSize: 2 })).flat(), expected)
      assert.equal(await exportedOf(world.service, filter), expected)
    }))

const orders: [orderBy: string, expected: string][] = [
  ["id", "gate-0 gate-1 gate-2 gate-3 gate-4 gate-5 gate-6 press-7 press-8 press-9"],
  ["id desc", "press-9 press-8 press-7 gate-6 gate-5 gate-4 gate-3 gate-2 gate-1 gate-0"],
  ["create_time", "press-9 press-8 press-7 gate-6 gate-5 gate-4 gate-3 gate-2 gate-1 gate-0"],
  ["create_time desc", "gate-0 gate-1 gate-2 gate-3 gate-4 gate-5 gate-6 press-7 press-8 press-9"],
]
for (const [orderBy, expected] of orders)
  test(`lists by ${orderBy}, and every page is whole while devices come and go`, () =>
    withService(async (world) => {
      await keepFleet(world)
      const pages = await pagesOf(world.service, { orderBy, pageSize: 3 })
      assert.is(pages.flat().join(" "), expected)
      const shifting = await pagesOf(world.service, { orderBy, pageSize: 3 }, async (page) => {
        if (page !== 1) return
        const [first, ...others] = (await pagesOf(world.service, { orderBy })).flat()
        await world.service.deleteDevice({ id: first ?? "", etag: "" }, OPERATOR)
        // The third is where the next page begins.
        await world.service.deleteDevice({ id: others[1] ?? "", etag: "" }, OPERATOR)
        await world.service.moveDevice("acceptFirmware", { id: others[0] ?? "", etag: "" }, OPERATOR)
      })
      assert.is(shifting.flat().join(" "), expected)
    }))

const orderFaults: [what: string, orderBy: string][] = [
  ["another field", "state"],
  ["a direction in capitals", "id DESC"],
  ["two fields", "id, create_time"],
  ["what every object has", "constructor"],
  ["G-12 SQL", "id; DROP TABLE devices"],
]
for (const [what, orderBy] of orderFaults)
  test(`refuses the order of ${what}`, () =>
    withService(async ({ service }) => {
      const error = await rejectsCode(() => service.listDevices(input({ orderBy }), OPERATOR), "FIELD")
      assert.is(error.location, "order_by")
    }))

test("refuses a filter that cannot be read, and a token of another list", () =>
  withService(async (world) => {
    await keepFleet(world)
    const { service } = world
    await rejectsCode(() => service.listDevices(input({ filter: "state" }), OPERATOR), "FILTER")
    await rejectsCode(() => exportedOf(service, "state"), "FILTER")
    const { nextPageToken: pageToken } = await service.listDevices(input({ pageSize: 1 }), OPERATOR)
    const others: [string, Partial<ListDevicesInput>, Caller][] = [
      ["P-06 another tenant", {}, STRANGER],
      ["another filter", { filter: "state=active" }, OPERATOR],
      ["another order", { orderBy: "id desc" }, OPERATOR],
      ["no token of ours", { pageToken: "AAAA" }, OPERATOR],
    ]
    for (const [what, given, caller] of others)
      assert.ok(
        await rejectsCode(() => service.listDevices(input({ pageToken, ...given }), caller), "PAGE_TOKEN"),
        what,
      )
    // The order that there is by default has a name too.
    assert.is((await service.listDevices(input({ pageToken, orderBy: "id" }), OPERATOR)).devices.length, 9)
  }))

test("refuses P-06 to list or export devices of another tenant", () =>
  withService(async (world) => {
    await keepFleet(world)
    await keep(world, [keptDevice("gate-1")], "other")
    for (const filter of ["", "id=gate-*", "freshness=silent"]) {
      assert.equal((await pagesOf(world.service, { filter }, undefined, STRANGER)).flat(), ["gate-1"])
      assert.equal(await exportedOf(world.service, filter, STRANGER), ["gate-1"])
    }
    assert.equal((await pagesOf(world.service, { filter: "group=edge" }, undefined, STRANGER)).flat(), [])
  }))

/** Puts devices in three groups into a world, each with a policy for sessions of another lifetime. */
const keepPolicies = async ({ service }: TestService): Promise<void> => {
  for (const [name, lifetimeSeconds] of [
    ["short", 300],
    ["long", 3600],
    ["own", 60],
  ] as const)
    await service.setPolicy(documentWith({ name, "session.lifetimeSeconds": lifetimeSeconds }), OPERATOR)
  await service.assignPolicy({ policy: "short" }, OPERATOR)
  await service.assignPolicy({ policy: "long", group: "slow" }, OPERATOR)
}

test("tells freshness by the policy that judges: a device's own, its group's, or the default", () =>
  withService(
    async (world) => {
      await keepPolicies(world)
      await keep(world, [
        keptDevice("a-default"),
        keptDevice("b-slow", { group: "slow" }),
        keptDevice("c-own", { group: "slow", policy: "own" }),
        keptDevice("d-never"),
        keptDevice("e-long-ago"),
      ])
      world.advance(250_000)
      const expected: Readonly<Record<Freshness, readonly string[]>> = {
        fresh: ["b-slow"],
        due: ["a-default"],
        overdue: ["c-own"],
        silent: ["d-never", "e-long-ago"],
      }
      for (const [freshness, ids] of Object.entries(expected)) {
        const filter = `freshness=${freshness}`
        const { devices } = await world.service.listDevices(input({ filter }), OPERATOR)
        assert.equal(idsOf(devices), ids, freshness)
        for (const { freshness: is } of devices) assert.is(is, freshness)
        assert.equal((await pagesOf(world.service, { filter, pageSize: 1 })).flat(), ids)
        assert.equal(await exportedOf(world.service, filter), ids)
      }
      assert.is((await world.service.device("c-own", OPERATOR)).freshness, "overdue")
      for (const id of Object.values(expected).flat())
        assert.is((await world.service.device(id, OPERATOR)).state, "active")
    },
    {
      // Sessions as verifications record them, without the evidence that they take.
      ports: ({ devices, registry }) => ({
        registry: {
          ...registry,
          device: async (tenant, id) => withSession(await registry.device(tenant, id)),
        },
        devices: {
          ...devices,
          list: async (tenant, query) => {
            const { silentSince, seenSince, ...filter } = query.filter
            const page = await devices.list(tenant, { ...query, filter })
            const given = page.devices.map(withSession).filter(({ lastResult }) => {
              const at = lastResult?.admittedAt
              if (silentSince !== undefined && at !== undefined && at >= silentSince) return false
              return seenSince === undefined || (at !== undefined && at >= seenSince)
            })
            return { ...page, devices: given }
          },
        },
      }),
    },
  ))

const withSession = (device: DeviceRecord): DeviceRecord => {
  const minutes = device.id === "d-never" ? undefined : device.id === "e-long-ago" ? -3000 : 0
  const admittedAt = minutes === undefined ? undefined : later(minutes)
  return { ...device, lastResult: { at: START, tier: "affirming", code: undefined, admittedAt } }
}

test("tells the freshness of a device that attested, and moves nothing by its silence", () =>
  withService(async (world) => {
    const device = testDevice()
    await enroll(world.service, device, policyDocument(device))
    const seen = async () => {
      const { freshness, lastResult, state, revision } = await world.service.device("device-1", OPERATOR)
      return [freshness, lastResult?.tier, state, revision]
    }
    assert.equal(await seen(), ["silent", undefined, "active", 2])
    const { tier } = await attest(world.service, device)
    assert.equal(await seen(), ["fresh", tier, "active", 2])
    world.advance(86_400_001)
    assert.equal(await seen(), ["silent", tier, "active", 2])
    assert.is((await world.journal.records("default")).at(-1)?.act, "verify")
  }))

test("tells a TPM by the certificate of its endorsement key, and nothing by one that does not say it", () =>
  withService(async (world) => {
    const { leaf } = makeChain("ek")
    const bare = makeChain("ek", { leaf: { extensions: EK_EXTENSIONS.slice(0, 3) } }).leaf
    const endorsed = (ekCertificateChain: readonly Uint8Array[]) => ({
      endorsement: { ekCertificateChain, akCertificateChain: [], ekDigest: undefined },
    })
    await keep(world, [
      keptDevice("a", endorsed([leaf])),
      keptDevice("b", endorsed([bare])),
      keptDevice("c", endorsed([new Uint8Array(3)])),
      keptDevice("d"),
    ])
    const { devices } = await world.service.listDevices(input(), OPERATOR)
    assert.equal(
      devices.map(({ tpm }) => tpm && [tpm.vendor, tpm.model]),
      [["IFX", "SLB 9670"], undefined, undefined, undefined],
    )
  }))

test("leaves devices out of an export whose keys were released", () =>
  withService(async (world) => {
    await keep(world, [keptDevice("gate-1"), keptDevice("gate-2")])
    await world.service.moveDevice("transfer", { id: "gate-1", etag: "" }, GATEWAY)
    assert.equal((await pagesOf(world.service, {})).flat(), ["gate-1", "gate-2"])
    assert.equal(await exportedOf(world.service), ["gate-2"])
  }))

test("lets others work between the pages of an export", () => {
  let breaths = 0
  return withService(
    async (world) => {
      await keep(
        world,
        Array.from({ length: 1200 }, (_, i) => keptDevice(`gate-${i}`)),
      )
      const pages: [size: number, breaths: number][] = []
      for await (const page of world.service.exportDevices("", OPERATOR)) pages.push([page.length, breaths])
      assert.equal(pages, [
        [500, 0],
        [500, 1],
        [200, 2],
      ])
    },
    {
      ports: () => ({
        breathe: async () => {
          breaths += 1
        },
      }),
    },
  )
})

test("asks for no more of an export than is taken", () => {
  let asked = 0
  return withService(
    async (world) => {
      await keep(
        world,
        Array.from({ length: 2000 }, (_, i) => keptDevice(`gate-${i}`)),
      )
      for await (const page of world.service.exportDevices("", OPERATOR)) if (page.length > 0) break
      assert.is(asked, 1)
    },
    {
      ports: ({ devices }) => ({
        devices: {
          ...devices,
          list: (tenant, query) => {
            asked++
            return devices.list(tenant, query)
          },
        },
      }),
    },
  )
})

test.run()
