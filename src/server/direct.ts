/**
 * Unary calls, each answered on the HTTP/2 stream that it came by (gRPC over HTTP/2, PROTOCOL-HTTP2.md). grpc-js would do the
 * same with two thirds of what an empty call costs more. What is not ordinary, such as a compressed request, is left to it.
 */
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2"
import type { DescService } from "@bufbuild/protobuf"
import { type MetadataValue, type StatusObject, status } from "@grpc/grpc-js"
import { AssayError } from "../errors.ts"
import { type Decode, fromBuffer, pathOf } from "../rpc.ts"
import type { Arrival } from "./arrival.ts"
import { Call, type CallKind, type Carrier, type Edge, kindOf } from "./call.ts"
import type { AnswerBytes } from "./unary.ts"

const { HTTP2_HEADER_PATH, HTTP2_HEADER_STATUS, HTTP2_HEADER_CONTENT_TYPE } = constants

/** Of a message, before its bytes: a flag and its size. */
const PREFIX_BYTES = 5
const HEADERS = { [HTTP2_HEADER_STATUS]: 200, [HTTP2_HEADER_CONTENT_TYPE]: "application/grpc+proto" }
/** Of a deadline: whoever takes a call back later than that does so for its deadline, which comes to us a little late. */
const NEARLY = 0.9
/** As a list, name and value in turns, and without a date, which is how Node writes them soonest. */
const ANSWER_HEADERS = Object.entries(HEADERS).flatMap(([name, value]) => [name, String(value)])
const ANSWERING = { waitForTrailers: true, sendDate: false }
const OK = { "grpc-status": String(status.OK) }
/** gRPC over HTTP/2, Timeout: what its units are in milliseconds. */
const UNITS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 }

interface Method {
  readonly kind: CallKind
  readonly read: Decode
  readonly answer: AnswerBytes
}

/** The unary methods of a listener. */
export class DirectCalls {
  readonly #methods = new Map<string, Method>()

  /** Adds those of a service whose handlers `unary` made. */
  add(service: DescService, handlers: Readonly<Record<string, unknown>>, read: Decode): void {
    for (const method of service.methods) {
      const answer = answerOf(handlers[method.localName])
      const path = pathOf(method)
      if (answer !== undefined) this.#methods.set(path, { kind: kindOf(path, false, false), read, answer })
    }
  }

  /** Answers a call, or leaves it to grpc-js, which has not seen it then. */
  take(edge: Edge, stream: ServerHttp2Stream, headers: IncomingHttpHeaders, arrival: Arrival): boolean {
    const method = this.#methods.get(String(headers[HTTP2_HEADER_PATH]))
    const { "grpc-encoding": encoding = "identity" } = headers
    if (method === undefined || encoding !== "identity" || arrival.flaw !== undefined) return false
    new DirectCall(edge, stream, headers, arrival, method).begin()
    return true
  }
}

/** What `unary` has put beside its handler. */
const answerOf = (handler: unknown): AnswerBytes | undefined =>
  typeof handler === "function" && "answerBytes" in handler && isAnswer(handler.answerBytes)
    ? handler.answerBytes
    : undefined

const isAnswer = (value: unknown): value is AnswerBytes => typeof value === "function"

/** One of them. */
class DirectCall implements Carrier {
  readonly stream: ServerHttp2Stream
  readonly #headers: IncomingHttpHeaders
  readonly #method: Method
  readonly #call: Call
  readonly #startMs = performance.now()
  readonly #timeoutMs: number
  readonly #chunks: Buffer[] = []
  #isAdmitted = false
  #isWhole = false

  constructor(
    edge: Edge,
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    arrival: Arrival,
    method: Method,
  ) {
    this.stream = stream
    this.#headers = headers
    this.#method = method
    this.#timeoutMs = timeoutIn(headers["grpc-timeout"])
    const deadlineMs = this.#startMs + this.#timeoutMs
    this.#call = new Call(edge, this, arrival, method.kind, deadlineMs)
  }

