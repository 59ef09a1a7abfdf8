import type { Endorsements, UntrustedEndorsements, verifyEndorsements } from "../verification/endorsements.ts"
import type { AttestationKey } from "../verification/key.ts"
import type { Trust } from "../verification/trust.ts"
import type { Verified } from "../verification/verified.ts"

/** A `verifyEndorsements` that remembers, and its counts since the start. */
export interface CachedEndorsements {
  readonly verifyEndorsements: typeof verifyEndorsements
  readonly hits: number
  readonly misses: number
}

/** What held, for what was shown, and how long it does. */
interface Entry {
  readonly shown: UntrustedEndorsements
  readonly expiredLeaf: "refuse" | "allow" | undefined
  /** It was verified at this instant, and holds from then on. */
  readonly from: number
  /** Until the first certificate or list of its paths ends. */
  readonly until: number
  readonly endorsements: Verified<Endorsements>
}

/**
 * Wraps `verify` so that the certificates of a device's registration are verified once for each generation of its tenant's
 * trust. Entries belong to the trust and to the key that they vouch for, and are forgotten with either: so there are no more
 * of them than there are contexts. Both stand for one tenant, one generation of its anchors and lists, and one device.
 *
 * What is remembered is taken for the same certificates alone, as objects: those that come with evidence are new each time,
 * and verified each time. It holds from when it was verified until the first certificate or list ends; a clock that says
 * another time, earlier or later, is asked anew. Failures are not remembered, and neither is what has an expired leaf.
 */
export function cachedEndorsements(verify: typeof verifyEndorsements): CachedEndorsements {
  const known = new WeakMap<Trust, WeakMap<AttestationKey, Entry>>()
  let [hits, misses] = [0, 0]
  return {
    verifyEndorsements(shown, ak, trust, options) {
      const at = options.at.getTime()
      const entries = known.get(trust) ?? new WeakMap<AttestationKey, Entry>()
      known.set(trust, entries)
      const found = entries.get(ak)
      if (
        found !== undefined &&
        at >= found.from &&
        at < found.until &&
        found.expiredLeaf === options.expiredLeaf &&
        isSame(found.shown, shown)
      ) {
        hits++
        return found.endorsements
      }
      misses++
      const endorsements = verify(shown, ak, trust, options)
      const paths = [endorsements.ak, endorsements.ek].flatMap((path) => path ?? [])
      if (!paths.some(({ expired }) => expired)) {
        const until = Math.min(...paths.map(({ validUntil }) => validUntil.getTime()))
        entries.set(ak, { shown, expiredLeaf: options.expiredLeaf, from: at, until, endorsements })
      }
      return endorsements
    },
    get hits() {
      return hits
    },
    get misses() {
      return misses
    },
  }
}

const isSame = (a: UntrustedEndorsements, b: UntrustedEndorsements): boolean =>
  a.akChain === b.akChain &&
  a.ekChain === b.ekChain &&
  a.ekListed === b.ekListed &&
  a.enrolled?.activated === b.enrolled?.activated &&
  a.enrolled?.digest === b.enrolled?.digest
