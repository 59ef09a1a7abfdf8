/** What happens around every call: who calls, what is logged and measured, and how a failure is answered. */
import { randomUUID } from "node:crypto"
import {
  Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  type StatusObject,
  status,
} from "@grpc/grpc-js"
import type { Logger } from "pino"
import { AssayError, CODES, type Code } from "../errors.ts"
import type { Violation } from "../rpc.ts"
import type { Caller } from "../service/ports.ts"
import type { Admission } from "./admission.ts"
import { takeArrival } from "./arrival.ts"
import type { LogCall } from "./call-log.ts"
import type { KnowCaller, Shown, Transport } from "./caller.ts"
import type { Connection, Connections } from "./connections.ts"
import type { OpenCalls } from "./drain.ts"
import { codeOf, toStatus } from "./errors.ts"
import type { Guard, GuardedCall, Taken } from "./guard.ts"
import { explained, streamOf } from "./inner-call.ts"
import type { Limiter } from "./limiter.ts"
import { authorize, isOpenToAll, type Principal } from "./roles.ts"

/** Told of each call that ends: `package.Service/Method`, the gRPC status by name, and how long it took. */
export type Observe = (method: string, code: string, seconds: number) => void

/** What the calls of one server share. */
export interface Edge {
  readonly log: Logger
  readonly logCall: LogCall
  readonly observe: Observe
  /** Told of each failure that a caller is answered with. */
  readonly refused: (code: Code) => void
  readonly knowCaller: KnowCaller
  readonly transport: Transport
  /** Nothing where nobody is limited. */
  readonly limits: EdgeLimits | undefined
  /** Calls that are not answered yet, but for those that anyone may make. */
  readonly open: OpenCalls
}

/** What those are limited by who do not use the administration socket. */
export interface EdgeLimits {
  readonly limiter: Limiter
  readonly guard: Guard
  readonly connections: Connections
  readonly admission: Admission
}

/** One call. Handlers find it by the call's metadata, which grpc-js hands on unchanged. */
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
  /** Answers with a failure, having logged what only we may know of it. */
  fail(error: unknown, violations?: readonly Violation[]): StatusObject
  /** Logs what only we may know of a failure. */
  note(error: unknown): void
}

const contexts = new WeakMap<Metadata, CallContext>()

/**
 * The context of a call that came through `observed`, once: nothing for any other, or for the second time. What a `WeakMap`
 * still holds when the young are collected counts as old, with all that it refers to: left here, each call would stay until
 * everything is collected.
 */
export const takeContext = (metadata: Metadata): CallContext | undefined => {
  const context = contexts.get(metadata)
  contexts.delete(metadata)
  return context
}

/** Anything can be thrown, and not everything survives being looked at by a logger. */
const loggable = (error: unknown): Error =>
  error instanceof Error ? error : new Error(`thrown: ${typeof error === "string" ? error : typeof error}`)

/**
 * Gives each call its context, and logs and measures its end, one line a call. Refuses unknown callers, and those who may
 * not call the method, before their request is read. What anyone may ask is answered to the end of a shutdown.
 */
