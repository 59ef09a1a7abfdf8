import { setImmediate } from "node:timers/promises"
import { Worker } from "node:worker_threads"
import type { ImportedTrust, TrustImport, TrustRecord } from "../service/ports.ts"
import type { ShownNow } from "./event-log-statements.ts"
import type { KeepLogs } from "./event-logs.ts"
import type { CommitGroup } from "./journal.ts"
import {
  outcomeOf,
  refusalFromMessage,
  type ThreadMessage,
  type ThreadStart,
  toMessage,
  type WrittenMessage,
} from "./journal-message.ts"
import type { ImportTask, TaskDone, ThreadTask } from "./thread-task.ts"

/** The journal's thread, seen from the main one. */
export interface JournalThread {
  /** Writes a group. Rejects while the thread is not there, and when it ends in the middle. */
  readonly commit: CommitGroup
  /** What is large. Nothing of one that writes groups alone. */
  readonly large?: Large
  /** Ends it. What it is writing is written. */
  close(): Promise<void>
}

/** What is large, and held the event loop if it were done on its thread. Rejects as `commit`. */
export interface Large {
  /** Keeps logs of devices. What it is given is copied. */
  readonly keepLogs: KeepLogs
  /** @throws {AssayError} as `TrustStore.trust`. */
  readonly trust: (tenant: string) => Promise<TrustRecord>
  /** What it is given is copied. @throws {AssayError} as `TrustStore.importTrust`. */
  readonly importTrust: (task: ImportTask) => Promise<ImportedTrust>
}

/** Between the end of a thread that failed and the start of the next: doubles up to the most. */
const BACKOFF_MS = 100
const BACKOFF_MS_MAX = 5000

/** What the thread makes of a group is garbage after it: more room would only stay taken. */
const YOUNG_MIB = 8

/** Of this module and its neighbor alike: TypeScript in the checkout, JavaScript when it is built. */
const EXTENSION = import.meta.url.slice(import.meta.url.lastIndexOf("."))
const ENTRY = new URL(`./journal-writer${EXTENSION}`, import.meta.url)

/** One that waits for what becomes of its group, or of its task. */
interface Asked {
  readonly resolve: (message: Answer) => void
  readonly reject: (error: Error) => void
}
type Answer = WrittenMessage | TaskDone

/**
 * Starts the thread, and again whenever it ends by itself. A group that is under way then is refused, although it may have
 * been written: whoever asked lets nothing out that rests on it.
 *
 * @param entry What the thread runs; by default the journal's writer.
 */
export const startJournalThread = (
  start: ThreadStart,
  entry: URL = ENTRY,
): JournalThread & { readonly large: Large } => {
  let worker: Worker | undefined
  /** In the order of the answers. */
  const asked: Asked[] = []
  let backoffMs = BACKOFF_MS
  let restart: NodeJS.Timeout | undefined
  let isClosed = false

  const ended = (reason: string): void => {
    worker = undefined
    const error = new Error(`the journal's thread ended: ${reason}`)
    for (const { reject } of asked.splice(0)) reject(error)
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
      const first = asked.shift()
      switch (message.kind) {
        case "failed":
          return first?.reject(new Error(message.reason))
        case "refused":
          return first?.reject(refusalFromMessage(message.refusal))
        case "written":
        case "logs":
        case "trust":
        case "import":
          backoffMs = BACKOFF_MS
          return first?.resolve(message)
      }
    })
    worker = begun
  }
  begin()

  const ask = (message: Uint8Array | ThreadTask, moved: ArrayBuffer[] = []): Promise<Answer> =>
    new Promise((resolve, reject) => {
      if (worker === undefined) return reject(new Error("the journal's thread is not there"))
      worker.postMessage(message, moved)
      asked.push({ resolve, reject })
    })
  return {
    commit: async (group) => {
      const { bytes, refusals } = toMessage(group)
      const answer = await ask(bytes, [bytes.buffer])
      if (answer.kind !== "written") throw otherAnswer()
      return outcomeOf(answer, refusals)
    },
    large: {
      keepLogs: async (notes, bounds) => {
        const copies = notes.map(copyOfNote)
        const answer = await ask(
          { kind: "logs", notes: copies, bounds },
          copies.map(({ log }) => log.buffer),
        )
        if (answer.kind !== "logs") throw otherAnswer()
      },
      trust: async (tenant) => {
        const answer = await ask({ kind: "trust", tenant })
        if (answer.kind !== "trust") throw otherAnswer()
        return answer.trust
      },
      importTrust: async (task) => {
        const parts = await copyOfParts(task.parts)
        const moved = parts.crls.map(({ crl }) => crl.buffer)
        const answer = await ask({ kind: "import", task: { ...task, parts } }, moved)
        if (answer.kind !== "import") throw otherAnswer()
        return answer.imported
      },
    },
    close: async () => {
      isClosed = true
      clearTimeout(restart)
      await worker?.terminate()
    },
  }
}

const otherAnswer = (): Error => new Error("the journal's thread answered something else")

/** A view goes with all that it is a view on, be it a whole request: what is sent is a copy. */
const copyOfNote = (note: ShownNow) => ({
  ...note,
  ak_name: note.ak_name.slice(),
  digest: note.digest.slice(),
  log: copyOf(note.log),
})
const copyOf = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => {
  const copy = new Uint8Array(bytes.length)
  copy.set(bytes)
  return copy
}

/** Bytes that are copied between two breaths: a millisecond or two, with the memory that they need. */
const SLICE_BYTES = 2 * 1024 * 1024

const copyOfParts = async ({ anchors, intermediates, crls, eks }: TrustImport) => {
  const copies = []
  for (const list of crls) {
    const crl = new Uint8Array(list.crl.length)
    for (let at = 0; at < crl.length; at += SLICE_BYTES) {
      crl.set(list.crl.subarray(at, at + SLICE_BYTES), at)
      await setImmediate()
    }
    copies.push({ ...list, crl })
  }
  return {
    anchors: anchors.map((one) => ({ ...one, certificate: copyOf(one.certificate) })),
    intermediates: intermediates.map((one) => ({ ...one, certificate: copyOf(one.certificate) })),
    crls: copies,
    eks: eks.map((one) => ({ ...one, digest: copyOf(one.digest) })),
  }
}
