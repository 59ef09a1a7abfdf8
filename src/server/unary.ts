/** Calls with one request and one answer. */
import type { DescMessage, MessageShape } from "@bufbuild/protobuf"
import { type handleUnaryCall, status } from "@grpc/grpc-js"
import { AssayError } from "../errors.ts"
import type { Received } from "../rpc.ts"
import type { Caller } from "../service/ports.ts"
import { takeContext } from "./call.ts"
import { toStatus } from "./errors.ts"
import { check } from "./validate.ts"

/** What a call refers to, which is answered by its callback. */
const REFERENCES = ["call", "metadata", "request"] as const

/**
 * Lets go of what a call refers to, for whoever has taken it already. V8 puts a function that is assigned to a member
 * (`a.b = () => ...`) among what is old at once, and so what it refers to stays until everything is collected. Each stream of
 * Node's has such a function that refers to it, and to grpc-js each call is a stream.
 */
const letGo = (call: object): void => {
  for (const name of REFERENCES) Reflect.set(call, name, undefined)
}

/**
 * A unary handler: checks the request, calls, and answers with what came or with the failure. A call whose deadline
 * has passed does no work, and one that was cancelled meanwhile gets no answer.
 */
export const unary =
  <I extends DescMessage, O>(
    schema: I,
    answer: (request: MessageShape<I>, caller: Caller) => Promise<O>,
    keeps?: (request: MessageShape<I>) => boolean,
  ): handleUnaryCall<Received<I>, O> =>
  async (call, callback) => {
    const { request } = call
    const context = takeContext(call.metadata)
    const deadlineMs = Number(call.getDeadline())
    letGo(call)
    try {
      if (context === undefined) throw new AssayError("INTERNAL", "a call without a context")
      const answered = await context.enter()
      if (answered === undefined)
        return callback({ code: status.CANCELLED, details: "nobody waits for the answer" })
      try {
        if (deadlineMs <= Date.now())
          return callback({ code: status.DEADLINE_EXCEEDED, details: "Deadline exceeded" })
        const checked = check(schema, request, keeps)
        if (checked.kind === "invalid") return callback(context.fail(checked.error, checked.violations))
        const value = await answer(checked.request, context.caller)
        if (!call.cancelled) callback(null, value)
      } finally {
        answered()
      }
    } catch (error) {
      callback(context?.fail(error) ?? toStatus(error))
    }
  }