  begin(): void {
    const { stream } = this
    stream.on("error", ignore) // it has gone: "close" comes next
    if (this.#isGone) {
      this.closed()
      return
    }
    // Node keeps closed streams, and all that their listeners refer to, until everything is collected.
    const own: { call: DirectCall | undefined } = { call: this }
    stream.on("data", (chunk: Buffer) => own.call?.received(chunk))
    stream.on("end", () => own.call?.complete())
    stream.on("wantTrailers", sendTrailers)
    stream.on("close", () => {
      own.call?.closed()
      own.call = undefined
    })
    this.#call.begin(() => {
      this.#isAdmitted = true
      if (stream.isPaused()) stream.resume()
      this.#proceed()
    })
    if (!this.#isAdmitted && !this.#call.ended) stream.pause()
  }

  /** The headers that say who calls have one value, or none: see arrival.ts. */
  get(name: string): MetadataValue[] {
    const value = this.#headers[name]
    return typeof value === "string" ? [value] : []
  }

  peer(): string {
    const { remoteAddress = "", remotePort } = this.stream.session?.socket ?? {}
    return remotePort === undefined ? remoteAddress : `${remoteAddress}:${remotePort}`
  }

  refuse({ code, details, metadata }: StatusObject): void {
    this.#call.guarded?.answered()
    this.#call.end(code)
    this.stream.resume()
    if (this.#isGone) return
    metadata.set("x-request-id", this.#call.id)
    const told = { "grpc-status": String(code), "grpc-message": encodeURI(details) }
    this.stream.respond({ ...HEADERS, ...told, ...metadata.toHttp2Headers() }, { endStream: true })
  }

  get #isGone(): boolean {
    return this.stream.destroyed || this.stream.closed
  }

  received(chunk: Buffer): void {
    this.#call.guarded?.received(chunk)
    if (!this.#call.ended) this.#chunks.push(chunk)
  }

  complete(): void {
    this.#call.guarded?.complete()
    this.#isWhole = true
    this.#proceed()
  }

  closed(): void {
    this.#call.guarded?.closed()
    this.#call.end(this.#isAfter(this.#timeoutMs * NEARLY) ? status.DEADLINE_EXCEEDED : status.CANCELLED)
  }

  #isAfter(ms: number): boolean {
    return performance.now() - this.#startMs >= ms
  }

  /** Answers, as soon as it is known who asks, and what. */
  #proceed(): void {
    if (!this.#isAdmitted || !this.#isWhole || this.#call.ended) return
    const [first = Buffer.alloc(0), ...others] = this.#chunks.splice(0)
    const received = others.length === 0 ? first : Buffer.concat([first, ...others])
    const flaw = this.#flawOf(received)
    if (flaw === undefined) void this.#answer(received.subarray(PREFIX_BYTES))
    else this.#call.refuse(flaw)
  }

  #flawOf(received: Uint8Array): AssayError | undefined {
    if (this.#call.guarded?.isWhole !== true)
      return flawed("the request is not whole", "one message, of as many bytes as it says")
    return received[0] === 0
      ? undefined
      : flawed("the message is compressed", "no compression, or a grpc-encoding")
  }

  async #answer(request: Buffer): Promise<void> {
    const { answer, read } = this.#method
    const isLate = (): boolean => this.#isAfter(this.#timeoutMs)
    const answered = await answer(fromBuffer(request), read, this.#call, isLate)
    if (this.#call.ended) return
    if (answered.kind === "failure") return this.refuse(answered.status)
    this.#call.guarded?.answered()
    this.#call.end(status.OK)
    if (this.#isGone) return
    this.stream.respond(ANSWER_HEADERS, ANSWERING)
    this.stream.end(framed(answered.value))
  }
}

const ignore = (): void => {}

function sendTrailers(this: ServerHttp2Stream): void {
  this.sendTrailers(OK)
}

const flawed = (message: string, expected: string): AssayError =>
  new AssayError("PROTO", message, { location: "message", expected })

/** A message that is not compressed, with its prefix. */
function framed(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + message.length)
  frame.writeUInt8(0, 0)
  frame.writeUInt32BE(message.length, 1)
  frame.set(message, PREFIX_BYTES)
  return frame
}

/** How many milliseconds a caller waits, by a header of the form that arrival.ts asks for. */
const timeoutIn = (header: unknown): number =>
  typeof header === "string"
    ? Number(header.slice(0, -1)) * (UNITS[header.slice(-1)] ?? 0)
    : Number.POSITIVE_INFINITY
