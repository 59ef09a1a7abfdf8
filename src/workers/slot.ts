import type { MemberKey, SupervisorOffers, Trade, WorkerOffers } from "./offers.ts"
import { type Connection, startProcess, type WorkerProcess } from "./process.ts"

/** How long things may take. */
export interface CrewLimits {
  /** Until a worker serves. */
  readonly startMs: number
  /** Between two signs of life that are asked for. */
  readonly pingMs: number
  /** Without a sign of life for so long, nothing new is given to a worker. */
  readonly lateMs: number
  /** And then it is killed: whatever it may have spent dies with it. */
  readonly hungMs: number
  /** Before one that has ended is started again: doubles up to the most. */
  readonly backoffMs: number
  readonly backoffMsMax: number
  /** After so long it counts as well again. */
  readonly wellMs: number
}

/** What is right unless somebody knows better. */
export const CREW_LIMITS: CrewLimits = {
  startMs: 30_000,
  pingMs: 500,
  lateMs: 1500,
  hungMs: 5000,
  backoffMs: 100,
  backoffMsMax: 5000,
  wellMs: 10_000,
}

/** The place of one worker: its process, and the next one when that has ended. */
export interface Slot<T extends Trade> {
  readonly member: number
  /** Starts the first one. Rejects if it does not begin. */
  start(): Promise<void>
  /** What it is asked by, once it has begun and until it ends. */
  channel(): WorkerProcess<WorkerOffers<T>>["channel"] | undefined
  /** Its key, as long as it lives. */
  key(): MemberKey | undefined
  /** Whether it may be given something new. */
  isServing(): boolean
  readonly connections: number
  bring(connection: Connection): void
  /** Asks for a sign of life, and kills one that has given none for too long. */
  ping(): void
  /** Believes it for as long again: whoever asks was away itself. */
  forgive(): void
  unready(): string | undefined
  /** Starts no more. Resolves when the process has ended. */
  end(): Promise<void>
  kill(): void
}

/** What a slot needs of the crew. */
export interface SlotParts<T extends Trade> {
  readonly entry: URL
  readonly limits: CrewLimits
  readonly createKey: () => MemberKey
  /** What a new worker is told at its beginning. */
  readonly begin: (member: number, key: MemberKey) => T["begin"]
  readonly offers: (member: number) => Omit<SupervisorOffers<T>, "closed">
  /** Resolves when all the others know the keys as they are now. */
  readonly announce: () => Promise<void>
  readonly serving: (member: number, pid: number | undefined) => void
  readonly ended: (member: number, reason: string) => void
  /** Is given what one that has ended had been brought, and was not sent. */
  readonly takeBack: (connections: readonly Connection[]) => void
  readonly failed: (member: number, error: unknown) => void
}

/** A process, from its start on. */
interface Life<T extends Trade> {
  readonly process: WorkerProcess<WorkerOffers<T>>
  readonly key: MemberKey
  state: "starting" | "begun" | "serving"
  heardMs: number
  connections: number
  servingMs: number
  isAsked: boolean
}

/** Makes the place of a worker. Nothing runs yet. */
export function createSlot<T extends Trade>(member: number, parts: SlotParts<T>): Slot<T> {
  const { limits } = parts
  let life: Life<T> | undefined
  let backoffMs = limits.backoffMs
  let restart: NodeJS.Timeout | undefined
  let isOver = false

  const open = (): Life<T> => {
    const opened: Life<T> = {
      // Never one that another process had: nobody but this one says what of it was spent. And before the process is there:
      // one that nobody has heard of is ended by nobody.
      key: parts.createKey(),
      process: startProcess(parts.entry, {
        ...parts.offers(member),
        closed: (count: number) => {
          opened.connections -= count
        },
      } satisfies SupervisorOffers<T>),
      state: "starting",
      heardMs: performance.now(),
      connections: 0,
      servingMs: Number.POSITIVE_INFINITY,
      isAsked: false,
    }
    life = opened
    void opened.process.ended.then((reason) => gone(opened, reason))
    return opened
  }
  const gone = (ended: Life<T>, reason: string): void => {
    life = undefined
    if (performance.now() - ended.servingMs >= limits.wellMs) backoffMs = limits.backoffMs
    parts.ended(member, reason)
    parts.takeBack(ended.process.unsent())
    again()
  }
  const again = (): void => {
    if (isOver) return
    restart = setTimeout(() => void start().catch((error) => parts.failed(member, error)), backoffMs)
    backoffMs = Math.min(2 * backoffMs, limits.backoffMsMax)
  }
  const openOrAgain = (): Life<T> => {
    try {
      return open()
    } catch (error) {
      // Nothing has begun, so that nothing ends either.
      again()
      throw error
    }
  }
  const start = async (): Promise<void> => {
    const started = openOrAgain()
    try {
      await started.process.channel.ask("begin", limits.startMs, parts.begin(member, started.key))
      started.state = "begun"
      // To begin may take longer than any silence is borne; it is asked for signs of life from here on.
      started.heardMs = performance.now()
      // Nobody is handed a challenge that others would not know.
      await parts.announce()
      if (life !== started) throw new Error("the process has ended while others were told of it")
    } catch (error) {
      started.process.kill()
      throw error
    }
    started.state = "serving"
    started.heardMs = started.servingMs = performance.now()
    parts.serving(member, started.process.pid)
  }
  const silentMs = ({ heardMs }: Life<T>): number => performance.now() - heardMs
  const isLate = (one: Life<T>): boolean => silentMs(one) > limits.lateMs

  return {
    member,
    start,
    channel: () => (life === undefined || life.state === "starting" ? undefined : life.process.channel),
    key: () => life?.key,
    isServing: () => life?.state === "serving" && !isLate(life),
    get connections() {
      return life?.connections ?? 0
    },
    bring(connection) {
      if (life === undefined) return parts.takeBack([connection])
      life.connections++
      life.process.bring(connection)
    },
    ping() {
      const asked = life
      if (asked === undefined || asked.state === "starting") return
      if (silentMs(asked) > limits.hungMs) return asked.process.kill()
      if (asked.isAsked) return
      asked.isAsked = true
      const heard = (): void => {
        asked.isAsked = false
        asked.heardMs = performance.now()
      }
      asked.process.channel.ask("ping", undefined).then(heard, () => {})
    },
    forgive() {
      if (life !== undefined) life.heardMs = performance.now()
    },
    unready() {
      if (life === undefined || life.state !== "serving") return `worker ${member} is not there`
      return isLate(life) ? `worker ${member} does not answer` : undefined
    },
    async end() {
      isOver = true
      clearTimeout(restart)
      await life?.process.ended
    },
    kill: () => life?.process.kill(),
  }
}
