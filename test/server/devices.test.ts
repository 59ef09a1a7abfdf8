import { hash } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { MessageInitShape } from "@bufbuild/protobuf"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { type AdminClient, createAdminClient } from "../../src/client/admin.ts"
import type { DeviceClient } from "../../src/client/devices.ts"
import { AssayError, type Code } from "../../src/errors.ts"
import {
  type Device,
  type DeviceExport,
  EnrollmentReason,
  Freshness,
  KeyBinding,
  type UpdateDeviceRequestSchema,
} from "../../src/gen/assay/v1/device_pb.ts"
import { DeviceState } from "../../src/gen/assay/v1/enrollment_pb.ts"
import { Tier } from "../../src/gen/assay/v1/result_pb.ts"
import { deviceToProto } from "../../src/server/convert-device.ts"
import { rejectsCode } from "../support/assert.ts"
import { ones, type Running, running, device as viewed } from "./fake.ts"

const test = suite("DeviceService and EnrollmentTokenService")

let server: Running
let admin: AdminClient
let folder: string

test.before(async () => {
  folder = mkdtempSync(join(tmpdir(), "assay-"))
  server = await running({}, { listen: [], admin: `unix:${folder}/admin.sock` })
  admin = createAdminClient(server.address)
})
test.before.each(() => {
  server.seen.length = 0
})
test.after(async () => {
  admin.close()
  await server.stop()
  rmSync(folder, { recursive: true })
})
const asked = (): unknown[] => server.seen.map(({ method, input }) => [method, input])
const AT = { seconds: 1767323045n, nanos: 0 }
const plain = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_, v) => (typeof v === "bigint" ? `${v}n` : v)))

const checkDevice = (device: Device | undefined): void => {
  assert.equal(device && [device.id, device.state, device.freshness], [
    "device-1",
    DeviceState.ACTIVE,
    Freshness.DUE,
  ])
  if (device === undefined) return
  assert.equal(device.labels, { site: "north 4" })
  assert.equal([device.group, device.policy, device.claimedName], ["edge", "servers", "press 3"])
  assert.equal([device.akName, device.ekDigest], [ones(34), ones(32)])
  assert.equal([device.binding, device.revision, device.etag], [KeyBinding.ACTIVATION, 3n, "etag-3"])
  assert.equal(
    [device.tpm?.manufacturer, device.tpm?.model, device.tpm?.version],
    ["IFX", "SLB 9670", "id:00070055"],
  )
  const { provider, project, zone, id, name } = device.instance ?? {}
  assert.equal(
    [provider, project, zone, id, name],
    ["gce", "presses", "z-1", "18446744073709551615", "vm-12"],
  )
  assert.equal([device.attestTier, device.attestCode], [Tier.WARNING, "AK_BINDING_UNPROVEN"])
  const times = [device.createTime, device.attestTime, device.sessionTime, device.permit?.expireTime]
  for (const time of times) assert.is(time?.seconds, AT.seconds)
  assert.equal([device.permit?.reason, device.permit?.ekDigest], [EnrollmentReason.BOARD_SWAP, ones(32)])
  const { clockMs, resetCount, restartCount, safe, firmwareVersion } = device.clock ?? {}
  assert.equal([clockMs, resetCount, restartCount, safe, firmwareVersion], [5n, 6, 7, true, undefined])
}

test("shows which key a device may enroll with, of either kind", () => {
  const permit = { kind: "re-enrollment", akName: ones(34), expiresAt: new Date(0) } as const
  const shown = deviceToProto({ ...viewed, permit }).permit
  assert.equal([shown?.ekDigest.length, shown?.akName], [0, ones(34)])
  assert.equal(deviceToProto(viewed).permit?.akName.length, 0)
})

test("shows all of a device", async () => {
  checkDevice((await admin.getDevice("device-1")).device)
  checkDevice((await admin.registerDevice({ id: "device-1", akPublic: ones(90) })).device)
})

