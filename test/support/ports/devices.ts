import * as assert from "uvu/assert"
import { toHex } from "../../../src/bytes.ts"
import { AssayError } from "../../../src/errors.ts"
import type {
  DeviceChange,
  DeviceEndorsement,
  DeviceFilter,
  DeviceRecord,
  DeviceState,
  Devices,
  EnrolledDevice,
  ImportedDevice,
  Journal,
  Permit,
  Registry,
  TrustStore,
} from "../../../src/service/ports.ts"
import type { JournalReader } from "../../../src/store/journal.ts"
import { rejectsCode } from "../assert.ts"
import { instanceExtension } from "../instances.ts"
import { makeChain } from "../x509.ts"
import type { Awaitable, Check } from "./check.ts"
import {
  afterNoon,
  digestOf,
  NO_ENDORSEMENT,
  NOON,
  newAct,
  newAnchor,
  newCommit,
  newCounters,
  newDevice,
  newPolicy,
  newRecord,
  plainDevice,
  trustOf,
} from "./samples.ts"

/** Devices, and what they share a database with. */
export interface DevicesUnderTest {
  readonly devices: Devices
  readonly registry: Registry
  readonly trust: TrustStore
  readonly journal: Journal & JournalReader
}

/** What the Name of a key looks like: its algorithm and its digest. */
export const nameOf = (id: string): Uint8Array => Uint8Array.of(0x00, 0x0b, ...digestOf(`name of ${id}`))

/** A device that has proven its keys, which follow from its id. */
export const newEnrolled = (id: string, change: Partial<EnrolledDevice> = {}): EnrolledDevice => ({
  ...newDevice(id),
  ek: digestOf(`ek of ${id}`),
  binding: "activation",
  state: "active",
  counters: newCounters(),
  trust: 0,
  token: undefined,
  ...change,
})

const newImported = (id: string, change: Partial<ImportedDevice> = {}): ImportedDevice => {
  const { tenant: _, ...fresh } = newDevice(id)
  return { ...fresh, state: "active", policy: undefined, counters: undefined, ...change }
}

const newToken = (id: string, change: object = {}) => ({
  tenant: "default",
  id,
  digest: digestOf(`secret of ${id}`),
  usesMax: 2,
  createdAt: NOON,
  expiresAt: afterNoon(60_000),
  group: "edge",
  labels: new Map([["site", "north"]]),
  ...change,
})

const ENROLL = newAct("enroll-device")
const CHANGE = newAct("update-device")
const IMPORT = newAct("import-devices")

