/**
 * What a call may cost before it is answered: how large its messages may be, how much of them is held, how long they may take to
 * come, and how long the call may take. grpc-js asks for none of that until a message is whole.
 */
import { constants, type ServerHttp2Stream } from "node:http2"
import { AssayError } from "../errors.ts"
import type { Arrival } from "./arrival.ts"
import { type Frame, Framing } from "./framing.ts"
import { Held, type HeldLimits } from "./held.ts"
import { type Listed, Roll } from "./roll.ts"

/** Bounds of every call. */
export interface GuardLimits extends HeldLimits {
  /** Of one message, unpacked. */
  readonly messageBytesMax: number
  /** For a message, or the one request of a call, to be complete. */
  readonly receiveMs: number
  /** For a call with one request and one answer, whatever its caller would wait. */
  readonly callMs: number
  /** For a caller to take the answer that was given. */
  readonly takeMs: number
  /** Between two looks at whether the caller of a stream still is who it was. */
  readonly proveMs: number
}

/** What kind of call one is. */
export interface Shape {
  readonly requestStream: boolean
  readonly responseStream: boolean
  /** Whether callers that nobody knows may make it: then its messages are tiny. */
  readonly openToAll: boolean
}

/** A question for a service's name, and one for a file of the schema. */
const OPEN_MESSAGE_BYTES_MAX = 4096
/** For a refusal to leave before its stream is cut, while the caller goes on sending. */
const REFUSAL_MS = 1000

/** Guards the calls of a server's listeners. */
export class Guard {
  readonly limits: GuardLimits
  readonly held: Held
  readonly nowMs: () => number
  readonly #calls = new Roll<GuardedCall>()

  /** @param nowMs A clock that never goes back. */
  constructor(limits: GuardLimits, nowMs = (): number => performance.now()) {
    this.limits = limits
    this.held = new Held(limits)
    this.nowMs = nowMs
  }

  /** Calls whose streams are open. */
  get size(): number {
    return this.#calls.size
  }

  /**
   * Guards a call, before anything of it is read. It has to be told what comes, and when its stream is closed.
   *
   * @param refuse Ends the call with an error, unless it has ended.
   * @param deadlineMs When its caller stops waiting, by the guard's clock, if nobody else looks at that.
   */
  open(
    stream: ServerHttp2Stream,
    arrival: Arrival,
    shape: Shape,
    refuse: Refuse,
    deadlineMs = Number.POSITIVE_INFINITY,
  ): GuardedCall {
    const call = new GuardedCall(this, stream, arrival, shape, refuse, deadlineMs)
    this.#calls.add(call)
    // Taken back before anybody has looked at it: its stream has said already that it is closed, or never will.
    if (call.gone) call.closed()
    return call
  }

  /** Forgets a call whose stream is closed. */
  forget(call: GuardedCall): void {
    this.#calls.delete(call)
  }

  /** Ends what has taken too long. */
  sweep(): void {
    const now = this.nowMs()
    for (const call of this.#calls.all()) call.look(now)
  }
}

/** Tells a call what becomes of its stream, before anybody else is told. */
export const follow = (call: GuardedCall, stream: ServerHttp2Stream): void => {
  // Before grpc-js, which would hold what it is given.
  stream.prependListener("data", (chunk: Buffer) => call.received(chunk))
  stream.once("close", () => {
    call.closed()
    letGo(stream)
  })
}

/**
 * Node keeps closed streams, and all that their listeners refer to, until everything is collected: a call would leave its
 * request and its answer behind. Nobody listens any more, and no error is to come; should one all the same, it ends nothing.
 */
const letGo = (stream: ServerHttp2Stream): void => {
  stream.removeAllListeners()
  stream.on("error", () => {})
}

/** A message of a stream. */
export interface Taken {
  readonly bytes: number
  /** Says that it is answered, and held no longer. */
  answered(): void
}

/** Looks again at who calls, and refuses the call of whoever is another one by now. */
interface Proving {
  proveAgain(): void
}

type Refuse = (error: AssayError) => void

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
  #owners: readonly string[]
  #messages = 0
  #partialSinceMs: number | undefined
  #complete = false
  #isClosed = false
  #answeredMs: number | undefined
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
    this.#provedMs = this.#startMs
    this.#owners = [arrival.connection.id]
    arrival.connection.streams += 1
  }

  /** Whether nobody waits for the answer any more. */
  get gone(): boolean {
    return this.#stream.closed || this.#stream.destroyed
  }

  /** Who calls is known: what is held counts as the caller's. Of a stream it is asked now and then whether it still is so. */
  known(caller: string, proving: Proving): void {
    this.#owners = [this.#arrival.connection.id, caller]
    this.#proving = proving
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
    for (const bytes of this.#sizes.splice(0)) this.#guard.held.release(this.#owners, bytes)
    this.#arrival.connection.streams -= 1
    this.#arrival.connection.idleSinceMs = now
    if (this.#stream.rstCode !== constants.NGHTTP2_NO_ERROR) this.strike(now)
  }

  /** Counts something that no honest caller does often, and closes the connection of who does. */
  strike(nowMs = this.#guard.nowMs()): void {
    const { connection } = this.#arrival
    const { session } = connection
    if (!connection.strike(nowMs) || session === undefined || session.destroyed) return
    session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM)
    session.destroy()
  }

  /** Ends it if it has taken too long, and asks now and then whether the caller of a stream still is who it was. */
  look(nowMs: number): void {
    if (this.#answeredMs !== undefined) {
      this.#cut(nowMs - this.#answeredMs)
      return
    }
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

  #overdue(nowMs: number): AssayError | undefined {
    const { receiveMs, callMs } = this.#guard.limits
    if (nowMs >= this.#deadlineMs) return passed()
    // While we do not read, nothing can come.
    if (this.#partialSinceMs !== undefined && this.#stream.isPaused()) this.#partialSinceMs = nowMs
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
    if (this.gone) return
    if (!this.#complete && agoMs > REFUSAL_MS) this.#stream.close(constants.NGHTTP2_NO_ERROR)
    else if (agoMs > this.#guard.limits.takeMs) this.#stream.close(constants.NGHTTP2_CANCEL)
  }

  /** More of it has come. */
  received(chunk: Uint8Array): void {
    if (this.#answeredMs !== undefined) return
    try {
      this.#framing.push(chunk)
      if (!this.#framing.partial) this.#partialSinceMs = undefined
      else this.#partialSinceMs ??= this.#guard.nowMs()
    } catch (error) {
      if (!(error instanceof AssayError)) throw error
      this.#refuse(error)
    }
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
    const bytes = compressed ? max : size
    this.#guard.held.take(this.#owners, bytes)
    this.#sizes.push(bytes)
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
