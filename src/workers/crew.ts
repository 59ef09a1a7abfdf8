/**
 * Workers that serve the connections of one service, and who looks after them: one that ends is started again, one that
 * gives no sign of life is killed, and both are told of for as long as they are missing.
 */
import type { Socket } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import type { MemberKey, Trade } from "./offers.ts"
import type { Connection } from "./process.ts"
import { CREW_LIMITS, type CrewLimits, createSlot, type Slot, type SlotParts } from "./slot.ts"

/** What a crew is made of. */
export interface CrewOptions<T extends Trade>
  extends Pick<SlotParts<T>, "entry" | "createKey" | "offers" | "serving" | "ended" | "failed"> {
  readonly count: number
  /** The supervisor's own key. */
  readonly ownKey: MemberKey
  /** What worker `member` is told at its beginning: its key, and those of all who live. */
  readonly begin: (member: number, key: MemberKey, keys: readonly MemberKey[]) => T["begin"]
  readonly limits?: Partial<CrewLimits>
}

/** Asks the owner of a key. */
export interface Owner<T extends Trade> {
  use(use: T["use"]): Promise<T["verdict"]>
  /** Whether it is still the one that owns the key. */
  lives(): boolean
}

/** All workers. */
export interface Crew<T extends Trade> {
  /** Starts all of them. @throws what the first that fails could not begin by; then none is left. */
  start(): Promise<void>
  /** Gives a connection to the worker that has fewest; while there is none, it waits. */
  take(listener: number, socket: Socket): void
  /** The worker with this key, while it lives. */
  ownerOf(keyId: Uint8Array): Owner<T> | undefined
  /** Every key of a process that lives. */
  keys(): readonly MemberKey[]
  /** Wakes all but the one that has changed something. */
  nudge(from?: number): void
  /** Why not all of them serve, each asked now. */
  unready(): Promise<readonly string[]>
  /** What each of those that answer counts. */
  metrics(): Promise<readonly (readonly [member: number, snapshot: unknown])[]>
  /** Has the open calls answered, and ends all. What does not end within `limitMs` is killed. */
  stop(limitMs: number): Promise<void>
}

/** For answers that a page waits for. */
const ANSWER_MS = 1000
/** For what another worker waits for: longer, and its caller is told that nobody answers. */
const USE_MS = 1000
/** Connections that wait while nobody serves. */
const WAITING_MAX = 1024
const STOP_MS = 5000

/** Makes a crew. Nothing runs yet. */
export function createCrew<T extends Trade>(options: CrewOptions<T>): Crew<T> {
  const limits = { ...CREW_LIMITS, ...options.limits }
  const waiting: Connection[] = []
  let watch: NodeJS.Timeout | undefined
  let isOver = false
  let turn = 0

  const keys = (): readonly MemberKey[] => [options.ownKey, ...slots.flatMap((slot) => slot.key() ?? [])]
  /** Who dies or is killed meanwhile need not know. */
  const announce = async (): Promise<void> => {
    const known = keys()
    await Promise.all(
      slots.map((slot) =>
        slot
          .channel()
          ?.ask("keys", undefined, known)
          .catch(() => {}),
      ),
    )
  }
  const freest = (): Slot<T> | undefined => {
    const ready = slots.filter((slot) => slot.isServing())
    const least = Math.min(...ready.map(({ connections }) => connections))
    const equals = ready.filter(({ connections }) => connections === least)
    return equals[turn++ % equals.length]
  }
  const bringWaiting = (): void => {
    for (let slot = freest(); slot !== undefined && waiting.length > 0; slot = freest()) {
      const next = waiting.shift()
      if (next !== undefined) slot.bring(next)
    }
  }
  const give = (connection: Connection): void => {
    const slot = isOver ? undefined : freest()
    if (slot !== undefined) slot.bring(connection)
    else if (!isOver && waiting.length < WAITING_MAX) waiting.push(connection)
    else connection.socket.destroy()
  }
  const slots = Array.from({ length: options.count }, (_, i) =>
    createSlot<T>(i + 1, {
      ...options,
      limits,
      begin: (member, key) => options.begin(member, key, keys()),
      announce,
      serving: (member, pid) => {
        options.serving(member, pid)
        bringWaiting()
      },
      ended: (member, reason) => {
        options.ended(member, reason)
        void announce() // so that what only it could use is refused everywhere
      },
      takeBack: (connections) => connections.forEach(give),
    }),
  )
  let lookedMs = performance.now()
  const look = (): void => {
    const now = performance.now()
    // Whoever was stopped itself, or slept, has heard nobody.
    const wasAway = now - lookedMs > limits.lateMs
    lookedMs = now
    for (const slot of slots) {
      if (wasAway) slot.forgive()
      slot.ping()
    }
    bringWaiting()
  }
  const end = async (): Promise<void> => {
    isOver = true
    clearInterval(watch)
    for (const { socket } of waiting.splice(0)) socket.destroy()
    await Promise.all(slots.map((slot) => slot.end()))
  }

  return {
    async start() {
      try {
        await Promise.all(slots.map((slot) => slot.start()))
      } catch (error) {
        const ended = end()
        for (const slot of slots) slot.kill()
        await ended
        throw error
      }
      watch = setInterval(look, limits.pingMs)
    },
    take(listener, socket) {
      socket.on("error", () => socket.destroy())
      give({ listener, socket })
    },
    ownerOf(keyId) {
      const slot = slots.find((one) => isSame(one.key()?.id, keyId))
      const channel = slot?.channel()
      if (slot === undefined || channel === undefined) return undefined
      return {
        use: (use) => channel.ask("use", USE_MS, use),
        lives: () => isSame(slot.key()?.id, keyId),
      }
    },
    keys,
    nudge(from) {
      for (const slot of slots) if (slot.member !== from) slot.channel()?.tell("nudge")
    },
    async unready() {
      if (isOver) return ["the workers are being stopped"]
      const reasons = slots.map(async (slot) => {
        const own = slot.unready()
        if (own !== undefined) return [own]
        const none = `worker ${slot.member} does not answer`
        const told = await slot
          .channel()
          ?.ask("reasons", ANSWER_MS)
          .catch(() => [none])
        return told?.map((reason) => (reason === none ? none : `worker ${slot.member}: ${reason}`)) ?? [none]
      })
      return (await Promise.all(reasons)).flat()
    },
    async metrics() {
      const asked = slots.map(async (slot) => {
        const channel = slot.channel()
        const snapshot = await channel?.ask("metrics", ANSWER_MS).catch(() => undefined)
        return { slot, channel, snapshot }
      })
      return (await Promise.all(asked)).flatMap(({ slot, channel, snapshot }) =>
        snapshot === undefined || slot.channel() !== channel ? [] : [[slot.member, snapshot] as const],
      )
    },
    async stop(limitMs) {
      isOver = true
      // Nobody ends before all have answered: what one has made another may be about to use.
      await Promise.all(
        slots.map((slot) =>
          slot
            .channel()
            ?.ask("drain", limitMs)
            .catch(() => {}),
        ),
      )
      const ended = end()
      for (const slot of slots) {
        const channel = slot.channel()
        if (channel === undefined) slot.kill()
        else void channel.ask("stop", STOP_MS).catch(() => slot.kill())
      }
      await Promise.race([ended, sleep(2 * STOP_MS, undefined, { ref: false })])
      for (const slot of slots) slot.kill()
      await ended
    },
  }
}

const isSame = (a: Uint8Array | undefined, b: Uint8Array): boolean =>
  a !== undefined && Buffer.compare(a, b) === 0
