/** What happens around every call: who calls, what is logged and measured, and how a failure is answered. */
import type { ServerHttp2Stream } from "node:http2"
import { type Metadata, type StatusObject, status } from "@grpc/grpc-js"
import { AssayError, CODES, type Code } from "../errors.ts"
import type { Violation } from "../rpc.ts"
import type { Caller, Who } from "../service/ports.ts"
import { sameText } from "../texts.ts"
import type { Arrival } from "./arrival.ts"
import { newCallId } from "./call-id.ts"
import { loggable } from "./call-log.ts"
import type { Edge } from "./edge.ts"
import { codeOf, isNoCall, isTooMuch, toStatus } from "./errors.ts"
import type { Shape, Taken } from "./guard.ts"
import type { GuardedCall } from "./guarded-call.ts"
import { authorize, isOpenToAll, type Principal } from "./roles.ts"

/** What a handler knows of its call. */
export interface CallContext {
  readonly id: string
  readonly caller: Caller
  /** Looks again at who calls, as each request of a stream asks. @throws {AssayError} CALLER_UNKNOWN, and others of its kind. */
  prove(): void | Promise<void>
  /** Counts one more request of a call that is a stream. @throws {AssayError} RATE. */
  request(): void
  /** Says that the next message of a stream is taken up. */
  taken(): Taken
  /**
   * Waits for the caller's turn with a request of so many bytes; without them, with that of the call. Gives what has to be
   * called when it is answered, or nothing: then nobody waits for that any more.
   *
   * @throws {AssayError} OVERLOADED.
   */
  enter(bytes?: number): Promise<(() => void) | undefined>
  /** Runs what may take long, for the caller's account, and gives or throws what that does. */
  run<T>(act: () => T): T
  /** Answers with a failure, having logged what only we may know of it. */
  fail(error: unknown, violations?: readonly Violation[]): StatusObject
  /** Logs what only we may know of a failure. */
  note(error: unknown): void
}

/** Which call one is. */
export interface CallKind extends Shape {
  /** `package.Service/Method`. */
  readonly method: string
}

/** @param path `/package.Service/Method`. */
export const kindOf = (path: string, requestStream: boolean, responseStream: boolean): CallKind => {
  const method = path.slice(1)
  return { method, requestStream, responseStream, openToAll: isOpenToAll(method) }
}

/** What a call goes over: grpc-js, or the HTTP/2 stream itself. It gives what the caller has sent along, by name. */
export interface Carrier extends Pick<Metadata, "get"> {
  readonly stream: ServerHttp2Stream
  /** `address:port` of who calls. */
  peer(): string
  /** Answers with a status and without a message, which ends the call. Does nothing once it has ended. */
  refuse(status: StatusObject): void
}

/**
 * One call: who makes it, what is asked of it before it is answered, and how its end is logged and measured, in one line. Refuses
 * unknown callers, and those who may not call the method, before their request is read. What anyone may ask is answered to
 * the end of a shutdown.
 */
export class Call implements CallContext {
  readonly id = newCallId()
  readonly guarded: GuardedCall | undefined
  readonly #edge: Edge
  readonly #carrier: Carrier
  readonly #kind: CallKind
  readonly #arrival: Arrival | undefined
  readonly #startMs = performance.now()
  #principal: Principal | undefined
  #line = ""
  #isAskedWho = false
  #release: (() => void) | undefined
  #reason: Code | undefined
  #ended = false

  constructor(
    edge: Edge,
    carrier: Carrier,
    arrival: Arrival | undefined,
    kind: CallKind,
    deadlineMs?: number,
  ) {
    this.#edge = edge
    this.#carrier = carrier
    this.#kind = kind
    this.#arrival = arrival
    if (!kind.openToAll) edge.open.size += 1
    if (edge.limits === undefined || arrival === undefined) return
    const refuse = (error: AssayError): void => this.refuse(error)
    this.guarded = edge.limits.guard.open(carrier.stream, arrival, kind, refuse, deadlineMs)
  }

  get ended(): boolean {
    return this.#ended
  }

