/**
 * A call straight on the HTTP/2 stream that it came by (gRPC over HTTP/2, PROTOCOL-HTTP2.md), whatever is said over it.
 */
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2"
import { type MetadataValue, type StatusObject, status } from "@grpc/grpc-js"
import { AssayError } from "../errors.ts"
import type { Arrival } from "./arrival.ts"
import { Call, type CallKind, type Carrier } from "./call.ts"
import type { Edge } from "./edge.ts"
import type { Holding } from "./guard.ts"
import { letGo } from "./let-go.ts"

const { HTTP2_HEADER_STATUS, HTTP2_HEADER_CONTENT_TYPE } = constants

const HEADERS = { [HTTP2_HEADER_STATUS]: 200, [HTTP2_HEADER_CONTENT_TYPE]: "application/grpc+proto" }
/** As a list, name and value in turns, and without a date, which is how Node writes them soonest. */
const ANSWER_HEADERS = Object.entries(HEADERS).flatMap(([name, value]) => [name, String(value)])
const ANSWERING = { waitForTrailers: true, sendDate: false }
const OK = { "grpc-status": String(status.OK) }
/** Of a deadline: whoever takes a call back later than that does so for its deadline, which comes to us a little late. */
const NEARLY = 0.9
/** What is listened to of each stream. */
const EVENTS = ["data", "end", "trailers", "wantTrailers", "close"]
/** gRPC over HTTP/2, Timeout: what its units are in milliseconds. */
const UNITS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 }

/** What is said over a call. It is told of what happens, in this order, and of nothing after the end. */
export interface Conversation extends Holding {
  /** Its caller is known and may make it. */
  admitted(): void
  /** More bytes have come. */
  received(chunk: Buffer): void
  /** All of them have. */
  complete(): void
  /** The stream is closed, however that has come. */
  closed?(): void
}

/** One call. */
export class DirectCall implements Carrier {
  readonly stream: ServerHttp2Stream
  readonly call: Call
  /** Of the headers, those that say who calls. The others would live as long as the call. */
  readonly #saysWho: Readonly<Record<string, unknown>>
  readonly #startMs = performance.now()
  readonly #timeoutMs: number
  #trailers: Readonly<Record<string, string>> = OK

  constructor(
    edge: Edge,
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    arrival: Arrival,
    kind: CallKind,
  ) {
    this.stream = stream
    this.#saysWho = { authorization: headers.authorization, "assay-tenant": headers["assay-tenant"] }
    this.#timeoutMs = timeoutIn(headers["grpc-timeout"])
    this.call = new Call(edge, this, arrival, kind, this.#startMs + this.#timeoutMs)
  }

  /** Begins, and leads `conversation` to its end. Until its caller is known, nothing is read. */
  begin(conversation: Conversation): void {
    const { stream, call } = this
    if (this.isGone) {
      this.closed()
      return
    }
    call.guarded?.heldBy(conversation)
    stream.on("data", (chunk: Buffer) => {
      call.guarded?.received(chunk)
      if (!call.ended) conversation.received(chunk)
    })
    stream.on("end", () => {
      call.guarded?.complete()
      if (!call.ended) conversation.complete()
    })
    stream.on("wantTrailers", () => this.taken())
    stream.on("close", () => {
      this.closed()
      conversation.closed?.()
      letGo(stream, EVENTS)
    })
    let isAdmitted = false
    call.begin(() => {
      isAdmitted = true
      if (stream.isPaused()) stream.resume()
      conversation.admitted()
    })
    if (!isAdmitted && !call.ended) stream.pause()
  }

  /** Whether nobody is there any more. */
  get isGone(): boolean {
    return this.stream.destroyed || this.stream.closed
  }

  /** Whether its caller's deadline has passed. */
  get isLate(): boolean {
    return this.#isAfter(this.#timeoutMs)
  }

  /** What says who calls has one value, or none: see arrival.ts. Of other headers it knows nothing. */
  get(name: string): MetadataValue[] {
    const value = this.#saysWho[name]
    return typeof value === "string" ? [value] : []
  }

  peer(): string {
    const { remoteAddress = "", remotePort } = this.stream.session?.socket ?? {}
    return remotePort === undefined ? remoteAddress : `${remoteAddress}:${remotePort}`
  }

  refuse({ code, details, metadata }: StatusObject): void {
    this.call.guarded?.answered()
    this.call.end(code)
    this.stream.resume()
    if (this.isGone) return
    metadata.set("x-request-id", this.call.id)
    const told = { "grpc-status": String(code), "grpc-message": encodeURI(details) }
    const trailers = { ...told, ...metadata.toHttp2Headers() }
    if (this.stream.headersSent) {
      this.#trailers = Object.fromEntries(
        Object.entries(trailers).map(([name, value]) => [name, String(value)]),
      )
      this.stream.end()
    } else this.stream.respond({ ...HEADERS, ...trailers }, { endStream: true })
  }

  /** Sends frames, those of the call's messages. */
  send(frames: Buffer): void {
    if (this.isGone) return
    if (!this.stream.headersSent) this.stream.respond(ANSWER_HEADERS, ANSWERING)
    this.stream.write(frames)
  }

  /** Ends it well, with the last frames, if there are any. The call goes on until its caller has taken them. */
  end(frames?: Buffer): void {
    this.call.guarded?.answered()
    if (this.isGone) return
    if (!this.stream.headersSent) this.stream.respond(ANSWER_HEADERS, ANSWERING)
    this.stream.end(frames)
  }

  /** All that was sent has been taken. */
  taken(): void {
    this.call.end(status.OK)
    this.stream.sendTrailers(this.#trailers)
  }

  /** Its stream is closed. */
  closed(): void {
    this.call.guarded?.closed()
    this.call.end(this.#isAfter(this.#timeoutMs * NEARLY) ? status.DEADLINE_EXCEEDED : status.CANCELLED)
  }

  #isAfter(ms: number): boolean {
    return performance.now() - this.#startMs >= ms
  }
}

/** That what has come is no message of ours. */
export const flawed = (message: string, expected: string): AssayError =>
  new AssayError("PROTO", message, { location: "message", expected })

const NOTHING = Buffer.alloc(0)

/** Bytes that come in pieces, in one buffer: each of many small pieces would take more than its bytes. */
export class Gathered {
  #room: Buffer = NOTHING
  #size = 0
  #isOwn = false

  get size(): number {
    return this.#size
  }

  /** All of them. */
  get bytes(): Buffer {
    return this.#size === this.#room.length ? this.#room : this.#room.subarray(0, this.#size)
  }

  push(piece: Buffer): void {
    const size = this.#size + piece.length
    if (this.#size === 0 && !this.#isOwn) this.#room = piece
    else {
      if (!this.#isOwn || size > this.#room.length) this.#move(2 * size)
      this.#room.set(piece, this.#size)
    }
    this.#size = size
  }

  /** Keeps no more than has come: a piece is a part of what the socket has read at once, which may be much more. */
  keep(): void {
    if (!this.#isOwn && this.#size > 0) this.#move(2 * this.#size)
  }

  #move(size: number): void {
    const room = Buffer.allocUnsafeSlow(size)
    room.set(this.bytes)
    this.#room = room
    this.#isOwn = true
  }
}

/** How many milliseconds a caller waits, by a header of the form that arrival.ts asks for. */
const timeoutIn = (header: unknown): number =>
  typeof header === "string"
    ? Number(header.slice(0, -1)) * (UNITS[header.slice(-1)] ?? 0)
    : Number.POSITIVE_INFINITY
