import { fork } from "node:child_process"
import type { Socket } from "node:net"
import { type Channel, createChannel, type Item, type Offers } from "./channel.ts"

/** A process of ours, until it ends. */
export interface WorkerProcess<Theirs extends Offers> {
  readonly pid: number | undefined
  readonly channel: Channel<Theirs>
  /** Brings a connection of which nothing was read. */
  bring(connection: Connection): void
  /** What was brought and is not on its way yet: of a process that has ended, others may have it. */
  unsent(): readonly Connection[]
  /** Ends it at once (SIGKILL). */
  kill(): void
  /** Resolves with what it ended of: then it does nothing any more, and has not done anything since. */
  readonly ended: Promise<string>
}

/** A connection of which nothing was read, and the listener that it came by. */
export interface Connection {
  readonly listener: number
  readonly socket: Socket
}

/** A connection on its way. */
export interface Brought {
  readonly listener: number
}

/** What goes over the wire. */
export type Message = readonly Item[] | Brought

/** Starts `entry` in a process of its own. Keys go over its channel, and nothing of it ever touches a disk. */
export function startProcess<Theirs extends Offers>(entry: URL, offers: Offers): WorkerProcess<Theirs> {
  const child = fork(entry, [], { serialization: "advanced", stdio: ["ignore", "inherit", "inherit", "ipc"] })
  const send = (items: readonly Item[]): void => {
    // Whoever is gone is noticed by its end.
    if (child.connected) child.send([...items], () => {})
  }
  const channel = createChannel<Theirs>(send, offers)
  child.on("message", (items: readonly Item[]) => channel.hear(items))
  const ended = new Promise<string>((resolve) => {
    child.once("error", ({ message }) => resolve(message))
    child.once("exit", (status, signal) => resolve(signal ?? `status ${status}`))
  }).then((reason) => {
    channel.close()
    return reason
  })
  const unsent = new Set<Connection>()
  return {
    pid: child.pid,
    channel,
    bring(connection) {
      unsent.add(connection)
      if (!child.connected) return // its end follows
      const { listener, socket } = connection
      const brought: Brought = { listener }
      // One waits for the other to arrive, and Node forgets those that wait for one that ends: they stay open here until they go.
      child.send(brought, socket, { keepOpen: true }, (error) => {
        if (error !== null && !child.connected) return
        unsent.delete(connection)
        socket.destroy()
      })
    },
    unsent: () => [...unsent],
    kill: () => void child.kill("SIGKILL"),
    ended,
  }
}
