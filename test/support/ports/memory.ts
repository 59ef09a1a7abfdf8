import { isRollback } from "../../../src/appraisal/rules/clock-order.ts"
import { toHex } from "../../../src/bytes.ts"
import { AssayError } from "../../../src/errors.ts"
import type {
  DeviceRecord,
  Devices,
  Journal,
  JournalRecord,
  PolicyRecord,
  Registry,
  TrustStore,
} from "../../../src/service/ports.ts"
import { laterCounters } from "../../../src/store/counters.ts"
import type { JournalReader } from "../../../src/store/journal.ts"
import { actRecord } from "../../../src/store/journal-append.ts"
import { isJudgedAlike } from "../../../src/store/journal-commit.ts"
import { laterResult } from "../../../src/store/result.ts"
import type { TrustOptions } from "../../../src/store/trust.ts"
import { memoryDevices } from "./memory-devices.ts"
import { memoryTrust, type Note } from "./memory-trust.ts"

/** Registry, devices, trust and journal in memory. */
export interface MemoryStore {
  readonly registry: Registry
  readonly devices: Devices
  readonly trust: TrustStore
  readonly journal: Journal & JournalReader
}

/** Keys of several parts: an array has one JSON spelling, and no part can run into the next. */
export const keyOf = (...parts: readonly string[]): string => JSON.stringify(parts)

/** Registry, trust and journal in memory, for tests. Passes the suites that every adapter passes. */
export const memoryStore = (options: TrustOptions = {}): MemoryStore => {
  const records: JournalRecord[] = []
  const revisions = new Map<string, number>()
  const revisionOf = (tenant: string): number => revisions.get(tenant) ?? 0
  const note: Note = (tenant, act, made) => {
    records.push(actRecord(tenant, act, made))
    revisions.set(tenant, revisionOf(tenant) + 1)
  }
  const { trust, stateOf } = memoryTrust(options, note)
  const devices = new Map<string, DeviceRecord>()
  const policies = new Map<string, readonly PolicyRecord[]>()
  /** By tenant alone for all of it, by tenant and group for a group. */
  const assigned = new Map<string, string>()

  const device = (tenant: string, id: string): DeviceRecord => {
    const found = devices.get(keyOf(tenant, id))
    if (found === undefined) throw new AssayError("DEVICE_NOT_FOUND", "there is no such device")
    return found
  }
  const policy = (tenant: string, name: string): PolicyRecord => {
    const latest = policies.get(keyOf(tenant, name))?.at(-1)
    if (latest === undefined) throw new AssayError("POLICY_NOT_FOUND", "there is no such policy")
    return latest
  }
  const byName = (tenant: string, akName: Uint8Array): DeviceRecord | undefined =>
    [...devices.values()].find(
      (d) => d.tenant === tenant && d.akName.length > 0 && toHex(d.akName) === toHex(akName),
    )
  const judging = ({ tenant, policy: own, group }: DeviceRecord): PolicyRecord | undefined => {
    const name = own ?? assigned.get(keyOf(tenant, group)) ?? assigned.get(keyOf(tenant))
    return name === undefined ? undefined : policy(tenant, name)
  }

  const generationOf = (tenant: string): number => stateOf(tenant).generation
  const managed = memoryDevices({ devices, keyOf, note, revisionOf, generationOf, policy })

  const registry: Registry = {
    async snapshotFor(tenant, akName) {
      const found = byName(tenant, akName)
      if (found === undefined) throw new AssayError("DEVICE_NOT_FOUND", "no device has this key")
      const { generation, anchors } = stateOf(tenant)
      return { device: found, policy: judging(found), trustGeneration: generation, anchors }
    },
    async registerDevice(fresh, act) {
      const made = managed.add({
        ...structuredClone(fresh),
        state: "active",
        policy: undefined,
        revision: 1,
        token: undefined,
        permit: undefined,
        counters: undefined,
        lastResult: undefined,
      })
      const revisions = { device: 1, policy: undefined, trust: undefined }
      note(fresh.tenant, act, { device: fresh.id, revisions })
      return made
    },
    device: async (tenant, id) => device(tenant, id),
    async setPolicy(fresh, act) {
      const { tenant, name, digest } = fresh
      const before = policies.get(keyOf(tenant, name)) ?? []
      const made = { ...fresh, digest: digest.slice(), revision: before.length + 1 }
      policies.set(keyOf(tenant, name), [...before, made])
      const revisions = { device: undefined, policy: { name, revision: made.revision }, trust: undefined }
      note(tenant, act, { policyDigest: digest, revisions })
      return made
    },
    policy: async (tenant, name) => policy(tenant, name),
    async groupPolicy(tenant, group) {
      const name = assigned.get(keyOf(tenant, group)) ?? assigned.get(keyOf(tenant))
      return name === undefined ? undefined : policy(tenant, name)
    },
    async assignPolicy(tenant, name, target, act) {
      const { revision, digest } = policy(tenant, name)
      const before = target.kind === "device" ? device(tenant, target.id) : undefined
      const after = before && { ...before, policy: name, revision: before.revision + 1 }
      if (after !== undefined) devices.set(keyOf(tenant, after.id), after)
      if (target.kind === "group") assigned.set(keyOf(tenant, target.name), name)
      if (target.kind === "default") assigned.set(keyOf(tenant), name)
      const revisions = { device: after?.revision, policy: { name, revision }, trust: undefined }
      note(tenant, act, { device: after?.id ?? "", policyDigest: digest, revisions })
    },
  }

  const journal: Journal & JournalReader = {
    async append(record, commit) {
      if (commit !== undefined) {
        const key = keyOf(record.tenant, commit.device)
        const now = devices.get(key)
        const judged = now === undefined ? undefined : judging(now)
        const { revisions, counters, result, remembered, freshSince } = commit
        if (
          now?.revision !== revisions.device ||
          judged?.name !== revisions.policy?.name ||
          judged?.revision !== revisions.policy?.revision ||
          (revisions.trust !== undefined && revisions.trust !== stateOf(record.tenant).generation) ||
          (remembered !== undefined && !isJudgedAlike(remembered, now.counters, freshSince)) ||
          (counters !== undefined && isRollback(counters, { before: now.counters, freshSince }))
        )
          throw new AssayError("SNAPSHOT_MOVED", "the device, its policy or trust changed meanwhile")
        devices.set(key, {
          ...now,
          counters: counters ? laterCounters(now.counters, counters, commit.known) : now.counters,
          lastResult: result ? laterResult(now.lastResult, result) : now.lastResult,
        })
      }
      records.push(record)
    },
    async records(tenant, { limit = 100 } = {}) {
      // From the end, for long histories ask after each step.
      const last: JournalRecord[] = []
      for (let i = records.length - 1; i >= 0 && last.length < limit; i--) {
        const record = records[i]
        if (record?.tenant === tenant) last.push(record)
      }
      return last.reverse()
    },
  }
  return { registry, devices: managed.devices, trust, journal }
}
