import { hash } from "node:crypto"
import { latin1, lengthPrefixed, utf8 } from "../bytes.ts"
import type { DeviceRecord, Judged, Showing, Snapshot, Verdict, Verdicts } from "../service/ports.ts"
import { createFlights } from "./flights.ts"
import { createShares } from "./shares.ts"

/** `Verdicts` that remember, and their counts since the start. */
export interface CachedVerdicts extends Verdicts {
  readonly hits: number
  readonly misses: number
  readonly evictions: number
  /** Devices of which it holds verdicts. */
  readonly size: number
  /** The same of refutations, which are held apart. Whatever is missed is missed in both. */
  readonly refutations: { readonly hits: number; readonly evictions: number; readonly size: number }
}

/** What is remembered at most, of all tenants together. */
export interface VerdictBounds {
  /** Devices with verdicts. */
  readonly devices: number
  /** What their verdicts take, in bytes, as an estimate. */
  readonly bytes: number
  readonly refutations: number
  /** How long a refutation is remembered, in milliseconds. */
  readonly refutedMs: number
}

/** Verdicts of one device: the epoch and the one before, each with a log and without. Its other evidence takes nothing from others. */
const DEVICE_VERDICTS_MAX = 4
/** What a verdict takes: its keys, the appraisal, which shares most findings with others, and what is around them. */
const VERDICT_BYTES = 1000
const ENDORSEMENT_BYTES = 1500
const FINDING_BYTES = 500

interface Entry {
  /** Which bytes it is about. */
  readonly shown: string
  /** Everything that it depends on beside the clock. */
  readonly key: string
  /** In milliseconds since 1970: it was judged at this instant, and holds from then on. */
  readonly from: number
  readonly until: number
  readonly verdict: Verdict
}

/**
 * Remembers verdicts on evidence that answers an epoch: shown again, it is neither read nor proven nor judged again as long as
 * nothing has moved that the verdict depends on. All of that is in the key; and whoever decides by it has the revisions among
 * that confirmed when the decision is written, as if it had been judged just now. It holds from when it was judged until the
 * first certificate or list ends; at any other time, earlier or later, it is judged anew.
 *
 * Refutations are held apart, few and for seconds, so that junk, of which anybody can make any number, takes nothing from what
 * is proven. What may end otherwise without anything having changed is not remembered, and neither is a failure.
 */
