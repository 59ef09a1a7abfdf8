import * as assert from "uvu/assert"
import { toHex } from "../../../src/bytes.ts"
import type { Code } from "../../../src/errors.ts"
import type { Act, RecordedRevisions } from "../../../src/service/ports.ts"
import { rejectsCode } from "../assert.ts"
import type { Awaitable, Check } from "./check.ts"
import { type DevicesUnderTest, newEnrolled } from "./devices.ts"
import {
  afterNoon,
  digestOf,
  idOf,
  NOON,
  newAct,
  newAnchor,
  newCommit,
  newDevice,
  newPolicy,
  newRecord,
  trustOf,
} from "./samples.ts"

const revisions = (change: Partial<RecordedRevisions>): RecordedRevisions => ({
  device: undefined,
  policy: undefined,
  trust: undefined,
  ...change,
})
const BASE = { name: "base", revision: 1 }

/** What is there before each act. */
export const prepareActs = async ({ registry, devices, trust }: DevicesUnderTest): Promise<void> => {
  await registry.registerDevice(newDevice("device-1"), newAct("register-device"))
  await registry.setPolicy(newPolicy("base", "one"), newAct("set-policy"))
  await trust.importTrust("default", trustOf({ anchors: [newAnchor("a")] }), newAct("import-trust"))
  await trust.notePending("default", { id: idOf("issuer"), issuer: "CN=issuer", chain: [] }, NOON)
  const token = {
    tenant: "default",
    id: "token",
    digest: digestOf("secret"),
    usesMax: 1,
    createdAt: NOON,
    expiresAt: afterNoon(60_000),
    group: "",
    labels: new Map<string, string>(),
  }
  await devices.addEnrollmentToken(token, newAct("create-enrollment-token"))
}

const BEFORE = { acts: 4, revision: 4 }

/** Every administrative act, done to what `prepareActs` made, and what its record tells beside who did what. */
export const ACTS: readonly {
  readonly what: string
  readonly act: Act["act"]
  readonly run: (under: DevicesUnderTest, act: Act) => Promise<unknown>
  readonly device?: string
  readonly revisions?: RecordedRevisions
  readonly policyDigest?: Uint8Array
}[] = [
  {
    what: "a registration",
    act: "register-device",
    run: ({ registry }, act) => registry.registerDevice(newDevice("device-2"), act),
    device: "device-2",
    revisions: revisions({ device: 1 }),
  },
  {
    what: "a policy",
    act: "set-policy",
    run: ({ registry }, act) => registry.setPolicy(newPolicy("base", "two"), act),
    revisions: revisions({ policy: { name: "base", revision: 2 } }),
    policyDigest: digestOf("two"),
  },
  {
    what: "a device's policy",
    act: "assign-policy",
    run: ({ registry }, act) =>
      registry.assignPolicy("default", "base", { kind: "device", id: "device-1" }, act),
    device: "device-1",
    revisions: revisions({ device: 2, policy: BASE }),
    policyDigest: digestOf("one"),
  },
  {
    what: "a group's policy",
    act: "assign-policy",
    run: ({ registry }, act) => registry.assignPolicy("default", "base", { kind: "group", name: "g" }, act),
    revisions: revisions({ policy: BASE }),
    policyDigest: digestOf("one"),
  },
  {
    what: "a tenant's policy",
    act: "assign-policy",
    run: ({ registry }, act) => registry.assignPolicy("default", "base", { kind: "default" }, act),
    revisions: revisions({ policy: BASE }),
    policyDigest: digestOf("one"),
  },
  {
    what: "an import of trust",
    act: "import-trust",
    run: ({ trust }, act) => trust.importTrust("default", trustOf({ anchors: [newAnchor("b")] }), act),
    revisions: revisions({ trust: 2 }),
  },
  {
    what: "a refreshed list",
    act: "refresh-trust",
    run: ({ trust }, act) => trust.importTrust("default", trustOf({ anchors: [newAnchor("b")] }), act, 1),
    revisions: revisions({ trust: 2 }),
  },
  {
    what: "a removal of trust",
    act: "remove-trust",
    run: ({ trust }, act) => trust.removeTrust("default", idOf("root a"), act),
    revisions: revisions({ trust: 2 }),
  },
  {
    what: "a dismissed issuer",
    act: "dismiss-issuer",
    run: ({ trust }, act) => trust.dismissPending("default", idOf("issuer"), act),
  },
  {
    what: "an enrollment",
    act: "enroll-device",
    run: ({ devices }, act) => devices.enroll(newEnrolled("device-2", { trust: 1, token: "token" }), act),
    device: "device-2",
    revisions: revisions({ device: 1, trust: 1 }),
  },
  {
    what: "a revocation",
    act: "revoke-device",
    run: ({ devices }, act) =>
      devices.change("default", "device-1", 1, { state: "revoked", endsSessions: true }, act),
    device: "device-1",
    revisions: revisions({ device: 2 }),
  },
  {
    what: "new labels",
    act: "update-device",
    run: ({ devices }, act) =>
      devices.change("default", "device-1", 1, { labels: new Map([["k", "v"]]), group: "g" }, act),
    device: "device-1",
    revisions: revisions({ device: 2 }),
  },
  {
    what: "a deletion",
    act: "delete-device",
    run: ({ devices }, act) => devices.remove("default", "device-1", 1, act),
    device: "device-1",
    revisions: revisions({ device: 2 }),
  },
  {
    what: "an import of devices",
    act: "import-devices",
    run: ({ devices }, act) => {
      const { tenant: _, ...fresh } = newDevice("device-2")
      return devices.import(
        "default",
        [{ ...fresh, state: "active", policy: undefined, counters: undefined }],
        act,
      )
    },
  },
  {
    what: "an enrollment token",
    act: "create-enrollment-token",
    run: ({ devices }, act) =>
      devices.addEnrollmentToken(
        {
          tenant: "default",
          id: "another",
          digest: digestOf("another"),
          usesMax: 1,
          createdAt: NOON,
          expiresAt: afterNoon(1),
          group: "",
          labels: new Map(),
        },
        act,
      ),
  },
  {
    what: "a revoked enrollment token",
    act: "revoke-enrollment-token",
    run: ({ devices }, act) => devices.revokeEnrollmentToken("default", "token", act),
  },
]

