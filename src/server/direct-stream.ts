/** Streams of requests and answers, without grpc-js. */
import { EventEmitter } from "node:events"
import type { StatusObject } from "@grpc/grpc-js"
import { type Decode, type Encoded, fromBuffer, PREFIX_BYTES } from "../rpc.ts"
import { type Conversation, type DirectCall, flawed, Gathered } from "./direct-call.ts"
import type { BidiCall, BidiHandler } from "./stream.ts"

/** What the handler sees as its call, and the stream as its conversation. */
export class DirectStream extends EventEmitter implements BidiCall, Conversation {
  writableEnded = false
  readonly #direct: DirectCall
  readonly #read: Decode
  readonly #handler: BidiHandler
  readonly #messages = new Messages()
  /** Whole messages that nobody has taken. What comes on top of them waits in the stream. */
  readonly #queue: Buffer[] = []
  /** Answers of this turn of the event loop, which leave in one piece. */
  readonly #frames: Buffer[] = []
  #isPaused = true
  #isComplete = false
  #isDelivering = false

  constructor(direct: DirectCall, read: Decode, handler: BidiHandler) {
    super()
    this.#direct = direct
    this.#read = read
    this.#handler = handler
    this.on("error", (status: StatusObject) => this.#fail(status))
  }

  get cancelled(): boolean {
    return this.#direct.isGone || (this.#direct.call.ended && !this.writableEnded)
  }

  get writableNeedDrain(): boolean {
    return this.#direct.stream.writableNeedDrain
  }

  admitted(): void {
    const { stream, call } = this.#direct
    stream.on("drain", () => this.emit("drain"))
    this.#handler.talk(this, call)
    this.resume()
  }

  received(chunk: Buffer): void {
    this.#queue.push(...this.#messages.push(chunk))
    this.#deliver()
  }

  complete(): void {
    this.#isComplete = true
    this.#deliver()
  }

  closed(): void {
    this.emit("close")
    this.removeAllListeners()
  }

  pause(): void {
    this.#isPaused = true
    this.#direct.stream.pause()
  }

  resume(): void {
    this.#isPaused = false
    this.#deliver()
  }

  write({ frame }: Encoded): void {
    if (this.#frames.push(frame) === 1) setImmediate(() => this.#flush())
  }

  end(): void {
    if (this.writableEnded) return
    this.writableEnded = true
    this.#direct.end(this.#taken())
  }

  #fail(status: StatusObject): void {
    if (this.#direct.call.ended) return
    this.#flush()
    this.#direct.refuse(status)
  }

  #flush(): void {
    const frames = this.#taken()
    if (frames !== undefined && !this.#direct.call.ended) this.#direct.send(frames)
  }

  #taken(): Buffer | undefined {
    const frames = this.#frames.splice(0)
    return frames.length > 1 ? Buffer.concat(frames) : frames[0]
  }

  /** Hands on what is there, one by one, until the handler has enough. */
  #deliver(): void {
    if (this.#isDelivering) return
    const { call, stream } = this.#direct
    this.#isDelivering = true
    while (!this.#isPaused && !call.ended) {
      const frame = this.#queue.shift()
      if (frame === undefined) break
      if (frame[0] !== 0) call.refuse(flawed("a message is compressed", "no compression, or a grpc-encoding"))
      else this.emit("data", this.#handler.readBytes(this.#read, fromBuffer(frame, PREFIX_BYTES)))
    }
    this.#isDelivering = false
    if (this.#isPaused || call.ended) return
    if (!this.#isComplete) {
      if (stream.isPaused()) stream.resume()
    } else if (this.#messages.isPartial)
      call.refuse(flawed("the last request is not whole", "messages, each of as many bytes as it says"))
    else {
      this.#isPaused = true
      this.emit("end")
    }
  }
}

/**
 * Puts messages together from the pieces that they come in. What they may weigh, `Guard` sees to: so what is kept of one that is
 * not whole is not much more than has come of it.
 */
export class Messages {
  /** Of the message that is not whole. */
  #gathered = new Gathered()
  #needed = PREFIX_BYTES

  /** Whether some of a message has come, and not all of it. */
  get isPartial(): boolean {
    return this.#gathered.size > 0
  }

  /** The messages that are whole now, each with its prefix. */
  push(chunk: Buffer): readonly Buffer[] {
    const whole: Buffer[] = []
    for (let at = 0; at < chunk.length; ) {
      if (!this.isPartial) this.#needed = sizeAt(chunk, at)
      const piece = chunk.subarray(at, at + this.#needed - this.#gathered.size)
      at += piece.length
      this.#gathered.push(piece)
      if (this.#gathered.size === PREFIX_BYTES) this.#needed = sizeAt(this.#gathered.bytes, 0)
      if (this.#gathered.size < this.#needed) continue
      whole.push(this.#gathered.bytes)
      this.#gathered = new Gathered()
    }
    this.#gathered.keep()
    return whole
  }
}

/** How large the message is that begins there, with its prefix; of less than a prefix, only that is known. */
const sizeAt = (bytes: Buffer, at: number): number =>
  PREFIX_BYTES + (bytes.length - at < PREFIX_BYTES ? 0 : bytes.readUInt32BE(at + 1))
