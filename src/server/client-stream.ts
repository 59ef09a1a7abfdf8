import type { DescMessage, MessageShape } from "@bufbuild/protobuf"
import type { handleClientStreamingCall, ServerReadableStream } from "@grpc/grpc-js"
import { AssayError } from "../errors.ts"
import type { Received, Violation } from "../rpc.ts"
import type { Caller } from "../service/ports.ts"
import type { CallContext } from "./call.ts"
import { toStatus } from "./errors.ts"
import { takeContext } from "./intercept.ts"
import { check } from "./validate.ts"

/** A request that a rule of the schema refuses, and all that is wrong with it. */
class Invalid extends Error {
  readonly error: AssayError
  readonly violations: readonly Violation[]

  constructor(error: AssayError, violations: readonly Violation[]) {
    super(error.message)
    this.error = error
    this.violations = violations
  }
}

/**
 * A handler of a stream of requests: reads them as they are wanted, never more than a few ahead, checks each, and answers
 * once. The first that is wrong ends the call, and so does a shutdown.
 *
 * @param where The path of a field, given which request it is in, counted from 0.
 */
export const clientStream =
  <I extends DescMessage, O>(
    schema: I,
    where: (position: number, field: string) => string,
    draining: AbortSignal,
    answer: (requests: AsyncIterable<MessageShape<I>>, caller: Caller) => Promise<O>,
  ): handleClientStreamingCall<Received<I>, O> =>
  async (call, callback) => {
    const context = takeContext(call.metadata)
    try {
      if (context === undefined) throw new AssayError("INTERNAL", "a call without a context")
      const value = await answer(requestsOf(schema, where, call, draining, context), context.caller)
      if (!call.cancelled) callback(null, value)
    } catch (error) {
      if (call.cancelled) return
      callback(failureOf(context, error))
    }
  }

async function* requestsOf<I extends DescMessage, O>(
  schema: I,
  where: (position: number, field: string) => string,
  call: ServerReadableStream<Received<I>, O>,
  draining: AbortSignal,
  context: CallContext,
): AsyncIterable<MessageShape<I>> {
  const stop = (): void => void call.destroy(shuttingDown())
  draining.addEventListener("abort", stop, { once: true })
  try {
    if (draining.aborted) throw shuttingDown()
    let position = 0
    for await (const received of call) {
      const { answered } = context.taken()
      try {
        await context.prove()
        const checked = check<I>(schema, received)
        if (checked.kind === "invalid") throw placed(checked, (field) => where(position, field))
        yield checked.request
      } finally {
        answered() // also of one that ends the call: nobody else knows of it any more
      }
      position++
    }
  } finally {
    draining.removeEventListener("abort", stop)
  }
}

const placed = (
  { error, violations }: { readonly error: AssayError; readonly violations: readonly Violation[] },
  where: (field: string) => string,
): Invalid => {
  const location = where(error.location ?? "")
  const { code, message, cause } = error
  return new Invalid(
    new AssayError(code, `${location}: ${message}`, { location, cause }),
    violations.map(({ field, description }) => ({ field: where(field), description })),
  )
}

const failureOf = (context: CallContext | undefined, error: unknown) => {
  if (context === undefined) return toStatus(error)
  return error instanceof Invalid ? context.fail(error.error, error.violations) : context.fail(error)
}

const shuttingDown = (): AssayError => new AssayError("SHUTTING_DOWN", "this server is shutting down")
