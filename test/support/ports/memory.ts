import { toHex } from "../../../src/bytes.ts"
import { AssayError } from "../../../src/errors.ts"
import type {
  DeviceRecord,
  Journal,
  JournalRecord,
  PolicyRecord,
  Registry,
  TrustStore,
} from "../../../src/service/ports.ts"
import { laterCounters } from "../../../src/store/counters.ts"
import type { JournalReader } from "../../../src/store/journal.ts"
import type { TrustOptions } from "../../../src/store/trust.ts"
import { memoryTrust } from "./memory-trust.ts"

/** Registry, trust and journal in memory. */
export interface MemoryStore {
  readonly registry: Registry
  readonly trust: TrustStore
  readonly journal: Journal & JournalReader
}

/** Keys of several parts: an array has one JSON spelling, and no part can run into the next. */
const keyOf = (...parts: readonly string[]): string => JSON.stringify(parts)

/** Registry, trust and journal in memory, for tests. Passes the suites that every adapter passes. */
export const memoryStore = (options: TrustOptions = {}): MemoryStore => {
  const { trust, stateOf } = memoryTrust(options)
  const devices = new Map<string, DeviceRecord>()
  const policies = new Map<string, readonly PolicyRecord[]>()
  const defaults = new Map<string, string>()
  const records: JournalRecord[] = []

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
    [...devices.values()].find((d) => d.tenant === tenant && toHex(d.akName) === toHex(akName))
  const assignedTo = ({ tenant, policy: own }: DeviceRecord): PolicyRecord | undefined => {
    const name = own ?? defaults.get(tenant)
    return name === undefined ? undefined : policy(tenant, name)
  }

  const registry: Registry = {
    async snapshotFor(tenant, akName) {
      const found = byName(tenant, akName)
      if (found === undefined) throw new AssayError("DEVICE_NOT_FOUND", "no device has this key")
      const { generation, anchors } = stateOf(tenant)
      return { device: found, policy: assignedTo(found), trustGeneration: generation, anchors }
    },
    async registerDevice(fresh) {
      const key = keyOf(fresh.tenant, fresh.id)
      if (devices.has(key) || byName(fresh.tenant, fresh.akName) !== undefined)
        throw new AssayError("DEVICE_EXISTS", "the device is registered already")
      const made = {
        ...fresh,
        akPublic: fresh.akPublic.slice(),
        akName: fresh.akName.slice(),
        qualifiedName: fresh.qualifiedName?.slice(),
        endorsement: {
          ekCertificateChain: fresh.endorsement.ekCertificateChain.map((certificate) => certificate.slice()),
          akCertificateChain: fresh.endorsement.akCertificateChain.map((certificate) => certificate.slice()),
          ekDigest: fresh.endorsement.ekDigest?.slice(),
        },
        policy: undefined,
        revision: 1,
        counters: undefined,
      }
      devices.set(key, made)
      return made
    },
    device: async (tenant, id) => device(tenant, id),
    async setPolicy(fresh) {
      const key = keyOf(fresh.tenant, fresh.name)
      const before = policies.get(key) ?? []
      const made = { ...fresh, digest: fresh.digest.slice(), revision: before.length + 1 }
      policies.set(key, [...before, made])
      return made
    },
    policy: async (tenant, name) => policy(tenant, name),
    async defaultPolicy(tenant) {
      const name = defaults.get(tenant)
      return name === undefined ? undefined : policy(tenant, name)
    },
    async assignPolicy(tenant, name, id) {
      policy(tenant, name)
      if (id === undefined) {
        defaults.set(tenant, name)
        return
      }
      const before = device(tenant, id)
      devices.set(keyOf(tenant, id), { ...before, policy: name, revision: before.revision + 1 })
    },
  }

  const journal: Journal & JournalReader = {
    async append(record, commit) {
      if (commit !== undefined) {
        const key = keyOf(record.tenant, commit.device)
        const now = devices.get(key)
        const assigned = now === undefined ? undefined : assignedTo(now)
        const { revisions, counters } = commit
        if (
          now?.revision !== revisions.device ||
          assigned?.name !== revisions.policy?.name ||
          assigned?.revision !== revisions.policy?.revision ||
          (revisions.trust !== undefined && revisions.trust !== stateOf(record.tenant).generation)
        )
          throw new AssayError("SNAPSHOT_MOVED", "the device, its policy or trust changed meanwhile")
        if (counters !== undefined)
          devices.set(key, { ...now, counters: laterCounters(now.counters, counters, commit.known) })
      }
      records.push(record)
    },
    records: async (tenant, { limit = 100 } = {}) =>
      records.filter((record) => record.tenant === tenant).slice(-limit),
  }
  return { registry, trust, journal }
}