/** What every store of devices does. `create` makes an empty one for each test. */
export const devicesConformance = (
  test: Check,
  name: string,
  create: () => Awaitable<DevicesUnderTest>,
): void => {
  const check = (behavior: string, body: (under: DevicesUnderTest) => Promise<void>): void =>
    test(`${name} ${behavior}`, async () => body(await create()))
  const grant = (devices: Devices, id: string, ek: Uint8Array, expiresAt = afterNoon(60_000)) =>
    devices.change(
      "default",
      id,
      undefined,
      { permit: { granted: { kind: "re-enrollment", ek, expiresAt } } },
      newAct("permit-re-enrollment"),
    )

  check(
    "gives an enrolled device back as it was enrolled, with its counters and on record",
    async (under) => {
      const { devices, registry, journal } = under
      const fresh = newEnrolled("device-1", {
        qualifiedName: digestOf("qualified"),
        state: "pending",
        group: "edge",
        labels: new Map([
          ["site", "north"],
          ["rack", "7"],
        ]),
        claimedName: "gateway 7",
        endorsement: {
          ekCertificateChain: [digestOf("leaf")],
          akCertificateChain: [],
          ekDigest: digestOf("ek of device-1"),
        },
      })
      const { trust: _, ...rest } = fresh
      const expected = plainDevice({
        ...rest,
        policy: undefined,
        permit: undefined,
        lastResult: undefined,
        revision: 1,
      })
      assert.equal(plainDevice(await devices.enroll(fresh, ENROLL)), expected)
      assert.equal(plainDevice(await registry.device("default", "device-1")), expected)
      const { device } = await registry.snapshotFor("default", fresh.akName)
      assert.equal(plainDevice(device), expected)
      const [record] = await journal.records("default")
      const revisions = { device: 1, policy: undefined, trust: 0 }
      assert.equal([record?.act, record?.device], ["enroll-device", "device-1"])
      assert.equal(record?.revisions, revisions)
      assert.is(await devices.revision("default"), 1)
      assert.is(await devices.revision("other"), 0)
    },
  )

  // K-04: what is somebody's stays that device's, byte for byte.

  const same = newEnrolled("device-1")
  const takeovers: [what: string, fresh: EnrolledDevice][] = [
    ["the same device again", same],
    ["another TPM under a taken id", newEnrolled("device-2", { id: "device-1" })],
    ["a taken attestation key under another id", newEnrolled("device-2", { akName: same.akName })],
    ["a taken endorsement key under another id", newEnrolled("device-2", { ek: same.ek })],
    ["both keys under another id", newEnrolled("device-2", { ek: same.ek, akName: same.akName })],
    ["a taken endorsement key with a new attestation key", { ...same, akName: digestOf("new") }],
    ["an attestation key without endorsement key", newEnrolled("x", { ek: undefined, akName: same.akName })],
  ]
  for (const [what, fresh] of takeovers)
    check(
      `refuses K-04 ${what}, and leaves the old record untouched`,
      async ({ devices, registry, journal }) => {
        const before = await devices.enroll(same, ENROLL)
        await rejectsCode(() => devices.enroll(fresh, ENROLL), "DEVICE_EXISTS")
        assert.equal(plainDevice(await registry.device("default", "device-1")), plainDevice(before))
        if (fresh.id !== "device-1")
          await rejectsCode(() => registry.device("default", fresh.id), "DEVICE_NOT_FOUND")
        assert.is((await journal.records("default")).length, 1)
        assert.is(await devices.revision("default"), 1)
      },
    )

  const races: [what: string, rival: (i: number) => EnrolledDevice][] = [
    ["one id", (i) => newEnrolled(`tpm-${i}`, { id: "device-1" })],
    ["one endorsement key", (i) => newEnrolled(`device-${i}`, { ek: same.ek })],
    ["one attestation key", (i) => newEnrolled(`device-${i}`, { akName: same.akName })],
    ["one of three ids", (i) => newEnrolled(`tpm-${i}`, { id: `device-${i % 3}` })],
    ["all of one device", () => same],
  ]
  for (const [what, rival] of races)
    check(`refuses K-04 all but one of many enrollments that race for ${what}`, async (under) => {
      const { devices, registry, journal } = under
      const rivals = Array.from({ length: 12 }, (_, i) => rival(i))
      const outcomes = await Promise.allSettled(rivals.map((fresh) => devices.enroll(fresh, ENROLL)))
      const won = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []))
      const prizes = new Set(what === "one of three ids" ? rivals.map(({ id }) => id) : ["one"])
      assert.is(won.length, prizes.size)
      for (const outcome of outcomes)
        if (outcome.status === "rejected") assertCode(outcome.reason, "DEVICE_EXISTS")
      for (const device of won)
        assert.equal(plainDevice(await registry.device("default", device.id)), plainDevice(device))
      assert.is((await devices.list("default", ALL)).devices.length, prizes.size)
      assert.is((await journal.records("default")).length, prizes.size)
    })

  check("refuses K-04 all but one of a registration and an enrollment that race for a TPM", async (under) => {
    const { devices, registry } = under
    const outcomes = await Promise.allSettled([
      registry.registerDevice(newDevice("a", { ek: same.ek }), newAct("register-device")),
      devices.enroll(newEnrolled("b", { ek: same.ek }), ENROLL),
      devices.import("default", [newImported("c", { ek: same.ek })], IMPORT),
    ])
    assert.is(outcomes.filter(({ status }) => status === "fulfilled").length, 1)
    assert.is((await devices.list("default", ALL)).devices.length, 1)
  })

  check("takes the same keys and ids in another tenant", async ({ devices, registry }) => {
    await devices.enroll(same, ENROLL)
    await devices.enroll({ ...same, tenant: "other" }, ENROLL)
    assert.is((await registry.device("other", "device-1")).revision, 1)
    assert.equal([await devices.revision("default"), await devices.revision("other")], [1, 1])
  })

  check("refuses S-04 an enrollment under trust that has changed", async ({ devices, trust }) => {
    await trust.importTrust("default", trustOf({ anchors: [newAnchor("a")] }), newAct("import-trust"))
    await rejectsCode(() => devices.enroll(same, ENROLL), "SNAPSHOT_MOVED")
    assert.is((await devices.enroll({ ...same, trust: 1 }, ENROLL)).revision, 1)
  })

  // Enrolling again.

  check("gives a device with a permit its new keys once, and ends its sessions", async (under) => {
    const { devices, registry } = under
    const other = newEnrolled("new board", { state: "pending", group: "x", claimedName: "again" })
    const labels = new Map([["site", "north"]])
    await devices.enroll({ ...same, group: "edge", labels }, ENROLL)
    const permitted = await grant(devices, "device-1", other.ek ?? digestOf(""))
    assert.is(permitted.revision, 2)
    const after = await devices.enroll(other, ENROLL)
    assert.equal(
      [after.id, after.revision, after.state, after.group, after.labels, after.claimedName, after.permit],
      ["device-1", 3, "active", "edge", labels, "again", undefined],
    )
    assert.equal(after.akName, other.akName)
    assert.equal(plainDevice(await registry.device("default", "device-1")), plainDevice(after))
    await rejectsCode(() => registry.snapshotFor("default", same.akName), "DEVICE_NOT_FOUND")
    assert.is((await registry.snapshotFor("default", other.akName)).device.id, "device-1")
    assert.equal(await devices.revocations("default", 0, 10), [
      { tenant: "default", device: "device-1", fromRevision: 3, at: NOON, sequence: 3 },
    ])
    await rejectsCode(() => devices.enroll({ ...other, akName: digestOf("again") }, ENROLL), "DEVICE_EXISTS")
    assert.is((await devices.enroll(newEnrolled("free", { ek: same.ek }), ENROLL)).id, "free")
  })

  const unpermitted: [what: string, permit: Parameters<typeof grant>[3], change: DeviceChange][] = [
    ["whose permit has expired", NOON, {}],
    ["whose permit was taken back", undefined, { permit: { granted: undefined } }],
    ["that was revoked after it got a permit", undefined, { state: "revoked" }],
    ["that was retired after it got a permit", undefined, { state: "retired" }],
  ]
  // By the attestation key of a TPM that shows no endorsement key.

  const newCertified = (id: string, change: Partial<EnrolledDevice> = {}): EnrolledDevice =>
    newEnrolled(id, { ek: undefined, binding: "certificate", akName: nameOf(id), ...change })
  const certified = newCertified("device-1")
  const grantAk = (devices: Devices, id: string, akName: Uint8Array, expiresAt = afterNoon(60_000)) =>
    devices.change(
      "default",
      id,
      undefined,
      { permit: { granted: { kind: "ak-rotation", akName, expiresAt } } },
      newAct("permit-ak-rotation"),
    )

  check("gives a device with a permit for an attestation key that key, once", async (under) => {
    const { devices, registry } = under
    const next = newCertified("next", { claimedName: "again" })
    await devices.enroll(certified, ENROLL)
    const { permit } = await grantAk(devices, "device-1", next.akName)
    assert.equal(permit, { kind: "ak-rotation", akName: next.akName, expiresAt: afterNoon(60_000) })
    assert.equal(plainDevice(await registry.device("default", "device-1")).permit, {
      kind: "ak-rotation",
      ek: undefined,
      akName: toHex(next.akName),
      expiresAt: afterNoon(60_000),
    })
    const after = await devices.enroll(next, ENROLL)
    assert.equal(
      [after.id, after.revision, after.claimedName, after.permit],
      ["device-1", 3, "again", undefined],
    )
    assert.equal(plainDevice(await registry.device("default", "device-1")), plainDevice(after))
    assert.is((await registry.snapshotFor("default", next.akName)).device.id, "device-1")
    await rejectsCode(() => registry.snapshotFor("default", certified.akName), "DEVICE_NOT_FOUND")
    assert.equal(await devices.revocations("default", 0, 10), [
      { tenant: "default", device: "device-1", fromRevision: 3, at: NOON, sequence: 3 },
    ])
    await rejectsCode(() => devices.enroll({ ...next, id: "third" }, ENROLL), "DEVICE_EXISTS")
  })

  check(
    "gives a device with a permit for the attestation key that it has a new start",
    async ({ devices }) => {
      await devices.enroll(certified, ENROLL)
      await grantAk(devices, "device-1", certified.akName)
      const counters = newCounters({ clockMs: 1n, resetCount: 0 })
      const after = await devices.enroll({ ...certified, id: "again", counters }, ENROLL)
      assert.equal([after.id, after.revision, after.counters], ["device-1", 3, counters])
    },
  )

  for (const [what, expiresAt, change] of unpermitted)
    check(`refuses K-04 to let a certified device start anew ${what}`, async ({ devices, registry }) => {
      await devices.enroll(certified, ENROLL)
      await grantAk(devices, "device-1", certified.akName, expiresAt)
      const before = await devices.change("default", "device-1", undefined, change, CHANGE)
      await rejectsCode(() => devices.enroll({ ...certified, id: "again" }, ENROLL), "DEVICE_EXISTS")
      assert.equal(plainDevice(await registry.device("default", "device-1")), plainDevice(before))
    })

  const vm = (id: number): DeviceEndorsement => ({
    ...NO_ENDORSEMENT,
    akCertificateChain: [makeChain("ak", { leaf: { extensions: [instanceExtension({ id })] } }).leaf],
  })
  const asked: [kind: Permit["kind"], code: "AK_BINDING" | undefined][] = [
    ["re-enrollment", "AK_BINDING"],
    ["ak-rotation", "AK_BINDING"],
    ["board-swap", undefined],
  ]
  for (const [kind, code] of asked)
    check(
      `${code === undefined ? "takes" : "refuses K-04"} another instance of a cloud for a ${kind}`,
      async ({ devices, registry }) => {
        const ek = digestOf("ek of device-1")
        await devices.enroll(newEnrolled("device-1", { ek, endorsement: vm(1) }), ENROLL)
        const granted = { kind, ek, expiresAt: afterNoon(60_000) }
        const before = await devices.change("default", "device-1", undefined, { permit: { granted } }, CHANGE)
        const come = (endorsement: DeviceEndorsement) =>
          devices.enroll(newEnrolled("device-2", { ek, endorsement }), ENROLL)
        if (code !== undefined) {
          await rejectsCode(() => come(vm(2)), code)
          await rejectsCode(() => come(NO_ENDORSEMENT), code)
          assert.equal(plainDevice(await registry.device("default", "device-1")), plainDevice(before))
        }
        const after = await come(code === undefined ? vm(2) : vm(1))
        assert.equal([after.id, after.permit], ["device-1", undefined])
      },
    )

  const strangers: [what: string, fresh: EnrolledDevice][] = [
    ["another attestation key than its permit names", newCertified("other")],
    [
      "the attestation key that its permit names beside an endorsement key",
      newCertified("other", { akName: nameOf("next"), ek: digestOf("ek"), binding: "activation" }),
    ],
    [
      "the attestation key that its permit names in another tenant",
      newCertified("other", { akName: nameOf("next"), tenant: "other" }),
    ],
  ]
  for (const [what, fresh] of strangers)
    check(`gives K-04 no device to ${what}, but one of its own`, async ({ devices, registry }) => {
      await devices.enroll(certified, ENROLL)
      const before = await grantAk(devices, "device-1", nameOf("next"))
      assert.is((await devices.enroll(fresh, ENROLL)).id, "other")
      assert.equal(plainDevice(await registry.device("default", "device-1")), plainDevice(before))
    })

  check("refuses K-04 an attestation key of another device to one with a permit", async (under) => {
    const { devices, registry } = under
    const second = newCertified("device-2")
    await devices.enroll(certified, ENROLL)
    await devices.enroll(second, ENROLL)
    const before = await grantAk(devices, "device-1", second.akName)
    await rejectsCode(() => grantAk(devices, "device-2", second.akName), "DEVICE_EXISTS")
    await rejectsCode(() => devices.enroll({ ...second, id: "third" }, ENROLL), "DEVICE_EXISTS")
    assert.equal(plainDevice(await registry.device("default", "device-1")), plainDevice(before))
  })

  for (const [what, expiresAt, change] of unpermitted)
    check(`refuses K-04 to give new keys to a device ${what}`, async ({ devices, registry }) => {
      await devices.enroll(same, ENROLL)
      await grant(devices, "device-1", same.ek ?? digestOf(""), expiresAt)
      const before = await devices.change("default", "device-1", undefined, change, CHANGE)
      await rejectsCode(() => devices.enroll({ ...same, akName: digestOf("new") }, ENROLL), "DEVICE_EXISTS")
      assert.equal(plainDevice(await registry.device("default", "device-1")), plainDevice(before))
    })

  check("refuses K-04 keys of another device to one with a permit", async ({ devices, registry }) => {
    const [first, second] = [newEnrolled("a"), newEnrolled("b")]
    await devices.enroll(first, ENROLL)
    const before = await devices.enroll(second, ENROLL)
    await grant(devices, "a", digestOf("board"))
    const fresh = newEnrolled("c", { ek: digestOf("board"), akName: second.akName })
    await rejectsCode(() => devices.enroll(fresh, ENROLL), "DEVICE_EXISTS")
    await rejectsCode(() => grant(devices, "b", digestOf("board")), "DEVICE_EXISTS")
    await grant(devices, "a", second.ek ?? digestOf(""))
    const swap = newEnrolled("c", { ek: second.ek })
    await rejectsCode(() => devices.enroll(swap, ENROLL), "DEVICE_EXISTS")
    assert.equal(plainDevice(await registry.device("default", "b")), plainDevice(before))
  })

  check("refuses K-04 a permit of another tenant", async ({ devices }) => {
    await devices.enroll(same, ENROLL)
    await grant(devices, "device-1", digestOf("board"))
    const stranger = newEnrolled("theirs", { ek: digestOf("board"), tenant: "other" })
    assert.is((await devices.enroll(stranger, ENROLL)).id, "theirs")
  })

  // Enrollment tokens.

  check("lets devices in by a token as often as it says, into its group", async ({ devices, registry }) => {
    await devices.addEnrollmentToken(newToken("t"), newAct("create-enrollment-token"))
    for (const id of ["a", "b"]) {
      const { group, labels, token } = await devices.enroll(
        newEnrolled(id, { token: "t", group: "x" }),
        ENROLL,
      )
      assert.equal([group, labels, token], ["edge", new Map([["site", "north"]]), "t"])
    }
    await rejectsCode(() => devices.enroll(newEnrolled("c", { token: "t" }), ENROLL), "ENROLLMENT_TOKEN")
    await rejectsCode(() => registry.device("default", "c"), "DEVICE_NOT_FOUND")
    const record = await devices.enrollmentToken(digestOf("secret of t"))
    assert.equal(record, { ...newToken("t"), uses: 2, revoked: false })
    assert.is(await devices.enrollmentToken(digestOf("another")), undefined)
  })

  const useless: [what: string, token: object, revoked: boolean][] = [
    ["that has expired", { expiresAt: NOON }, false],
    ["that was revoked", {}, true],
    ["of another tenant", { tenant: "other" }, false],
    ["that nobody made", { id: "other" }, false],
  ]
  for (const [what, change, isRevoked] of useless)
    check(`refuses G-11 a device by a token ${what}`, async ({ devices, registry }) => {
      const token = newToken("t", change)
      await devices.addEnrollmentToken(token, newAct("create-enrollment-token"))
      if (isRevoked) await devices.revokeEnrollmentToken("default", "t", newAct("revoke-enrollment-token"))
      await rejectsCode(() => devices.enroll(newEnrolled("a", { token: "t" }), ENROLL), "ENROLLMENT_TOKEN")
      await rejectsCode(() => registry.device("default", "a"), "DEVICE_NOT_FOUND")
      assert.is((await devices.enrollmentToken(token.digest))?.uses, 0)
    })

  check("refuses G-11 all but two of many devices that race for a token of two uses", async ({ devices }) => {
    await devices.addEnrollmentToken(newToken("t"), newAct("create-enrollment-token"))
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, (_, i) => devices.enroll(newEnrolled(`d-${i}`, { token: "t" }), ENROLL)),
    )
    assert.is(outcomes.filter(({ status }) => status === "fulfilled").length, 2)
    assert.is((await devices.enrollmentToken(digestOf("secret of t")))?.uses, 2)
  })

  check("does not use a token up by a device that is refused", async ({ devices }) => {
    await devices.addEnrollmentToken(newToken("t"), newAct("create-enrollment-token"))
    await devices.enroll(same, ENROLL)
    await rejectsCode(() => devices.enroll({ ...same, token: "t" }, ENROLL), "DEVICE_EXISTS")
    assert.is((await devices.enrollmentToken(digestOf("secret of t")))?.uses, 0)
  })

  check("lists tokens by their ids, by tenant, and revokes what is there", async ({ devices }) => {
    for (const id of ["b", "a", "c"])
      await devices.addEnrollmentToken(newToken(id), newAct("create-enrollment-token"))
    await devices.addEnrollmentToken(newToken("d", { tenant: "other" }), newAct("create-enrollment-token"))
    const ids = async (after: string, max: number) =>
      (await devices.enrollmentTokens("default", after, max)).map(({ id }) => id).join()
    assert.equal([await ids("", 2), await ids("b", 2), await ids("c", 2)], ["a,b", "c", ""])
    await devices.revokeEnrollmentToken("default", "b", newAct("revoke-enrollment-token"))
    assert.is((await devices.enrollmentTokens("default", "a", 1))[0]?.revoked, true)
    for (const id of ["d", "nothing"])
      await rejectsCode(
        () => devices.revokeEnrollmentToken("default", id, newAct("revoke-enrollment-token")),
        "ENROLLMENT_TOKEN_NOT_FOUND",
      )
    assert.is(await devices.revision("default"), 4)
  })

  // Changes.

  const STATES: readonly DeviceState[] = ["pending", "active", "suspended", "revoked", "retired"]
  const allowed: Readonly<Record<DeviceState, readonly DeviceState[]>> = {
    pending: ["active", "revoked", "retired"],
    active: ["suspended", "revoked", "retired"],
    suspended: ["active", "revoked", "retired"],
    revoked: [],
    retired: [],
  }
  for (const from of STATES)
    for (const to of STATES) {
      const isAllowed = allowed[from].includes(to)
      check(`${isAllowed ? "accepts" : "refuses"} a device that was ${from} as ${to}`, async (under) => {
        const { devices, registry } = under
        await devices.import("default", [newImported("device-1", { state: from })], IMPORT)
        const act = () => devices.change("default", "device-1", 1, { state: to }, CHANGE)
        if (!isAllowed) await rejectsCode(act, "DEVICE_STATE")
        else assert.equal(plainDevice(await act()), plainDevice(await registry.device("default", "device-1")))
        const { state, revision } = await registry.device("default", "device-1")
        assert.equal([state, revision], isAllowed ? [to, 2] : [from, 1])
      })
    }

  check("changes what is told, and leaves the rest as it is", async (under) => {
    const { devices, registry } = under
    const before = await devices.enroll({ ...same, group: "a", labels: new Map([["k", "v"]]) }, ENROLL)
    await registry.setPolicy(newPolicy("own", "one"), newAct("set-policy"))
    const changes: [change: DeviceChange, told: Partial<DeviceRecord>][] = [
      [{ group: "b" }, { group: "b" }],
      [{ labels: new Map([["k2", "v2"]]) }, { labels: new Map([["k2", "v2"]]) }],
      [{ policy: { name: "own" } }, { policy: "own" }],
      [{ policy: { name: undefined } }, { policy: undefined }],
      [{ forgetsFirmware: true }, { counters: { ...newCounters(), firmwareVersion: undefined } }],
      [{ counters: { from: undefined } }, { counters: undefined }],
      [{ counters: { from: newCounters({ clockMs: 7n }) } }, { counters: newCounters({ clockMs: 7n }) }],
      [{}, {}],
    ]
    let expected = before
    for (const [change, told] of changes) {
      expected = { ...expected, ...told, revision: expected.revision + 1 }
      const after = await devices.change("default", "device-1", expected.revision - 1, change, CHANGE)
      assert.equal(plainDevice(after), plainDevice(expected))
      assert.equal(plainDevice(await registry.device("default", "device-1")), plainDevice(expected))
    }
    assert.equal(await devices.revocations("default", 0, 10), [])
  })

  const refusedChanges: [what: string, revision: number | undefined, change: DeviceChange, code: "ETAG"][] = [
    ["decided on an earlier revision", 1, { group: "x" }, "ETAG"],
    ["decided on a later revision", 3, { group: "x" }, "ETAG"],
  ]
  for (const [what, revision, change, code] of refusedChanges)
    check(`refuses S-04 a change ${what}`, async ({ devices, registry }) => {
      await devices.enroll(same, ENROLL)
      const before = await devices.change("default", "device-1", undefined, {}, CHANGE)
      await rejectsCode(() => devices.change("default", "device-1", revision, change, CHANGE), code)
      await rejectsCode(() => devices.remove("default", "device-1", revision, newAct("delete-device")), code)
      assert.equal(plainDevice(await registry.device("default", "device-1")), plainDevice(before))
    })

  check("refuses S-04 all but one of many changes that were decided on one revision", async ({ devices }) => {
    await devices.enroll(same, ENROLL)
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, (_, i) =>
        devices.change("default", "device-1", 1, { group: `g-${i}` }, CHANGE),
      ),
    )
    assert.is(outcomes.filter(({ status }) => status === "fulfilled").length, 1)
    assert.is(await devices.revision("default"), 2)
  })

  check("refuses a change of what is not there", async ({ devices, registry }) => {
    await devices.enroll({ ...same, tenant: "other" }, ENROLL)
    await registry.setPolicy(newPolicy("own", "one"), newAct("set-policy"))
    await rejectsCode(() => devices.change("default", "device-1", undefined, {}, CHANGE), "DEVICE_NOT_FOUND")
    await rejectsCode(
      () => devices.remove("default", "device-1", undefined, newAct("delete-device")),
      "DEVICE_NOT_FOUND",
    )
    await rejectsCode(
      () => devices.change("other", "device-1", undefined, { policy: { name: "own" } }, CHANGE),
      "POLICY_NOT_FOUND",
    )
  })

  check("refuses K-04 another device's keys in a change", async ({ devices, registry }) => {
    await devices.enroll(same, ENROLL)
    const before = await devices.enroll(newEnrolled("device-2"), ENROLL)
    for (const keys of [
      { ...newEnrolled("x"), akName: same.akName },
      { ...newEnrolled("x"), ek: same.ek },
    ])
      await rejectsCode(
        () => devices.change("default", "device-2", undefined, { keys: keysOf(keys) }, CHANGE),
        "DEVICE_EXISTS",
      )
    assert.equal(plainDevice(await registry.device("default", "device-2")), plainDevice(before))
    const { akName } = await devices.change(
      "default",
      "device-2",
      undefined,
      { keys: keysOf(newEnrolled("x")) },
      CHANGE,
    )
    assert.equal(akName, newEnrolled("x").akName)
  })

  for (const state of ["revoked", "retired"] as const)
    check(`lets the keys of a ${state} device go, and no other's`, async ({ devices, registry }) => {
      await devices.enroll(same, ENROLL)
      const release = { releaseKeys: true } as const
      for (const change of [release, { ...release, state: "suspended" } as const])
        await rejectsCode(
          () => devices.change("default", "device-1", undefined, change, CHANGE),
          "DEVICE_STATE",
        )
      const act = newAct("transfer-device")
      const gone = await devices.change("default", "device-1", undefined, { state, ...release }, act)
      assert.equal([gone.akName.length, gone.akPublic.length, gone.ek], [0, 0, undefined])
      await rejectsCode(() => registry.snapshotFor("default", same.akName), "DEVICE_NOT_FOUND")
      await rejectsCode(() => registry.snapshotFor("default", new Uint8Array()), "DEVICE_NOT_FOUND")
      assert.is((await devices.enroll({ ...same, id: "device-2" }, ENROLL)).id, "device-2")
      for (const change of [
        { keys: keysOf(newEnrolled("x")) },
        { permit: { granted: { kind: "board-swap", ek: digestOf("b"), expiresAt: afterNoon(1) } } },
      ] as const)
        await rejectsCode(
          () => devices.change("default", "device-1", undefined, change, CHANGE),
          "DEVICE_STATE",
        )
      const second = { state, ...release } as const
      await devices.change("default", "device-2", undefined, second, act) // two without keys
    })

  // Revocations and removals.

  check("keeps revocations in their order, by the revision of the tenant", async ({ devices }) => {
    for (const id of ["a", "b", "c"]) await devices.enroll(newEnrolled(id), ENROLL)
    await devices.enroll(newEnrolled("a", { tenant: "other" }), ENROLL)
    const revoke = (tenant: string, id: string) =>
      devices.change(tenant, id, undefined, { state: "revoked", endsSessions: true }, newAct("revoke-device"))
    await revoke("default", "b")
    await revoke("other", "a")
    await devices.change("default", "a", undefined, { group: "x" }, CHANGE)
    await revoke("default", "a")
    const told = async (after: number, max: number) =>
      (await devices.revocations("default", after, max)).map(
        ({ device, fromRevision, sequence }) => `${device} ${fromRevision} ${sequence}`,
      )
    assert.equal(await told(0, 10), ["b 2 4", "a 3 6"])
    assert.equal([await told(0, 1), await told(4, 10), await told(6, 10)], [["b 2 4"], ["a 3 6"], []])
    assert.is(await devices.revision("default"), 6)
  })

  check("forgets a device, and never gives its id again", async (under) => {
    const { devices, registry, journal } = under
    const device = await devices.enroll({ ...same, group: "edge", labels: new Map([["k", "v"]]) }, ENROLL)
    const result = { at: NOON, tier: "affirming", code: undefined, admitted: true }
    await journal.append(newRecord("device-1"), newCommit({ result }))
    await devices.remove("default", "device-1", 1, newAct("delete-device"))
    await rejectsCode(() => registry.device("default", "device-1"), "DEVICE_NOT_FOUND")
    await rejectsCode(() => registry.snapshotFor("default", device.akName), "DEVICE_NOT_FOUND")
    assert.equal((await devices.list("default", ALL)).devices, [])
    assert.equal((await devices.list("default", queryOf({ label: { key: "k", value: "v" } }))).devices, [])
    assert.equal(
      (await devices.revocations("default", 0, 10)).map(({ fromRevision }) => fromRevision),
      [2],
    )
    await rejectsCode(() => journal.append(newRecord("device-1"), newCommit()), "SNAPSHOT_MOVED")
    await rejectsCode(() => devices.enroll(newEnrolled("device-1"), ENROLL), "DEVICE_EXISTS")
    await rejectsCode(
      () => registry.registerDevice(newDevice("device-1"), newAct("register-device")),
      "DEVICE_EXISTS",
    )
    const error = await rejectsCode(
      () => devices.import("default", [newImported("a"), newImported("device-1")], IMPORT),
      "DEVICE_EXISTS",
    )
    assert.is(error.location, "devices[1]")
    assert.is((await devices.enroll({ ...same, id: "device-2" }, ENROLL)).counters?.clockMs, 1000n)
    await devices.enroll({ ...same, tenant: "other" }, ENROLL)
  })

  // Import.

  check("brings devices in as they are, and leaves those that are there", async ({ devices, registry }) => {
    await registry.setPolicy(newPolicy("own", "one"), newAct("set-policy"))
    const known = await devices.enroll(newEnrolled("known"), ENROLL)
    const told = newImported("told", {
      state: "suspended",
      policy: "own",
      group: "edge",
      labels: new Map([["site", "north"]]),
      createdAt: afterNoon(-1000),
      counters: newCounters({ firmwareVersion: undefined }),
      ek: digestOf("ek"),
      binding: "certificate",
    })
    const same = newImported("known", { ek: known.ek, group: "other", state: "revoked" })
    const imported = [told, same, newImported("plain")]
    assert.equal(await devices.import("default", imported, IMPORT), { added: 2 })
    assert.equal(await devices.import("default", imported, IMPORT), { added: 0 })
    assert.equal(plainDevice(await registry.device("default", "known")), plainDevice(known))
    assert.equal(
      plainDevice(await registry.device("default", "told")),
      plainDevice({
        ...told,
        tenant: "default",
        revision: 1,
        token: undefined,
        permit: undefined,
        lastResult: undefined,
      }),
    )
    const found = await devices.list("default", queryOf({ label: { key: "site", value: "north" } }))
    assert.equal(
      found.devices.map(({ id }) => id),
      ["told"],
    )
  })

  const refusedImports: [what: string, device: ImportedDevice, code: "DEVICE_EXISTS" | "POLICY_NOT_FOUND"][] =
    [
      ["a taken id with another key", newImported("device-1"), "DEVICE_EXISTS"],
      ["a taken attestation key", newImported("x", { akName: same.akName }), "DEVICE_EXISTS"],
      ["a taken endorsement key", newImported("x", { ek: same.ek }), "DEVICE_EXISTS"],
      [
        "a key that the import has twice",
        newImported("x", { akName: newDevice("a").akName }),
        "DEVICE_EXISTS",
      ],
      ["a policy that is not there", newImported("x", { policy: "nothing" }), "POLICY_NOT_FOUND"],
    ]
  for (const [what, device, code] of refusedImports)
    check(`refuses K-04 an import with ${what}, all of it`, async ({ devices, registry }) => {
      const before = await devices.enroll(same, ENROLL)
      const all = [newImported("a"), newImported("b"), device]
      const error = await rejectsCode(() => devices.import("default", all, IMPORT), code)
      if (code === "DEVICE_EXISTS") assert.is(error.location, "devices[2]")
      assert.equal(
        (await devices.list("default", ALL)).devices.map(({ id }) => id),
        ["device-1"],
      )
      assert.equal(plainDevice(await registry.device("default", "device-1")), plainDevice(before))
    })

  // Results.

  check(
    "keeps the last result, and when a device was last let in",
    async ({ devices, registry, journal }) => {
      await devices.enroll(same, ENROLL)
      const told = async () => (await registry.device("default", "device-1")).lastResult
      const steps: [ms: number, tier: string, code: string | undefined, admitted: boolean][] = [
        [5, "affirming", undefined, true],
        [7, "contraindicated", "REFERENCE_SET", false],
        [6, "warning", "CLOCK_INFO_UNSAFE", true],
      ]
      const expected = [
        { at: afterNoon(5), tier: "affirming", code: undefined, admittedAt: afterNoon(5) },
        { at: afterNoon(7), tier: "contraindicated", code: "REFERENCE_SET", admittedAt: afterNoon(5) },
        { at: afterNoon(7), tier: "contraindicated", code: "REFERENCE_SET", admittedAt: afterNoon(6) },
      ]
      assert.is(await told(), undefined)
      for (const [i, [ms, tier, code, admitted]] of steps.entries()) {
        const result = { at: afterNoon(ms), tier, code, admitted }
        await journal.append(newRecord("device-1"), newCommit({ result, counters: undefined }))
        assert.equal(await told(), expected[i])
      }
      assert.is((await registry.device("default", "device-1")).revision, 1)
    },
  )

  for (const change of [{ state: "suspended" }, { state: "revoked" }, { group: "x" }, {}] as const)
    check(`refuses S-04 a commit after ${JSON.stringify(change)}`, async ({ devices, journal }) => {
      await devices.enroll(same, ENROLL)
      await devices.change("default", "device-1", undefined, change, CHANGE)
      await rejectsCode(() => journal.append(newRecord("device-1"), newCommit()), "SNAPSHOT_MOVED")
    })

  // Lists.

  const fleet = async ({ devices, registry, journal }: DevicesUnderTest): Promise<void> => {
    await registry.setPolicy(newPolicy("own", "one"), newAct("set-policy"))
    const imported = Array.from({ length: 40 }, (_, i) =>
      newImported(`d-${String(i).padStart(2, "0")}`, {
        state: i % 4 === 0 ? "suspended" : "active",
        group: i % 3 === 0 ? "edge" : "",
        policy: i % 5 === 0 ? "own" : undefined,
        labels: new Map([["parity", i % 2 === 0 ? "even" : "odd"]]),
        // Not in the order of the ids, and some at one instant.
        createdAt: afterNoon(((i * 7) % 20) * 1000),
      }),
    )
    await devices.import("default", imported, IMPORT)
    await devices.import("other", imported, IMPORT).catch(() => undefined)
    for (const i of [3, 6, 7])
      await journal.append(
        newRecord(`d-0${i}`),
        newCommit({
          device: `d-0${i}`,
          revisions: { device: 1, policy: undefined, trust: undefined },
          result: { at: afterNoon(i), tier: "affirming", code: undefined, admitted: true },
        }),
      )
  }
  const filters: [what: string, filter: DeviceFilter, fits: (i: number) => boolean][] = [
    ["nothing", {}, () => true],
    ["a state", { state: "suspended" }, (i) => i % 4 === 0],
    ["the state that most have", { state: "active" }, (i) => i % 4 !== 0],
    ["a state that none has", { state: "revoked" }, () => false],
    ["a group", { group: "edge" }, (i) => i % 3 === 0],
    ["no group", { group: "" }, (i) => i % 3 !== 0],
    ["a policy", { policy: "own" }, (i) => i % 5 === 0],
    ["a label", { label: { key: "parity", value: "odd" } }, (i) => i % 2 === 1],
    ["a label that none has", { label: { key: "parity", value: "ODD" } }, () => false],
    ["the beginning of an id", { idPrefix: "d-1" }, (i) => i >= 10 && i < 20],
    ["silence", { silentSince: afterNoon(7) }, (i) => i !== 7],
    ["a session lately", { seenSince: afterNoon(6) }, (i) => i === 6 || i === 7],
    [
      "all at once",
      { state: "active", group: "edge", label: { key: "parity", value: "odd" }, idPrefix: "d-" },
      (i) => i % 4 !== 0 && i % 3 === 0 && i % 2 === 1,
    ],
    ["a group and silence", { group: "edge", silentSince: afterNoon(5) }, (i) => i % 3 === 0 && i !== 6],
    [
      "a state and a label",
      { state: "suspended", label: { key: "parity", value: "even" }, group: "edge" },
      (i) => i % 12 === 0,
    ],
    [
      "a state and a label that it never has",
      { state: "suspended", label: { key: "parity", value: "odd" } },
      () => false,
    ],
    ["a policy and a state", { policy: "own", state: "suspended" }, (i) => i % 20 === 0],
  ]
  for (const [what, filter, fits] of filters)
    check(`lists by ${what}, in either order and direction, whole in pages of any size`, async (under) => {
      await fleet(under)
      const expected = Array.from({ length: 40 }, (_, i) => i).filter(fits)
      const idOf = (i: number): string => `d-${String(i).padStart(2, "0")}`
      const byCreation = expected.toSorted((a, b) => ((a * 7) % 20) - ((b * 7) % 20) || a - b)
      for (const order of ["id", "created"] as const)
        for (const descending of [false, true]) {
          const ids = (order === "id" ? expected : byCreation).map(idOf)
          if (descending) ids.reverse()
          for (const max of [1, 7, 1000]) {
            const listed = await walked(under.devices, { filter, order, descending, max })
            assert.equal(listed, ids, `${order} ${descending} ${max}`)
          }
        }
    })

  check("keeps pages whole while devices come, change and go", async (under) => {
    await fleet(under)
    const { devices } = under
    const first = await devices.list("default", { ...ALL, max: 10 })
    await devices.remove("default", "d-09", undefined, newAct("delete-device"))
    await devices.remove("default", "d-15", undefined, newAct("delete-device"))
    await devices.enroll(newEnrolled("d-08a"), ENROLL)
    await devices.enroll(newEnrolled("d-12a"), ENROLL)
    await devices.change("default", "d-11", undefined, { group: "x" }, CHANGE)
    const second = await devices.list("default", { ...ALL, max: 10, after: first.next })
    assert.equal(
      second.devices.map(({ id }) => id),
      ["d-10", "d-11", "d-12", "d-12a", "d-13", "d-14", "d-16", "d-17", "d-18", "d-19"],
    )
  })

  check("gives at most a thousand devices at a time, and at least one", async ({ devices }) => {
    const many = Array.from({ length: 1100 }, (_, i) => newImported(`d-${i}`))
    await devices.import("default", many.slice(0, 1000), IMPORT)
    await devices.import("default", many.slice(1000), IMPORT)
    for (const [asked, given] of [
      [1_000_000, 1000],
      [0, 1],
      [-1, 1],
    ] as const)
      assert.is((await devices.list("default", { ...ALL, max: asked })).devices.length, given)
  })
}

const ALL = { filter: {}, order: "id", descending: false, after: undefined, max: 1000 } as const
const queryOf = (filter: DeviceFilter) => ({ ...ALL, filter })

/** All ids of a list, page by page. */
const walked = async (
  devices: Devices,
  query: Omit<Parameters<Devices["list"]>[1], "after">,
): Promise<readonly string[]> => {
  const ids: string[] = []
  let after: Parameters<Devices["list"]>[1]["after"]
  do {
    const page = await devices.list("default", { ...query, after })
    assert.ok(page.devices.length <= query.max)
    ids.push(...page.devices.map(({ id }) => id))
    after = page.next
  } while (after !== undefined)
  return ids
}

const keysOf = ({ akPublic, akName, qualifiedName, ek, binding, endorsement }: EnrolledDevice) => ({
  akPublic,
  akName,
  qualifiedName,
  ek,
  binding,
  endorsement,
})

const assertCode = (reason: unknown, code: string): void => {
  assert.is(reason instanceof AssayError ? reason.code : reason, code)
}