export function cachedVerdicts(inner: Verdicts, bounds: VerdictBounds): CachedVerdicts {
  const devices = createShares<readonly Entry[]>({
    max: bounds.devices,
    maxBytes: bounds.bytes,
    sizeOf: (entries) => entries.reduce((sum, { verdict }) => sum + sizeOf(verdict), 0),
  })
  const refutations = createShares<Entry>({
    max: bounds.refutations,
    maxBytes: bounds.refutations * (VERDICT_BYTES + FINDING_BYTES),
    sizeOf: ({ verdict }) => sizeOf(verdict),
  })
  const flights = createFlights<Judged>()
  let [hits, misses, refuted] = [0, 0, 0]

  const find = ({ evidence, snapshot: { device }, at }: Showing, key: string): Entry | undefined => {
    const isIt = (entry: Entry): boolean => entry.key === key && holds(entry, at)
    const proven = devices.get(device.tenant, latin1(device.akName))?.find(isIt)
    if (proven !== undefined) return proven
    const negative = refutations.get(device.tenant, shownKey(evidence))
    return negative !== undefined && isIt(negative) ? negative : undefined
  }
  const keep = ({ evidence, snapshot: { device }, at }: Showing, key: string, verdict: Verdict): void => {
    const { standing } = verdict
    const shown = shownKey(evidence)
    const from = at.getTime()
    switch (standing.kind) {
      case "passing":
        return
      case "refuted":
        refutations.set(device.tenant, shown, { shown, key, from, until: from + bounds.refutedMs, verdict })
        return
      case "proven": {
        const akName = latin1(device.akName)
        const others = (devices.peek(device.tenant, akName) ?? []).filter((entry) => entry.shown !== shown)
        const until = standing.until?.getTime() ?? Number.POSITIVE_INFINITY
        const kept = others.slice(0, DEVICE_VERDICTS_MAX - 1)
        devices.set(device.tenant, akName, [{ shown, key, from, until, verdict }, ...kept])
      }
    }
  }
  const recall = (showing: Showing, key: string): Verdict | undefined => {
    const verdict = find(showing, key)?.verdict
    if (verdict?.standing.kind === "refuted") refuted += 1
    else if (verdict !== undefined) hits += 1
    return verdict
  }
  const judgeAndKeep = async (
    showing: Showing,
    key: string,
    judge: () => Promise<Judged>,
  ): Promise<Judged> => {
    const judged = await inner.verdictOn(showing, judge)
    keep(showing, key, withoutProven(judged))
    return judged
  }

  return {
    knows(tenant, evidence) {
      const shown = shownKey(evidence)
      const isOf = (entry: Entry): boolean => entry.shown === shown
      return (
        devices.peek(tenant, latin1(evidence.akName))?.some(isOf) === true ||
        refutations.peek(tenant, shown) !== undefined ||
        inner.knows(tenant, evidence)
      )
    },
    remembered: (showing) => recall(showing, keyOf(showing)),
    async verdictOn(showing, judge) {
      const key = keyOf(showing)
      const known = recall(showing, key)
      if (known !== undefined) return known
      misses += 1
      if (!flights.has(key)) return flights.join(key, () => judgeAndKeep(showing, key, judge))
      await flights.join(key, judge)
      // What was judged a moment ago by another's clock need not hold by this one's.
      return find(showing, key)?.verdict ?? judgeAndKeep(showing, key, judge)
    },
    get hits() {
      return hits
    },
    get misses() {
      return misses
    },
    get evictions() {
      return devices.evictions
    },
    get size() {
      return devices.size
    },
    get refutations() {
      return { hits: refuted, evictions: refutations.evictions, size: refutations.size }
    },
  }
}

const holds = ({ from, until }: Entry, at: Date): boolean => from <= at.getTime() && at.getTime() < until

/** What a call has in hand that has proven the evidence is nobody else's. */
const withoutProven = ({
  appraisal,
  endorsements,
  isEndorsed,
  answers,
  clock,
  standing,
}: Judged): Verdict => ({
  appraisal,
  endorsements,
  isEndorsed,
  answers,
  clock,
  standing,
})

/** Which bytes were shown: the digest stands for a log and for its digest alike. One character a byte. */
const shownKey = ({ digest, log }: Showing["evidence"]): string => log.kind + latin1(digest)

/** Everything that a verdict depends on beside the clock: one digest of 32 bytes after another, and a kind before the last. */
const keyOf = ({ evidence, epoch, snapshot }: Showing): string =>
  basisOf(snapshot) + latin1(epoch) + shownKey(evidence)

/** Snapshots are remembered, and never changed. */
const bases = new WeakMap<Snapshot, string>()

/** SHA-256 over what evidence is judged by, the tenant first. One character a byte. */
const basisOf = (snapshot: Snapshot): string => {
  const known = bases.get(snapshot)
  if (known !== undefined) return known
  const { device, policy, trustGeneration } = snapshot
  const basis = hash(
    "sha256",
    lengthPrefixed(
      utf8(device.tenant),
      utf8(device.id),
      device.akName,
      utf8(policy?.name ?? ""),
      utf8([device.revision, policy?.revision, trustGeneration, ...countersOf(device)].join(" ")),
    ),
    "latin1",
  )
  bases.set(snapshot, basis)
  return basis
}

/** What the rules about clocks, resets and firmware compare the quote with. */
const countersOf = ({ counters }: DeviceRecord): readonly unknown[] => {
  if (counters === undefined) return []
  const { resetCount, restartCount, clockMs, firmwareVersion, recordedAt } = counters
  return [resetCount, restartCount, clockMs, firmwareVersion, recordedAt.getTime()]
}

const sizeOf = ({ appraisal: { findings }, endorsements }: Verdict): number =>
  VERDICT_BYTES +
  ENDORSEMENT_BYTES * endorsements.length +
  FINDING_BYTES * findings.filter(({ code }) => code !== undefined).length
