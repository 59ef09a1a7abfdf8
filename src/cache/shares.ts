import { LRUCache } from "lru-cache"

/** What a cache may hold, of all tenants together. */
export interface ShareBounds<V> {
  readonly max: number
  /** Bytes, by the estimate of `sizeOf`. */
  readonly maxBytes: number
  readonly sizeOf: (value: V) => number
}

/** A cache whose tenants cannot take everything from one another. */
export interface Shares<V> {
  get(tenant: string, key: string): V | undefined
  /** The same, without counting as a use. */
  peek(tenant: string, key: string): V | undefined
  set(tenant: string, key: string, value: V): void
  delete(tenant: string, key: string): void
  /** Values that had to go for others. */
  readonly evictions: number
  readonly size: number
}

/** Tenants whose values are kept at a time. */
const TENANTS_MAX = 1000

/**
 * Remembers values by tenant and key, the lately used ones. When all of them are too many, or too large, the tenant that has
 * the most gives up its oldest: one that shows a million devices takes nothing from another that has a thousand.
 */
export function createShares<V extends object>({ max, maxBytes, sizeOf }: ShareBounds<V>): Shares<V> {
  let [size, bytes, evictions] = [0, 0, 0]
  const evicted = (_value: V, _key: string, reason: LRUCache.DisposeReason): void => {
    if (reason === "evict") evictions += 1
  }
  const drop = (one: LRUCache<string, V>): void => {
    size -= one.size
    bytes -= one.calculatedSize
    evictions += one.size
  }
  const tenants = new LRUCache<string, LRUCache<string, V>>({ max: TENANTS_MAX, dispose: drop })

  const largest = (): LRUCache<string, V> | undefined => {
    let found: LRUCache<string, V> | undefined
    for (const one of tenants.values())
      if (found === undefined || one.calculatedSize > found.calculatedSize) found = one
    return found
  }
  const change = (one: LRUCache<string, V>, act: () => void): void => {
    size -= one.size
    bytes -= one.calculatedSize
    act()
    size += one.size
    bytes += one.calculatedSize
  }
  return {
    get: (tenant, key) => tenants.get(tenant)?.get(key),
    peek: (tenant, key) => tenants.peek(tenant)?.peek(key),
    set(tenant, key, value) {
      let one = tenants.get(tenant)
      if (one === undefined) {
        one = new LRUCache<string, V>({
          max,
          maxSize: maxBytes,
          sizeCalculation: (value) => sizeOf(value),
          dispose: evicted,
        })
        tenants.set(tenant, one)
      }
      const own = one
      change(own, () => own.set(key, value))
      while (size > max || bytes > maxBytes) {
        const from = largest()
        if (from === undefined || from.size === 0) break
        change(from, () => from.pop())
      }
    },
    delete(tenant, key) {
      const one = tenants.peek(tenant)
      if (one !== undefined) change(one, () => one.delete(key))
    },
    get evictions() {
      return evictions
    },
    get size() {
      return size
    },
  }
}
