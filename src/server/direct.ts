/**
 * Which calls are answered without grpc-js: an empty one costs half of what it costs through it. What is not ordinary, such
 * as a compressed request, is left to it, and so are the calls of the administration socket. What it would refuse by itself is
 * turned away before it.
 */
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2"
import type { DescService } from "@bufbuild/protobuf"
import { type Decode, fromBuffer, PREFIX_BYTES, pathOf } from "../rpc.ts"
import type { Arrival } from "./arrival.ts"
import { type CallKind, kindOf } from "./call.ts"
import { type Conversation, DirectCall, flawed, Gathered } from "./direct-call.ts"
import { DirectStream } from "./direct-stream.ts"
import type { Edge } from "./edge.ts"
import { isBidiHandler } from "./stream.ts"
import { turnAway } from "./turn-away.ts"
import { type AnswerBytes, isUnaryHandler } from "./unary.ts"

/** Leads what is said over a call of one method. */
interface Method {
  readonly kind: CallKind
  readonly begin: (call: DirectCall) => Conversation
}

/** The methods of a listener, and which of them need no grpc-js. */
export class DirectCalls {
  readonly #methods = new Map<string, Method>()
  /** Paths of the others. */
  readonly #left = new Set<string>()

  /** Adds those of a service whose handlers were made for it. */
  add(service: DescService, handlers: Readonly<Record<string, unknown>>, read: Decode): void {
    for (const method of service.methods) {
      const handler = handlers[method.localName]
      const path = pathOf(method)
      if (isUnaryHandler(handler)) {
        const { answerBytes } = handler
        const begin = (call: DirectCall): Conversation => new Unary(call, read, answerBytes)
        this.#methods.set(path, { kind: kindOf(path, false, false), begin })
      } else if (isBidiHandler(handler)) {
        const begin = (call: DirectCall): Conversation => new DirectStream(call, read, handler)
        this.#methods.set(path, { kind: kindOf(path, true, true), begin })
      } else this.leave(path)
    }
  }

  /** Adds a method that is left to grpc-js. */
  leave(path: string): void {
    this.#left.add(path)
  }

  /** Answers a call, or leaves it to grpc-js, which has not seen it then. */
  take(edge: Edge, stream: ServerHttp2Stream, headers: IncomingHttpHeaders, arrival: Arrival): boolean {
    const path = String(headers[constants.HTTP2_HEADER_PATH])
    const method = this.#methods.get(path)
    const isServed = method !== undefined || this.#left.has(path)
    if (!isServed || arrival.flaw !== undefined) {
      turnAway(edge, stream, headers, arrival, isServed ? path.slice(1) : undefined)
      return true
    }
    const { "grpc-encoding": encoding = "identity" } = headers
    if (method === undefined || encoding !== "identity") return false
    const call = new DirectCall(edge, stream, headers, arrival, method.kind)
    call.begin(method.begin(call))
    return true
  }
}

/** A call with one request and one answer. */
class Unary implements Conversation {
  readonly #direct: DirectCall
  readonly #read: Decode
  readonly #answerBytes: AnswerBytes
  readonly #gathered = new Gathered()
  #isAdmitted = false
  #isWhole = false

  constructor(direct: DirectCall, read: Decode, answerBytes: AnswerBytes) {
    this.#direct = direct
    this.#read = read
    this.#answerBytes = answerBytes
  }

  admitted(): void {
    this.#isAdmitted = true
    this.#proceed()
  }

  received(chunk: Buffer): void {
    this.#gathered.push(chunk)
    if (this.#direct.call.guarded?.isWhole !== true) this.#gathered.keep()
  }

  /** All of it may have come but for its end, which most often comes with it. */
  keep(): void {
    this.#gathered.keep()
  }

  complete(): void {
    this.#isWhole = true
    this.#proceed()
  }

  /** Answers, as soon as it is known who asks, and what. */
  #proceed(): void {
    const { call } = this.#direct
    if (!this.#isAdmitted || !this.#isWhole || call.ended) return
    const received = this.#gathered.bytes
    if (call.guarded?.isWhole !== true)
      call.refuse(flawed("the request is not whole", "one message, of as many bytes as it says"))
    else if (received[0] !== 0)
      call.refuse(flawed("the message is compressed", "no compression, or a grpc-encoding"))
    else this.#answer(fromBuffer(received, PREFIX_BYTES))
  }

  #answer(request: Uint8Array): void {
    const direct = this.#direct
    const isLate = (): boolean => direct.isLate
    void this.#answerBytes(request, this.#read, direct.call, isLate).then((answered) => {
      if (direct.call.ended) return
      if (answered.kind === "failure") direct.refuse(answered.status)
      else direct.end(answered.value)
    })
  }
}