const verbs: [name: string, call: keyof DeviceClient][] = [
  ["approve", "approveDevice"],
  ["suspend", "suspendDevice"],
  ["resume", "resumeDevice"],
  ["revoke", "revokeDevice"],
  ["retire", "retireDevice"],
  ["transfer", "transferDevice"],
  ["acceptFirmware", "acceptFirmware"],
]
for (const [name, call] of verbs)
  test(`asks for ${name} with the etag, and shows what the device is then`, async () => {
    const verb = admin[call] as AdminClient["approveDevice"]
    checkDevice((await verb({ id: "device-1", etag: "etag-2" })).device)
    await verb({ id: "device-1" })
    assert.equal(asked(), [
      [`moveDevice ${name}`, { id: "device-1", etag: "etag-2" }],
      [`moveDevice ${name}`, { id: "device-1", etag: "" }],
    ])
  })

test("forgets a device", async () => {
  await admin.deleteDevice({ id: "device-1", etag: "etag-3" })
  assert.equal(asked(), [["deleteDevice", { id: "device-1", etag: "etag-3" }]])
})

test("lists devices, a hundred unless it is told otherwise", async () => {
  const { devices, nextPageToken } = await admin.listDevices({})
  assert.is(nextPageToken, "next")
  checkDevice(devices[0])
  await admin.listDevices({ pageSize: 7, pageToken: "next", filter: "state=active", orderBy: "id desc" })
  assert.equal(asked(), [
    ["listDevices", { pageSize: 100, pageToken: "", filter: "", orderBy: "" }],
    ["listDevices", { pageSize: 7, pageToken: "next", filter: "state=active", orderBy: "id desc" }],
  ])
})

test("hands on what is to change, and what the mask says", async () => {
  const paths = ["group", "labels.site", "policy"]
  const given = { id: "device-1", group: "core", labels: { site: "" }, policy: "p", etag: "e" }
  checkDevice((await admin.updateDevice({ ...given, updateMask: { paths } })).device)
  const [seen] = server.seen
  assert.equal(seen?.input, { ...given, labels: new Map([["site", ""]]), mask: paths })
})

test("hands on what is permitted, for an hour unless it is told otherwise", async () => {
  const { RE_ENROLLMENT, AK_ROTATION, BOARD_SWAP } = EnrollmentReason
  checkDevice((await admin.permitEnrollment({ id: "device-1", reason: RE_ENROLLMENT })).device)
  await admin.permitEnrollment({ id: "device-1", reason: AK_ROTATION, lifetime: { seconds: 1n } })
  await admin.permitEnrollment({ id: "device-1", reason: BOARD_SWAP, ekDigest: ones(32), etag: "e" })
  await admin.permitEnrollment({ id: "device-1", reason: AK_ROTATION, akName: ones(50) })
  const base = { id: "device-1", etag: "", ek: undefined, akName: undefined, lifetimeMs: 3_600_000 }
  assert.equal(asked(), [
    ["permitEnrollment", { ...base, kind: "re-enrollment" }],
    ["permitEnrollment", { ...base, kind: "ak-rotation", lifetimeMs: 1000 }],
    ["permitEnrollment", { ...base, kind: "board-swap", ek: ones(32), etag: "e" }],
    ["permitEnrollment", { ...base, kind: "ak-rotation", akName: ones(50) }],
  ])
})

test("makes, lists and ends enrollment tokens", async () => {
  const { token, secret } = await admin.createEnrollmentToken({})
  assert.equal([token?.id, token?.uses, token?.usesMax, secret], ["et-1", 2, 5, "aet_secret"])
  assert.equal([token?.group, token?.labels, token?.revoked], ["edge", { site: "north 4" }, false])
  await admin.createEnrollmentToken({
    usesMax: 9,
    lifetime: { seconds: 60n, nanos: 500_000_000 },
    group: "edge",
    labels: { a: "b" },
  })
  const listed = await admin.listEnrollmentTokens({ pageSize: 3, pageToken: "x" })
  assert.is(listed.tokens[0]?.expireTime?.seconds, AT.seconds)
  await admin.revokeEnrollmentToken("et-1")
  assert.equal(asked(), [
    ["createEnrollmentToken", { usesMax: 1, lifetimeMs: 86_400_000, group: "", labels: new Map() }],
    [
      "createEnrollmentToken",
      { usesMax: 9, lifetimeMs: 60_500, group: "edge", labels: new Map([["a", "b"]]) },
    ],
    ["listEnrollmentTokens", { pageSize: 3, pageToken: "x" }],
    ["revokeEnrollmentToken", "et-1"],
  ])
})

