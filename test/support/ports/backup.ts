import * as assert from "uvu/assert"
import { toHex } from "../../../src/bytes.ts"
import { createCheckpointJournal } from "../../../src/service/checkpoint-journal.ts"
import { createPruneJournal } from "../../../src/service/prune-journal.ts"
import type { Store } from "../../../src/store/store.ts"
import { rejectsCode } from "../assert.ts"
import {
  type BackedUp,
  backUp,
  headsOf,
  type Lines,
  restoreLines,
  rowsIn,
  verifyJournalOf,
} from "../backup.ts"
import { ISSUER } from "../journal.ts"
import { testSigner } from "../signer.ts"
import type { Awaitable, Check } from "./check.ts"
import { nameOf } from "./devices.ts"
import {
  afterNoon,
  digestOf,
  newAct,
  newAnchor,
  newCommit,
  newCounters,
  newCrl,
  newDevice,
  newEk,
  newPolicy,
  newRecord,
  plainDevice,
  trustOf,
} from "./samples.ts"

const T = "default"
const bytes = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_, one) => (typeof one === "bigint" ? `${one}` : one)))

/** Some of everything. */
export const fillStore = async ({ registry, devices, trust, journal }: Store): Promise<void> => {
  await registry.setPolicy(newPolicy("base", "document 1"), newAct("set-policy"))
  await registry.setPolicy(newPolicy("base", "document 2"), newAct("set-policy"))
  await registry.assignPolicy(T, "base", { kind: "default" }, newAct("assign-policy"))
  await registry.assignPolicy(T, "base", { kind: "group", name: "floor" }, newAct("assign-policy"))
  for (const id of ["device-1", "device-2", "device-3", "device-4"])
    await registry.registerDevice(
      newDevice(id, { group: "floor", labels: new Map([["site", "oslo"]]) }),
      newAct("register-device"),
    )
  await devices.remove(T, "device-4", undefined, newAct("delete-device"))
  await trust.importTrust(
    T,
    trustOf({
      anchors: [newAnchor("a"), newAnchor("b")],
      crls: [newCrl("source", 1), newCrl("source-2", 1)],
      eks: [newEk("x")],
    }),
    newAct("import-trust"),
  )
  for (const id of ["token-1", "token-2"])
    await devices.addEnrollmentToken(
      {
        ...{ tenant: T, id, digest: digestOf(id), usesMax: 2, group: "", labels: new Map() },
        ...{ createdAt: afterNoon(0), expiresAt: afterNoon(1e9) },
      },
      newAct("create-enrollment-token"),
    )
  await journal.append(
    newRecord("device-1"),
    newCommit({
      revisions: { device: 1, policy: { name: "base", revision: 2 }, trust: undefined },
      counters: newCounters({ resetCount: 7 }),
      result: { at: afterNoon(5), tier: "affirming", code: undefined, admitted: true },
      known: false,
    }),
  )
}

const suspend = { state: "suspended", endsSessions: true } as const
const revoke = { state: "revoked", endsSessions: true } as const

/** Every revision of anything, by its name. */
export const revisionsIn = (lines: Lines): ReadonlyMap<string, number> => {
  const found = new Map<string, number>()
  const of = (
    table: string,
    name: (row: Readonly<Record<string, unknown>>) => unknown,
    column = "revision",
  ): void => {
    for (const row of rowsIn(lines, table)) found.set(`${table} ${String(name(row))}`, Number(row[column]))
  }
  of("store_epoch", () => "restored", "epoch")
  of("tenants", ({ tenant }) => tenant)
  of("policies", ({ name }) => name)
  of("devices", ({ id }) => id)
  of("trust_state", ({ tenant }) => tenant, "generation")
  return found
}

