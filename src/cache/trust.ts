import { hash } from "node:crypto"
import { LRUCache } from "lru-cache"
import { lengthPrefixed, utf8 } from "../bytes.ts"
import type { LoadTrust } from "../service/ports.ts"
import type { Trust } from "../verification/trust.ts"
import { createFlights } from "./flights.ts"

/** A `LoadTrust` that remembers, and its counts since the start. */
export interface CachedLoadTrust {
  readonly loadTrust: LoadTrust
  /** Calls that were answered at once. */
  readonly hits: number
  /** Calls that had to wait for a load, be it another's. */
  readonly misses: number
  /** How many tenants' trust it holds. */
  readonly size: number
}

interface Entry {
  readonly tenant: string
  readonly generation: number
  readonly trust: Trust
}

/**
 * Wraps `load` so that each generation of a tenant's trust is loaded once, however many ask for it at the same time. It
 * holds one generation of each of the last `max` tenants, the newest; a failure is tried again each time.
 */
export function cachedLoadTrust(load: LoadTrust, { max }: { readonly max: number }): CachedLoadTrust {
  const ready = new LRUCache<string, Entry>({ max })
  const flights = createFlights<Trust>()
  let hits = 0
  let misses = 0

  const keep = (key: string, entry: Entry): void => {
    for (const [otherKey, other] of [...ready.entries()]) {
      if (other.tenant !== entry.tenant) continue
      if (other.generation > entry.generation) return
      ready.delete(otherKey)
    }
    ready.set(key, entry)
  }
  const loadAndKeep = async (key: string, tenant: string, generation: number): Promise<Trust> => {
    const trust = await load(tenant, generation)
    keep(key, { tenant, generation, trust })
    return trust
  }
  return {
    async loadTrust(tenant, generation) {
      const key = keyOf(tenant, generation)
      const known = ready.get(key)
      if (known !== undefined) {
        hits++
        return known.trust
      }
      misses++
      return flights.join(key, () => loadAndKeep(key, tenant, generation))
    },
    get hits() {
      return hits
    },
    get misses() {
      return misses
    },
    get size() {
      return ready.size
    },
  }
}

/** SHA-256 over everything that trust is loaded by, the tenant first. */
const keyOf = (tenant: string, generation: number): string =>
  hash("sha256", lengthPrefixed(utf8(tenant), utf8(String(generation))), "base64url")