const all = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}
async function* each<T>(...items: readonly T[]) {
  yield* items
}

test("brings in what was given out, and nothing gets lost between", async () => {
  const exported = await all(admin.exportDevices("state=active"))
  assert.equal(
    exported.map(({ id }) => id),
    ["device-1", "device-2"],
  )
  const answer = await admin.importDevices(each(...exported))
  assert.equal([answer.added, answer.unchanged], [2n, 1n])
  const [first] = (server.seen[1]?.input as unknown[]) ?? []
  const expected = {
    id: "device-1",
    akPublic: ones(90),
    qualifiedName: ones(34),
    ek: ones(32),
    ekCertificateChain: [ones(700)],
    akCertificateChain: [ones(600)],
    binding: "activation",
    state: "active",
    group: "edge",
    labels: new Map([["site", "north 4"]]),
    claimedName: "press 3",
    policy: "servers",
    createdAt: new Date("2026-01-02T03:04:05.000Z"),
    counters: {
      clockMs: 5n,
      resetCount: 6,
      restartCount: 7,
      safe: true,
      firmwareVersion: undefined,
      recordedAt: new Date("2026-01-02T03:04:05.000Z"),
    },
  }
  assert.equal(plain(first), plain(expected))
})

const device: Omit<DeviceExport, "$typeName" | "$unknown" | "createTime" | "clock" | "attestTime"> = {
  id: "device-1",
  akPublic: ones(90),
  qualifiedName: new Uint8Array(),
  ekDigest: new Uint8Array(),
  ekCertificateChain: [],
  akCertificateChain: [],
  binding: KeyBinding.OPERATOR,
  state: DeviceState.ACTIVE,
  group: "",
  labels: {},
  claimedName: "",
  policy: "",
}
const good = { ...device, createTime: AT }
const clock = { clockMs: 1n, resetCount: 1, restartCount: 1, safe: true, firmwareVersion: 1n }
type Changed = Partial<typeof device> & {
  readonly createTime?: typeof AT
  readonly clock?: typeof clock
  readonly attestTime?: typeof AT
}

test("brings in a device that says no more than it has to", async () => {
  await admin.importDevices(each({ ...device, createTime: AT }))
  const input = server.seen[0]?.input as [{ policy: unknown; counters: unknown; ek: unknown }]
  assert.equal([input[0].policy, input[0].counters, input[0].ek], [undefined, undefined, undefined])
})

const labels = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, "v"]))
const imports: [what: string, changed: Changed, path: string][] = [
  ["a time before 1970", { createTime: { seconds: -1n, nanos: 0 } }, "create_time"],
  ["a time of no calendar", { createTime: { seconds: 2n ** 62n, nanos: 0 } }, "create_time"],
  ["a time with too many nanoseconds", { createTime: { seconds: 1n, nanos: 1_000_000_000 } }, "create_time"],
  ["no id", { id: "" }, "id"],
  ["no key", { akPublic: new Uint8Array() }, "ak_public"],
  ["no state", { state: DeviceState.UNSPECIFIED }, "state"],
  ["no binding", { binding: KeyBinding.UNSPECIFIED }, "binding"],
  ["an unknown state", { state: 99 as DeviceState }, "state"],
  ["an unknown binding", { binding: 99 as KeyBinding }, "binding"],
  ["a clock without a time", { clock }, "attest_time"],
  ["a time without a clock", { attestTime: AT }, "clock"],
  ["33 labels", { labels: labels(33) }, "labels"],
  [
    "nine certificates",
    { ekCertificateChain: Array.from({ length: 9 }, () => ones(1)) },
    "ek_certificate_chain",
  ],
  ["G-12 an id with a newline", { id: "a\nb" }, "id"],
  ["G-12 an id with an escape sequence of a terminal", { id: "\u001b[2J" }, "id"],
  ["G-12 an id of path parts", { id: "../a" }, "id"],
  ["G-12 an id with a look-alike", { id: "g\u0430te" }, "id"],
  ["G-12 an id of 64 characters", { id: "a".repeat(64) }, "id"],
  ["G-12 a group with a newline", { group: "a\n" }, "group"],
  ["G-12 a policy of path parts", { policy: "../p" }, "policy"],
  ["G-12 a claimed name with an escape sequence", { claimedName: "\u001b[2J" }, "claimed_name"],
  ["G-12 a claimed name with a newline", { claimedName: "a\n" }, "claimed_name"],
]
for (const [what, changed, path] of imports)
  test(`refuses an import of a device with ${what}`, async () => {
    const bad = { ...good, ...changed }
    const error = await rejectsCode(() => admin.importDevices(each(good, good, bad)), "FIELD")
    assert.is(error.location, `devices[2].${path}`)
    assert.equal(server.seen, [])
  })

