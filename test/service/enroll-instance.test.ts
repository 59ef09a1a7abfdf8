/** Devices that a cloud certifies as its instances: what they may call themselves, and as what they may come again. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { SoftwareDevice } from "../../src/device/software.ts"
import type { ShownKeys } from "../../src/service/enroll-keys.ts"
import type { Permit } from "../../src/service/ports.ts"
import { rejectsCode } from "../support/assert.ts"
import { OPERATOR } from "../support/devices.ts"
import { akChainOf } from "../support/endorsed.ts"
import { begin, certifiedBy, enrolls, shownBy } from "../support/enrolling.ts"
import { type InstanceParts, instanceChainOf, instanceExtension } from "../support/instances.ts"
import { ekChainFor, newcomer } from "../support/newcomer.ts"
import { type TestService, withService } from "../support/service.ts"
import { EK_EXTENSIONS, withExtensions } from "../support/x509.ts"

const test = suite("enrolling as an instance of a cloud")

const VM = { provider: "gce", project: "presses", zone: "europe-west3-a", id: "8001", name: "vm-12" }

const keysOf = (device: SoftwareDevice, parts: InstanceParts = {}): ShownKeys =>
  certifiedBy(device, { akCertificateChain: instanceChainOf(device, parts) })

for (const claimedName of ["vm-12", "8001", ""])
  test(`takes an instance that calls itself "${claimedName}", and shows which it is`, () =>
    withService(async (world) => {
      const device = newcomer()
      const { id } = await enrolls(world, device, { keys: keysOf(device), claimedName })
      const view = await world.service.device(id, OPERATOR)
      assert.equal([view.instance, view.claimedName], [VM, claimedName])
    }))

test("takes any label of a device whose certificate names no instance", () =>
  withService(async (world) => {
    const device = newcomer()
    const chain = instanceChainOf(device, { production: false })
    for (const akCertificateChain of [akChainOf(device), chain])
      await begin(world, device, {
        keys: certifiedBy(device, { akCertificateChain }),
        claimedName: "press 3",
      })
    const { id } = await enrolls(world, device, { keys: certifiedBy(device), claimedName: "press 3" })
    assert.is((await world.service.device(id, OPERATOR)).instance, undefined)
  }))

const claims: readonly (readonly [what: string, claimedName: string])[] = [
  ["another instance's name", "vm-13"],
  ["another instance's id", "8002"],
  ["its name in capitals", "VM-12"],
  ["its name and a space", "vm-12 "],
  ["how its name begins", "vm-1"],
  ["its name and id", "vm-12 8001"],
  ["its project", "presses"],
  ["its zone", "europe-west3-a"],
  ["its id with a zero before it", "08001"],
]
for (const [what, claimedName] of claims)
  test(`refuses K-02 an instance that calls itself by ${what}`, () =>
    withService(async (world) => {
      const device = newcomer()
      const error = await rejectsCode(
        () => begin(world, device, { keys: keysOf(device), claimedName }),
        "AK_BINDING",
      )
      assert.equal(
        [error.location, error.expected, error.actual],
        ["claimed_name", "vm-12 or 8001", claimedName],
      )
    }))

test("refuses K-02 a claim that could steer a terminal, and shows it harmless", () =>
  withService(async (world) => {
    const device = newcomer()
    const claimedName = "vm-12\u001b[2J"
    const error = await rejectsCode(
      () => begin(world, device, { keys: keysOf(device), claimedName }),
      "AK_BINDING",
    )
    assert.is(error.actual, "vm-12\\u{1b}[2J")
  }))

// Beside an endorsement key.

const ekChainOf = (device: SoftwareDevice, parts: InstanceParts = {}) =>
  ekChainFor(device, { extensions: withExtensions(EK_EXTENSIONS, instanceExtension(parts)) })

test("takes the instance that the endorsement key's certificate names", () =>
  withService(async (world) => {
    const device = newcomer()
    const keys = await shownBy(device, { ekCertificateChain: await ekChainOf(device) })
    await rejectsCode(() => begin(world, device, { keys, claimedName: "vm-13" }), "AK_BINDING")
    const { id } = await enrolls(world, device, { keys, claimedName: "vm-12" })
    assert.equal((await world.service.device(id, OPERATOR)).instance, VM)
  }))

const pairs: readonly (readonly [what: string, parts: InstanceParts])[] = [
  ["another instance", { id: 8002 }],
  ["an instance of another project", { project: "vending" }],
]
for (const [what, parts] of pairs)
  test(`refuses K-02 certificates of two keys that name ${what} each`, () =>
    withService(async (world) => {
      const device = newcomer()
      const [ekCertificateChain, akCertificateChain] = [
        await ekChainOf(device),
        instanceChainOf(device, parts),
      ]
      const keys = await shownBy(device, { ekCertificateChain, akCertificateChain })
      await rejectsCode(() => begin(world, device, { keys }), "AK_BINDING")
    }))

// Again.

const permits = (world: TestService, id: string, kind: Permit["kind"], akName: Uint8Array) =>
  world.service.permitEnrollment(
    { id, etag: "", kind, ek: undefined, akName, lifetimeMs: 3_600_000 },
    OPERATOR,
  )

test("gives an instance another attestation key, whatever it is called now", () =>
  withService(async (world) => {
    const [device, next] = [newcomer(), newcomer()]
    const { id } = await enrolls(world, device, { keys: keysOf(device), claimedName: "vm-12" })
    await permits(world, id, "ak-rotation", next.akName)
    const renamed = { name: "vm-renamed", zone: "europe-west3-b" }
    const again = await enrolls(world, next, { keys: keysOf(next, renamed), claimedName: "vm-renamed" })
    assert.is(again.id, id)
    const view = await world.service.device(id, OPERATOR)
    assert.equal(view.instance, { ...VM, ...renamed })
  }))

test("gives a device that named no instance the one that its next certificate names", () =>
  withService(async (world) => {
    const [device, next] = [newcomer(), newcomer()]
    const { id } = await enrolls(world, device, { keys: certifiedBy(device) })
    await permits(world, id, "re-enrollment", next.akName)
    assert.is((await enrolls(world, next, { keys: keysOf(next) })).id, id)
  }))

const others: readonly (readonly [
  what: string,
  kind: Permit["kind"],
  chain: (device: SoftwareDevice) => Uint8Array[],
])[] = [
  ["another instance", "ak-rotation", (device) => instanceChainOf(device, { id: 8002 })],
  ["another instance after a clear", "re-enrollment", (device) => instanceChainOf(device, { id: 8002 })],
  [
    "another instance of the same name",
    "ak-rotation",
    (device) => instanceChainOf(device, { id: 80010, name: "vm-12" }),
  ],
  [
    "an instance of this id in another project",
    "ak-rotation",
    (device) => instanceChainOf(device, { project: "vending" }),
  ],
  ["no instance", "ak-rotation", (device) => akChainOf(device)],
  [
    "an instance that is not of production",
    "re-enrollment",
    (device) => instanceChainOf(device, { production: false }),
  ],
]
for (const [what, kind, chain] of others)
  test(`refuses K-04 an instance that comes again with the certificate of ${what}`, () =>
    withService(async (world) => {
      const [device, next] = [newcomer(), newcomer()]
      const { id } = await enrolls(world, device, { keys: keysOf(device) })
      await permits(world, id, kind, next.akName)
      const before = await world.registry.device("default", id)
      const keys = certifiedBy(next, { akCertificateChain: chain(next) })
      const error = await rejectsCode(() => enrolls(world, next, { keys }), "AK_BINDING")
      assert.equal([error.location, error.expected], ["ak_certificate_chain", "gce presses 8001"])
      assert.equal(await world.registry.device("default", id), before)
      const record = (await world.journal.records("default")).at(-1)
      assert.equal([record?.outcome, record?.codes], ["refused", ["AK_BINDING"]])
    }))

test.run()
