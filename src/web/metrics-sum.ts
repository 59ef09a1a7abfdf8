import { AggregatorRegistry, type MetricObject, type Registry } from "prom-client"

/** What one process counts, as it survives a structured clone. */
export type Snapshot = readonly MetricObject[]

/** The metrics of a process. */
export const snapshotOf = (registry: Registry): Promise<Snapshot> => registry.getMetricsAsJSON()

/** The metrics of several processes together, as their page shows them. */
export interface MetricsSum extends Pick<Registry, "contentType"> {
  metrics(): Promise<string>
  /** Asks all of them now, so that little is lost of one that ends. */
  look(): Promise<void>
  /** One has ended. What it counted last stays in the sums, for counters never go back. */
  left(member: number): void
}

/** What stays of a process that has ended. */
const COUNTED: readonly string[] = ["counter", "histogram"]

/**
 * Sums counters and histograms, and gauges too unless their metric says otherwise. Of a process that does not answer, what
 * it said last counts.
 *
 * @param own Of this process.
 * @param others Asks the others; who does not answer, or has ended meanwhile, is not among them.
 */
export function sumMetrics(
  own: Registry,
  others: () => Promise<readonly (readonly [member: number, snapshot: unknown])[]>,
): MetricsSum {
  const last = new Map<number, Snapshot>()
  let gone: Snapshot = []
  const look = async (): Promise<void> => {
    for (const [member, snapshot] of await others()) if (isSnapshot(snapshot)) last.set(member, snapshot)
  }
  return {
    contentType: own.contentType,
    look,
    async metrics() {
      await look()
      return sumOf([await snapshotOf(own), gone, ...last.values()]).metrics()
    },
    left(member) {
      const counted = last.get(member)?.filter(({ type }) => COUNTED.includes(String(type)))
      last.delete(member)
      // At once: a page that is made meanwhile shows it neither twice nor not at all.
      if (counted !== undefined) gone = sumOf([gone, counted]).getMetricsAsArray()
    },
  }
}

const sumOf = (snapshots: readonly Snapshot[]): Registry =>
  AggregatorRegistry.aggregate(snapshots.map((snapshot) => [...snapshot]))

const isSnapshot = (value: unknown): value is Snapshot =>
  Array.isArray(value) &&
  value.every((metric) => metric !== null && typeof metric === "object" && "values" in metric)