test("refuses an import of a device with no time", async () => {
  const error = await rejectsCode(() => admin.importDevices(each(device)), "FIELD")
  assert.is(error.location, "devices[0].create_time")
})

const refusedLabels: [what: string, labels: Record<string, string>, path: string][] = [
  ["a key with a newline", { "a\nb": "x" }, 'labels["a\\nb"]'],
  ["an empty key", { "": "x" }, 'labels[""]'],
  ["a key in capitals", { A: "x" }, 'labels["A"]'],
  ["a key of path parts", { "../a": "x" }, 'labels["../a"]'],
  ["a key with a look-alike", { "s\u0456te": "x" }, "labels"],
  ["a key of 64 characters", { ["a".repeat(64)]: "x" }, "labels"],
  ["a value with a newline", { a: "x\ny" }, 'labels["a"]'],
  ["a value with an escape sequence of a terminal", { a: "\u001b[2J" }, 'labels["a"]'],
  ["a value that is not ASCII", { a: "nör" }, 'labels["a"]'],
  ["a value of 256 characters", { a: "x".repeat(256) }, 'labels["a"]'],
]
for (const [what, bad, path] of refusedLabels)
  test(`refuses G-12 labels with ${what}`, async () => {
    const update = { id: "device-1", labels: bad, updateMask: { paths: ["labels"] } }
    const error = await rejectsCode(() => admin.updateDevice(update), "FIELD")
    assert.ok(error.location?.startsWith(path.slice(0, 6)), error.location ?? "")
    await rejectsCode(() => admin.createEnrollmentToken({ labels: bad }), "FIELD")
    assert.equal(server.seen, [])
  })

