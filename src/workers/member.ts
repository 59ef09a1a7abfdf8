import type { Socket } from "node:net"
import { type Channel, createChannel, type Item } from "./channel.ts"
import type { SupervisorOffers, Trade, WorkerOffers } from "./offers.ts"
import type { Message } from "./process.ts"

/** This process as a worker. */
export interface Member<T extends Trade> {
  readonly supervisor: Channel<SupervisorOffers<T>>
  /** One at a time, among all processes of the crew. */
  readonly turns: { take<R>(act: () => Promise<R>): Promise<R> }
}

/** Between two looks at how many connections have ended. */
const CLOSED_MS = 50

/**
 * Makes this process a worker of the one that started it, and ends it with that one: whoever has no supervisor has nobody
 * who keeps its challenges apart from those of its successor.
 *
 * @param take Is given each connection that is brought.
 */
export function joinCrew<T extends Trade>(
  offers: WorkerOffers<T>,
  take: (listener: number, socket: Socket) => void,
): Member<T> {
  const send = (items: readonly Item[]): void => void process.send?.([...items])
  const supervisor = createChannel<SupervisorOffers<T>>(send, offers)
  const bring = closing(supervisor, take)
  process.on("message", (message: Message, socket: unknown) => {
    if ("listener" in message) bring(message.listener, socket)
    else supervisor.hear(message)
  })
  process.once("disconnect", () => process.exit(1))
  // The supervisor has them too where a terminal or a service manager tells all; it says when to end.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => {})
  return {
    supervisor,
    turns: {
      async take(act) {
        await supervisor.ask("turn", undefined)
        try {
          return await act()
        } finally {
          supervisor.tell("turnEnds")
        }
      },
    },
  }
}

/** Tells how many connections have ended, so that new ones go to whoever has fewest. */
const closing = <T extends Trade>(
  supervisor: Channel<SupervisorOffers<T>>,
  take: (listener: number, socket: Socket) => void,
) => {
  let count = 0
  const closed = (): void => {
    count++
    if (count > 1) return
    setTimeout(() => {
      supervisor.tell("closed", count)
      count = 0
    }, CLOSED_MS).unref()
  }
  return (listener: number, socket: unknown): void => {
    // One that its other end has given up on the way is not there any more.
    if (isSocket(socket)) {
      socket.once("close", closed)
      take(listener, socket)
    } else closed()
  }
}

const isSocket = (value: unknown): value is Socket =>
  typeof value === "object" && value !== null && "remoteAddress" in value && "destroy" in value
