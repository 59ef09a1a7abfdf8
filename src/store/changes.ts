import { setTimeout as after } from "node:timers/promises"
import { AssayError } from "../errors.ts"
import type { Changes } from "../service/ports.ts"

/** Between two looks at the revisions. */
const POLL_MS = 250
/** For one look. */
const READ_MS = 1000
/** How long revisions that were heard are believed to be current. */
const CONFIRMED_MS = 2000

/** A way to wake other replicas. It may lose a call, and then they look in their own time. */
export interface Nudges {
  /** Calls `heard` when another replica, or this one, has changed something. */
  listen(heard: () => void): void
  send(): void
  close(): Promise<void>
}

/** Changes, with what readiness asks and the end. */
export interface WatchedChanges extends Changes {
  /** Resolves when a look has ended, with an answer or without: so that a start need not be unsure. */
  look(): Promise<void>
  /** Why this replica may not decide; nothing while it may. */
  unready(): string | undefined
  /** What was heard last, for a process that is to go by it, whenever it begins; nothing before the first answer. */
  known(): Revisions | undefined
  close(): Promise<void>
}

/** The revision of each tenant. They only grow. */
export interface Revisions {
  readonly tenants: ReadonlyMap<string, number>
  /** Another one after each restore of a backup; nothing of a store without tenants. */
  readonly epoch: number | undefined
}

/** What asks the store for them. */
export type ReadRevisions = () => Promise<Revisions>

/**
 * Looks at the revisions four times a second, and whenever it is nudged. What it heard counts from when it asked: an answer
 * that was long under way is as old as its question.
 *
 * Once a backup was restored into the store it confirms nothing any more: what this process remembers may be of revisions
 * that were lost, and are given again.
 *
 * @param read What asks the store; one that does not answer within a second is asked again.
 * @param known What a service has heard of which this process is a part.
 */
export function watchChanges(read: ReadRevisions, nudges: Nudges, known?: Revisions): WatchedChanges {
  const listeners = new Set<Parameters<Changes["subscribe"]>[0]>()
  const ended = new AbortController()
  let revisions = known?.tenants
  let epoch = known?.epoch
  let isRestored = false
  let confirmedMs = Number.NEGATIVE_INFINITY
  let looking: Promise<void> | undefined
  let isAskedAgain = false

  const lookOnce = async (): Promise<void> => {
    const askedMs = performance.now()
    const answer = await Promise.race([read(), after(READ_MS, undefined, { ref: false })])
    if (answer === undefined) return
    const heard = answer.tenants
    if (epoch !== undefined && answer.epoch !== undefined && answer.epoch !== epoch) isRestored = true
    if (isRestored) return
    epoch ??= answer.epoch
    const before = revisions
    // A store that was put back is not one to go on with: its revisions have to be raised first.
    const isBack = [...(before ?? [])].some(([tenant, revision]) => (heard.get(tenant) ?? 0) < revision)
    if (isBack) return
    confirmedMs = askedMs
    revisions = heard
    if (before === undefined) return
    for (const [tenant, revision] of heard)
      if (revision !== before.get(tenant)) for (const listener of listeners) listener(tenant, revision)
  }
  /** One at a time; whoever asks during a look is not served by it, for it may have read before. */
  const look = (): Promise<void> => {
    isAskedAgain = true
    looking ??= (async () => {
      while (isAskedAgain && !ended.signal.aborted) {
        isAskedAgain = false
        await lookOnce().catch(() => {}) // silence is what is noticed
      }
      looking = undefined
    })()
    return looking
  }
  const poll = async (): Promise<void> => {
    while (!ended.signal.aborted) {
      void look()
      await after(POLL_MS, undefined, { ref: false, signal: ended.signal }).catch(() => {})
    }
  }
  const silentMs = (): number => performance.now() - confirmedMs
  const unready = (): string | undefined => {
    if (isRestored) return "a backup was restored into the store: restart"
    return silentMs() > CONFIRMED_MS ? "the store's revisions could not be confirmed lately" : undefined
  }

  nudges.listen(() => void look())
  const polling = poll()
  return {
    confirmed() {
      const reason = unready()
      if (reason === undefined) return
      throw new AssayError("REVISION_UNCONFIRMED", `${reason}: an operator may have changed what holds`, {
        expected: `within ${CONFIRMED_MS} ms`,
        actual: Number.isFinite(confirmedMs) ? `${Math.round(silentMs())} ms ago` : "never",
      })
    },
    latest: (tenant) => revisions?.get(tenant) ?? 0,
    subscribe(heard) {
      listeners.add(heard)
      return () => void listeners.delete(heard)
    },
    announce() {
      void look()
      nudges.send()
    },
    look,
    unready,
    known: () => revisions && { tenants: revisions, epoch },
    async close() {
      ended.abort()
      await polling
      await looking
      await nudges.close()
    },
  }
}

/** For one process: there is nobody else to wake. */
export const createLocalNudges = (): Nudges => ({ listen: () => {}, send: () => {}, close: async () => {} })
