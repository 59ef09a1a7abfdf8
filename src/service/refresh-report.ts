import type { Code } from "../errors.ts"
import type { Crl } from "../evidence/x509/crl.ts"
import type { ParsedTrust } from "./parse-trust.ts"
import type { Published } from "./ports.ts"
import { dueAt, type Kept, NO_PROGRESS, type Progress } from "./refresh-schedule.ts"
import { keyOf, type Source, urlOf } from "./refresh-sources.ts"

/** How one URL stands. */
export interface SourceReport {
  readonly url: string
  readonly kind: Published
  readonly lastSuccess: Date | undefined
  readonly lastFailure: { readonly at: Date; readonly code: Code } | undefined
  readonly nextAttempt: Date
  /** Of the CRL that is kept. */
  readonly nextUpdate: Date | undefined
}

/** What one pass over a tenant's trust did and found. */
export interface RefreshReport {
  readonly tenant: string
  readonly at: Date
  readonly generation: number
  readonly anchors: number
  readonly crls: number
  /** The earliest nextUpdate and the earliest thisUpdate of all CRLs; nothing if there are none. */
  readonly nextUpdate: Date | undefined
  readonly thisUpdate: Date | undefined
  /** What was loaded in this pass: something new, the same again, or nothing that could be kept. */
  readonly outcomes: Readonly<Record<RefreshOutcome, number>>
  readonly sources: readonly SourceReport[]
}

/** How an attempt to load from one URL ends. */
export type RefreshOutcome = "changed" | "unchanged" | "failed"

/** What is known of each URL, by kind and URL. */
export interface ProgressOf {
  get(key: string): Progress | undefined
}

/** What a report is made of. */
export interface ReportInputs {
  readonly tenant: string
  readonly at: Date
  readonly outcomes: Readonly<Record<RefreshOutcome, number>>
  readonly parsed: ParsedTrust
  readonly sources: readonly Source[]
  readonly progress: ProgressOf
}

/** Says how a tenant's trust and its sources stand after a pass. */
export function reportOf({ tenant, at, outcomes, parsed, sources, progress }: ReportInputs): RefreshReport {
  const kept = keptOf(parsed, at)
  const crls = parsed.crls.map(({ crl }) => crl)
  return {
    tenant,
    at,
    generation: parsed.generation,
    anchors: parsed.anchors.length,
    crls: crls.length,
    nextUpdate: earliest(crls.map(({ nextUpdate }) => nextUpdate)),
    thisUpdate: earliest(crls.map(({ thisUpdate }) => thisUpdate)),
    outcomes: { ...outcomes },
    sources: sources.map((source) => {
      const key = keyOf(source)
      return sourceReport(source, progress.get(key) ?? NO_PROGRESS, kept.get(key), at)
    }),
  }
}

const sourceReport = (
  { kind, url }: Source,
  progress: Progress,
  kept: Kept | undefined,
  at: Date,
): SourceReport => {
  const { lastSuccess, lastFailure } = progress
  return {
    url,
    kind,
    lastSuccess: dateOf(lastSuccess),
    lastFailure: lastFailure && { at: new Date(lastFailure.at), code: lastFailure.code },
    nextAttempt: new Date(Math.max(dueAt(kind, progress, kept), at.getTime())),
    nextUpdate: dateOf(kept?.crl?.nextUpdate),
  }
}

/**
 * What is kept of each source. Of several CRLs, by different keys, the one that ends first of those that are current: an
 * issuer that has a new key does not go on with the old one's.
 */
export const keptOf = ({ crls, intermediates }: ParsedTrust, at: Date): ReadonlyMap<string, Kept> => {
  const kept = new Map<string, Kept>()
  for (const { source, addedAt } of intermediates) {
    const key = keyOf({ kind: "certificates", url: source })
    const since = Math.max(kept.get(key)?.since ?? 0, addedAt.getTime())
    kept.set(key, { crl: undefined, since })
  }
  for (const [url, lists] of Map.groupBy(crls, ({ source }) => urlOf(source))) {
    const byEnd = lists.map(({ crl }) => crl).toSorted((a, b) => endOf(a) - endOf(b))
    const crl = byEnd.find((list) => endOf(list) >= at.getTime()) ?? byEnd.at(-1)
    const since = Math.max(...lists.map(({ addedAt }) => addedAt.getTime()))
    kept.set(keyOf({ kind: "crl", url }), { crl, since })
  }
  return kept
}

const endOf = ({ nextUpdate = 0 }: Crl): number => nextUpdate

const dateOf = (time: number | undefined): Date | undefined =>
  time === undefined ? undefined : new Date(time)

const earliest = (times: readonly (number | undefined)[]): Date | undefined => {
  const known = times.filter((time) => time !== undefined)
  return known.length === 0 ? undefined : new Date(Math.min(...known))
}