export const observed =
  (edge: Edge): ServerInterceptor =>
  ({ path, requestStream, responseStream }, call) => {
    const start = performance.now()
    const id = randomUUID()
    const method = path.slice(1)
    const openToAll = isOpenToAll(method)
    const stream = streamOf(call)
    const arrival = takeArrival(stream)
    const connection = arrival?.connection
    const by = { network: connection?.network, isStream: requestStream || responseStream }
    let caller: Principal | undefined
    let release = (): void => {}
    let reason: Code | undefined
    let guarded: GuardedCall | undefined
    if (!openToAll) edge.open.size += 1

    const note = (error: unknown): void => {
      reason = codeOf(error)
      edge.refused(reason)
      const { kind } = CODES[reason]
      if (kind === "fault") edge.log.error({ request: id, err: loggable(error) }, "fault")
      else if (kind === "unavailable" && error instanceof AssayError && error.cause !== undefined)
        edge.log.warn({ request: id, err: error }, "unavailable")
    }
    const fail = (error: unknown, violations?: readonly Violation[]): StatusObject => {
      note(error)
      return toStatus(error, violations)
    }
    let ended = false
    const end = (code: status): void => {
      if (ended) return
      ended = true
      if (!openToAll) edge.open.size -= 1
      release()
      const ms = performance.now() - start
      edge.observe(method, status[code], ms / 1000)
      const line = {
        method,
        code: status[code],
        reason,
        ms: Math.round(ms * 10) / 10,
        caller: caller?.id,
        tenant: caller?.tenant,
        request: id,
      }
      edge.logCall(line, openToAll ? "debug" : "info")
    }
    const refuse = (error: unknown): void => {
      if (ended) return
      call.sendStatus(fail(error))
      // Who is known may ask too much; who is not, has nothing to ask again and again.
      if (connection?.caller === undefined) guarded?.strike()
    }

    // The lowest layer ends some calls by itself (deadline, packed messages, no message), unseen by interceptors.
    const send = call.sendStatus.bind(call)
    // First a function, then a member: see `letGo` in unary.ts.
    const sendStatus: typeof send = (answer) => {
      guarded?.answered()
      end(answer.code)
      if (answer.code === status.OK) {
        send(answer)
        return
      }
      const told = explained(answer)
      const metadata = told.metadata ?? new Metadata()
      metadata.set("x-request-id", id)
      send({ ...told, metadata })
    }
    call.sendStatus = sendStatus
    const { limits } = edge
    if (limits !== undefined && arrival !== undefined)
      guarded = limits.guard.open(stream, arrival, { requestStream, responseStream, openToAll }, refuse)
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, forward) => {
            const know = (): Principal | Promise<Principal> =>
              edge.knowCaller(metadata, shownOn(call, edge, connection))
            const admit = (principal: Principal): void => {
              if (ended) return // while it was asked who calls
              caller = principal
              const line = lineOf(principal)
              authorize(method, principal)
              release = limits?.limiter.call(principal, method, by) ?? release
              if (connection !== undefined) limits?.connections.prove(connection, line)
              const prove = proverOf(principal, know)
              guarded?.known(line, () => void attempt(prove, refuse))
              const request = (): void => limits?.limiter.request(principal, by.network)
              const gone = (): boolean => ended || stream.closed || stream.destroyed
              const taken = (): Taken => guarded?.taken() ?? NOTHING_HELD
              const enter = async (bytes = guarded?.bytes ?? 0) =>
                limits === undefined ? () => {} : limits.admission.enter(line, bytes, gone)
              contexts.set(metadata, { id, caller, prove, request, taken, enter, fail, note })
              forward(metadata)
            }
            try {
              if (arrival?.flaw !== undefined) throw arrival.flaw
              limits?.limiter.source(by.network)
              if (openToAll) {
                release = limits?.limiter.anyone(by.network) ?? release
                return forward(metadata)
              }
              const known = know()
              // Waiting, if only for a moment, costs every call; most need not.
              if (known instanceof Promise) known.then(admit).catch(refuse)
              else admit(known)
            } catch (error) {
              refuse(error)
            }
          },
          onReceiveHalfClose: (forward) => {
            guarded?.complete()
            forward()
          },
          onCancel: () => end(status.CANCELLED),
        }),
      sendMessage: (message, forward) => {
        // Its status comes when the message has been taken, which may be never.
        if (!responseStream) guarded?.answered()
        forward(message)
      },
    })
  }

/** What a caller's requests are counted by. */
const lineOf = ({ tenant, id }: Principal): string => `${tenant} ${id}`

const NOTHING_HELD: Taken = { bytes: 0, answered: () => {} }

/** A connection is what its listener says: what TLS has not seen is not served as if it had. @throws {AssayError} CALLER_UNKNOWN. */
function shownOn(
  call: ServerInterceptingCallInterface,
  { transport }: Edge,
  connection: Connection | undefined,
): Shown {
  const chain = connection?.chain
  if ((chain === undefined) === (transport === "tls"))
    throw new AssayError("CALLER_UNKNOWN", "the connection is gone")
  return { transport, peer: () => call.getPeer(), connection: connection?.id, chain: chain ?? [] }
}

/** Looks again at who calls, who has to be the same. */
const proverOf = (principal: Principal, know: () => Principal | Promise<Principal>) => {
  const same = ({ tenant, id, role }: Principal): void => {
    if (tenant !== principal.tenant || id !== principal.id || role !== principal.role)
      throw new AssayError("CALLER_UNKNOWN", "the caller is no longer who it was")
  }
  return (): void | Promise<void> => {
    const now = know()
    return now instanceof Promise ? now.then(same) : same(now)
  }
}

const attempt = async (act: () => void | Promise<void>, failed: (error: unknown) => void): Promise<void> => {
  try {
    await act()
  } catch (error) {
    failed(error)
  }
}
