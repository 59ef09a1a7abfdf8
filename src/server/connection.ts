/** One connection: who has called on it, and what it has done that no honest one does often. */
import { constants, type Http2Session, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2"
import { Acquaintances } from "./acquaintances.ts"
import type { Arrival } from "./arrival.ts"
import { Buckets } from "./buckets.ts"
import type { ShownChain } from "./certificates.ts"
import type { RefusedLine } from "./refusals.ts"
import { type Listed, Roll } from "./roll.ts"

/**
 * What one connection may do that no honest one does often: calls taken back, of nobody who is known, that are no calls, or that
 * bring trailers or dozens of headers.
 */
const STRIKES = { perSecond: 100, burst: 512 }

/**
 * Pieces of messages that are smaller than networks make them: reading one takes as long as reading a large one. Those of a
 * message that is in large ones on the whole do not count, nor the first: some clients send what is before a message by itself.
 */
const CRUMBS = { perSecond: 250, burst: 512 }
const CRUMB_BYTES = 256
const PIECES_FREE = 4

/** Answers a call, or says that it does not: then grpc-js does. */
export type Takes = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, arrival: Arrival) => boolean

/** Why a call is refused at once. */
export type AtOnce = "OVERLOADED" | "RATE"

/** Says why one more call on a connection would be refused now, whatever it is, if it would; of that caller, if it is known. */
export type Refuses = (connection: Connection, caller: string | undefined) => AtOnce | undefined

/** For a caller that is refused at once to end its request. */
const LINGER_MS = 5000

/** A call that was refused at once. */
interface Lingering extends Listed {
  readonly stream: ServerHttp2Stream
  readonly sinceMs: number
}

/** A piece of a message. */
export interface Piece {
  readonly bytes: number
  /** The so-manieth of its message. */
  readonly count: number
  /** That have come of the message, with this one. */
  readonly allBytes: number
}

/** What a connection asks of whoever keeps it. */
interface ConnectionEvents {
  readonly refuses: Refuses
  /** Closes its socket. */
  readonly cut: () => void
  /** Told that it has sent too many small pieces. */
  readonly crumbled?: (nowMs: number) => void
}

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
  readonly #crumbs = new Buckets(CRUMBS, 1)
  readonly #crumbled: (nowMs: number) => void

  /** Ends it at once, whatever its other end does. */
  readonly cut: () => void

  constructor(
    id: string,
    network: string,
    nowMs: number,
    { refuses, cut, crumbled = () => {} }: ConnectionEvents,
    takes?: Takes,
  ) {
    this.#refuses = refuses
    this.#crumbled = crumbled
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

  /** Counts one more piece of a message that is not whole, and ends whoever sends too many that are small. */
  piece({ bytes, count, allBytes }: Piece, nowMs: () => number): void {
    const isCrumb = bytes < CRUMB_BYTES && allBytes < CRUMB_BYTES * (count - PIECES_FREE)
    if (!isCrumb || this.#isEnding) return
    const now = nowMs()
    if (this.#crumbs.take("", now) === 0) return
    this.#crumbled(now)
    this.end()
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
