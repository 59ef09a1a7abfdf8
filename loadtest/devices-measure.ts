/** A fleet of made-up devices, what its registry is asked, and how long each answer takes. */
import { hash } from "node:crypto"
import { lengthPrefixed, utf8 } from "../src/bytes.ts"
import type { DeviceFilter, DevicePage, DeviceQuery, Devices, ImportedDevice } from "../src/service/ports.ts"
import type { Store } from "../src/store/store.ts"
import { median } from "./statistics.ts"

const TENANT = "default"
/** What one import may bring in. */
const BATCH = 1000
/** Devices were made over a year, one every half a minute, and not in the order of their ids. */
const FIRST_MS = Date.UTC(2025, 0, 1)
const BETWEEN_MS = 30_000
const LOOKUPS = 2000
const PAGES = 40
const PAGE = 100

const digestOf = (text: string): Uint8Array => hash("sha256", utf8(text), "buffer")

/** The id of a device: as random ids are, in no order. */
export const idOf = (i: number): string => hash("sha256", `device ${i}`, "hex").slice(0, 32)
const akNameOf = (i: number): Uint8Array => digestOf(`ak ${i}`)

/** Device number `i`: one of ten groups, three labels, one in a thousand suspended, a key with a certificate of 1 KB. */
const deviceOf = (i: number): ImportedDevice => ({
  id: idOf(i),
  akPublic: new Uint8Array(Buffer.concat([digestOf(`x ${i}`), digestOf(`y ${i}`), Buffer.alloc(26)])),
  akName: akNameOf(i),
  qualifiedName: digestOf(`q ${i}`),
  ek: digestOf(`ek ${i}`),
  binding: "activation",
  endorsement: {
    ekCertificateChain: [new Uint8Array(Buffer.concat(Array.from({ length: 32 }, () => digestOf(`c ${i}`))))],
    akCertificateChain: [],
    ekDigest: undefined,
  },
  group: `group-${i % 10}`,
  labels: new Map([
    ["model", `m-${i % 50}`],
    ["rack", `r-${i % 5000}`],
    ["site", `s-${i % 7}`],
  ]),
  claimedName: `gateway ${i}`,
  state: i % 1000 === 7 ? "suspended" : "active",
  policy: undefined,
  createdAt: new Date(FIRST_MS + i * BETWEEN_MS),
  counters: undefined,
})

/** Imports devices number `first` to `count` − 1. @returns How long it took. */
export const loadDevices = async (
  devices: Devices,
  count: number,
  told: (done: number) => void = () => {},
  first = 0,
): Promise<number> => {
  let ms = 0
  for (let from = first; from < count; from += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, count - from) }, (_, k) => deviceOf(from + k))
    const evidenceDigest = hash("sha256", lengthPrefixed(...batch.map(({ id }) => utf8(id))), "buffer")
    const act = { at: new Date(), caller: "bench", act: "import-devices", evidenceDigest } as const
    const before = performance.now()
    const { added } = await devices.import(TENANT, batch, act)
    ms += performance.now() - before
    if (added !== batch.length) throw new Error("a device was there already")
    told(from + batch.length)
  }
  return ms
}

/** Milliseconds: half of all answers took at most `median`, and one `max`. */
export interface Taken {
  readonly median: number
  readonly max: number
}

/** What a process takes that did nothing before. */
export interface First {
  readonly openMs: number
  readonly firstLookupMs: number
}

/** What was measured in a process that did nothing before. */
export interface Measured extends First {
  readonly firstPageMs: number
  readonly lookupMs: Taken
  /** By what the list was narrowed. */
  readonly pages: Readonly<Record<string, Taken & { readonly devices: number }>>
  readonly memoryBytes: number
}

/** All figures. */
export interface FleetReport extends Measured {
  readonly devices: number
  readonly loadMs: number
  /** Of the database. */
  readonly sizeBytes: number
}

const LISTS: Readonly<Record<string, Pick<DeviceQuery, "filter" | "order" | "descending">>> = {
  "all, by id": { filter: {}, order: "id", descending: false },
  "all, latest first": { filter: {}, order: "created", descending: true },
  "a state of few": { filter: { state: "suspended" }, order: "id", descending: false },
  "the state of most": { filter: { state: "active" }, order: "id", descending: false },
  "a group, by creation": { filter: { group: "group-3" }, order: "created", descending: false },
  "a label of few": { filter: { label: { key: "rack", value: "r-77" } }, order: "id", descending: false },
  "a label of many": { filter: { label: { key: "site", value: "s-1" } }, order: "id", descending: false },
  "ids that begin alike": { filter: { idPrefix: "ab" }, order: "id", descending: false },
  "silent for long": { filter: { silentSince: new Date() }, order: "id", descending: false },
  "seen lately, which none was": { filter: { seenSince: new Date(0) }, order: "id", descending: false },
  "group, state and label": {
    filter: { group: "group-7", state: "suspended", label: { key: "site", value: "s-0" } },
    order: "created",
    descending: true,
  },
}

/** Opens a registry with devices 0 to `count` − 1, and looks up one of them. */
export const measureFirst = async (open: () => Promise<Store>, count: number): Promise<First> => {
  const [openMs, store] = await timed(open)
  try {
    return { openMs, firstLookupMs: await firstLookup(store, count) }
  } finally {
    await store.close()
  }
}