  /** Who calls. @throws {AssayError} CALLER_UNKNOWN before that is known. */
  get caller(): Principal {
    if (this.#principal === undefined) throw new AssayError("CALLER_UNKNOWN", "nobody knows yet who calls")
    return this.#principal
  }

  /** Finds out who calls and whether that is allowed, and goes on with `admitted`; else the call is refused. */
  begin(admitted: () => void): void {
    try {
      if (this.#arrival?.flaw !== undefined) throw this.#arrival.flaw
      this.#edge.limits?.limiter.source(this.#network)
      if (this.#kind.openToAll) {
        this.countAnyones()
        admitted()
        return
      }
      this.#isAskedWho = true
      const known = this.#know()
      const admit = (principal: Principal): void => {
        if (this.#ended) return // while it was asked who calls
        this.#admit(principal)
        admitted()
      }
      // Waiting, if only for a moment, costs every call; most need not.
      if (known instanceof Promise) known.then(admit).catch((error: unknown) => this.refuse(error))
      else admit(known)
    } catch (error) {
      this.refuse(error)
    }
  }

  /** Counts it as a call that anyone may make; each message of a stream of those as one more, in its place. @throws {AssayError} RATE. */
  countAnyones(): void {
    this.#release?.()
    this.#release = this.#edge.limits?.limiter.anyone(this.#network)
  }

  /** Ends the call with a failure, unless it has ended. */
  refuse(error: unknown): void {
    if (this.#ended) return
    this.#carrier.refuse(this.fail(error))
    const code = codeOf(error)
    if (this.#line !== "" && isTooMuch(code)) this.#edge.limits?.limiter.refused(this.#line)
    // Who is known may ask too much; who is not, has nothing to ask again and again, whoever else calls on the connection.
    const isNobodys = this.#isAskedWho && this.#line === "" && isTooMuch(code)
    if (this.#arrival?.connection.caller === undefined || isNoCall(code) || isNobodys) this.guarded?.strike()
  }

  /** It has been answered, or nobody waits for that any more. */
  end(code: status): void {
    if (this.#ended) return
    this.#ended = true
    if (!this.#kind.openToAll) this.#edge.open.size -= 1
    this.#release?.()
    const ms = performance.now() - this.#startMs
    const { method } = this.#kind
    this.#edge.observe(method, status[code], ms / 1000)
    const line = {
      method,
      code: status[code],
      reason: this.#reason,
      ms: Math.round(ms * 10) / 10,
      caller: this.#principal?.id,
      tenant: this.#principal?.tenant,
      request: this.id,
    }
    this.#edge.logCall(line, this.#kind.openToAll ? "debug" : "info")
  }

  proveAgain(): void {
    void this.#proveOrRefuse()
  }

  prove(): void | Promise<void> {
    const now = this.#know()
    return now instanceof Promise ? now.then((one) => this.#same(one)) : this.#same(now)
  }

  request(): void {
    this.#edge.limits?.limiter.request({ line: this.#line, own: this.caller.own }, this.#network)
  }

  taken(): Taken {
    return this.guarded?.taken() ?? NOTHING_HELD
  }

  enter(bytes = this.guarded?.bytes ?? 0): Promise<(() => void) | undefined> {
    const { limits } = this.#edge
    if (limits === undefined) return Promise.resolve(() => {})
    return limits.admission.enter(this.#line, bytes, () => this.#isGone)
  }

  run<T>(act: () => T): T {
    const { limits } = this.#edge
    return limits === undefined ? act() : limits.meter.run(this.caller, act)
  }

  fail(error: unknown, violations?: readonly Violation[]): StatusObject {
    this.note(error)
    return toStatus(error, violations)
  }

  note(error: unknown): void {
    this.#reason = codeOf(error)
    const { log, refused } = this.#edge
    refused(this.#reason)
    const { kind } = CODES[this.#reason]
    if (kind === "fault") log.error({ request: this.id, err: loggable(error) }, "fault")
    else if (kind === "unavailable" && error instanceof AssayError && error.cause !== undefined)
      log.warn({ request: this.id, err: error }, "unavailable")
  }

  get #network(): string | undefined {
    return this.#arrival?.connection.network
  }

  get #isGone(): boolean {
    const { stream } = this.#carrier
    return this.#ended || stream.closed || stream.destroyed
  }

  /** @throws {AssayError} CALLER_UNKNOWN, and others of its kind. */
  #know(): Principal | Promise<Principal> {
    const { transport, knowCaller } = this.#edge
    const connection = this.#arrival?.connection
    const chain = connection?.chain
    // A connection is what its listener says: what TLS has not seen is not served as if it had.
    if ((chain === undefined) === (transport === "tls"))
      throw new AssayError("CALLER_UNKNOWN", "the connection is gone")
    const peer = (): string => this.#carrier.peer()
    return knowCaller(this.#carrier, { transport, peer, connection: connection?.id, chain: chain ?? [] })
  }

  /** @throws {AssayError} PERMISSION, RATE. */
  #admit(principal: Principal): void {
    const { method, requestStream, responseStream } = this.#kind
    this.#principal = principal
    this.#line = sameText(lineOf(principal), this.#arrival?.connection.caller)
    authorize(method, principal)
    const by = { network: this.#network, isStream: requestStream || responseStream }
    const { limits } = this.#edge
    this.#release = limits?.limiter.call({ line: this.#line, own: principal.own }, method, by)
    const [said] = this.#carrier.get("authorization")
    if (this.#arrival !== undefined)
      limits?.connections.prove(
        this.#arrival.connection,
        this.#line,
        said === undefined ? said : String(said),
      )
    this.guarded?.known(this.#line, this)
  }

  async #proveOrRefuse(): Promise<void> {
    try {
      await this.prove()
    } catch (error) {
      this.refuse(error)
    }
  }

  #same({ tenant, id, role }: Principal): void {
    const { caller } = this
    if (tenant !== caller.tenant || id !== caller.id || role !== caller.role)
      throw new AssayError("CALLER_UNKNOWN", "the caller is no longer who it was")
  }
}

/** A caller's line, as no other's: a tenant has no space in it. */
export const lineOf = ({ tenant, id }: Who): string => `${tenant} ${id}`

const NOTHING_HELD: Taken = { bytes: 0, answered: () => {} }
