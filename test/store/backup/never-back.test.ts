import fc from "fast-check"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { AssayError } from "../../../src/errors.ts"
import { createSqliteStore } from "../../../src/store/sqlite.ts"
import { sqliteDatabase } from "../../../src/store/sqlite-database.ts"
import type { Store } from "../../../src/store/store.ts"
import { type BackedUp, backUp, type Lines, restoreLines, rowsIn } from "../../support/backup.ts"
import { revisionsIn } from "../../support/ports/backup.ts"
import {
  afterNoon,
  digestOf,
  newAct,
  newAnchor,
  newCommit,
  newCounters,
  newDevice,
  newPolicy,
  newRecord,
  trustOf,
} from "../../support/ports/samples.ts"
import { scratch } from "../folder.ts"

const test = suite("a history with a restore in it")
const { file } = scratch(test)
const T = "default"
const RUNS = Number(process.env["ASSAY_BACKUP_RUNS"] ?? 40)

const device = fc.constantFrom("device-1", "device-2", "device-3")
const name = fc.constantFrom("a", "b")
const step = fc.oneof(
  fc.record({ kind: fc.constant("register" as const), device, group: name }),
  fc.record({
    kind: fc.constant("state" as const),
    device,
    state: fc.constantFrom("active" as const, "suspended" as const, "revoked" as const, "retired" as const),
  }),
  fc.record({ kind: fc.constant("remove" as const), device }),
  fc.record({ kind: fc.constant("keys" as const), device, key: name }),
  fc.record({ kind: fc.constant("firmware" as const), device }),
  fc.record({
    kind: fc.constant("answer" as const),
    device,
    resets: fc.nat({ max: 3 }),
    clock: fc.bigInt({ min: 0n, max: 3n }),
  }),
  fc.record({ kind: fc.constant("policy" as const), name, text: fc.nat({ max: 3 }) }),
  fc.record({ kind: fc.constant("trust" as const), name, adds: fc.boolean() }),
  fc.record({ kind: fc.constant("token" as const), name }),
  fc.record({ kind: fc.constant("use" as const), name, device: fc.constantFrom("e-1", "e-2", "e-3") }),
  fc.record({ kind: fc.constant("withdraw" as const), name }),
)
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

const act = async ({ registry, devices, trust, journal }: Store, one: Step, i: number): Promise<unknown> => {
  switch (one.kind) {
    case "register":
      return registry.registerDevice(newDevice(one.device, { group: one.group }), newAct("register-device"))
    case "state":
      return devices.change(
        T,
        one.device,
        undefined,
        { state: one.state, endsSessions: true },
        newAct("update-device"),
      )
    case "remove":
      return devices.remove(T, one.device, undefined, newAct("delete-device"))
    case "keys":
      return devices.change(
        T,
        one.device,
        undefined,
        { keys: { ...newDevice(one.device), akName: digestOf(`${one.device} ${one.key}`) } },
        newAct("transfer-device"),
      )
    case "firmware":
      return devices.change(T, one.device, undefined, { forgetsFirmware: true }, newAct("accept-firmware"))
    case "answer": {
      const { revision } = await registry.device(T, one.device)
      const counters = newCounters({ resetCount: one.resets, clockMs: one.clock })
      const policy = await registry.groupPolicy(T, "")
      const revisions = { device: revision, policy, trust: undefined }
      const commit = newCommit({ device: one.device, revisions, counters, known: i > 0 })
      return journal.append(newRecord(one.device, { revisions }), commit)
    }
    case "policy":
      return registry.setPolicy(newPolicy(one.name, `document ${one.text}`), newAct("set-policy"))
    case "trust":
      return one.adds
        ? trust.importTrust(T, trustOf({ anchors: [newAnchor(one.name)] }), newAct("import-trust"))
        : trust.removeTrust(T, newAnchor(one.name).id, newAct("remove-trust"))
    case "token":
      return devices.addEnrollmentToken(
        {
          ...{ tenant: T, id: `token-${one.name}`, digest: digestOf(one.name), usesMax: 2, group: "" },
          ...{ labels: new Map(), createdAt: afterNoon(0), expiresAt: afterNoon(1e9) },
        },
        newAct("create-enrollment-token"),
      )
    case "use": {
      const { generation } = await trust.trustState(T)
      const fresh = { ...newDevice(one.device), state: "active" as const, counters: newCounters() }
      return devices.enroll(
        { ...fresh, trust: generation, token: `token-${one.name}` },
        newAct("enroll-device"),
      )
    }
    case "withdraw":
      return devices.revokeEnrollmentToken(T, `token-${one.name}`, newAct("revoke-enrollment-token"))
  }
}

