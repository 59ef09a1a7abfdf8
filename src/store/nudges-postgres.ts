import { setTimeout as after } from "node:timers/promises"
import { Client } from "pg"
import type { Nudges } from "./changes.ts"

/** Of all tenants. A transaction of the registry that changes something notifies it by itself. */
const CHANNEL = "assay_revision"
const TIMEOUT_MS = 1000
/** After a lost connection. */
const RETRY_MS = 250

/** Nudges by PostgreSQL's LISTEN and NOTIFY, over one connection that comes back by itself. */
export function createPostgresNudges(url: string): Nudges {
  const ended = new AbortController()
  let client: Client | undefined
  let heard = (): void => {}

  /** Resolves when the connection is lost. */
  const listenOnce = async (): Promise<void> => {
    const connecting = new Client({
      connectionString: url,
      connectionTimeoutMillis: TIMEOUT_MS,
      query_timeout: TIMEOUT_MS,
      keepAlive: true,
      application_name: "assay-changes",
    })
    const lost = new Promise<void>((resolve) => connecting.once("end", () => resolve()))
    connecting.on("error", () => {}) // its end follows
    connecting.on("notification", () => heard())
    try {
      await connecting.connect()
      await connecting.query(`LISTEN ${CHANNEL}`)
      if (ended.signal.aborted) return
      client = connecting
      heard() // what was said meanwhile is not said again
      await lost
    } finally {
      client = undefined
      await connecting.end().catch(() => {})
    }
  }
  const keepListening = async (): Promise<void> => {
    while (!ended.signal.aborted) {
      await listenOnce().catch(() => {})
      await after(RETRY_MS, undefined, { ref: false, signal: ended.signal }).catch(() => {})
    }
  }
  let listening: Promise<void> | undefined
  return {
    listen(act) {
      heard = act
      listening ??= keepListening()
    },
    send: () => void client?.query(`NOTIFY ${CHANNEL}`).catch(() => {}),
    async close() {
      ended.abort()
      await client?.end().catch(() => {})
      await listening
    },
  }
}
