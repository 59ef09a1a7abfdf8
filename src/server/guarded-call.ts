/** One call that is guarded. */
import { constants, type ServerHttp2Stream } from "node:http2"
import { AssayError } from "../errors.ts"
import type { Arrival } from "./arrival.ts"
import { type Frame, Framing } from "./framing.ts"
import type { Guard, Holding, Proving, Refuse, Shape, Taken } from "./guard.ts"
import { type Owners, ownersOf } from "./held.ts"
import type { Listed } from "./roll.ts"

/** A question for a service's name, and one for a file of the schema. */
const OPEN_MESSAGE_BYTES_MAX = 4096
/** For a refusal to leave before its stream is cut, while the caller goes on sending. */
const REFUSAL_MS = 1000

/** One call, from its first byte until its stream is closed. */
export class GuardedCall implements Listed {
  place = 0
  readonly #guard: Guard
  readonly #stream: ServerHttp2Stream
  readonly #arrival: Arrival
  readonly #shape: Shape
  readonly #refuse: Refuse
  readonly #framing: Framing
  readonly #deadlineMs: number
  readonly #startMs: number
  /** What each message that is not answered counts, in the order in which they came. */
  readonly #sizes: number[] = []
  #owners: Owners
  #messages = 0
  /** Since when a message is not complete, later by the time in which it was not read. */
  #partialSinceMs: number | undefined
  #lookedMs: number
  #complete = false
  #isClosed = false
  /** Pieces of the message that is not complete, and what is in them. */
  #pieces = 0
  #pieceBytes = 0
  /** How much of the answers waits to be taken, and since when as much. */
  #untaken = { bytes: 0, sinceMs: 0 }
  #answeredMs: number | undefined
  #holding: Holding | undefined
  #proving: Proving | undefined
  #provedMs: number

  constructor(
    guard: Guard,
    stream: ServerHttp2Stream,
    arrival: Arrival,
    shape: Shape,
    refuse: Refuse,
    deadlineMs: number,
  ) {
    this.#deadlineMs = deadlineMs
    this.#guard = guard
    this.#stream = stream
    this.#arrival = arrival
    this.#shape = shape
    this.#refuse = refuse
    this.#framing = new Framing((frame) => this.#begun(frame))
    this.#startMs = guard.nowMs()
    this.#lookedMs = this.#startMs
    this.#provedMs = this.#startMs
    this.#owners = [arrival.connection.id]
    arrival.connection.streams += 1
  }

  /** Whether nobody waits for the answer any more. */
  get gone(): boolean {
    return this.#stream.closed || this.#stream.destroyed
  }

  /**
   * Who calls is known: what is held counts as the caller's, what has come before that too. Of a stream it is asked now and then
   * whether it still is so.
   *
   * @throws {AssayError} OVERLOADED.
   */
  known(caller: string, proving: Proving): void {
    const sizes = this.#release()
    this.#owners = ownersOf(this.#arrival.connection.id, caller)
    this.#proving = proving
    for (const bytes of sizes) this.#hold(bytes)
  }

