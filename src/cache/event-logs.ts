import { latin1 } from "../bytes.ts"
import type { EventLogs, LogOwner, ReadLog } from "../service/ports.ts"
import { REPLAY_RULES } from "../verification/log-outcome.ts"
import { createFlights } from "./flights.ts"
import { createShares } from "./shares.ts"

/** `EventLogs` that remember, and their counts since the start. */
export interface CachedEventLogs extends EventLogs {
  /** Logs that needed neither parsing nor replaying. */
  readonly hits: number
  readonly misses: number
  readonly evictions: number
  /** How many logs it holds. */
  readonly size: number
}

/** What is remembered at most, of all tenants together. */
export interface EventLogBounds {
  readonly logs: number
  /** Bytes of logs and of what they lead to. */
  readonly bytes: number
  /** Devices whose logs are known to be theirs. */
  readonly devices: number
}

/** Logs of one device: one that makes up a new one each time takes nothing from others. */
const DEVICE_LOGS_MAX = 4
/** The store is told so often that a log is still in use. */
const TOUCH_MS = 3_600_000
/** What a log takes beside its bytes: up to 24 values of 64 bytes in each of four banks, and what is around them. */
const OUTCOME_BYTES = 12_000
const DEVICE_BYTES = 500
/** Logs that are known not to be in the store: it is told of those beyond that after `TOUCH_MS`, as of any. */
const MISSING_MAX = 10_000

/** That a log was not in the store when it was last asked for it. */
const MISSING = {}

interface Entry extends ReadLog {
  /** The device that brought it, as its key. */
  readonly bringer: string
}

/** A log of a device. There are as many of these as devices, so they are small. */
interface DeviceLog {
  /** The log's key: of a log that is remembered the same string, which costs less to look up than another. */
  readonly key: string
  /** When the store was last told, in milliseconds since 1970; nothing if it never was. */
  readonly noted: number | undefined
}

/** The logs of one device, the least lately used first. */
type DeviceLogs = readonly DeviceLog[]

/**
 * Remembers logs that led to what their devices quoted, and whose they are. A log is parsed and replayed once, whichever devices
 * of its tenant show it; the values that it leads to are compared with the quoted ones every time. Nothing is remembered of a log
 * that did not hold, or of one that is not there, so that neither keeps anything out. Calls that ask the store the same thing
 * at the same time ask once.
 */