const numberOf = (i: number, count: number): number => (i * 7919 + 13) % count

const firstLookup = async ({ registry }: Store, count: number): Promise<number> => {
  const number = numberOf(0, count)
  const [ms, { device }] = await timed(() => registry.snapshotFor(TENANT, akNameOf(number)))
  if (device.id !== idOf(number)) throw new Error("another device was found")
  return ms
}

/** Opens a registry with devices 0 to `count` − 1, and asks it. */
export const measureFleet = async (open: () => Promise<Store>, count: number): Promise<Measured> => {
  const [openMs, store] = await timed(open)
  try {
    const { registry, devices } = store
    const lookUp = (i: number) => registry.snapshotFor(TENANT, akNameOf(numberOf(i, count)))
    const firstLookupMs = await firstLookup(store, count)
    const [firstPageMs] = await timed(() => devices.list(TENANT, pageOf({}, undefined)))
    const lookups: number[] = []
    for (let i = 1; i <= LOOKUPS; i++) lookups.push((await timed(() => lookUp(i)))[0])
    const pages: Record<string, Taken & { devices: number }> = {}
    for (const [name, list] of Object.entries(LISTS)) pages[name] = await walk(devices, list, count)
    const memoryBytes = process.memoryUsage().rss
    return { openMs, firstLookupMs, firstPageMs, lookupMs: taken(lookups), pages, memoryBytes }
  } finally {
    await store.close()
  }
}

const pageOf = (filter: DeviceFilter, after: DeviceQuery["after"]): DeviceQuery => ({
  filter,
  order: "id",
  descending: false,
  after,
  max: PAGE,
})

/** Pages of one list: the first few, and as many from all over the fleet. */
const walk = async (
  devices: Devices,
  list: Pick<DeviceQuery, "filter" | "order" | "descending">,
  count: number,
): Promise<Taken & { devices: number }> => {
  const times: number[] = []
  let found = 0
  const turn = async (after: DeviceQuery["after"]): Promise<DevicePage> => {
    const [ms, page] = await timed(() => devices.list(TENANT, { ...list, after, max: PAGE }))
    times.push(ms)
    found += page.devices.length
    return page
  }
  let next: DeviceQuery["after"]
  for (let i = 0; i < PAGES / 2; i++) {
    next = (await turn(next)).next
    if (next === undefined) break
  }
  for (let i = 0; i < PAGES / 2; i++) {
    const { id, createdAt } = deviceOf(Math.floor((i / (PAGES / 2)) * count))
    await turn({ id, createdAt })
  }
  return { ...taken(times), devices: found }
}

const timed = async <T>(act: () => Promise<T>): Promise<readonly [ms: number, value: T]> => {
  const before = performance.now()
  const value = await act()
  return [performance.now() - before, value]
}

const taken = (times: readonly number[]): Taken => ({ median: median([...times]), max: Math.max(...times) })

/** A server is ready within a second, of which its registry may take half; a look-up holds up nobody. */
const BOUNDS = { openMs: 500, firstLookupMs: 1, lookupMs: 1, pageMs: 50 }

/** Each figure that is over its bound, in words. */
export const overBounds = ({ openMs, firstLookupMs, lookupMs, pages }: Measured): readonly string[] => [
  ...(openMs > BOUNDS.openMs ? [`to open took ${ms(openMs)}, and may take ${BOUNDS.openMs} ms`] : []),
  ...(firstLookupMs > BOUNDS.firstLookupMs
    ? [`the first look-up took ${ms(firstLookupMs)}, and may take ${BOUNDS.firstLookupMs} ms`]
    : []),
  ...(lookupMs.median > BOUNDS.lookupMs
    ? [`a look-up took ${ms(lookupMs.median)}, and may take ${BOUNDS.lookupMs} ms`]
    : []),
  ...Object.entries(pages).flatMap(([name, { median: page }]) =>
    page > BOUNDS.pageMs ? [`a page of ${name} took ${ms(page)}, and may take ${BOUNDS.pageMs} ms`] : [],
  ),
]

const ms = (value: number): string => `${value.toFixed(value < 10 ? 2 : 0)} ms`

/** For people. */
export const tableOf = (report: FleetReport): string => {
  const { devices, loadMs, sizeBytes, openMs, firstLookupMs, firstPageMs, lookupMs, pages } = report
  const rows: (readonly [string, string])[] = [
    ["devices", devices.toLocaleString("en-US")],
    ["loaded in", `${(loadMs / 1000).toFixed(1)} s, ${Math.round((devices / loadMs) * 1000)} a second`],
    ["database", `${Math.round(sizeBytes / 1e6)} MB`],
    ["to open", ms(openMs)],
    ["first look-up", ms(firstLookupMs)],
    ["first page", ms(firstPageMs)],
    ["a look-up", `${ms(lookupMs.median)}, at most ${ms(lookupMs.max)}`],
    ["memory", `${Math.round(report.memoryBytes / 1e6)} MB`],
    ...Object.entries(pages).map(
      ([name, page]) =>
        [
          `a page of ${name}`,
          `${ms(page.median)}, at most ${ms(page.max)} (${page.devices} devices)`,
        ] as const,
    ),
  ]
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join("")
}