  #hold(bytes: number): void {
    this.#guard.held.take(this.#owners, bytes)
    this.#sizes.push(bytes)
  }

  #release(): readonly number[] {
    if (this.#sizes.length === 0) return this.#sizes
    const sizes = this.#sizes.splice(0)
    for (const bytes of sizes) this.#guard.held.release(this.#owners, bytes)
    return sizes
  }

  /** Who holds what comes of it. */
  heldBy(holding: Holding): void {
    this.#holding = holding
  }

  /** Its caller will send no more. */
  complete(): void {
    this.#complete = true
  }

  /** Whether it has brought one message, all of it. */
  get isWhole(): boolean {
    return this.#messages === 1 && !this.#framing.partial
  }

  /** What of it is held, in bytes. */
  get bytes(): number {
    return this.#sizes.reduce((sum, bytes) => sum + bytes, 0)
  }

  /** A message of a stream has been taken up. */
  taken(): Taken {
    const bytes = this.#sizes.shift() ?? 0
    let isHeld = true
    const answered = (): void => {
      if (!isHeld) return
      isHeld = false
      this.#guard.held.release(this.#owners, bytes)
    }
    return { bytes, answered }
  }

  answered(): void {
    this.#answeredMs ??= this.#guard.nowMs()
  }

  /** Its stream is closed. */
  closed(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#guard.forget(this)
    const now = this.#guard.nowMs()
    this.#release()
    this.#arrival.connection.streams -= 1
    this.#arrival.connection.idleSinceMs = now
    if (this.#stream.rstCode !== constants.NGHTTP2_NO_ERROR) this.strike(now)
  }

  /** Counts something that no honest caller does often, and closes the connection of who does. */
  strike(nowMs = this.#guard.nowMs()): void {
    this.#arrival.connection.strike(nowMs)
  }

  /** Ends it if it has taken too long, and asks now and then whether the caller of a stream still is who it was. */
  look(nowMs: number): void {
    if (this.#answeredMs !== undefined) {
      this.#cut(nowMs - this.#answeredMs)
      return
    }
    if (this.#isLeft(nowMs)) {
      this.answered()
      this.#stream.close(constants.NGHTTP2_CANCEL)
      return
    }
    if (!this.#shape.requestStream && !this.#complete) this.#holding?.keep?.()
    const error = this.#overdue(nowMs)
    if (error !== undefined) this.#refuse(error)
    else if (
      this.#staysOpen &&
      this.#proving !== undefined &&
      nowMs - this.#provedMs > this.#guard.limits.proveMs
    ) {
      this.#provedMs = nowMs
      this.#proving.proveAgain()
    }
  }

  /** Whether nobody has taken anything of what was sent for too long. */
  #isLeft(nowMs: number): boolean {
    const { writableLength: bytes } = this.#stream
    if (bytes === 0 || bytes !== this.#untaken.bytes) this.#untaken = { bytes, sinceMs: nowMs }
    return nowMs - this.#untaken.sinceMs > this.#guard.limits.takeMs
  }

  #overdue(nowMs: number): AssayError | undefined {
    const { receiveMs, callMs } = this.#guard.limits
    if (nowMs >= this.#deadlineMs) return passed()
    // While we do not read, nothing can come. That time does not count, and what counted before still does.
    if (this.#partialSinceMs !== undefined && this.#stream.isPaused())
      this.#partialSinceMs = Math.min(nowMs, this.#partialSinceMs + nowMs - this.#lookedMs)
    this.#lookedMs = nowMs
    const isWaiting = !this.#shape.requestStream && !this.#complete
    const since = isWaiting ? this.#startMs : this.#partialSinceMs
    if (since !== undefined && nowMs - since > receiveMs) return slow(receiveMs)
    return !this.#staysOpen && nowMs - this.#startMs > callMs ? late(callMs) : undefined
  }

  /** Streams of those who are known, and what is watched. */
  get #staysOpen(): boolean {
    const { requestStream, responseStream, openToAll } = this.#shape
    return requestStream ? !openToAll : responseStream
  }

  /** A stream whose answer nobody takes, or whose caller does not stop sending, goes. */
  #cut(agoMs: number): void {
    const { takeMs } = this.#guard.limits
    if (this.gone) {
      // Not even that it is cut could be said.
      if (agoMs > 2 * takeMs) this.#arrival.connection.cut()
      return
    }
    if (!this.#complete && agoMs > REFUSAL_MS) this.#stream.close(constants.NGHTTP2_NO_ERROR)
    else if (agoMs > takeMs) this.#stream.close(constants.NGHTTP2_CANCEL)
  }

  /** More of it has come. */
  received(chunk: Uint8Array): void {
    if (this.#answeredMs !== undefined) {
      this.#piece(chunk)
      return
    }
    try {
      this.#framing.push(chunk)
      if (this.#framing.partial) this.#piece(chunk)
      else this.#pieces = this.#pieceBytes = 0
      if (!this.#framing.partial) this.#partialSinceMs = undefined
      else this.#partialSinceMs ??= this.#guard.nowMs()
    } catch (error) {
      if (!(error instanceof AssayError)) throw error
      this.#refuse(error)
    }
  }

  #piece({ length: bytes }: Uint8Array): void {
    this.#pieces += 1
    this.#pieceBytes += bytes
    const piece = { bytes, count: this.#pieces, allBytes: this.#pieceBytes }
    this.#arrival.connection.piece(piece, this.#guard.nowMs)
  }

  /** @throws {AssayError} PROTO, MESSAGE_SIZE, OVERLOADED. */
  #begun({ compressed, size }: Frame): void {
    const { requestStream, openToAll } = this.#shape
    const max = openToAll ? OPEN_MESSAGE_BYTES_MAX : this.#guard.limits.messageBytesMax
    this.#messages += 1
    if (!requestStream && this.#messages > 1)
      throw new AssayError("PROTO", "a second message, in a call that has one", {
        location: "message",
        expected: "one",
      })
    if (compressed && openToAll)
      throw new AssayError("PROTO", "a compressed message, for a method that takes none", {
        location: "message",
      })
    if (size > max)
      throw new AssayError("MESSAGE_SIZE", "the message is larger than this method takes", {
        location: "message",
        expected: `at most ${max} bytes`,
        actual: `${size} bytes`,
      })
    // What is packed may turn out to be as large as is allowed.
    this.#hold(compressed ? max : size)
    this.#partialSinceMs = this.#guard.nowMs()
  }
}

const slow = (ms: number): AssayError =>
  new AssayError("SLOW", "the request takes too long to come", {
    location: "message",
    expected: `at most ${ms} ms`,
  })

const passed = (): AssayError =>
  new AssayError("DEADLINE", "the caller's deadline has passed", { location: "call" })

const late = (ms: number): AssayError =>
  new AssayError("DEADLINE", "the call takes too long", { location: "call", expected: `at most ${ms} ms` })
