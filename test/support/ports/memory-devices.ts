import { sameBytes, toHex } from "../../../src/bytes.ts"
import { AssayError } from "../../../src/errors.ts"
import { checkSameInstance } from "../../../src/service/instance.ts"
import type {
  DeviceFilter,
  DeviceKeys,
  DeviceRecord,
  Devices,
  EnrollmentTokenRecord,
  PermittedKey,
  Revocation,
} from "../../../src/service/ports.ts"
import { changedDevice, isFinal } from "../../../src/store/device-state.ts"
import { checkGeneration } from "../../../src/store/trust-state.ts"
import type { Note } from "./memory-trust.ts"

/** What devices in memory share with the rest of the store. */
export interface MemoryParts {
  /** By tenant and id. */
  readonly devices: Map<string, DeviceRecord>
  readonly keyOf: (...parts: readonly string[]) => string
  readonly note: Note
  readonly revisionOf: (tenant: string) => number
  readonly generationOf: (tenant: string) => number
  /** @throws {AssayError} POLICY_NOT_FOUND. */
  readonly policy: (tenant: string, name: string) => unknown
}

type Token = EnrollmentTokenRecord

/** Devices in memory, for tests. Passes the suite that every adapter passes. */
export const memoryDevices = (parts: MemoryParts) => {
  const { devices, keyOf, note, revisionOf, generationOf, policy } = parts
  const removed = new Set<string>()
  const tokens = new Map<string, Token>()
  const revocations: (Revocation & { readonly sequence: number })[] = []

  const all = (tenant: string): readonly DeviceRecord[] =>
    [...devices.values()].filter((device) => device.tenant === tenant)
  const deviceOf = (tenant: string, id: string): DeviceRecord => {
    const found = devices.get(keyOf(tenant, id))
    if (found === undefined) throw new AssayError("DEVICE_NOT_FOUND", "there is no such device")
    return found
  }
  /** Whether one of these keys is another device's. */
  const isTaken = (tenant: string, id: string, { akName, ek }: DeviceKeys): boolean =>
    all(tenant).some(
      (other) =>
        other.id !== id &&
        ((akName.length > 0 && sameBytes(other.akName, akName)) ||
          (ek !== undefined && other.ek !== undefined && sameBytes(other.ek, ek))),
    )
  const put = (device: DeviceRecord): DeviceRecord => {
    if (isTaken(device.tenant, device.id, device)) throw exists()
    const { permit } = device
    const isGranted = all(device.tenant).some(
      (other) => other.id !== device.id && permit && other.permit && isFor(other.permit, permit),
    )
    if (isGranted) throw exists()
    devices.set(keyOf(device.tenant, device.id), structuredClone(device))
    return device
  }
  const add = (device: DeviceRecord, location?: string): DeviceRecord => {
    const key = keyOf(device.tenant, device.id)
    if (devices.has(key) || removed.has(key) || isTaken(device.tenant, device.id, device))
      throw exists(location)
    return put(device)
  }
  const endSessions = ({ tenant, id: device, revision: fromRevision }: DeviceRecord, at: Date): void => {
    revocations.push({ tenant, device, fromRevision, at, sequence: revisionOf(tenant) + 1 })
  }
  const made = ({ id, revision }: DeviceRecord, trust?: number) => ({
    device: id,
    revisions: { device: revision, policy: undefined, trust },
  })
  const usable = (tenant: string, id: string, at: Date): Token => {
    const token = tokens.get(keyOf(tenant, id))
    if (token === undefined || token.revoked || token.uses >= token.usesMax || token.expiresAt <= at)
      throw new AssayError("ENROLLMENT_TOKEN", "the enrollment token is of no use")
    return token
  }

  const port: Devices = {
    async enroll(fresh, act) {
      const { tenant, trust, ...described } = fresh
      checkGeneration(generationOf(tenant), trust)
      const token = fresh.token === undefined ? undefined : usable(tenant, fresh.token, act.at)
      const permitted = all(tenant).find(
        ({ permit }) => permit && isFor(permit, wantedBy(fresh)) && permit.expiresAt > act.at,
      )
      if (permitted !== undefined && isFinal(permitted.state)) throw exists()
      if (permitted !== undefined) checkSameInstance(permitted, fresh.endorsement)
      const shown = { ...keysOf(fresh), claimedName: fresh.claimedName, counters: fresh.counters }
      const device: DeviceRecord =
        permitted === undefined
          ? {
              ...described,
              ...(token && { group: token.group, labels: token.labels }),
              tenant,
              policy: undefined,
              permit: undefined,
              lastResult: undefined,
              revision: 1,
            }
          : {
              ...permitted,
              ...shown,
              token: fresh.token ?? permitted.token,
              permit: undefined,
              revision: permitted.revision + 1,
            }
      if (permitted === undefined) add(device)
      else {
        put(device)
        endSessions(device, act.at)
      }
      if (token !== undefined) tokens.set(keyOf(tenant, token.id), { ...token, uses: token.uses + 1 })
      note(tenant, act, made(device, trust))
      return device
    },
    async change(tenant, id, revision, change, act) {
      const before = deviceOf(tenant, id)
      checkRevision(before, revision)
      const after = changedDevice(before, change)
      if (change.policy?.name !== undefined) policy(tenant, change.policy.name)
      put(after)
      if (change.endsSessions === true) endSessions(after, act.at)
      note(tenant, act, made(after))
      return after
    },
    async remove(tenant, id, revision, act) {
      const before = deviceOf(tenant, id)
      checkRevision(before, revision)
      const gone = { ...before, revision: before.revision + 1 }
      devices.delete(keyOf(tenant, id))
      removed.add(keyOf(tenant, id))
      endSessions(gone, act.at)
      note(tenant, act, made(gone))
    },
    async list(tenant, { filter, order, descending, after, max }) {
      const spot = ({ id, createdAt }: { readonly id: string; readonly createdAt: Date }): string =>
        order === "id" ? id : `${createdAt.toISOString()} ${id}`
      const sorted = all(tenant)
        .filter((device) => fits(device, filter))
        .sort((a, b) => (spot(a) < spot(b) ? -1 : 1))
      const directed = descending ? sorted.reverse() : sorted
      const rest = directed.filter(
        (device) =>
          after === undefined || (descending ? spot(device) < spot(after) : spot(device) > spot(after)),
      )
      const page = rest.slice(0, Math.min(Math.max(1, max), 1000))
      const last = page.at(-1)
      const next = rest.length > page.length && last ? { id: last.id, createdAt: last.createdAt } : undefined
      return { devices: page, next }
    },
    async import(tenant, imported, act) {
      for (const { policy: name } of imported) if (name !== undefined) policy(tenant, name)
      const before = new Map(devices)
      let added = 0
      try {
        for (const [i, device] of imported.entries()) {
          const known = devices.get(keyOf(tenant, device.id))
          if (known !== undefined && hasKeys(known, device)) continue
          const fresh = { ...device, tenant, revision: 1, token: undefined, permit: undefined }
          add({ ...fresh, lastResult: undefined }, `devices[${i}]`)
          added++
        }
      } catch (error) {
        devices.clear()
        for (const [key, device] of before) devices.set(key, device)
        throw error
      }
      note(tenant, act, {})
      return { added }
    },
    revocations: async (tenant, after, max) =>
      revocations.filter((one) => one.tenant === tenant && one.sequence > after).slice(0, max),
    async addEnrollmentToken(token, act) {
      tokens.set(keyOf(token.tenant, token.id), { ...structuredClone(token), uses: 0, revoked: false })
      note(token.tenant, act, {})
    },
    enrollmentToken: async (digest) => [...tokens.values()].find((one) => sameBytes(one.digest, digest)),
    enrollmentTokens: async (tenant, after, max) =>
      [...tokens.values()]
        .filter((one) => one.tenant === tenant && one.id > after)
        .sort((a, b) => (a.id < b.id ? -1 : 1))
        .slice(0, max),
    async revokeEnrollmentToken(tenant, id, act) {
      const token = tokens.get(keyOf(tenant, id))
      if (token === undefined) throw new AssayError("ENROLLMENT_TOKEN_NOT_FOUND", "there is no such token")
      tokens.set(keyOf(tenant, id), { ...token, revoked: true })
      note(tenant, act, {})
    },
    revision: async (tenant) => revisionOf(tenant),
  }
  return { devices: port, add }
}