/** What every store does with administrative acts. `create` makes an empty one for each test. */
export const actsConformance = (
  test: Check,
  name: string,
  create: () => Awaitable<DevicesUnderTest>,
): void => {
  const check = (behavior: string, body: (under: DevicesUnderTest) => Promise<void>): void =>
    test(`${name} ${behavior}`, async () => {
      const under = await create()
      await prepareActs(under)
      await body(under)
    })

  for (const { what, act, run, device = "", revisions: made, policyDigest } of ACTS)
    check(`puts ${what} on record once, and moves the tenant's revision on`, async (under) => {
      const { devices, journal } = under
      const evidenceDigest = digestOf(`asked: ${what}`)
      await run(under, newAct(act, { at: afterNoon(9), caller: "somebody", evidenceDigest }))
      const records = await journal.records("default")
      assert.is(records.length, BEFORE.acts + 1)
      const last = records.at(-1)
      assert.equal(last && { ...last, policyDigest: last.policyDigest && toHex(last.policyDigest) }, {
        at: afterNoon(9),
        tenant: "default",
        caller: "somebody",
        act,
        device,
        outcome: "done",
        codes: [],
        evidenceDigest,
        policyDigest: policyDigest && toHex(policyDigest),
        revisions: made,
        tokenId: undefined,
      })
      assert.is(await devices.revision("default"), BEFORE.revision + 1)
      assert.is(await devices.revision("other"), 0)
    })

  check("leaves the revision alone for what decides nothing", async (under) => {
    const { devices, trust, journal } = under
    await trust.notePending("default", { id: idOf("x"), issuer: "CN=x", chain: [] }, NOON)
    await journal.append(newRecord("device-1"), newCommit())
    await devices.list("default", { filter: {}, order: "id", descending: false, after: undefined, max: 1 })
    assert.is(await devices.revision("default"), BEFORE.revision)
  })

  const refused: [what: string, run: (under: DevicesUnderTest) => Promise<unknown>, code: Code][] = [
    [
      "a taken id",
      ({ registry }) => registry.registerDevice(newDevice("device-1"), newAct("register-device")),
      "DEVICE_EXISTS",
    ],
    [
      "a policy that is not there",
      ({ registry }) =>
        registry.assignPolicy("default", "nothing", { kind: "default" }, newAct("assign-policy")),
      "POLICY_NOT_FOUND",
    ],
    [
      "an anchor that is not there",
      ({ trust }) => trust.removeTrust("default", idOf("nothing"), newAct("remove-trust")),
      "TRUST_NOT_FOUND",
    ],
    [
      "trust that has changed",
      ({ trust }) => trust.importTrust("default", trustOf({}), newAct("import-trust"), 7),
      "SNAPSHOT_MOVED",
    ],
    [
      "a device that was changed",
      ({ devices }) => devices.change("default", "device-1", 7, {}, newAct("update-device")),
      "ETAG",
    ],
    [
      "a device that is not there",
      ({ devices }) => devices.remove("default", "nothing", undefined, newAct("delete-device")),
      "DEVICE_NOT_FOUND",
    ],
  ]
  for (const [what, run, code] of refused)
    check(`records nothing for ${what}, and moves nothing`, async (under) => {
      await rejectsCode(() => run(under), code)
      assert.is((await under.journal.records("default")).length, BEFORE.acts)
      assert.is(await under.devices.revision("default"), BEFORE.revision)
    })

  // P-06: nothing comes back, and nothing is another tenant's.

  const older: [what: string, document: string][] = [
    ["the first document", "one"],
    ["the one before", "two"],
    ["the latest once more", "three"],
    ["an empty document", ""],
    ["another spelling of the first", "one "],
  ]
  for (const [what, document] of older)
    check(`refuses P-06 to go back in revisions for ${what}`, async (under) => {
      const { registry, journal } = under
      for (const text of ["two", "three"])
        await registry.setPolicy(newPolicy("base", text), newAct("set-policy"))
      await registry.assignPolicy("default", "base", { kind: "default" }, newAct("assign-policy"))
      const posted = await registry.setPolicy(newPolicy("base", document), newAct("set-policy"))
      assert.is(posted.revision, 4)
      const { device, policy } = await registry.snapshotFor("default", newDevice("device-1").akName)
      assert.equal([policy?.revision, policy?.document], [4, document])
      for (const revision of [1, 2, 3]) {
        const judged = { device: device.revision, policy: { name: "base", revision }, trust: undefined }
        await rejectsCode(
          () => journal.append(newRecord("device-1"), newCommit({ revisions: judged })),
          "SNAPSHOT_MOVED",
        )
      }
      await registry.assignPolicy("default", "base", { kind: "default" }, newAct("assign-policy"))
      assert.is((await registry.policy("default", "base")).revision, 4)
    })

  const foreign: [what: string, run: (under: DevicesUnderTest) => Promise<unknown>, code: Code][] = [
    ["policy", ({ registry }) => registry.policy("other", "base"), "POLICY_NOT_FOUND"],
    [
      "policy, for a device",
      async ({ registry }) => {
        await registry.registerDevice(newDevice("device-1", { tenant: "other" }), newAct("register-device"))
        await registry.assignPolicy(
          "other",
          "base",
          { kind: "device", id: "device-1" },
          newAct("assign-policy"),
        )
      },
      "POLICY_NOT_FOUND",
    ],
    [
      "policy, for a group",
      ({ registry }) =>
        registry.assignPolicy("other", "base", { kind: "group", name: "g" }, newAct("assign-policy")),
      "POLICY_NOT_FOUND",
    ],
    [
      "device",
      ({ devices }) => devices.change("other", "device-1", undefined, {}, newAct("update-device")),
      "DEVICE_NOT_FOUND",
    ],
    [
      "device's key",
      ({ registry }) => registry.snapshotFor("other", newDevice("device-1").akName),
      "DEVICE_NOT_FOUND",
    ],
    [
      "anchor",
      ({ trust }) => trust.removeTrust("other", idOf("root a"), newAct("remove-trust")),
      "TRUST_NOT_FOUND",
    ],
    [
      "trust, to enroll under",
      ({ devices }) =>
        devices.enroll(newEnrolled("x", { tenant: "other", trust: 1 }), newAct("enroll-device")),
      "SNAPSHOT_MOVED",
    ],
    [
      "enrollment token",
      ({ devices }) =>
        devices.enroll(newEnrolled("x", { tenant: "other", token: "token" }), newAct("enroll-device")),
      "ENROLLMENT_TOKEN",
    ],
    [
      "pending issuer",
      ({ trust }) => trust.dismissPending("other", idOf("issuer"), newAct("dismiss-issuer")),
      "TRUST_NOT_FOUND",
    ],
  ]
  for (const [what, run, code] of foreign)
    check(`refuses P-06 another tenant's ${what}`, async (under) => {
      await rejectsCode(() => run(under), code)
      assert.is((await under.journal.records("default")).length, BEFORE.acts)
      assert.is(await under.devices.revision("default"), BEFORE.revision)
      const { policy } = await under.registry.snapshotFor("default", newDevice("device-1").akName)
      assert.is(policy, undefined)
    })
}
