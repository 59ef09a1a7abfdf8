import { hash } from "node:crypto"
import { toHex } from "../../../src/bytes.ts"
import { AssayError } from "../../../src/errors.ts"
import type {
  Act,
  AnchorRecord,
  CrlRecord,
  IntermediateRecord,
  ListedEk,
  PendingIssuer,
  TrustState,
  TrustStore,
} from "../../../src/service/ports.ts"
import { shownPart } from "../../../src/store/chain.ts"
import type { Made } from "../../../src/store/journal-append.ts"
import { PENDING_MAX } from "../../../src/store/pending.ts"
import type { TrustOptions } from "../../../src/store/trust.ts"
import { checkBounds, checkGeneration, TRUST_BOUNDS, trustNotFound } from "../../../src/store/trust-state.ts"

/** One tenant's. Never changed in place: a failing import leaves the one before. */
interface Shelf {
  readonly generation: number
  readonly anchors: ReadonlyMap<string, AnchorRecord>
  readonly intermediates: ReadonlyMap<string, IntermediateRecord>
  /** By source. */
  readonly crls: ReadonlyMap<string, CrlRecord>
  /** By digest in hexadecimal. */
  readonly eks: ReadonlyMap<string, ListedEk>
}

const EMPTY: Shelf = {
  generation: 0,
  anchors: new Map(),
  intermediates: new Map(),
  crls: new Map(),
  eks: new Map(),
}

/** Puts an administrative act on record. */
export type Note = (tenant: string, act: Act, made: Made) => void

const madeOf = (generation: number): Made => ({
  revisions: { device: undefined, policy: undefined, trust: generation },
})

/** The trust store in memory, and what snapshots and commits need of it. */
export interface MemoryTrust {
  readonly trust: TrustStore
  stateOf(tenant: string): TrustState
}

