/**
 * What a call may cost before it is answered: how large its messages may be, how much of them is held, how long they may take to
 * come, and how long the call may take. grpc-js asks for none of that until a message is whole.
 */
import type { ServerHttp2Stream } from "node:http2"
import type { AssayError } from "../errors.ts"
import type { Arrival } from "./arrival.ts"
import { GuardedCall } from "./guarded-call.ts"
import { Held, type HeldLimits } from "./held.ts"
import { letGo } from "./let-go.ts"
import { Roll } from "./roll.ts"

/** Bounds of every call. */
export interface GuardLimits extends HeldLimits {
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

/** A message of a stream. */
export interface Taken {
  readonly bytes: number
  /** Says that it is answered, and held no longer. */
  answered(): void
}

/** Looks again at who calls, and refuses the call of whoever is another one by now. */
export interface Proving {
  proveAgain(): void
}

/** Holds what has come of a call. */
export interface Holding {
  /** The rest has not come for a while: nothing is to be kept beside what has. */
  keep?(): void
}

/** Ends a call with an error, unless it has ended. */
export type Refuse = (error: AssayError) => void
