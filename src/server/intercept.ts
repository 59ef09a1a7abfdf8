/**
 * Calls that grpc-js carries: streams, all calls of the administration socket, and what `direct.ts` leaves to it. An interceptor
 * stands around each.
 */
import { Metadata, ServerInterceptingCall, type ServerInterceptor, status } from "@grpc/grpc-js"
import { takeArrival } from "./arrival.ts"
import { Call, type CallContext, type Carrier, kindOf } from "./call.ts"
import type { Edge } from "./edge.ts"
import { follow } from "./guard.ts"
import { explained, streamOf } from "./inner-call.ts"

const contexts = new WeakMap<Metadata, CallContext>()

/**
 * The context of a call that came through `intercepting`, once: nothing for any other, or for the second time. What a `WeakMap`
 * still holds when the young are collected counts as old, with all that it refers to: left here, each call would stay until
 * everything is collected.
 */
export const takeContext = (metadata: Metadata): CallContext | undefined => {
  const context = contexts.get(metadata)
  contexts.delete(metadata)
  return context
}

/** Gives each call its context, which handlers find by the call's metadata: grpc-js hands that on unchanged. */
export const intercepting =
  (edge: Edge): ServerInterceptor =>
  ({ path, requestStream, responseStream }, inner) => {
    const stream = streamOf(inner)
    let metadata = new Metadata()
    const carrier: Carrier = {
      stream,
      get: (name) => metadata.get(name),
      peer: () => inner.getPeer(),
      refuse: (answer) => inner.sendStatus(answer),
    }
    // The lowest layer ends some calls by itself (deadline, packed messages, no message), unseen by interceptors.
    const send = inner.sendStatus.bind(inner)
    const sendStatus: typeof send = (answer) => {
      call.guarded?.answered()
      call.end(answer.code)
      if (answer.code === status.OK) {
        send(answer)
        return
      }
      const told = explained(answer)
      const trailers = told.metadata ?? new Metadata()
      trailers.set("x-request-id", call.id)
      send({ ...told, metadata: trailers })
    }
    inner.sendStatus = sendStatus
    const kind = kindOf(path, requestStream, responseStream)
    const call = new Call(edge, carrier, takeArrival(stream), kind)
    if (call.guarded !== undefined) follow(call.guarded, stream)
    return new ServerInterceptingCall(inner, {
      start: (next) =>
        next({
          onReceiveMetadata: (given, forward) => {
            metadata = given
            call.begin(() => {
              contexts.set(given, call)
              forward(given)
            })
          },
          onReceiveMessage: (message, forward) => {
            if (!kind.openToAll || !requestStream) return forward(message)
            // Whoever opens a stream once could ask without end. What is not handed on is the last that is read.
            if (call.ended) return
            try {
              call.countAnyones()
              forward(message)
            } catch (error) {
              call.refuse(error)
            }
          },
          onReceiveHalfClose: (forward) => {
            call.guarded?.complete()
            forward()
          },
          onCancel: () => call.end(status.CANCELLED),
        }),
      sendMessage: (message, forward) => {
        // Its status comes when the message has been taken, which may be never.
        if (!responseStream) call.guarded?.answered()
        forward(message)
      },
    })
  }