/** The trust store in memory, for tests. Passes the suite that every adapter passes. */
export const memoryTrust = (options: TrustOptions = {}, note: Note = () => {}): MemoryTrust => {
  const bounds = { ...TRUST_BOUNDS, ...options.bounds }
  const pendingMax = options.pendingMax ?? PENDING_MAX
  const shelves = new Map<string, Shelf>()
  const pending = new Map<string, ReadonlyMap<string, PendingIssuer>>()
  const shelfOf = (tenant: string): Shelf => shelves.get(tenant) ?? EMPTY
  const stateOf = (tenant: string) => {
    const { generation, anchors, intermediates, crls, eks } = shelfOf(tenant)
    return {
      generation,
      anchors: anchors.size,
      intermediates: intermediates.size,
      crls: crls.size,
      eks: eks.size,
    }
  }

  const trust: TrustStore = {
    trustState: async (tenant) => stateOf(tenant),
    async trust(tenant) {
      const { generation, anchors, intermediates, crls } = shelfOf(tenant)
      return {
        generation,
        anchors: sorted(anchors),
        intermediates: sorted(intermediates),
        crls: sorted(crls),
      }
    },
    async importTrust(tenant, parts, act, expectedGeneration) {
      const { at } = act
      const before = shelfOf(tenant)
      checkGeneration(before.generation, expectedGeneration)
      const anchors = new Map(before.anchors)
      const intermediates = new Map(before.intermediates)
      const crls = new Map(before.crls)
      const eks = new Map(before.eks)
      let added = 0
      let changed = 0
      for (const anchor of new Map(parts.anchors.map((one) => [one.id, one])).values()) {
        const certificate = checked(anchor.id, anchor.certificate)
        const old = anchors.get(anchor.id)
        if (old !== undefined && settingsOf(old) === settingsOf(anchor)) continue
        anchors.set(anchor.id, { ...anchor, certificate, tenant, addedAt: old?.addedAt ?? at })
        if (old === undefined) added++
        else changed++
      }
      for (const one of parts.intermediates) {
        const certificate = checked(one.id, one.certificate)
        if (intermediates.has(one.id)) continue
        intermediates.set(one.id, { ...one, certificate, tenant, addedAt: at })
        added++
      }
      for (const list of new Map(parts.crls.map((one) => [one.source, one])).values()) {
        const crl = checked(list.id, list.crl)
        if (crls.get(list.source)?.id === list.id) continue
        crls.set(list.source, { ...list, crl, tenant, addedAt: at })
        added++
      }
      for (const ek of parts.eks) {
        const key = toHex(ek.digest)
        if (eks.has(key)) continue
        eks.set(key, { ...ek, digest: ek.digest.slice(), tenant, addedAt: at })
        added++
      }
      const crlBytes = [...crls.values()].reduce((sum, { crl }) => sum + crl.length, 0)
      checkBounds(
        {
          anchors: anchors.size,
          intermediates: intermediates.size,
          crls: crls.size,
          crlBytes,
          eks: eks.size,
        },
        bounds,
      )
      const generation = before.generation + (added + changed > 0 ? 1 : 0)
      shelves.set(tenant, { generation, anchors, intermediates, crls, eks })
      note(tenant, act, madeOf(generation))
      return { generation, added, changed }
    },
    async removeTrust(tenant, id, act) {
      const { generation, anchors, intermediates, crls, eks } = shelfOf(tenant)
      const sources = [...crls.values()].filter((list) => list.id === id).map(({ source }) => source)
      if (!anchors.has(id) && !intermediates.has(id) && !eks.has(id) && sources.length === 0)
        throw trustNotFound(id)
      shelves.set(tenant, {
        generation: generation + 1,
        anchors: without(anchors, [id]),
        intermediates: without(intermediates, [id]),
        crls: without(crls, sources),
        eks: without(eks, [id]),
      })
      note(tenant, act, madeOf(generation + 1))
      return { generation: generation + 1 }
    },
    listedEk: async (tenant, digest) => shelfOf(tenant).eks.get(toHex(digest)),
    listedEks: async (tenant, after, max) =>
      sorted(shelfOf(tenant).eks)
        .filter(({ digest }) => after === undefined || toHex(digest) > toHex(after))
        .slice(0, Math.min(Math.max(1, max), 1000)),
    async notePending(tenant, { id, issuer, chain }, at) {
      if (!/^[0-9a-f]{64}$/.test(id)) throw new AssayError("REGISTRY", "that is no id")
      const before = pending.get(tenant) ?? new Map()
      const old = before.get(id)
      const others = byLastSeen(without(before, [id]))
      const entry =
        old === undefined
          ? {
              tenant,
              id,
              issuer,
              chain: shownPart(chain).map((certificate) => certificate.slice()),
              firstSeenAt: at,
              lastSeenAt: at,
              count: 1,
            }
          : { ...old, lastSeenAt: at > old.lastSeenAt ? at : old.lastSeenAt, count: old.count + 1 }
      const kept = [entry, ...others.slice(0, pendingMax - 1)]
      pending.set(tenant, new Map(kept.map((one) => [one.id, one])))
    },
    pendingIssuers: async (tenant) =>
      byLastSeen(pending.get(tenant) ?? new Map()).map(({ chain: _, ...entry }) => entry),
    async pendingIssuer(tenant, id) {
      const found = pending.get(tenant)?.get(id)
      if (found === undefined) throw trustNotFound(id)
      return found
    },
    countPending: async (tenant) => pending.get(tenant)?.size ?? 0,
    async dismissPending(tenant, id, act) {
      const before = pending.get(tenant)
      if (before?.has(id) !== true) throw trustNotFound(id)
      pending.set(tenant, without(before, [id]))
      note(tenant, act, {})
    },
  }
  return { trust, stateOf }
}

const settingsOf = ({ label, purpose, revocation, provenance }: Omit<AnchorRecord, "tenant" | "addedAt">) =>
  JSON.stringify([label, purpose, revocation, provenance])

/** A copy of what has this id. */
const checked = (id: string, bytes: Uint8Array): Uint8Array => {
  if (hash("sha256", bytes, "hex") !== id)
    throw new AssayError("REGISTRY", "an id is not the digest of its bytes")
  return bytes.slice()
}

const without = <T>(map: ReadonlyMap<string, T>, keys: readonly string[]): ReadonlyMap<string, T> =>
  new Map([...map].filter(([key]) => !keys.includes(key)))

const sorted = <T>(map: ReadonlyMap<string, T>): readonly T[] =>
  [...map].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value)

const byLastSeen = (map: ReadonlyMap<string, PendingIssuer>): readonly PendingIssuer[] =>
  sorted(map).toSorted((a, b) => b.lastSeenAt.getTime() - a.lastSeenAt.getTime())
