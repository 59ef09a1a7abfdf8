import { hash } from "node:crypto"
import { sameBytes, toHex } from "../bytes.ts"
import type { LogOwner, LogStore } from "../service/ports.ts"
import { type Database, guard } from "./database.ts"
import {
  dropLog,
  keepLogs,
  type LogBounds,
  type ShownNow,
  selectLink,
  selectLog,
  type Totals,
} from "./event-log-statements.ts"
import { blob, instant, instantColumn } from "./row.ts"
import { changesOf } from "./statement.ts"

/** Logs in a database, and what of them is still to be written. */
export interface StoredLogs extends LogStore {
  /** Notes that came to nothing since the start: there were too many at a time, or they could not be written. */
  readonly dropped: number
  /** Writes all that waits. Never throws. */
  flush(): Promise<void>
}

/**
 * A fleet shares its logs; a device has one for each state that it boots into. A tenant of a million devices that boot in ten
 * thousand ways keeps them all.
 */
const BOUNDS: LogBounds = {
  logs: 10_000,
  bytes: 512 * 1024 * 1024,
  deviceLogs: 4,
  deviceBytes: 2 * 1024 * 1024,
}

/** What waits to be written. Beyond it, devices are asked for their logs again. */
const WAITING_MAX = 1000
const WAITING_BYTES_MAX = 32 * 1024 * 1024
/** How long a note waits for others that are written with it. */
const DELAY_MS = 100
/** Notes of one transaction: while it is under way, no decision is written. */
const TOGETHER_MAX = 20

/** How logs are bounded and written; tests have it smaller and at once. */
export interface LogOptions {
  readonly bounds?: Partial<LogBounds>
  readonly delayMs?: number
}

/** Writes logs in one transaction: a large one holds who does it for some milliseconds, and then the disk does. */
export type KeepLogs = (notes: readonly ShownNow[], bounds: LogBounds) => Promise<void>

/** Writes logs to a database, and knows afterwards what it need not ask again. */
export const createKeepLogs = (database: Pick<Database, "write">): KeepLogs => {
  const nothing: Totals = new Map()
  let known = nothing
  return async (notes, bounds) => {
    const before = known
    known = nothing // unless it is written
    known = await database.write(() => keepLogs(notes, bounds, before))
  }
}

/**
 * Logs in a database. They are written behind the calls that bring them, some together and none soon: who was told its result
 * has not waited for them, and the journal goes before them. What waits is found as what is written is.
 *
 * @param keep What writes them, if not this thread.
 */
export const createStoredLogs = (
  database: Database,
  options: LogOptions = {},
  keep: KeepLogs = createKeepLogs(database),
): StoredLogs => {
  const bounds = { ...BOUNDS, ...options.bounds }
  const { delayMs = DELAY_MS } = options
  /** By owner and digest. */
  const waiting = new Map<string, ShownNow>()
  let waitingBytes = 0
  let dropped = 0
  let timer: NodeJS.Timeout | undefined
  let writing: Promise<void> | undefined

  const take = (): readonly Keyed[] => [...waiting].slice(0, TOGETHER_MAX)
  const forget = (notes: readonly Keyed[]): void => {
    for (const [key, note] of notes) {
      if (waiting.get(key) !== note) continue // noted again meanwhile
      waiting.delete(key)
      waitingBytes -= note.log.length
    }
  }
  const writeAll = async (): Promise<void> => {
    for (let notes = take(); notes.length > 0; notes = take()) {
      try {
        await keep(inOrder(notes), bounds)
      } catch {
        dropped += notes.length
      }
      forget(notes)
    }
  }
  const flush = (): Promise<void> => {
    clearTimeout(timer)
    timer = undefined
    writing ??= writeAll().finally(() => {
      writing = undefined
    })
    return writing
  }

  return {
    get dropped() {
      return dropped
    },
    flush,
    shown: (owner, digest) =>
      guard(async () => {
        const link = { ...columnsOf(owner), digest }
        const note = waiting.get(linkKey(link))
        if (note !== undefined) return new Date(note.at)
        const [row] = (await database.ask(selectLink(link))).rows
        return row === undefined ? undefined : instant(row, "used_at")
      }),
    log: (tenant, digest) =>
      guard(async () => {
        for (const note of waiting.values())
          if (note.tenant === tenant && sameBytes(note.digest, digest)) return note.log
        const [row] = (await database.ask(selectLog({ tenant, digest }))).rows
        if (row === undefined) return undefined
        const log = blob(row, "log")
        if (sameBytes(hash("sha256", log, "buffer"), digest)) return log
        await database.write(() => changesOf(dropLog(tenant, digest)))
        return undefined
      }),
    note(owner, { digest, bytes: log }, at) {
      const note = { ...columnsOf(owner), digest, log, at: instantColumn(at) }
      const key = linkKey(note)
      const known = waiting.get(key)
      if (
        known === undefined &&
        (waiting.size >= WAITING_MAX || waitingBytes + log.length > WAITING_BYTES_MAX)
      ) {
        dropped += 1
        return
      }
      if (known === undefined) waitingBytes += log.length
      waiting.set(key, note)
      timer ??= setTimeout(() => void flush(), delayMs).unref()
    },
  }
}

/** A note, and what it waits by. */
type Keyed = readonly [key: string, note: ShownNow]

const columnsOf = ({ tenant, device, akName }: LogOwner) => ({ tenant, device, ak_name: akName })

const linkKey = ({
  tenant,
  device,
  ak_name,
  digest,
}: Pick<ShownNow, "tenant" | "device" | "ak_name" | "digest">) =>
  JSON.stringify([tenant, device, toHex(ak_name), toHex(digest)])

/** In one order for everybody: two that lock the same rows do not wait for each other. */
const inOrder = (notes: readonly Keyed[]): readonly ShownNow[] =>
  notes
    .map(([key, note]) => ({ note, order: toHex(note.digest) + key }))
    .sort((a, b) => (a.order < b.order ? -1 : 1))
    .map(({ note }) => note)
