import * as assert from "uvu/assert"
import {
  type Commit,
  type Counters,
  JOURNAL_ACTS,
  type Journal,
  type JournalRecord,
  type Registry,
  type TrustStore,
} from "../../../src/service/ports.ts"
import type { JournalReader } from "../../../src/store/journal.ts"
import { rejectsCode } from "../assert.ts"
import type { Awaitable, Check } from "./check.ts"
import {
  afterNoon,
  digestOf,
  idOf,
  newAct,
  newAnchor,
  newCommit,
  newCounters,
  newCrl,
  newDevice,
  newEk,
  newPolicy,
  newRecord,
  trustOf,
} from "./samples.ts"

/** A journal, and the registry and the trust that its commits are about. */
export interface JournalUnderTest {
  readonly registry: Registry
  readonly trust: TrustStore
  readonly journal: Journal & JournalReader
}

/** What every journal does. `create` makes an empty one for each test. */
export const journalConformance = (
  test: Check,
  name: string,
  create: () => Awaitable<JournalUnderTest>,
): void => {
  const check = (behavior: string, body: (under: JournalUnderTest) => Promise<void>): void =>
    test(`${name} ${behavior}`, async () => body(await create()))
  const commit = newCommit
  /** Records of verifications: what was done to get there has its own. */
  const verified = async ({ journal }: JournalUnderTest): Promise<readonly JournalRecord[]> =>
    (await journal.records("default")).filter(({ act }) => act === "verify")
  const written = async (under: JournalUnderTest): Promise<number> => (await verified(under)).length
  const counters = async ({ registry }: JournalUnderTest): Promise<Counters | undefined> =>
    (await registry.device("default", "device-1")).counters

  check("gives records back as they were appended, in their order, by tenant", async ({ journal }) => {
    const records = [
      newRecord("device-1", { at: afterNoon(1), tokenId: "token-1" }),
      newRecord("device-2", {
        outcome: "contraindicated",
        codes: ["REFERENCE_SET", "CLOCK_INFO_UNSAFE"],
        policyDigest: digestOf("document"),
        revisions: { device: 3, policy: { name: "base", revision: 7 }, trust: 5 },
      }),
      newRecord("", { act: "set-policy", outcome: "done", revisions: undefined }),
    ]
    for (const record of records) await journal.append(record)
    await journal.append(newRecord("device-1", { tenant: "other" }))
    assert.equal(await journal.records("default"), records)
    assert.equal(await journal.records("default", { limit: 2 }), records.slice(1))
    assert.is((await journal.records("other")).length, 1)
    assert.equal(await journal.records("nobody"), [])
  })

  for (const act of JOURNAL_ACTS)
    check(`gives a record of ${act} back`, async ({ journal }) => {
      const record = { ...newRecord("device-1"), act }
      await journal.append(record)
      assert.equal(await journal.records("default"), [record])
    })

  check("gives back the generation of trust of a record that is about no device", async ({ journal }) => {
    const revisions = { device: undefined, policy: undefined, trust: 7 }
    const record = newRecord("", { act: "import-trust", outcome: "done", revisions })
    await journal.append(record)
    assert.equal(await journal.records("default"), [record])
  })

  check("keeps the order of records that arrive together", async ({ journal }) => {
    const ids = Array.from({ length: 50 }, (_, i) => `device-${i}`)
    await Promise.all(ids.map((id) => journal.append(newRecord(id))))
    const records = await journal.records("default")
    assert.equal(
      records.map(({ device }) => device),
      ids,
    )
  })

  check("writes counters with their record, and leaves the device's revision alone", async (under) => {
    await under.registry.registerDevice(newDevice("device-1"), newAct("register-device"))
    assert.is(await counters(under), undefined)
    const ours = newCounters({ clockMs: 2n ** 64n - 1n, firmwareVersion: 2n ** 63n + 1n, safe: false })
    await under.journal.append(newRecord("device-1"), commit({ counters: ours }))
    assert.equal(await counters(under), ours)
    assert.is((await under.registry.device("default", "device-1")).revision, 1)
    await under.journal.append(newRecord("device-1"), commit({ counters: undefined }))
    assert.equal(await counters(under), ours)
    assert.is(await written(under), 2)
  })

  const movedBy: [
    what: string,
    act: (registry: Registry) => Promise<unknown>,
    revisions: Commit["revisions"],
  ][] = [
    ["a device that is not there", async () => undefined, { device: 1, policy: undefined, trust: undefined }],
    [
      "a device whose own policy was assigned meanwhile",
      async (registry) => {
        await registry.registerDevice(newDevice("device-1"), newAct("register-device"))
        await registry.setPolicy(newPolicy("base", "one"), newAct("set-policy"))
        await registry.assignPolicy(
          "default",
          "base",
          { kind: "device", id: "device-1" },
          newAct("assign-policy"),
        )
      },
      { device: 1, policy: { name: "base", revision: 1 }, trust: undefined },
    ],
    [
      "a policy that has a later revision meanwhile",
      async (registry) => {
        await registry.registerDevice(newDevice("device-1"), newAct("register-device"))
        await registry.setPolicy(newPolicy("base", "one"), newAct("set-policy"))
        await registry.assignPolicy("default", "base", { kind: "default" }, newAct("assign-policy"))
        await registry.setPolicy(newPolicy("base", "two"), newAct("set-policy"))
      },
      { device: 1, policy: { name: "base", revision: 1 }, trust: undefined },
    ],
    [
      "a default policy that is another one meanwhile",
      async (registry) => {
        await registry.registerDevice(newDevice("device-1"), newAct("register-device"))
        await registry.setPolicy(newPolicy("base", "one"), newAct("set-policy"))
        await registry.setPolicy(newPolicy("other", "one"), newAct("set-policy"))
        await registry.assignPolicy("default", "other", { kind: "default" }, newAct("assign-policy"))
      },
      { device: 1, policy: { name: "base", revision: 1 }, trust: undefined },
    ],
    [
      "a first policy where there was none",
      async (registry) => {
        await registry.registerDevice(newDevice("device-1"), newAct("register-device"))
        await registry.setPolicy(newPolicy("base", "one"), newAct("set-policy"))
        await registry.assignPolicy("default", "base", { kind: "default" }, newAct("assign-policy"))
      },
      { device: 1, policy: undefined, trust: undefined },
    ],
    [
      "a policy that was never assigned",
      async (registry) => {
        await registry.registerDevice(newDevice("device-1"), newAct("register-device"))
        await registry.setPolicy(newPolicy("base", "one"), newAct("set-policy"))
      },
      { device: 1, policy: { name: "base", revision: 1 }, trust: undefined },
    ],
    [
      "a device of another tenant",
      (registry) =>
        registry.registerDevice(newDevice("device-1", { tenant: "other" }), newAct("register-device")),
      { device: 1, policy: undefined, trust: undefined },
    ],
  ]
  for (const [what, act, revisions] of movedBy)
    check(`refuses S-04 a commit on ${what}, and writes nothing`, async (under) => {
      await act(under.registry)
      await rejectsCode(
        () => under.journal.append(newRecord("device-1"), commit({ revisions })),
        "SNAPSHOT_MOVED",
      )
      assert.is(await written(under), 0)
    })

  const root = trustOf({ anchors: [newAnchor("a")] })
  const trustMovedBy: [what: string, act: (trust: TrustStore) => Promise<unknown>, generation: number][] = [
    [
      "an anchor was imported",
      (trust) => trust.importTrust("default", root, newAct("import-trust", { at: afterNoon(0) })),
      0,
    ],
    [
      "the last anchor was removed",
      async (trust) => {
        await trust.importTrust("default", root, newAct("import-trust", { at: afterNoon(0) }))
        await trust.removeTrust("default", idOf("root a"), newAct("remove-trust"))
      },
      1,
    ],
    [
      "an anchor was removed and came back",
      async (trust) => {
        await trust.importTrust("default", root, newAct("import-trust", { at: afterNoon(0) }))
        await trust.removeTrust("default", idOf("root a"), newAct("remove-trust"))
        await trust.importTrust("default", root, newAct("import-trust", { at: afterNoon(0) }))
      },
      1,
    ],
    [
      "an anchor is for something else",
      async (trust) => {
        await trust.importTrust("default", root, newAct("import-trust", { at: afterNoon(0) }))
        const other = trustOf({ anchors: [newAnchor("a", { purpose: "ak" })] })
        await trust.importTrust("default", other, newAct("import-trust", { at: afterNoon(0) }))
      },
      1,
    ],
    [
      "a newer revocation list arrived",
      async (trust) => {
        await trust.importTrust(
          "default",
          trustOf({ crls: [newCrl("a", 1)] }),
          newAct("import-trust", { at: afterNoon(0) }),
        )
        await trust.importTrust(
          "default",
          trustOf({ crls: [newCrl("a", 2)] }),
          newAct("import-trust", { at: afterNoon(0) }),
        )
      },
      1,
    ],
    [
      "a listed key was removed",
      async (trust) => {
        await trust.importTrust(
          "default",
          trustOf({ eks: [newEk("a")] }),
          newAct("import-trust", { at: afterNoon(0) }),
        )
        await trust.removeTrust("default", idOf("ek a"), newAct("remove-trust"))
      },
      1,
    ],
    [
      "another tenant's trust reached that generation",
      (trust) => trust.importTrust("other", root, newAct("import-trust", { at: afterNoon(0) })),
      1,
    ],
  ]
  for (const [what, act, generation] of trustMovedBy)
    check(`refuses C-04 a commit under trust from before ${what}, and writes nothing`, async (under) => {
      await under.registry.registerDevice(newDevice("device-1"), newAct("register-device"))
      await act(under.trust)
      const revisions = { device: 1, policy: undefined, trust: generation }
      await rejectsCode(
        () => under.journal.append(newRecord("device-1"), commit({ revisions })),
        "SNAPSHOT_MOVED",
      )
      assert.is(await written(under), 0)
      assert.is(await counters(under), undefined)
    })

  check("accepts a commit under the trust that is current, or under none", async (under) => {
    await under.registry.registerDevice(newDevice("device-1"), newAct("register-device"))
    for (const trust of [0, undefined]) {
      const revisions = { device: 1, policy: undefined, trust }
      await under.journal.append(newRecord("device-1", { revisions }), commit({ revisions }))
    }
    await under.trust.importTrust("default", root, newAct("import-trust", { at: afterNoon(0) }))
    for (const trust of [1, undefined]) {
      const revisions = { device: 1, policy: undefined, trust }
      await under.journal.append(newRecord("device-1", { revisions }), commit({ revisions }))
    }
    const records = await verified(under)
    assert.equal(
      records.map(({ revisions }) => revisions?.trust),
      [0, undefined, 1, undefined],
    )
  })

  check(
    "accepts a commit after an import that changed nothing, and an issuer kept for review",
    async (under) => {
      await under.registry.registerDevice(newDevice("device-1"), newAct("register-device"))
      await under.trust.importTrust("default", root, newAct("import-trust", { at: afterNoon(0) }))
      await under.trust.importTrust("default", root, newAct("import-trust", { at: afterNoon(1) }))
      await under.trust.notePending("default", { id: idOf("x"), issuer: "CN=x", chain: [] }, afterNoon(1))
      const revisions = { device: 1, policy: undefined, trust: 1 }
      await under.journal.append(newRecord("device-1"), commit({ revisions }))
      assert.is(await written(under), 1)
    },
  )

  check("accepts a commit under the revisions that are current", async (under) => {
    await under.registry.registerDevice(newDevice("device-1"), newAct("register-device"))
    await under.registry.setPolicy(newPolicy("base", "one"), newAct("set-policy"))
    await under.registry.setPolicy(newPolicy("base", "two"), newAct("set-policy"))
    await under.registry.assignPolicy(
      "default",
      "base",
      { kind: "device", id: "device-1" },
      newAct("assign-policy"),
    )
    const revisions = { device: 2, policy: { name: "base", revision: 2 }, trust: undefined }
    await under.journal.append(newRecord("device-1"), commit({ revisions }))
    assert.is(await written(under), 1)
  })

  check("refuses S-04 one of many commits without touching the others", async (under) => {
    for (const id of ["device-1", "device-2", "device-3"])
      await under.registry.registerDevice(newDevice(id), newAct("register-device"))
    const outcomes = await Promise.allSettled(
      ["device-1", "device-2", "device-3"].map((device, i) =>
        under.journal.append(
          newRecord(device),
          commit({ device, revisions: { device: i === 1 ? 9 : 1, policy: undefined, trust: undefined } }),
        ),
      ),
    )
    assert.equal(
      outcomes.map(({ status }) => status),
      ["fulfilled", "rejected", "fulfilled"],
    )
    const records = await verified(under)
    assert.equal(
      records.map(({ device }) => device),
      ["device-1", "device-3"],
    )
    assert.is((await under.registry.device("default", "device-2")).counters, undefined)
    assert.equal((await under.registry.device("default", "device-3")).counters, newCounters())
  })

  const stored = newCounters()
  check("never rewinds counters, and still writes a record of the same boot", async (under) => {
    await under.registry.registerDevice(newDevice("device-1"), newAct("register-device"))
    await under.journal.append(newRecord("device-1"), commit({ counters: stored }))
    await under.journal.append(newRecord("device-1"), commit({ counters: newCounters({ clockMs: 999n }) }))
    assert.equal(await counters(under), stored)
    assert.is(await written(under), 2)
  })

  const earlier: [what: string, ours: Counters][] = [
    ["a reset before", newCounters({ resetCount: 4, restartCount: 9, clockMs: 9999n })],
    ["a restart before", newCounters({ restartCount: 1, clockMs: 9999n })],
  ]
  for (const [what, ours] of earlier)
    check(`refuses S-04 counters of ${what}, and writes nothing`, async (under) => {
      await under.registry.registerDevice(newDevice("device-1"), newAct("register-device"))
      await under.journal.append(newRecord("device-1"), commit({ counters: stored }))
      await rejectsCode(
        () => under.journal.append(newRecord("device-1"), commit({ counters: ours })),
        "SNAPSHOT_MOVED",
      )
      assert.equal(await counters(under), stored)
      assert.is(await written(under), 1)
    })

  const remembered: [what: string, remembered: NonNullable<Commit["remembered"]>, moved: boolean][] = [
    ["by what is stored", { before: stored, clock: stored }, false],
    ["by an earlier clock of the same boot", { before: newCounters({ clockMs: 1n }), clock: stored }, false],
    ["to lie behind what is stored", { before: stored, clock: newCounters({ clockMs: 999n }) }, false],
    [
      "to lie behind another clock",
      { before: newCounters({ clockMs: 5000n }), clock: newCounters({ clockMs: 2000n }) },
      true,
    ],
    [
      "to lie behind another answer",
      { before: newCounters({ recordedAt: new Date(0) }), clock: newCounters({ clockMs: 999n }) },
      true,
    ],
    ["without a clock", { before: stored, clock: undefined }, false],
    ["by an earlier boot", { before: newCounters({ resetCount: 4 }), clock: stored }, true],
    ["by an earlier restart", { before: newCounters({ restartCount: 1 }), clock: stored }, true],
    ["by other firmware", { before: newCounters({ firmwareVersion: 1n }), clock: stored }, true],
    ["by nothing", { before: undefined, clock: stored }, true],
    [
      "not to lie behind, and does",
      { before: newCounters({ clockMs: 1n }), clock: newCounters({ clockMs: 999n }) },
      true,
    ],
  ]
  for (const [what, by, isMoved] of remembered)
    check(
      `${isMoved ? "refuses S-04" : "writes"} what was judged ${what}, if that was remembered`,
      async (under) => {
        await under.registry.registerDevice(newDevice("device-1"), newAct("register-device"))
        await under.journal.append(newRecord("device-1"), commit({ counters: stored }))
        const freshSince = new Date(stored.recordedAt.getTime() + 1)
        const append = () =>
          under.journal.append(
            newRecord("device-1"),
            commit({ counters: undefined, remembered: by, freshSince }),
          )
        if (isMoved) await rejectsCode(append, "SNAPSHOT_MOVED")
        else await append()
        assert.is(await written(under), isMoved ? 1 : 2)
      },
    )

  check("moves counters on to a later boot, whatever its clock says", async (under) => {
    await under.registry.registerDevice(newDevice("device-1"), newAct("register-device"))
    await under.journal.append(newRecord("device-1"), commit({ counters: stored }))
    const later = newCounters({ resetCount: 6, restartCount: 0, clockMs: 1n })
    await under.journal.append(newRecord("device-1"), commit({ counters: later }))
    assert.equal(await counters(under), later)
  })
}
