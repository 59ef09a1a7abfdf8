import { createParseTrust } from "../../src/service/parse-trust.ts"
import type { JournalRecord, TrustStore } from "../../src/service/ports.ts"
import { createRefresh, type Refresh } from "../../src/service/refresh.ts"
import type { RefreshParts } from "../../src/service/refresh-pass.ts"
import type { RefreshReport, SourceReport } from "../../src/service/refresh-report.ts"
import { urlOf } from "../../src/service/refresh-sources.ts"
import { actRecord } from "../../src/store/journal-append.ts"
import { clockAt, type FakeClock } from "../support/ports/clock.ts"
import { memoryTrust } from "../support/ports/memory-trust.ts"
import { newAct } from "../support/ports/samples.ts"
import { afterNoon, DAY, fullSite, HOST, NONE_DENIED, NOON, rootImport, type Site } from "./published.ts"

/** A refresher of the maker's site at noon, and what it works with. */
export interface Bench {
  readonly store: TrustStore
  readonly clock: FakeClock
  readonly site: Site
  readonly refresh: Refresh
  /** What was put on record. */
  readonly records: readonly JournalRecord[]
  pass(): Promise<RefreshReport>
}

/** What is other than usual. */
export interface Change extends Partial<RefreshParts> {
  readonly store?: TrustStore
  readonly site?: Site
  /** What is trusted, in a store of its own. */
  readonly trust?: Parameters<typeof rootImport>
}

export const bench = async ({
  site: published = fullSite(),
  trust,
  ...parts
}: Change = {}): Promise<Bench> => {
  const { store = memoryTrust().trust } = parts
  if (parts.store === undefined)
    await store.importTrust(
      "default",
      rootImport(...(trust ?? [])),
      newAct("import-trust", { at: afterNoon(-DAY) }),
    )
  const clock = clockAt(NOON.toISOString())
  const breathe = async (): Promise<void> => {}
  const records: JournalRecord[] = []
  const refresh = createRefresh({
    parse: createParseTrust(breathe),
    fetch: published.fetch,
    denied: NONE_DENIED,
    clock,
    breathe,
    jitter: () => 0,
    hosts: [HOST],
    ...parts,
    store: {
      ...store,
      importTrust: async (tenant, imported, act, expected) => {
        const after = await store.importTrust(tenant, imported, act, expected)
        const revisions = { device: undefined, policy: undefined, trust: after.generation }
        records.push(actRecord(tenant, act, { revisions }))
        return after
      },
    },
  })
  const pass = (): Promise<RefreshReport> => refresh.refresh("default", new AbortController().signal)
  return { store, clock, site: published, refresh, records, pass }
}

export const sourceOf = (report: RefreshReport, url: string): SourceReport | undefined =>
  report.sources.find((source) => source.url === url)

/** CRLs by the URLs that they came from: of each, in the order of the store. */
export const listsIn = async (store: TrustStore): Promise<ReadonlyMap<string, readonly Uint8Array[]>> => {
  const { crls } = await store.trust("default")
  const lists = Map.groupBy(crls, ({ source }) => urlOf(source))
  return new Map([...lists].map(([url, records]) => [url, records.map(({ crl }) => crl)]))
}

/** The one CRL that came from each URL. */
export const keptIn = async (store: TrustStore): Promise<Readonly<Record<string, Uint8Array>>> =>
  Object.fromEntries([...(await listsIn(store))].flatMap(([url, lists]) => lists.map((crl) => [url, crl])))
