import { hash } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { toHex } from "../../src/bytes.ts"
import { encodePublic, type PublicFields } from "../../src/device/encode.ts"
import { generateKeys } from "../../src/device/keys.ts"
import type { Code } from "../../src/errors.ts"
import { ATTRIBUTES, parsePublic } from "../../src/evidence/tpm/public.ts"
import type { ImportDeviceInput } from "../../src/service/import-devices.ts"
import type { Caller } from "../../src/service/ports.ts"
import type { Service } from "../../src/service/service.ts"
import { rejectsCode } from "../support/assert.ts"
import { documentWith } from "../support/core.ts"
import { OPERATOR, STRANGER } from "../support/devices.ts"
import { digestOf } from "../support/ports/samples.ts"
import { attest, START, withService } from "../support/service.ts"
import { policyDocument, testDevice } from "../support/world.ts"
import { LEAF_KEYS, makeChain } from "../support/x509.ts"

const test = suite("createImportDevices")

const own = testDevice()
const area = parsePublic(own.akPublic)
if (area.scheme.kind === "null" || area.scheme.kind === "unsupported") throw new TypeError("it has a scheme")
const { scheme } = area
const areaWith = (changed: Partial<PublicFields>): Uint8Array => encodePublic({ ...area, scheme, ...changed })

/** As many attestation keys as a test wants. */
const keys: Uint8Array[] = []
const keyOf = (i: number): Uint8Array => {
  while (keys.length <= i) keys.push(areaWith({ key: generateKeys("p256").publicKey }))
  return keys[i] ?? new Uint8Array()
}

const input = (id: string, given: Partial<ImportDeviceInput> = {}): ImportDeviceInput => ({
  id,
  akPublic: own.akPublic,
  qualifiedName: undefined,
  ek: undefined,
  ekCertificateChain: [],
  akCertificateChain: [],
  binding: "operator",
  state: "active",
  group: "",
  labels: new Map(),
  claimedName: "",
  policy: undefined,
  createdAt: START,
  counters: undefined,
  ...given,
})
async function* each<T>(items: readonly T[]) {
  yield* items
}
const importAll = (service: Service, devices: readonly ImportDeviceInput[], caller: Caller = OPERATOR) =>
  service.importDevices(each(devices), caller)
const fleet = (count: number): ImportDeviceInput[] =>
  Array.from({ length: count }, (_, i) => input(`gate-${i}`, { akPublic: keyOf(i) }))

const COUNTERS = {
  clockMs: 1n,
  resetCount: 2,
  restartCount: 3,
  safe: true,
  firmwareVersion: 4n,
  recordedAt: START,
}
const full = (): ImportDeviceInput =>
  input("gate-1", {
    qualifiedName: own.qualifiedName,
    ek: digestOf("ek"),
    binding: "activation",
    state: "suspended",
    group: "edge",
    labels: new Map([["site", "north"]]),
    claimedName: "press 3",
    policy: "base",
    createdAt: new Date("2025-01-02T03:04:05.678Z"),
    counters: COUNTERS,
  })

test("brings a device in as it is, on record", () =>
  withService(async (world) => {
    await world.service.setPolicy(documentWith({ name: "base" }), OPERATOR)
    assert.equal(await importAll(world.service, [full()]), { added: 1, unchanged: 0 })
    const { ekCertificateChain: _, akCertificateChain: __, ...expected } = full()
    const kept = await world.registry.device("default", "gate-1")
    for (const [name, value] of Object.entries({ ...expected, akPublic: area.bytes, akName: area.name }))
      assert.equal(Reflect.get(kept, name), value, name)
    assert.equal([kept.revision, kept.endorsement.ekDigest], [1, digestOf("ek")])
    const record = (await world.journal.records("default")).at(-1)
    assert.equal([record?.act, record?.caller], ["import-devices", "operator"])
  }))

test("takes what another registry gives out, and gives out the same again", () =>
  withService((from) =>
    withService(async (to) => {
      for (const { service } of [from, to]) await service.setPolicy(documentWith({ name: "base" }), OPERATOR)
      const { leaf } = makeChain("ek")
      const certified = input("gate-2", { akPublic: keyOf(0), ekCertificateChain: [leaf] })
      await importAll(from.service, [full(), certified])
      const exported = async (service: Service): Promise<ImportDeviceInput[]> => {
        const devices: ImportDeviceInput[] = []
        for await (const page of service.exportDevices("", OPERATOR))
          devices.push(...page.map((device) => ({ ...device, ...device.endorsement })))
        return devices
      }
      const first = await exported(from.service)
      assert.equal(await importAll(to.service, first), { added: 2, unchanged: 0 })
      assert.equal(await exported(to.service), first)
      assert.equal(await importAll(to.service, first), { added: 0, unchanged: 2 })
    }),
  ))

