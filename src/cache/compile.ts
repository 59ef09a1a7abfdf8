import { hash } from "node:crypto"
import { LRUCache } from "lru-cache"
import { lengthPrefixed, utf8 } from "../bytes.ts"
import type { Compile, Context, Snapshot } from "../service/ports.ts"

/** A `Compile` that remembers, and its counts since the start. */
export interface CachedCompile {
  readonly compile: Compile
  readonly hits: number
  readonly misses: number
  /** How many contexts it holds. */
  readonly size: number
}

/**
 * Wraps `compile` so that the key and the policy of a device are made ready once for each revision of both. It
 * remembers the last `max` successes; a failure is worked out again each time. What was remembered comes back
 * with the snapshot that was asked with: counters in it are new in each.
 */
export function cachedCompile(compile: Compile, { max }: { readonly max: number }): CachedCompile {
  const ready = new LRUCache<string, Omit<Context, "snapshot">>({ max })
  let hits = 0
  let misses = 0
  return {
    compile(snapshot) {
      const key = keyOf(snapshot)
      const known = ready.get(key)
      if (known !== undefined) {
        hits++
        return { snapshot, ...known }
      }
      misses++
      const { snapshot: _, ...made } = compile(snapshot)
      ready.set(key, made)
      return { snapshot, ...made }
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

/**
 * SHA-256 over everything that the key and the policy are made of, the tenant first. A document is named by its
 * digest. No policy has no parts, so it is told from a policy by their number.
 */
const keyOf = ({ device, policy }: Snapshot): string =>
  hash(
    "sha256",
    lengthPrefixed(
      utf8(device.tenant),
      utf8(device.id),
      device.akName,
      device.akPublic,
      utf8(String(device.revision)),
      ...(policy === undefined
        ? []
        : [utf8(policy.tenant), utf8(policy.name), utf8(String(policy.revision)), policy.digest]),
    ),
    "base64url",
  )
