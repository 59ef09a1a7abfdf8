import type { Measure } from "../appraisal/appraise.ts"
import type { CompiledPolicy } from "../appraisal/compile.ts"
import type { Finding } from "../appraisal/finding.ts"
import { latin1 } from "../bytes.ts"
import { createShares } from "./shares.ts"

/** A `Measure` that remembers, and its counts since the start. */
export interface CachedMeasure {
  readonly measure: Measure
  readonly hits: number
  readonly misses: number
  readonly evictions: number
  readonly size: number
}

/** What is remembered at most, by all policies together. */
export interface FindingBounds {
  readonly max: number
  /** What it takes, in bytes, as an estimate. */
  readonly maxBytes: number
}

/** What findings take: their key, the list, most of whose members are shared with all others, and what is around them. */
const ENTRY_BYTES = 500
/** A finding that has something to say. */
const FINDING_BYTES = 500

/**
 * Wraps `measure` so that the same quoted values are judged once by each policy, whichever device shows them: a fleet that
 * boots alike has few.
 *
 * The key is all that the rules read: the policy as an object, which stands for one revision of one tenant and is never
 * changed; which PCRs of which banks were quoted, by which hash and to which digest, for that stands for their values; and
 * which banks a log led to. Findings say nothing of whose they are. Each policy has a share: one by which no two devices are
 * alike takes nothing from others.
 */
export function cachedMeasure(measure: Measure, bounds: FindingBounds): CachedMeasure {
  let [hits, misses, policies] = [0, 0, 0]
  const shares = new WeakMap<CompiledPolicy, string>()
  const known = createShares<readonly Finding[]>({ ...bounds, sizeOf })
  const shareOf = (policy: CompiledPolicy): string => {
    const found = shares.get(policy)
    if (found !== undefined) return found
    const share = String(++policies)
    shares.set(policy, share)
    return share
  }
  return {
    measure(quote, measured, policy) {
      const share = shareOf(policy)
      const key = keyOf(quote, measured)
      const found = known.get(share, key)
      if (found !== undefined) {
        hits++
        return found
      }
      misses++
      const findings = measure(quote, measured, policy)
      // A rule that failed may not fail again.
      if (findings.every(({ code }) => code !== "RULE_FAILED")) known.set(share, key, findings)
      return findings
    },
    get hits() {
      return hits
    },
    get misses() {
      return misses
    },
    get evictions() {
      return known.evictions
    },
    get size() {
      return known.size
    },
  }
}

/** All that the rules read of what was measured: see `cachedMeasure`. The digest has one character a byte. */
const keyOf = (
  { hash, pcrSelect, pcrDigest }: Parameters<Measure>[0],
  { replay }: Parameters<Measure>[1],
): string => {
  let selection = ""
  for (const { hash: bank, pcrs } of pcrSelect) selection += ` ${bank}:${bitmapOf(pcrs)}`
  const log = replay === undefined ? "none" : [...replay.explained.keys()].join()
  return [hash, selection, log, latin1(pcrDigest)].join("|")
}

/** A bit for each of the 24. */
const bitmapOf = (pcrs: readonly number[]): number => {
  let bitmap = 0
  for (const pcr of pcrs) bitmap |= 1 << pcr
  return bitmap
}

const sizeOf = (findings: readonly Finding[]): number =>
  ENTRY_BYTES + FINDING_BYTES * findings.filter(({ code }) => code !== undefined).length