type Update = MessageInitShape<typeof UpdateDeviceRequestSchema>
const calls: [what: string, call: () => Promise<unknown>, path: string][] = [
  ["a device without an id", () => admin.getDevice(""), "id"],
  ["G-12 an id with a newline", () => admin.getDevice("a\n"), "id"],
  ["G-12 an id with an escape sequence", () => admin.revokeDevice({ id: "\u001b[2J" }), "id"],
  ["G-12 an id of path parts", () => admin.deleteDevice({ id: "a/../b" }), "id"],
  ["G-12 an id with a look-alike", () => admin.suspendDevice({ id: "g\u0430te" }), "id"],
  ["G-12 an id of a megabyte", () => admin.approveDevice({ id: "a".repeat(1 << 20) }), "id"],
  ["G-12 an id of a token with a newline", () => admin.revokeEnrollmentToken("et-1\n"), "id"],
  ["an etag of 65 characters", () => admin.retireDevice({ id: "a", etag: "e".repeat(65) }), "etag"],
  ["a page of 1001", () => admin.listDevices({ pageSize: 1001 }), "page_size"],
  ["a page of 1001 tokens", () => admin.listEnrollmentTokens({ pageSize: 1001 }), "page_size"],
  ["a page token of 513 characters", () => admin.listDevices({ pageToken: "a".repeat(513) }), "page_token"],
  ["a filter of 1025 characters", () => admin.listDevices({ filter: "a".repeat(1025) }), "filter"],
  ["an order of 33 characters", () => admin.listDevices({ orderBy: "a".repeat(33) }), "order_by"],
  ["an export with a filter that is too long", () => all(admin.exportDevices("a".repeat(1025))), "filter"],
  ["a change without a mask", () => admin.updateDevice({ id: "a" }), "update_mask"],
  [
    "a mask with the state",
    () => admin.updateDevice({ id: "a", updateMask: { paths: ["state"] } } as Update),
    "update_mask",
  ],
  [
    "a mask with the key",
    () => admin.updateDevice({ id: "a", updateMask: { paths: ["group", "akPublic"] } } as Update),
    "update_mask",
  ],
  ["a permit without a reason", () => admin.permitEnrollment({ id: "a" }), "reason"],
  [
    "a permit for an unknown reason",
    () => admin.permitEnrollment({ id: "a", reason: 9 as EnrollmentReason }),
    "reason",
  ],
  [
    "a permit with a digest of 33 bytes",
    () => admin.permitEnrollment({ id: "a", reason: 3, ekDigest: ones(33) }),
    "ek_digest",
  ],
  [
    "a permit with a Name of 67 bytes",
    () => admin.permitEnrollment({ id: "a", reason: 1, akName: ones(67) }),
    "ak_name",
  ],
  ["a permit for no time", () => admin.permitEnrollment({ id: "a", reason: 1, lifetime: {} }), "lifetime"],
  [
    "a permit for a time in the past",
    () => admin.permitEnrollment({ id: "a", reason: 1, lifetime: { seconds: -60n } }),
    "lifetime",
  ],
  [
    "a permit for 31 days",
    () => admin.permitEnrollment({ id: "a", reason: 1, lifetime: { seconds: 2_678_400n } }),
    "lifetime",
  ],
  ["a token for two million devices", () => admin.createEnrollmentToken({ usesMax: 2_000_000 }), "uses_max"],
  ["a token for no time", () => admin.createEnrollmentToken({ lifetime: { nanos: 5 } }), "lifetime"],
  [
    "a token for more than a year",
    () => admin.createEnrollmentToken({ lifetime: { seconds: 31_536_001n } }),
    "lifetime",
  ],
  ["G-12 a token for a group with a newline", () => admin.createEnrollmentToken({ group: "a\n" }), "group"],
]
for (const [what, call, path] of calls)
  test(`refuses ${what}`, async () => {
    const error = await rejectsCode(call, "FIELD")
    assert.is(error.location, path)
    assert.equal(server.seen, [])
  })

const KEY_BYTES = 2000
/** Devices whose import ends with the first of them, and why. */
const ended: [what: string, code: Code, changed: Changed][] = [
  ["it breaks a rule", "FIELD", { id: "a\nb" }],
  ["the service refuses it", "DEVICE_EXISTS", {}],
]
for (const [what, code, changed] of ended)
  test(`holds G-06 nothing of a device with whose message an import has ended, because ${what}`, async () => {
    const operator = { name: "operator", role: "operator" as const, tenant: "default" }
    const credentials = [{ ...operator, sha256: hash("sha256", "secret", "buffer") }]
    const importDevices = async (devices: AsyncIterable<unknown>): Promise<never> => {
      for await (const _ of devices) throw new AssayError("DEVICE_EXISTS", "it is there already")
      throw new Error("there was none")
    }
    const limits = { callerBytesMax: 4 * KEY_BYTES }
    const other = await running({ importDevices }, { credentials, limits })
    const client = createAdminClient(other.address, { credential: "secret" })
    try {
      for (let i = 0; i < 12; i++)
        await rejectsCode(
          () => client.importDevices(each({ ...good, akPublic: ones(KEY_BYTES), ...changed })),
          code,
        )
    } finally {
      client.close()
      await other.stop()
    }
  })

test.run()
