import { Worker } from "node:worker_threads"
import type { CommitGroup } from "./journal.ts"
import {
  outcomeOf,
  type ThreadMessage,
  type ThreadStart,
  toMessage,
  type WrittenMessage,
} from "./journal-message.ts"

/** The journal's thread, seen from the main one. */
export interface JournalThread {
  /** Writes a group; one at a time. Rejects while the thread is not there, and when it ends in the middle. */
  readonly commit: CommitGroup
  /** Ends it. What it is writing is written. */
  close(): Promise<void>
}

/** Between the end of a thread that failed and the start of the next: doubles up to the most. */
const BACKOFF_MS = 100
const BACKOFF_MS_MAX = 5000

/** What the thread makes of a group is garbage after it: more room would only stay taken. */
const YOUNG_MIB = 8

/** Of this module and its neighbor alike: TypeScript in the checkout, JavaScript when it is built. */
const EXTENSION = import.meta.url.slice(import.meta.url.lastIndexOf("."))
const ENTRY = new URL(`./journal-writer${EXTENSION}`, import.meta.url)

/** One that waits for what becomes of its group. */
interface Asked {
  readonly resolve: (message: WrittenMessage) => void
  readonly reject: (error: Error) => void
}

/**
 * Starts the thread, and again whenever it ends by itself. A group that is under way then is refused, although it may have
 * been written: whoever asked lets nothing out that rests on it.
 *
 * @param entry What the thread runs; by default the journal's writer.
 */
export const startJournalThread = (start: ThreadStart, entry: URL = ENTRY): JournalThread => {
  let worker: Worker | undefined
  let asked: Asked | undefined
  let backoffMs = BACKOFF_MS
  let restart: NodeJS.Timeout | undefined
  let isClosed = false

  const ended = (reason: string): void => {
    worker = undefined
    const error = new Error(`the journal's thread ended: ${reason}`)
    asked?.reject(error)
    asked = undefined
    if (isClosed) return
    restart = setTimeout(begin, backoffMs).unref()
    backoffMs = Math.min(2 * backoffMs, BACKOFF_MS_MAX)
  }
  const begin = (): void => {
    const begun = new Worker(entry, {
      ...{ workerData: start, stdout: false, stderr: false },
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB },
    })
    let reason = ""
    begun.on("error", (error) => {
      reason = error instanceof Error ? error.message : "unknown"
    })
    begun.on("exit", (status) => ended(reason || `status ${status}`))
    begun.on("message", (message: ThreadMessage) => {
      switch (message.kind) {
        case "written":
          backoffMs = BACKOFF_MS
          asked?.resolve(message)
          break
        case "failed":
          asked?.reject(new Error(message.reason))
          break
      }
      asked = undefined
    })
    worker = begun
  }
  begin()

  return {
    commit: async (group) => {
      const { bytes, refusals } = toMessage(group)
      const message = await new Promise<WrittenMessage>((resolve, reject) => {
        if (worker === undefined) return reject(new Error("the journal's thread is not there"))
        worker.postMessage(bytes, [bytes.buffer])
        asked = { resolve, reject }
      })
      return outcomeOf(message, refusals)
    },
    close: async () => {
      isClosed = true
      clearTimeout(restart)
      await worker?.terminate()
    },
  }
}
