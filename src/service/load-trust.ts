import { LRUCache } from "lru-cache"
import { AssayError, type Code } from "../errors.ts"
import { createTrust, type Trust } from "../verification/trust.ts"
import type { DeniedKeys } from "../verification/weak-key.ts"
import type { ParsedTrust, ParseTrust } from "./parse-trust.ts"
import type { Clock, LoadTrust, TrustRecord, TrustStore } from "./ports.ts"

/** What trust is made from. */
export interface TrustParts {
  readonly store: Pick<TrustStore, "trust">
  readonly parse: ParseTrust
  readonly denied: DeniedKeys
  readonly clock: Clock
  /** For how long a generation that is still current is used while the store cannot be read. */
  readonly staleMaxMs?: number
}

/** Loads trust, and tells when it could not. */
export interface TrustLoader {
  readonly loadTrust: LoadTrust
  /** Why trust could not be loaded lately. Nothing if it could. */
  unready(): string | undefined
}

/** A store that answers from a copy may be behind for a moment; longer, and it is not to be relied on. */
const READS_MAX = 3
const STALE_MS_MAX = 300_000
/** Tenants whose trust is held against a store that fails. */
const TENANTS_MAX = 100

interface Good {
  readonly generation: number
  readonly trust: Trust
  readonly readAt: number
}

/**
 * Makes a tenant's trust ready: all that the store has of one generation, or nothing.
 *
 * Of a store that cannot be read, the last good trust is used for a while longer, if it is of the very generation that
 * is asked for; never one of which it is known that another came after it. What the store has and nobody can read fails
 * the whole load: fewer anchors, or fewer CRLs, are never taken for all of them.
 *
 * `loadTrust` throws TRUST for what cannot be read; SNAPSHOT_MOVED if the store is past the generation that was asked for;
 * REGISTRY if it cannot be read, or is not there yet.
 */
export function createLoadTrust(parts: TrustParts): TrustLoader {
  const { store, parse, denied, clock, staleMaxMs = STALE_MS_MAX } = parts
  const lastGood = new LRUCache<string, Good>({ max: TENANTS_MAX })
  const failures = new LRUCache<string, { readonly code: Code; readonly at: number }>({ max: TENANTS_MAX })

  const newestOf = (tenant: string): number => lastGood.peek(tenant)?.generation ?? 0
  const fail = (tenant: string, generation: number, error: unknown): Code => {
    const code = error instanceof AssayError ? error.code : "INTERNAL"
    if (generation >= newestOf(tenant)) failures.set(tenant, { code, at: clock.now().getTime() })
    return code
  }
  const stillGood = (tenant: string, generation: number): Trust | undefined => {
    const good = lastGood.get(tenant)
    const age = clock.now().getTime() - (good?.readAt ?? 0)
    return good?.generation === generation && age >= 0 && age <= staleMaxMs ? good.trust : undefined
  }
  return {
    async loadTrust(tenant, generation) {
      let record: TrustRecord
      try {
        record = await readGeneration(store, tenant, generation)
      } catch (error) {
        const code = fail(tenant, generation, error)
        const good = code === "REGISTRY" ? stillGood(tenant, generation) : undefined
        if (good === undefined) throw error
        return good
      }
      if (record.generation !== generation) throw another(generation, record.generation)
      try {
        const trust = trustOf(await parse(tenant, record), denied)
        failures.delete(tenant)
        if (generation >= newestOf(tenant))
          lastGood.set(tenant, { generation, trust, readAt: clock.now().getTime() })
        return trust
      } catch (error) {
        fail(tenant, generation, error)
        throw error
      }
    },
    // A failure is forgotten after a while, or a server that gets no calls for being unready would stay so.
    unready() {
      const now = clock.now().getTime()
      const recent = [...failures.values()].filter(({ at }) => now - at <= staleMaxMs)
      if (recent.length === 0) return undefined
      return `trust could not be loaded: ${[...new Set(recent.map(({ code }) => code))].join(", ")}`
    },
  }
}

/** Indexes what was parsed. */
export const trustOf = (parsed: ParsedTrust, denied: DeniedKeys): Trust =>
  createTrust({
    anchors: parsed.anchors,
    intermediates: parsed.intermediates.map(({ certificate }) => certificate),
    crls: parsed.crls.map(({ crl }) => crl),
    denied,
  })

/** The record of this generation, or of another one if the store has no other, or not yet. */
const readGeneration = async (
  store: TrustParts["store"],
  tenant: string,
  generation: number,
): Promise<TrustRecord> => {
  let record = await store.trust(tenant)
  for (let reads = 1; reads < READS_MAX && record.generation < generation; reads++)
    record = await store.trust(tenant)
  return record
}

/** A generation that is over is another's snapshot; one that is not there yet is a store that is behind. */
const another = (expected: number, actual: number): AssayError =>
  new AssayError(
    actual > expected ? "SNAPSHOT_MOVED" : "REGISTRY",
    "the store has another generation of trust than the one that is asked for",
    {
      location: "trust",
      expected: String(expected),
      actual: String(actual),
    },
  )
