/**
 * The connections that there are: how many of them, whose, and for how long one may stay that has not shown who calls on it. A
 * stranger costs a socket and some 100 KB, so strangers are few and their time is short.
 */
import { constants, type Http2Session, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2"
import type { Socket } from "node:net"
import { networkOf } from "../addresses.ts"
import { Acquaintances } from "./acquaintances.ts"
import type { Arrival } from "./arrival.ts"
import { Buckets } from "./buckets.ts"
import type { ShownChain } from "./certificates.ts"
import type { RefusedLine } from "./refusals.ts"
import { type Listed, Roll } from "./roll.ts"

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

/** What one connection may do that no honest one does often: calls taken back, of nobody who is known, or that are no calls. */
const STRIKES = { perSecond: 100, burst: 512 }

/** Answers a call, or says that it does not: then grpc-js does. */
export type Takes = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, arrival: Arrival) => boolean

/** Why a call is refused at once. */
export type AtOnce = "OVERLOADED" | "RATE"

/** Says why one more call on a connection would be refused now, whatever it is, if it would; of that caller, if it is known. */
type Refuses = (connection: Connection, caller: string | undefined) => AtOnce | undefined

/** For the other end to close what is idle. */
const CLOSING_MS = 10_000

/** For a caller that is refused at once to end its request. */
const LINGER_MS = 5000

/** Before the first call: a handshake with the longest chain of certificates, many times over. */
const SILENT_BYTES_MAX = 256 * 1024

/** A call that was refused at once. */
interface Lingering extends Listed {
  readonly stream: ServerHttp2Stream
  readonly sinceMs: number
}

const CONNECTION = Symbol("connection")

/** One connection. */
export class Connection {
  /** As no other connection of this process is called. */
  readonly id: string
  /** Whom its address belongs to; empty for a Unix socket. */
  readonly network: string
  /** Who answers its calls without grpc-js, if anybody does. */
  readonly takes: Takes | undefined
  /** Once somebody has called on it. */
  session: Http2Session | undefined
  /** What was shown in its handshake: nothing where there was none. */
  chain: ShownChain | undefined
  /** Who has called on it last of those who are known, if anybody has. */
  caller: string | undefined
  readonly #acquaintances = new Acquaintances()
  /** Calls that have come. */
  calls = 0
  /** Calls whose streams are open. */
  streams = 0
  /** Calls that were refused at once, and whose streams are open. */
  readonly refused = new Roll<Lingering>()
  /** Those of them that are not answered yet. */
  readonly unanswered: RefusedLine = []
  idleSinceMs: number
  readonly #refuses: Refuses
  readonly #strikes = new Buckets(STRIKES, 1)
  /** Calls that have not come to us, as far as they have been counted; and what had been read by then. */
  #unheard = 0
  #bytesRead = 0
  #isEnding = false

  /** Ends it at once, whatever its other end does. */
  readonly cut: () => void

  constructor(id: string, network: string, nowMs: number, refuses: Refuses, cut: () => void, takes?: Takes) {
    this.#refuses = refuses
    this.cut = cut
    this.takes = takes
    this.id = id
    this.network = network
    this.idleSinceMs = nowMs
  }

  /**
   * Why one more call would be refused now, whatever it is, if it would.
   *
   * @param said What its caller says of itself: the authorization, or nothing.
   */
  refusal(said: string | undefined): AtOnce | undefined {
    return this.#refuses(this, this.#acquaintances.lineOf(said ?? ""))
  }

  /** A caller is known who said that of itself. */
  known(caller: string, said: string | undefined): void {
    this.caller = caller
    this.#acquaintances.add(said ?? "", caller)
  }

  /** Counts a call of the kind that `STRIKES` says, and ends whoever makes one too many. Gives whether it was that. */
  strike(nowMs: number): boolean {
    if (this.#strikes.take("", nowMs) === 0) return false
    this.end()
    return true
  }

  /** Whether nothing more of it is answered. */
  get isEnding(): boolean {
    return this.#isEnding
  }

  /**
   * Says that it is too much, and ends it. By its socket, and not by `destroy` of its session: while answers of streams are
   * under way, that has Node abort the process.
   */
  end(): void {
    if (this.#isEnding) return
    this.#isEnding = true
    if (this.session?.destroyed === false) this.session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM)
    setImmediate(this.cut) // when that is written
  }

  /**
   * Ends calls that were refused, and whose callers do not end them, and counts those that never came.
   *
   * @param bytesRead From its socket, since it began.
   */
  sweep(nowMs: number, bytesRead: number): void {
    for (const { stream, sinceMs } of this.refused.all())
      if (nowMs - sinceMs > LINGER_MS) stream.close(constants.NGHTTP2_CANCEL)
    if (bytesRead > this.#bytesRead) this.#strikeUnheard(nowMs)
    this.#bytesRead = bytesRead
  }

  /** Node resets calls with too many headers and tells nobody. They count as calls all the same: their numbers go on by two. */
  #strikeUnheard(nowMs: number): void {
    if (this.session === undefined || this.session.destroyed) return
    const begun = ((this.session.state.lastProcStreamID ?? 0) + 1) / 2
    while (this.calls + this.#unheard < begun) {
      this.#unheard += 1
      if (this.strike(nowMs)) return
    }
  }
}

/** Takes connections, and closes those that stay for nothing. */
export class Connections {
  readonly #limits: ConnectionLimits
  readonly #refuses: Refuses
  readonly #nowMs: () => number
  readonly #sockets = new Map<Connection, Socket>()
  readonly #ofNetwork = new Map<string, number>()
  readonly #strangersOf = new Map<string, number>()
  readonly #byEnds = new Map<string, Connection>()
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
      (this.#strangersOf.get(network) ?? 0) >= strangersMax
    ) {
      socket.destroy()
      return undefined
    }
    const connection = new Connection(
      `#${++this.#made}`,
      network,
      this.#nowMs(),
      this.#refuses,
      () => socket.destroy(),
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