test("lets a device attest that was moved here, and never from an earlier boot", () =>
  withService(async (world) => {
    const device = testDevice()
    const { name } = await world.service.setPolicy(policyDocument(device), OPERATOR)
    const seen = { ...device.state, safe: true, recordedAt: START }
    const moved = (resetCount: number): Partial<ImportDeviceInput> => ({
      akPublic: device.akPublic,
      policy: name,
      counters: { ...COUNTERS, ...seen, firmwareVersion: device.state.firmwareVersion, resetCount },
    })
    await importAll(world.service, [input("device-1", moved(device.state.resetCount))])
    assert.is((await attest(world.service, device)).token.kind, "session")
    await world.service.moveDevice("transfer", { id: "device-1", etag: "" }, OPERATOR)
    await importAll(world.service, [input("device-2", moved(device.state.resetCount + 5))])
    const { token, findings } = await attest(world.service, device)
    assert.equal([token.kind, findings[0]?.code], ["result", "CLOCK_INFO_ROLLBACK"])
  }))

test("brings in 250 at a time; what came before a failure stays, and may come again", () =>
  withService(async (world) => {
    const devices = fleet(551)
    const broken = devices.map((device, i) =>
      i === 525 ? { ...device, akPublic: new Uint8Array(3) } : device,
    )
    const error = await rejectsCode(() => importAll(world.service, broken), ["FRAMING", "PUBLIC_AREA"])
    assert.match(error.location ?? "", /^devices\[525\]/)
    const counted = async () => (await world.journal.records("default")).map(({ act }) => act)
    assert.equal(await counted(), ["import-devices", "import-devices"])
    await world.registry.device("default", "gate-499")
    await rejectsCode(() => world.registry.device("default", "gate-500"), "DEVICE_NOT_FOUND")
    assert.equal(await importAll(world.service, devices), { added: 51, unchanged: 500 })
    assert.is((await counted()).length, 5)
  }))

test("lets others work while it checks keys", () => {
  let breaths = 0
  return withService(
    async (world) => {
      await importAll(world.service, fleet(100))
      assert.ok(breaths >= 6, `${breaths}`)
    },
    {
      ports: () => ({
        breathe: async () => {
          breaths++
        },
      }),
    },
  )
})

test("asks for no more than it has room for", () =>
  withService(async (world) => {
    let given = 0
    const stored: number[] = []
    const devices = fleet(500)
    const counting = async function* () {
      for (const device of devices) {
        given++
        if (given % 250 === 1) stored.push((await world.journal.records("default")).length)
        yield device
      }
    }
    await world.service.importDevices(counting(), OPERATOR)
    assert.equal(stored, [0, 1])
  }))

const taken: [what: string, device: Partial<ImportDeviceInput>][] = [
  ["K-03 another key under a taken id", { id: "gate-1", akPublic: keyOf(1) }],
  ["K-03 another endorsement key under a taken id", { id: "gate-1", ek: digestOf("other") }],
  ["K-03 a taken attestation key under another id", { id: "gate-2" }],
  ["K-03 a taken endorsement key under another id", { id: "gate-2", akPublic: keyOf(1), ek: digestOf("ek") }],
]
for (const [what, device] of taken)
  test(`refuses ${what}, and all that came with it`, () =>
    withService(async (world) => {
      await world.service.setPolicy(documentWith({ name: "base" }), OPERATOR)
      await importAll(world.service, [full()])
      const before = await world.registry.device("default", "gate-1")
      const bad = { ...full(), ...device }
      const error = await rejectsCode(
        () => importAll(world.service, [input("gate-9", { akPublic: keyOf(9) }), bad]),
        "DEVICE_EXISTS",
      )
      assert.is(error.location, "devices[1]")
      assert.equal(await world.registry.device("default", "gate-1"), before)
      await rejectsCode(() => world.registry.device("default", "gate-9"), "DEVICE_NOT_FOUND")
    }))

