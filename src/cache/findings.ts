import { LRUCache } from "lru-cache"
import type { Measure } from "../appraisal/appraise.ts"
import type { Finding } from "../appraisal/finding.ts"
import type { Policy } from "../appraisal/policy.ts"

/** A `Measure` that remembers, and its counts since the start. */
export interface CachedMeasure {
  readonly measure: Measure
  readonly hits: number
  readonly misses: number
  readonly evictions: number
  readonly size: number
}

/**
 * Wraps `measure` so that the same quoted values are judged once by each policy, whichever device shows them: a fleet that
 * boots alike has few.
 *
 * The key is all that the rules read: the policy as an object, which stands for one revision of one tenant and is never
 * changed; which PCRs of which banks were quoted, by which hash and to which digest, for that stands for their values; and
 * which banks a log led to. Findings say nothing of whose they are.
 */
export function cachedMeasure(measure: Measure, { max }: { readonly max: number }): CachedMeasure {
  let [hits, misses, evictions, policies] = [0, 0, 0, 0]
  const numbers = new WeakMap<Policy, number>()
  const known = new LRUCache<string, readonly Finding[]>({
    max,
    dispose: (_findings, _key, reason) => {
      if (reason === "evict") evictions++
    },
  })
  const numberOf = (policy: Policy): number => {
    const found = numbers.get(policy)
    if (found !== undefined) return found
    numbers.set(policy, ++policies)
    return policies
  }
  return {
    measure(quote, measured, policy) {
      const selection = quote.pcrSelect.map(({ hash, pcrs }) => `${hash}:${pcrs.join()}`).join(" ")
      const { buffer, byteOffset, length } = quote.pcrDigest
      const digest = Buffer.from(buffer, byteOffset, length).toString("latin1")
      const log = measured.replay === undefined ? "none" : [...measured.replay.explained.keys()].join()
      const key = [numberOf(policy), quote.hash, selection, log, digest].join("|")
      const found = known.get(key)
      if (found !== undefined) {
        hits++
        return found
      }
      misses++
      const findings = measure(quote, measured, policy)
      // A rule that failed may not fail again.
      if (findings.every(({ code }) => code !== "RULE_FAILED")) known.set(key, findings)
      return findings
    },
    get hits() {
      return hits
    },
    get misses() {
      return misses
    },
    get evictions() {
      return evictions
    },
    get size() {
      return known.size
    },
  }
}
