/** Calls with one request and one answer, whatever they go over. */
import { type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf"
import { type handleUnaryCall, Metadata, type StatusObject, status } from "@grpc/grpc-js"
import { AssayError } from "../errors.ts"
import { type Decode, Encoded, framed, type Received, type Sent, type UnaryMethod } from "../rpc.ts"
import type { Caller } from "../service/ports.ts"
import type { CallContext } from "./call.ts"
import { toStatus } from "./errors.ts"
import { takeContext } from "./intercept.ts"
import { check } from "./validate.ts"

/** What a call is answered with. */
type Answer<T> =
  | { readonly kind: "answer"; readonly value: T }
  | { readonly kind: "failure"; readonly status: StatusObject }

/** What answers a request that is bytes with the frame of a message. Never throws. */
export type AnswerBytes = (
  bytes: Uint8Array,
  read: Decode,
  context: CallContext,
  isLate: () => boolean,
) => Promise<Answer<Buffer>>

/** A handler for grpc-js, and for who needs none. */
export type UnaryHandler<I extends DescMessage, O extends DescMessage> = handleUnaryCall<
  Received<I>,
  Sent<O>
> & { readonly answerBytes: AnswerBytes }

/** Whether `unary` has made it. */
export const isUnaryHandler = (handler: unknown): handler is { readonly answerBytes: AnswerBytes } =>
  typeof handler === "function" && "answerBytes" in handler

const NOBODY_WAITS: Answer<never> = {
  kind: "failure",
  status: { code: status.CANCELLED, details: "nobody waits for the answer", metadata: new Metadata() },
}

/**
 * A unary handler: checks the request, calls, and answers with what came or with the failure. A call whose deadline
 * has passed does no work, and one that was cancelled meanwhile gets no answer.
 *
 * @param answer One that is long is made when it is asked for: what that takes is the caller's.
 * @param keeps Whether all rules of the request are known to hold, see `check`.
 */
export function unary<I extends DescMessage, O extends DescMessage>(
  { input, output }: UnaryMethod<I, O>,
  answer: (request: MessageShape<I>, caller: Caller) => Promise<Sent<O> | (() => Sent<O>)>,
  keeps?: (request: MessageShape<I>) => boolean,
): UnaryHandler<I, O> {
  const respond = async <T>(
    received: Received<I>,
    context: CallContext,
    isLate: () => boolean,
    write: (value: Sent<O>) => T,
  ): Promise<Answer<T>> => {
    try {
      const answered = await context.enter()
      if (answered === undefined) return NOBODY_WAITS
      try {
        if (isLate())
          throw new AssayError("DEADLINE", "the caller's deadline has passed", { location: "call" })
        const checked = check(input, received, keeps)
        if (checked.kind === "invalid")
          return { kind: "failure", status: context.fail(checked.error, checked.violations) }
        const found = await answer(checked.request, context.caller)
        const value = typeof found === "function" ? context.run(() => write(found())) : write(found)
        return { kind: "answer", value }
      } finally {
        answered()
      }
    } catch (error) {
      return { kind: "failure", status: context.fail(error) }
    }
  }
  const handler: handleUnaryCall<Received<I>, Sent<O>> = async (call, callback) => {
    const context = takeContext(call.metadata)
    if (context === undefined)
      return callback(toStatus(new AssayError("INTERNAL", "a call without a context")))
    const deadlineMs = Number(call.getDeadline())
    const isLate = (): boolean => deadlineMs <= Date.now()
    const answered = await respond(call.request, context, isLate, (value) => value)
    if (answered.kind === "failure") callback(answered.status)
    else if (!call.cancelled) callback(null, answered.value)
  }
  const write = (value: Sent<O>): Buffer =>
    value instanceof Encoded ? value.frame : framed(toBinary(output, value))
  const answerBytes: AnswerBytes = (bytes, read, context, isLate) =>
    respond(read(input, bytes), context, isLate, write)
  return Object.assign(handler, { answerBytes })
}