/** What its permit must name for a device to come with these keys. */
const wantedBy = ({ ek, akName }: DeviceKeys): PermittedKey => (ek === undefined ? { akName } : { ek })

const isFor = (a: PermittedKey, b: PermittedKey): boolean =>
  (a.ek !== undefined && b.ek !== undefined && sameBytes(a.ek, b.ek)) ||
  (a.akName !== undefined && b.akName !== undefined && sameBytes(a.akName, b.akName))

const exists = (location?: string): AssayError =>
  new AssayError("DEVICE_EXISTS", "it is there already", location === undefined ? {} : { location })

const checkRevision = ({ revision }: DeviceRecord, expected: number | undefined): void => {
  if (expected !== undefined && expected !== revision)
    throw new AssayError("ETAG", "the device was changed meanwhile")
}

const keysOf = ({ akPublic, akName, qualifiedName, ek, binding, endorsement }: DeviceKeys): DeviceKeys => ({
  akPublic,
  akName,
  qualifiedName,
  ek,
  binding,
  endorsement,
})

const hasKeys = (a: DeviceKeys, b: DeviceKeys): boolean =>
  [a, b]
    .map(({ akPublic, akName, ek }) => [akPublic, akName, ek].map((one) => one && toHex(one)).join())
    .every((keys, _, [first]) => keys === first)

const fits = (device: DeviceRecord, filter: DeviceFilter): boolean => {
  const seen = device.lastResult?.admittedAt
  const { state, group, policy, label, idPrefix = "", silentSince, seenSince } = filter
  return (
    (state === undefined || device.state === state) &&
    (group === undefined || device.group === group) &&
    (policy === undefined || device.policy === policy) &&
    (label === undefined || device.labels.get(label.key) === label.value) &&
    device.id.startsWith(idPrefix) &&
    (silentSince === undefined || seen === undefined || seen < silentSince) &&
    (seenSince === undefined || (seen !== undefined && seen >= seenSince))
  )
}