export function cachedEventLogs(inner: EventLogs, bounds: EventLogBounds): CachedEventLogs {
  const logs = createShares<Entry>({
    max: bounds.logs,
    maxBytes: bounds.bytes,
    sizeOf: ({ bytes }) => bytes.length + OUTCOME_BYTES,
  })
  const devices = createShares<DeviceLogs>({
    max: bounds.devices,
    maxBytes: bounds.devices * DEVICE_BYTES,
    sizeOf: () => DEVICE_BYTES,
  })
  const missing = createShares<typeof MISSING>({ max: MISSING_MAX, maxBytes: MISSING_MAX, sizeOf: () => 1 })
  /** What came from here, by its key: it need not be put here again. */
  const keys = new WeakMap<ReadLog, string>()
  const loads = createFlights<ReadLog | undefined>()
  const asked = createFlights<Date | undefined>()
  let [hits, misses] = [0, 0]

  const find = (tenant: string, key: string): Entry | undefined => {
    const entry = logs.get(tenant, key)
    if (entry !== undefined) hits += 1
    return entry
  }
  const findOrMiss = (tenant: string, key: string): Entry | undefined => {
    const entry = find(tenant, key)
    if (entry === undefined) misses += 1
    return entry
  }
  const findOf = (owner: LogOwner, key: string): DeviceLog | undefined =>
    devices.get(owner.tenant, deviceKey(owner))?.find((log) => log.key === key)
  const keyOf = ({ tenant }: LogOwner, log: ReadLog): string => keys.get(log) ?? logKey(tenant, log.digest)
  /** Puts a log of a device last, and forgets its first if there are too many. */
  const use = (owner: LogOwner, key: string, noted: number | undefined): void => {
    const { tenant } = owner
    const bringer = deviceKey(owner)
    const before = devices.get(tenant, bringer) ?? []
    const last = before.at(-1)
    if (last?.key === key && (noted === undefined || noted === last.noted)) return
    const same = before.find((log) => log.key === key)
    const others = before.filter((log) => log !== same)
    const [oldest] = others
    if (others.length === DEVICE_LOGS_MAX && oldest !== undefined)
      if (logs.peek(tenant, oldest.key)?.bringer === bringer) logs.delete(tenant, oldest.key)
    const kept = others.slice(-(DEVICE_LOGS_MAX - 1))
    // Spread, it would have room for sixteen more, as often as there are devices.
    devices.set(tenant, bringer, kept.concat({ key, noted: noted ?? same?.noted }))
  }

  return {
    read: (tenant, log) => findOrMiss(tenant, logKey(tenant, log.digest)) ?? inner.read(tenant, log),
    known(owner, digest) {
      const own = findOf(owner, logKey(owner.tenant, digest))
      return own?.noted === undefined ? undefined : find(owner.tenant, own.key)
    },
    async shown(owner, digest) {
      const key = logKey(owner.tenant, digest)
      const noted = findOf(owner, key)?.noted
      if (noted !== undefined) return new Date(noted)
      const found = await asked.join(linkKey(owner, digest), () => inner.shown(owner, digest))
      if (found !== undefined) use(owner, key, found.getTime())
      return found
    },
    async load(who, digest, meter) {
      const { tenant } = who
      const key = logKey(tenant, digest)
      const load = async (): Promise<ReadLog | undefined> => {
        const loaded = await inner.load(who, digest, meter)
        if (loaded === undefined) missing.set(tenant, key, MISSING)
        return loaded
      }
      return findOrMiss(tenant, key) ?? loads.join(key, load)
    },
    held(owner, log) {
      const key = keyOf(owner, log)
      if (!keys.has(log) && logs.peek(owner.tenant, key) === undefined) {
        log.outcome.settle()
        const entry = { ...log, bringer: deviceKey(owner) }
        keys.set(entry, key)
        logs.set(owner.tenant, key, entry)
      }
      use(owner, key, undefined)
      inner.held(owner, log)
    },
    keep(owner, log, at) {
      const key = keyOf(owner, log)
      const isMissing = missing.peek(owner.tenant, key) !== undefined
      const noted = findOf(owner, key)?.noted
      if (!isMissing && noted !== undefined && Math.abs(at.getTime() - noted) < TOUCH_MS) return
      // A note may come to nothing, which shows when the log is asked for: it is told again then.
      missing.delete(owner.tenant, key)
      use(owner, key, at.getTime())
      inner.keep(owner, log, at)
    },
    get hits() {
      return hits
    },
    get misses() {
      return misses
    },
    get evictions() {
      return logs.evictions
    },
    get size() {
      return logs.size
    },
  }
}

/** Everything that a log's outcome depends on: a SHA-256 is always as long, so that no two tenants' are one. */
const logKey = (tenant: string, digest: Uint8Array): string => `${REPLAY_RULES} ${latin1(digest)} ${tenant}`

/** A device that is remembered is one owner from call to call. */
const deviceKeys = new WeakMap<LogOwner, string>()

const deviceKey = (owner: LogOwner): string => {
  const known = deviceKeys.get(owner)
  if (known !== undefined) return known
  const { tenant, device, akName } = owner
  // The lengths keep apart what reads alike in a row.
  const key = `${tenant.length} ${device.length} ${tenant}${device}${latin1(akName)}`
  deviceKeys.set(owner, key)
  return key
}

const linkKey = (owner: LogOwner, digest: Uint8Array): string => `${latin1(digest)}${deviceKey(owner)}`
