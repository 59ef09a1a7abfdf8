/** What happens around every call: who calls, what is logged and measured, and how a failure is answered. */
import { randomUUID } from "node:crypto"
import type { DescMessage, MessageShape } from "@bufbuild/protobuf"
import {
  type handleUnaryCall,
  Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  type StatusObject,
  status,
} from "@grpc/grpc-js"
import type { Logger } from "pino"
import { AssayError, CODES, type Code } from "../errors.ts"
import type { Received, Violation } from "../rpc.ts"
import type { Caller } from "../service/ports.ts"
import type { LogCall } from "./call-log.ts"
import type { Connection, KnowCaller, Transport } from "./caller.ts"
import { codeOf, toStatus } from "./errors.ts"
import type { Limiter } from "./limiter.ts"
import { authorize, isOpenToAll, type Principal } from "./roles.ts"
import type { Peers } from "./tls.ts"
import { check } from "./validate.ts"

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
  /** What was shown on TLS connections. */
  readonly peers: Peers
  /** Nothing where nobody is limited. */
  readonly limiter: Limiter | undefined
  /** Calls that are not answered yet. */
  readonly open: Set<object>
}

/** One call. Handlers find it by the call's metadata, which grpc-js hands on unchanged. */
export interface CallContext {
  readonly id: string
  readonly caller: Caller
  /** Counts one more request of a call that is a stream. @throws {AssayError} RATE. */
  request(): void
  /** Answers with a failure, having logged what only we may know of it. */
  fail(error: unknown, violations?: readonly Violation[]): StatusObject
  /** Logs what only we may know of a failure. */
  note(error: unknown): void
}

const contexts = new WeakMap<Metadata, CallContext>()

/** The context of a call that came through `observed`: nothing for any other. */
export const contextOf = (metadata: Metadata): CallContext | undefined => contexts.get(metadata)

/** Anything can be thrown, and not everything survives being looked at by a logger. */
const loggable = (error: unknown): Error =>
  error instanceof Error ? error : new Error(`thrown: ${typeof error === "string" ? error : typeof error}`)

/**
 * Gives each call its context, and logs and measures its end, one line a call. Refuses unknown callers, and those who may
 * not call the method, before their request is read. What anyone may ask is answered to the end of a shutdown.
 */
export const observed =
  (edge: Edge): ServerInterceptor =>
  ({ path }, call) => {
    const start = performance.now()
    const id = randomUUID()
    const method = path.slice(1)
    let caller: Principal | undefined
    let release = (): void => {}
    let reason: Code | undefined
    const openToAll = isOpenToAll(method)
    if (!openToAll) edge.open.add(call)

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
      edge.open.delete(call)
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

    // The lowest layer ends some calls by itself (deadline, size, no message), unseen by interceptors.
    const send = call.sendStatus.bind(call)
    call.sendStatus = (answer) => {
      end(answer.code)
      if (answer.code === status.OK) return send(answer)
      const metadata = answer.metadata ?? new Metadata()
      metadata.set("x-request-id", id)
      send({ ...answer, metadata })
    }
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, forward) => {
            const admit = (principal: Principal): void => {
              if (ended) return // while it was asked who calls
              caller = principal
              authorize(method, principal)
              release = edge.limiter?.call(principal, method) ?? release
              const request = (): void => edge.limiter?.request(principal)
              contexts.set(metadata, { id, caller, request, fail, note })
              forward(metadata)
            }
            const refuse = (error: unknown): void => call.sendStatus(fail(error))
            try {
              edge.limiter?.source(call.getConnectionInfo().remoteAddress)
              if (openToAll) return forward(metadata)
              const known = edge.knowCaller(metadata, connectionOf(call, edge))
              // Waiting, if only for a moment, costs every call; most need not.
              if (known instanceof Promise) known.then(admit).catch(refuse)
              else admit(known)
            } catch (error) {
              refuse(error)
            }
          },
          onCancel: () => end(status.CANCELLED),
        }),
    })
  }

/** A connection is what its listener says: what TLS has not seen is not served as if it had. @throws {AssayError} CALLER_UNKNOWN. */
function connectionOf(call: ServerInterceptingCallInterface, { transport, peers }: Edge): Connection {
  const ends = call.getConnectionInfo()
  const chain = peers.chainOf(ends)
  if ((chain === undefined) === (transport === "tls"))
    throw new AssayError("CALLER_UNKNOWN", "the connection is gone")
  return { transport, peer: call.getPeer(), address: ends.remoteAddress, chain: chain ?? [] }
}

/**
 * A unary handler: checks the request, calls, and answers with what came or with the failure. A call whose deadline
 * has passed does no work, and one that was cancelled meanwhile gets no answer.
 */
export const unary =
  <I extends DescMessage, O>(
    schema: I,
    answer: (request: MessageShape<I>, caller: Caller) => Promise<O>,
  ): handleUnaryCall<Received<I>, O> =>
  async (call, callback) => {
    const context = contextOf(call.metadata)
    try {
      if (context === undefined) throw new AssayError("INTERNAL", "a call without a context")
      if (Number(call.getDeadline()) <= Date.now())
        return callback({ code: status.DEADLINE_EXCEEDED, details: "Deadline exceeded" })
      const checked = check(schema, call.request)
      if (checked.kind === "invalid") return callback(context.fail(checked.error, checked.violations))
      const value = await answer(checked.request, context.caller)
      if (!call.cancelled) callback(null, value)
    } catch (error) {
      callback(context?.fail(error) ?? toStatus(error))
    }
  }