const attributes = area.attributes & ~(1 << ATTRIBUTES.restricted)
const { leaf: ekLeaf } = makeChain("ek")
const { leaf: akLeaf } = makeChain("ak")
const late = new Date(START.getTime() + 3_600_000)
const refused: [what: string, given: Partial<ImportDeviceInput>, code: Code, field: string][] = [
  ["K-01 a key that is not restricted", { akPublic: areaWith({ attributes }) }, "AK_ATTRIBUTES", ""],
  ["K-01 a key with a null scheme", { akPublic: areaWith({ scheme: undefined }) }, "SIG_ALG", ""],
  ["a key whose Name is made with SHA-1", { akPublic: areaWith({ nameAlg: "sha1" }) }, "SIG_ALG", ""],
  ["a qualified name that is none", { qualifiedName: new Uint8Array(5) }, "FRAMING", ""],
  [
    "a certificate that is none",
    { ekCertificateChain: [new Uint8Array(9)] },
    "DER",
    "ek_certificate_chain[0]",
  ],
  ["a certificate of another attestation key", { akCertificateChain: [akLeaf] }, "AK_NAME", ""],
  [
    "a digest of another endorsement key",
    { ek: digestOf("x"), ekCertificateChain: [ekLeaf] },
    "FIELD",
    "ek_digest",
  ],
  ["a digest that is none", { ek: new Uint8Array(20) }, "FIELD", "ek_digest"],
  ["a device of tomorrow", { createdAt: late }, "FIELD", "create_time"],
  ["a clock of tomorrow", { counters: { ...COUNTERS, recordedAt: late } }, "FIELD", "attest_time"],
  ["a policy that there is not", { policy: "nobody" }, "POLICY_NOT_FOUND", ""],
]
for (const [what, given, code, field] of refused)
  test(`refuses ${what}`, () =>
    withService(async (world) => {
      const good = input("gate-0", { akPublic: keyOf(0) })
      const error = await rejectsCode(() => importAll(world.service, [good, input("gate-1", given)]), code)
      if (field !== "") assert.is(error.location, `devices[1].${field}`)
      else if (code !== "POLICY_NOT_FOUND") assert.match(error.location ?? "", /^devices\[1\]/)
      await rejectsCode(() => world.registry.device("default", "gate-0"), "DEVICE_NOT_FOUND")
      assert.equal(await world.journal.records("default"), [])
    }))

test("takes the endorsement key out of its certificate", () =>
  withService(async (world) => {
    await importAll(world.service, [input("gate-1", { ekCertificateChain: [ekLeaf] })])
    const kept = await world.registry.device("default", "gate-1")
    assert.is(toHex(kept.ek ?? new Uint8Array()), hash("sha256", LEAF_KEYS.spki, "hex"))
    assert.is(kept.endorsement.ekDigest, undefined)
  }))

test("refuses K-08 a key that is denied", () =>
  withService(
    async (world) => {
      await rejectsCode(() => importAll(world.service, [input("gate-1")]), "KEY_DENIED")
    },
    { ports: () => ({ denied: { size: 1, find: () => ({ reason: "published", source: "test" }) } }) },
  ))

test("keeps P-06 devices and policies of one tenant from another", () =>
  withService(async (world) => {
    await world.service.setPolicy(documentWith({ name: "base" }), OPERATOR)
    await importAll(world.service, [full()])
    await rejectsCode(() => importAll(world.service, [full()], STRANGER), "POLICY_NOT_FOUND")
    const { policy: _, ...without } = full()
    const same = { ...without, policy: undefined }
    assert.equal(await importAll(world.service, [same], STRANGER), { added: 1, unchanged: 0 })
    assert.is((await world.registry.device("default", "gate-1")).policy, "base")
  }))

test("throws what its source throws, and keeps what came before", () =>
  withService(async (world) => {
    const broken = async function* () {
      yield* fleet(250)
      yield input("late", { akPublic: keyOf(251) })
      throw new Error("the line went dead")
    }
    let thrown: unknown
    await world.service.importDevices(broken(), OPERATOR).catch((error: unknown) => {
      thrown = error
    })
    assert.instance(thrown, Error)
    await world.registry.device("default", "gate-249")
    await rejectsCode(() => world.registry.device("default", "late"), "DEVICE_NOT_FOUND")
  }))

test.run()