/** Does all of it that can be done. */
const live = async ({ store }: BackedUp, steps: readonly Step[]): Promise<void> => {
  for (const [i, one] of steps.entries())
    await act(store, one, i).catch((error: unknown) => {
      if (!(error instanceof AssayError)) throw error
    })
}

type Row = Readonly<Record<string, unknown>>
const byId = (lines: Lines, table: string): ReadonlyMap<unknown, Row> =>
  new Map(rowsIn(lines, table).map((row) => [row["id"], row]))

/** What of two boots and clocks comes first; small counts never wrap. */
const bootOf = (row: Row): string | undefined => {
  if (row["clock_ms"] === null) return undefined
  const counts = [row["reset_count"], row["restart_count"]].map((count) => String(count).padStart(10, "0"))
  return [...counts, Buffer.from(String(row["clock_ms"]), "base64url").toString("hex")].join()
}

/** That nothing went back from `before` to `after`. `isStore`: whether it is what the store had, and not the backup. */
const checkNotBack = (before: Lines, after: Lines, isStore: boolean): void => {
  const is = revisionsIn(after)
  const removed = byId(after, "removed_devices")
  for (const [what, revision] of revisionsIn(before)) {
    const isGone = what.startsWith("devices ") && removed.has(what.slice("devices ".length))
    if (!isGone) assert.ok((is.get(what) ?? -1) > revision, `${what}: ${revision} and then ${is.get(what)}`)
  }
  for (const id of byId(before, "removed_devices").keys())
    assert.ok(removed.has(id), `${String(id)} stays removed`)
  const devices = byId(after, "devices")
  for (const [id, was] of byId(before, "devices")) {
    const now = devices.get(id)
    if (now === undefined) {
      assert.ok(removed.has(id), `${String(id)} is there or was removed`)
      continue
    }
    if (was["state"] === "revoked" || was["state"] === "retired") assert.is(now["state"], was["state"])
    if (isStore) assert.is(now["ak_name"], was["ak_name"], "the keys that it had last")
    if (now["ak_name"] !== was["ak_name"]) continue
    const [boot, then] = [bootOf(was), bootOf(now)]
    assert.ok(
      boot === undefined || (then !== undefined && then >= boot),
      `${String(id)}: ${boot} and then ${then}`,
    )
    if (was["firmware_version"] !== null) assert.ok(now["firmware_version"] !== null)
  }
  const tokens = byId(after, "enrollment_tokens")
  for (const [id, was] of byId(before, "enrollment_tokens")) {
    const now = tokens.get(id)
    assert.ok(
      Number(now?.["uses"]) >= Number(was["uses"]) && Number(now?.["revoked"]) >= Number(was["revoked"]),
    )
  }
}

/** That every device has a revocation of its sessions, up to the revision that it had. */
const checkEnded = (before: Lines, after: Lines): void => {
  const ended = rowsIn(after, "revocations")
  for (const [id, { revision }] of byId(before, "devices"))
    assert.ok(
      ended.some((row) => row["device"] === id && Number(row["from_revision"]) > Number(revision)),
      `sessions of ${String(id)} end`,
    )
}

const create = (): BackedUp => {
  const opened = file()
  return { database: sqliteDatabase(opened), store: createSqliteStore(opened) }
}
const history = fc.array(step, { maxLength: 15 })

test("lowers no counter and no revision, and brings no device back, into the store that it was of", async () => {
  await fc.assert(
    fc.asyncProperty(history, history, async (earlier, later) => {
      const under = create()
      await live(under, [{ kind: "policy", name: "a", text: 0 }, ...earlier])
      const backup = await backUp(under)
      await live(under, later)
      const before = await backUp(under)
      await restoreLines(under, backup, { replace: true })
      const after = await backUp(under)
      checkNotBack(before, after, true)
      checkNotBack(backup, after, false)
      checkEnded(before, after)
      await live(under, later) // and it goes on
    }),
    { numRuns: RUNS },
  )
})

test("lowers no counter and no revision, and brings no device back, into an empty store", async () => {
  await fc.assert(
    fc.asyncProperty(history, async (earlier) => {
      const under = create()
      await live(under, [{ kind: "policy", name: "a", text: 0 }, ...earlier])
      const backup = await backUp(under)
      const other = create()
      await restoreLines(other, backup)
      const after = await backUp(other)
      checkNotBack(backup, after, true)
      checkEnded(backup, after)
      assert.equal(rowsIn(after, "devices").length, rowsIn(backup, "devices").length)
    }),
    { numRuns: RUNS },
  )
})

test.run()