/** What every store does with a backup. `create` makes an empty one, and may end the one before. */
export const backupConformance = (test: Check, name: string, create: () => Awaitable<BackedUp>): void => {
  const check = (behavior: string, body: () => Promise<void>): void => test(`${name} ${behavior}`, body)
  const signer = testSigner()
  const filled = async (): Promise<BackedUp> => {
    const under = await create()
    await fillStore(under.store)
    return under
  }

  check("restores all of a backup into an empty store, with every revision moved on", async () => {
    const before = await filled()
    const [device, policy] = [
      await before.store.registry.device(T, "device-1"),
      await before.store.registry.policy(T, "base"),
    ]
    const lines = await backUp(before)
    const after = await create()
    const restored = await restoreLines(after, lines)
    assert.equal([restored.epoch, restored.devices, restored.removed, restored.withheld], [1, 3, 0, 0])
    const again = await after.store.registry.device(T, "device-1")
    assert.equal(bytes(plainDevice(again)), bytes({ ...plainDevice(device), revision: 2, policy: undefined }))
    assert.equal(await after.store.registry.policy(T, "base"), { ...policy, revision: 3 })
    assert.is((await after.store.trust.trustState(T)).anchors, 2)
    assert.equal(
      (await after.store.devices.enrollmentTokens(T, "", 10)).map(({ id }) => id),
      ["token-1", "token-2"],
    )
    const [was, is] = [revisionsIn(lines), revisionsIn(await backUp(after))]
    assert.ok(was.size >= 7)
    for (const [what, revision] of was) assert.ok((is.get(what) ?? 0) > revision, what)
    await rejectsCode(
      () => after.store.registry.registerDevice(newDevice("device-4"), newAct("register-device")),
      "DEVICE_EXISTS",
    )
  })

  check("ends the sessions of every device that it restores, each to be read by itself", async () => {
    const lines = await backUp(await filled())
    const after = await create()
    await restoreLines(after, lines)
    const [, ...ended] = await after.store.devices.revocations(T, 0, 100)
    assert.equal(
      ended.map(({ device, fromRevision }) => [device, fromRevision]),
      [
        ["device-1", 2],
        ["device-2", 2],
        ["device-3", 2],
      ],
    )
    assert.is(new Set(ended.map(({ sequence }) => sequence)).size, 3)
    assert.ok((await after.store.devices.revision(T)) > (ended.at(-1)?.sequence ?? Number.POSITIVE_INFINITY))
  })

  check("records who restored which backup, behind the journal of the backup", async () => {
    const before = await filled()
    const lines = await backUp(before)
    const records = (await verifyJournalOf(before.store, signer)).records
    const after = await create()
    const { backup } = await restoreLines(after, lines)
    const [record] = await after.store.journal.records(T, { limit: 1 })
    assert.equal([record?.act, record?.caller, record?.outcome], ["restore", "ada", "done"])
    assert.is(toHex(record?.evidenceDigest ?? new Uint8Array()), backup.sha256)
    assert.is((await verifyJournalOf(after.store, signer)).records, records + 1)
    await after.store.registry.setPolicy(newPolicy("base", "document 3"), newAct("set-policy"))
    const writers = (await after.store.archive.chains(T)).map(({ writer }) => writer)
    assert.equal([writers.length, writers.filter((writer) => writer.endsWith(".1")).length], [3, 2])
  })

  check("refuses a store that is not empty, unless it may be replaced", async () => {
    const under = await filled()
    const lines = await backUp(under)
    await rejectsCode(() => restoreLines(under, lines), "RESTORE")
    assert.equal(await backUp(under), lines)
  })

  check("refuses to replace a store that is not the one of the backup", async () => {
    const lines = await backUp(await filled())
    const after = await create()
    await after.store.registry.setPolicy(newPolicy("other", "document"), newAct("set-policy"))
    const kept = await backUp(after)
    await rejectsCode(() => restoreLines(after, lines, { replace: true }), "RESTORE")
    assert.equal(await backUp(after), kept)
  })

  check("refuses to replace a store whose journal is another from some record on", async () => {
    const lines = await backUp(await filled())
    const after = await create()
    for (let i = 0; i < 30; i += 1) await after.store.journal.append(newRecord(`device-${i}`))
    await rejectsCode(() => restoreLines(after, lines, { replace: true }), "RESTORE")
  })

  check("refuses to replace a store by a backup of an empty one", async () => {
    const lines = await backUp(await create())
    const after = await filled()
    await rejectsCode(() => restoreLines(after, lines, { replace: true }), "RESTORE")
  })

  check("replaces what was said of devices, policies and groups since the backup", async () => {
    const under = await filled()
    const { registry, devices } = under.store
    const lines = await backUp(under)
    await registry.setPolicy(newPolicy("base", "document 3"), newAct("set-policy"))
    await registry.setPolicy(newPolicy("later", "document"), newAct("set-policy"))
    await registry.assignPolicy(T, "later", { kind: "default" }, newAct("assign-policy"))
    await registry.assignPolicy(T, "later", { kind: "group", name: "roof" }, newAct("assign-policy"))
    await devices.change(
      T,
      "device-1",
      undefined,
      { group: "roof", labels: new Map([["site", "bergen"]]), policy: { name: "later" } },
      newAct("update-device"),
    )
    const restored = await restoreLines(under, lines, { replace: true })
    assert.equal([restored.devices, restored.epoch], [3, 1])
    assert.equal(await registry.policy(T, "base"), { ...newPolicy("base", "document 2"), revision: 4 })
    const device = await registry.device(T, "device-1")
    assert.equal(
      [device.group, [...device.labels], device.policy, device.revision],
      ["floor", [["site", "oslo"]], undefined, 3],
    )
    assert.equal(rowsIn(await backUp(under), "group_policies"), [
      { tenant: T, device_group: "floor", policy: "base" },
    ])
    assert.equal(rowsIn(await backUp(under), "default_policies"), [{ tenant: T, policy: "base" }])
    const { devices: listed } = await devices.list(T, {
      filter: { label: { key: "site", value: "oslo" } },
      order: "id",
      descending: false,
      after: undefined,
      max: 10,
    })
    assert.is(listed.length, 3)
  })

  const final: [string, typeof suspend | typeof revoke | { readonly state: "retired" }][] = [
    ["suspended", suspend],
    ["revoked", revoke],
    ["retired", { state: "retired" }],
  ]
  for (const [state, change] of final)
    check(`leaves a device ${state} that was ${state} since the backup`, async () => {
      const under = await filled()
      const lines = await backUp(under)
      await under.store.devices.change(T, "device-2", undefined, change, newAct("update-device"))
      const restored = await restoreLines(under, lines, { replace: true })
      assert.equal([restored.withheld, (await under.store.registry.device(T, "device-2")).state], [1, state])
    })

  check("leaves a device removed that was removed since the backup", async () => {
    const under = await filled()
    const lines = await backUp(under)
    await under.store.devices.remove(T, "device-3", undefined, newAct("delete-device"))
    const restored = await restoreLines(under, lines, { replace: true })
    assert.is(restored.withheld, 1)
    await rejectsCode(() => under.store.registry.device(T, "device-3"), "DEVICE_NOT_FOUND")
  })

  check("removes a device that enrolled since the backup, and ends its sessions", async () => {
    const under = await filled()
    const { registry, devices } = under.store
    const lines = await backUp(under)
    await registry.registerDevice(newDevice("device-2b"), newAct("register-device"))
    const restored = await restoreLines(under, lines, { replace: true })
    assert.is(restored.removed, 1)
    await rejectsCode(() => registry.device(T, "device-2b"), "DEVICE_NOT_FOUND")
    assert.ok(
      (await devices.revocations(T, 0, 100)).some(
        ({ device, fromRevision }) => device === "device-2b" && fromRevision === 2,
      ),
    )
    await rejectsCode(
      () => registry.registerDevice(newDevice("device-2b"), newAct("register-device")),
      "DEVICE_EXISTS",
    )
  })

  check("never takes the counters of a device back", async () => {
    const under = await filled()
    const { journal, registry } = under.store
    const lines = await backUp(under)
    const later = newCounters({ resetCount: 9, restartCount: 0, clockMs: 5n })
    const revisions = { device: 1, policy: { name: "base", revision: 2 }, trust: undefined }
    const result = { at: afterNoon(900), tier: "warning", code: "X", admitted: true } as const
    await journal.append(newRecord("device-1"), newCommit({ revisions, counters: later, result }))
    await restoreLines(under, lines, { replace: true })
    const device = await registry.device(T, "device-1")
    assert.equal(bytes(device.counters), bytes(later))
    assert.equal(
      [device.lastResult?.at, device.lastResult?.tier, device.lastResult?.admittedAt],
      [afterNoon(900), "warning", afterNoon(900)],
    )
  })

  check("takes a firmware version back that was forgotten since, and never a lower one", async () => {
    const under = await filled()
    const { devices, registry } = under.store
    const lines = await backUp(under)
    await devices.change(T, "device-1", undefined, { forgetsFirmware: true }, newAct("accept-firmware"))
    await restoreLines(under, lines, { replace: true })
    assert.is((await registry.device(T, "device-1")).counters?.firmwareVersion, newCounters().firmwareVersion)
  })

  check("leaves the keys of a device what they became since the backup", async () => {
    const under = await filled()
    const { devices, registry } = under.store
    const lines = await backUp(under)
    await devices.change(T, "device-2", undefined, revoke, newAct("revoke-device"))
    await devices.change(T, "device-2", undefined, { releaseKeys: true }, newAct("transfer-device"))
    await under.store.registry.registerDevice(
      newDevice("device-9", { akName: newDevice("device-2").akName }),
      newAct("register-device"),
    )
    await restoreLines(under, lines, { replace: true })
    assert.is((await registry.device(T, "device-2")).akName.length, 0)
  })

  check("drops a permit to enroll again that is not there any more", async () => {
    const under = await filled()
    const { devices, registry } = under.store
    const permit = {
      granted: { kind: "board-swap", ek: digestOf("board"), expiresAt: afterNoon(1e9) },
    } as const
    await devices.change(T, "device-1", undefined, { permit }, newAct("permit-board-swap"))
    await devices.change(
      T,
      "device-2",
      undefined,
      { permit: { granted: { kind: "ak-rotation", akName: nameOf("2"), expiresAt: afterNoon(1e9) } } },
      newAct("permit-ak-rotation"),
    )
    const lines = await backUp(under)
    await devices.change(
      T,
      "device-1",
      undefined,
      { permit: { granted: undefined } },
      newAct("update-device"),
    )
    await restoreLines(under, lines, { replace: true })
    assert.equal(
      [(await registry.device(T, "device-1")).permit, (await registry.device(T, "device-2")).permit?.akName],
      [undefined, nameOf("2")],
    )
  })

  check("revokes enrollment tokens that were revoked or made since, and keeps their uses", async () => {
    const under = await filled()
    const { devices } = under.store
    const lines = await backUp(under)
    await devices.revokeEnrollmentToken(T, "token-1", newAct("revoke-enrollment-token"))
    await devices.enroll(
      {
        ...enrolled("device-7"),
        trust: (await under.store.trust.trustState(T)).generation,
        token: "token-2",
      },
      newAct("enroll-device"),
    )
    await devices.addEnrollmentToken(
      {
        ...{ tenant: T, id: "token-3", digest: digestOf("3"), usesMax: 2, group: "", labels: new Map() },
        ...{ createdAt: afterNoon(0), expiresAt: afterNoon(1e9) },
      },
      newAct("create-enrollment-token"),
    )
    const restored = await restoreLines(under, lines, { replace: true })
    assert.equal([restored.tokensRevoked, restored.removed], [1, 1])
    assert.equal(
      (await devices.enrollmentTokens(T, "", 10)).map(({ id, uses, revoked }) => [id, uses, revoked]),
      [
        ["token-1", 0, true],
        ["token-2", 1, false],
        ["token-3", 0, true],
      ],
    )
  })

  check(
    "trusts nothing that was not trusted both then and lately, and no older revocation list",
    async () => {
      const under = await filled()
      const { trust } = under.store
      const lines = await backUp(under)
      await trust.removeTrust(T, newAnchor("a").id, newAct("remove-trust"))
      await trust.removeTrust(T, newCrl("source-2", 1).id, newAct("remove-trust"))
      await trust.importTrust(
        T,
        trustOf({ anchors: [newAnchor("c")], crls: [newCrl("source", 2)], eks: [newEk("y")] }),
        newAct("import-trust"),
      )
      const { generation } = await trust.trustState(T)
      const restored = await restoreLines(under, lines, { replace: true })
      assert.equal([restored.trustRemoved, restored.trustWithheld], [2, 1])
      const state = await trust.trustState(T)
      assert.equal([state.anchors, state.crls, state.eks], [1, 1, 1])
      assert.ok(state.generation > generation)
      const after = await backUp(under)
      assert.equal(
        rowsIn(after, "trust_anchors").map(({ label }) => label),
        ["b"],
      )
      assert.is(
        rowsIn(after, "trust_crls")[0]?.["crl"],
        Buffer.from(newCrl("source", 2).crl).toString("base64url"),
      )
    },
  )

  check("keeps the journal of a store that it replaces", async () => {
    const under = await filled()
    const lines = await backUp(under)
    await under.store.devices.change(T, "device-1", undefined, suspend, newAct("suspend-device"))
    const records = (await verifyJournalOf(under.store, signer)).records
    await restoreLines(under, lines, { replace: true })
    assert.is((await verifyJournalOf(under.store, signer)).records, records + 1)
    const acts = (await under.store.journal.records(T, { limit: 2 })).map(({ act }) => act)
    assert.equal(acts, ["suspend-device", "restore"])
  })

  check("leads to heads that were kept elsewhere, before and after a store is replaced", async () => {
    const under = await filled()
    await verifyJournalOf(under.store, signer)
    const heads = [...(await headsOf(under.store))]
    const lines = await backUp(under)
    await under.store.devices.change(T, "device-1", undefined, suspend, newAct("suspend-device"))
    await verifyJournalOf(under.store, signer)
    heads.push(...(await headsOf(under.store)))
    await restoreLines(under, lines, { replace: true })
    const { chains } = await verifyJournalOf(under.store, signer, heads)
    assert.is(chains.length, 2)
  })

  check(
    "does not lead to a head behind the backup that it was restored from into an empty store",
    async () => {
      const before = await filled()
      await verifyJournalOf(before.store, signer)
      const early = await headsOf(before.store)
      const lines = await backUp(before)
      await before.store.devices.change(T, "device-1", undefined, suspend, newAct("suspend-device"))
      await verifyJournalOf(before.store, signer)
      const late = await headsOf(before.store)
      const after = await create()
      await restoreLines(after, lines)
      await after.store.registry.setPolicy(newPolicy("base", "document 9"), newAct("set-policy"))
      await verifyJournalOf(after.store, signer, early)
      await rejectsCode(() => verifyJournalOf(after.store, signer, late), "JOURNAL_HEAD")
    },
  )

  check("restores a journal that older records were removed from, as it verifies", async () => {
    const before = await filled()
    const ports = {
      // As if it had ended before all of them were.
      archive: { ...before.store.archive, sweep: async () => 0 },
      signer,
      settings: { issuer: ISSUER },
      breathe: async () => {},
    }
    const clock = { now: () => afterNoon(240_000) }
    const checkpoint = createCheckpointJournal({ ...ports, clock })
    await checkpoint(T)
    const { records } = await createPruneJournal({ ...ports, clock, checkpoint })(afterNoon(240_000), {
      tenant: T,
      id: "ada",
    })
    assert.ok(records > 5)
    const lines = await backUp(before)
    assert.is(rowsIn(lines, "journal_anchors").length, 1)
    const after = await create()
    await restoreLines(after, lines)
    const { chains } = await verifyJournalOf(after.store, signer)
    assert.equal(chains.map(({ first }) => first > 1).sort(), [false, true])
  })

  check("restores twice, and each time moves on", async () => {
    const under = await filled()
    const lines = await backUp(under)
    const epochs: number[] = []
    for (let i = 0; i < 2; i += 1) epochs.push((await restoreLines(under, lines, { replace: true })).epoch)
    assert.equal(epochs, [1, 2])
    assert.is((await under.store.registry.device(T, "device-1")).revision, 3)
  })

  check("backs a restored store up, and restores that", async () => {
    const first = await filled()
    const lines = await backUp(first)
    await restoreLines(first, lines, { replace: true })
    const again = await backUp(first)
    const after = await create()
    assert.is((await restoreLines(after, again)).epoch, 2)
    assert.is((await backUp(after)).length > again.length, true)
  })

  check("leaves a commit that was judged before it without effect", async () => {
    const under = await filled()
    const lines = await backUp(under)
    await restoreLines(under, lines, { replace: true })
    await rejectsCode(
      () =>
        under.store.journal.append(
          newRecord("device-1"),
          newCommit({ revisions: { device: 1, policy: { name: "base", revision: 2 }, trust: undefined } }),
        ),
      "SNAPSHOT_MOVED",
    )
  })
}

const enrolled = (id: string) => ({
  ...newDevice(id),
  state: "active" as const,
  counters: newCounters(),
})
