/**
 * The connections that there are: how many of them, whose, and for how long one may stay that has not shown who calls on it. A
 * stranger costs a socket and some 100 KB, so strangers are few and their time is short.
 */
import type { Http2Session } from "node:http2"
import type { Socket } from "node:net"
import { networkOf } from "../addresses.ts"
import { Buckets } from "./buckets.ts"
import type { ShownChain } from "./certificates.ts"
import { Connection, type Refuses, type Takes } from "./connection.ts"

/** Connections at a time. */
export interface ConnectionLimits {
  readonly connectionsMax: number
  /** From one address (of IPv6: one /64). */
  readonly addressConnectionsMax: number
  /** From one address, of those on which nobody has called who is known. */
  readonly strangersMax: number
  /** How long one of those stays that has no call open. */
  readonly strangerIdleMs: number
  /** How long others stay that have no call open. */
  readonly idleMs: number
}

/** Any number of connections, which stay as long as they like. */
export const UNBOUNDED: ConnectionLimits = {
  connectionsMax: Number.MAX_SAFE_INTEGER,
  addressConnectionsMax: Number.MAX_SAFE_INTEGER,
  strangersMax: Number.MAX_SAFE_INTEGER,
  strangerIdleMs: Number.MAX_SAFE_INTEGER,
  idleMs: Number.MAX_SAFE_INTEGER,
}

/** For the other end to close what is idle. */
const CLOSING_MS = 10_000

/** Before the first call: a handshake with the longest chain of certificates, many times over. */
const SILENT_BYTES_MAX = 256 * 1024

/** Connections of one address that were ended for small pieces: as many again have come by then, and are read. */
const CRUMBLED = { perSecond: 0.2, burst: 3 }
/** Addresses that are told apart. */
const ADDRESSES_MAX = 4096

const CONNECTION = Symbol("connection")

/** Takes connections, and closes those that stay for nothing. */
export class Connections {
  readonly #limits: ConnectionLimits
  readonly #refuses: Refuses
  readonly #nowMs: () => number
  readonly #sockets = new Map<Connection, Socket>()
  readonly #ofNetwork = new Map<string, number>()
  readonly #strangersOf = new Map<string, number>()
  readonly #byEnds = new Map<string, Connection>()
  readonly #crumbled = new Buckets(CRUMBLED, ADDRESSES_MAX)
  #made = 0
  #isStopping = false

  /**
   * @param refuses Why one more call on a connection would be refused now, whatever it is, if it would.
   * @param nowMs A clock that never goes back.
   */
  constructor(
    limits: ConnectionLimits,
    refuses: Refuses = () => undefined,
    nowMs = (): number => performance.now(),
  ) {
    this.#limits = limits
    this.#refuses = refuses
    this.#nowMs = nowMs
  }

  get size(): number {
    return this.#sockets.size
  }

  /**
   * Takes a socket that has just been accepted: nothing, and the socket is closed, where there are too many.
   *
   * @param takes Who answers its calls without grpc-js.
   */
  admit(socket: Socket, takes?: Takes): Connection | undefined {
    const network = networkOf(socket.remoteAddress ?? "")
    const { connectionsMax, addressConnectionsMax, strangersMax } = this.#limits
    if (
      this.#isStopping ||
      this.#sockets.size >= connectionsMax ||
      (this.#ofNetwork.get(network) ?? 0) >= addressConnectionsMax ||
      (this.#strangersOf.get(network) ?? 0) >= strangersMax ||
      this.#crumbled.wait(network, this.#nowMs()) > 0
    ) {
      socket.destroy()
      return undefined
    }
    const connection: Connection = new Connection(
      `#${++this.#made}`,
      network,
      this.#nowMs(),
      {
        refuses: this.#refuses,
        cut: () => socket.destroy(),
        crumbled: (nowMs) => {
          if (!this.#isShared(connection)) this.#crumbled.take(network, nowMs)
        },
      },
      takes,
    )
    const ends = endsOf(socket)
    this.#sockets.set(connection, socket)
    this.#byEnds.set(ends, connection)
    count(this.#ofNetwork, network, 1)
    count(this.#strangersOf, network, 1)
    socket.once("close", () => {
      this.#sockets.delete(connection)
      if (this.#byEnds.get(ends) === connection) this.#byEnds.delete(ends)
      count(this.#ofNetwork, network, -1)
      if (connection.caller === undefined) count(this.#strangersOf, network, -1)
    })
    mark(socket, connection)
    return connection
  }

  /** Whether others who are known call from its address: a proxy's, say. All who use a Unix socket have none, and are not one. */
  #isShared({ network, caller }: Connection): boolean {
    if (network === "") return true
    for (const other of this.#sockets.keys())
      if (other.network === network && other.caller !== undefined && other.caller !== caller) return true
    return false
  }

  /** The connection that a socket with TLS is the inner side of. */
  shake(socket: Socket, chain: ShownChain): Connection | undefined {
    const connection = this.#byEnds.get(endsOf(socket))
    if (connection === undefined || this.#isStopping) return undefined
    connection.chain = chain
    mark(socket, connection)
    return connection
  }

  /** Somebody who is known has called on it, and said that of itself. */
  prove(connection: Connection, caller: string, said?: string): void {
    const isFirst = connection.caller === undefined
    connection.known(caller, said)
    if (!isFirst) return
    if (this.#sockets.has(connection)) count(this.#strangersOf, connection.network, -1)
  }

  /** Takes no more, those neither whose handshake is not done. */
  stop(): void {
    this.#isStopping = true
  }

  /** Ends all that there are: a peer that does not close its side would keep the process. */
  cut(): void {
    this.stop()
    for (const connection of [...this.#sockets.keys()]) connection.cut()
  }

  /** Closes connections that have been idle for too long. */
  sweep(): void {
    const now = this.#nowMs()
    const { strangerIdleMs, idleMs } = this.#limits
    for (const [connection, socket] of this.#sockets) {
      const { bytesRead } = socket
      connection.sweep(now, bytesRead)
      if (connection.session === undefined && bytesRead > SILENT_BYTES_MAX) socket.destroy()
      if (connection.streams > 0) continue
      const idle = now - connection.idleSinceMs
      if (connection.caller === undefined && idle > strangerIdleMs) socket.destroy()
      // It was told, and does not close its side.
      else if (idle > idleMs + CLOSING_MS) connection.cut()
      // Says so, and lets end what has just been sent.
      else if (idle > idleMs && connection.session?.closed === false) connection.session.close()
    }
  }
}

/** No two connections that are open have the same, but for those of Unix sockets, which have none. */
const endsOf = ({ localAddress, localPort, remoteAddress, remotePort }: Socket): string =>
  `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`

const mark = (socket: Socket, connection: Connection): void => {
  Object.defineProperty(socket, CONNECTION, { value: connection })
}

const ofSession = new WeakMap<Http2Session, Connection>()

/** The connection of a session: nothing if it is gone, or none that was admitted. */
export function connectionOf(session: Http2Session): Connection | undefined {
  const known = ofSession.get(session)
  if (known !== undefined || session.destroyed) return known
  // The socket of a session is a proxy of the one that it was made with, and not equal to it.
  const found: unknown = Reflect.get(session.socket, CONNECTION)
  if (!(found instanceof Connection)) return undefined
  ofSession.set(session, found)
  return found
}

const count = (counts: Map<string, number>, key: string, change: 1 | -1): void => {
  const now = (counts.get(key) ?? 0) + change
  if (now === 0) counts.delete(key)
  else counts.set(key, now)
}
