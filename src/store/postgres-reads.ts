import type { Pool, PoolClient } from "pg"
import type { Answer, Ask } from "./statement.ts"

/** Connections for single reads: transactions need some too. */
const READERS_MAX = 4
/** What goes out together: all of it is answered within the time that one may take. */
const TOGETHER_MAX = 50

interface Waiting {
  readonly one: Ask
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: unknown) => void
}

/** How a reader talks on a connection. */
export interface Reading {
  readonly send: (one: Ask, client: PoolClient) => Promise<Answer>
  /** Sent first. If it fails, nothing that was sent with it counts. */
  readonly check: (client: PoolClient) => Promise<void>
}

/**
 * Asks what only reads, each for itself. What is asked in one turn of the event loop, or while all connections for it are
 * busy, goes out together on the next one: groups grow with the load, and an idle service waits for nobody.
 */
export const createReader = (pool: Pool, { send, check }: Reading): ((one: Ask) => Promise<Answer>) => {
  const waiting: Waiting[] = []
  let readers = 0

  /** Whether the connection is as it was. */
  const answerGroup = async (client: PoolClient, group: readonly Waiting[]): Promise<boolean> => {
    const checked = check(client)
    const sent = group.map(({ one }) => send(one, client))
    const [outcome, ...outcomes] = await Promise.allSettled([checked, ...sent])
    group.forEach(({ resolve, reject }, i) => {
      const own = outcomes[i]
      if (outcome.status === "rejected") reject(outcome.reason)
      else if (own?.status === "fulfilled" && own.value !== undefined) resolve(own.value)
      else reject(own?.status === "rejected" ? own.reason : new Error("no answer"))
    })
    return [outcome, ...outcomes].every(({ status }) => status === "fulfilled")
  }
  const readAll = async (): Promise<void> => {
    while (waiting.length > 0) {
      const client = await pool.connect()
      client.release(!(await answerGroup(client, waiting.splice(0, TOGETHER_MAX))))
    }
  }
  return (one) =>
    new Promise((resolve, reject) => {
      waiting.push({ one, resolve, reject })
      if (readers === READERS_MAX) return
      readers++
      readAll()
        .catch((error: unknown) => {
          // No connection is to be had: whoever waits would wait for the same.
          for (const { reject: refuse } of waiting.splice(0)) refuse(error)
        })
        .finally(() => {
          readers--
        })
    })
}
