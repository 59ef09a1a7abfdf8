import { once } from "node:events"
import type { DescMessage, MessageShape } from "@bufbuild/protobuf"
import { type handleServerStreamingCall, type ServerWritableStream, status } from "@grpc/grpc-js"
import { AssayError } from "../errors.ts"
import type { Received } from "../rpc.ts"
import type { Caller } from "../service/ports.ts"
import type { CallContext } from "./call.ts"
import { toStatus } from "./errors.ts"
import { takeContext } from "./intercept.ts"
import { check } from "./validate.ts"

/**
 * A handler with one request and a stream of answers: checks the request, calls, and sends what comes, no faster than it is
 * taken, and each when it is the caller's turn. It ends with the answers, or with the failure; when the caller leaves, nobody is
 * asked for more; when the server drains, with SHUTTING_DOWN.
 *
 * @param answer Is told by `signal` when nobody waits for it any more. Gives what makes each answer, for what that takes is the
 *   caller's; nothing where there is only a turn to wait for.
 * @param together So many small answers share a turn.
 */
export const serverStream =
  <I extends DescMessage, O>(
    schema: I,
    draining: AbortSignal,
    answer: (
      request: MessageShape<I>,
      caller: Caller,
      signal: AbortSignal,
    ) => AsyncIterable<(() => O) | undefined>,
    together = 1,
  ): handleServerStreamingCall<Received<I>, O> =>
  async (call) => {
    const context = takeContext(call.metadata)
    const over = new AbortController()
    const signal = AbortSignal.any([over.signal, draining])
    call.on("close", () => over.abort())
    call.on("cancelled", () => over.abort())
    try {
      if (context === undefined) throw new AssayError("INTERNAL", "a call without a context")
      if (Number(call.getDeadline()) <= Date.now())
        return void call.emit("error", { code: status.DEADLINE_EXCEEDED, details: "Deadline exceeded" })
      const checked = check(schema, call.request)
      if (checked.kind === "invalid")
        return void call.emit("error", context.fail(checked.error, checked.violations))
      let count = 0
      for await (const make of answer(checked.request, context.caller, signal)) {
        if (signal.aborted) break
        await send(call, context, make, { isNext: count % together === 0, signal })
        count += 1
      }
      if (draining.aborted) throw new AssayError("SHUTTING_DOWN", "this server is shutting down")
      if (!call.cancelled) call.end()
    } catch (error) {
      if (!call.cancelled) call.emit("error", context?.fail(error) ?? toStatus(error))
    }
  }

/** How an answer is sent. */
interface Sending {
  /** Whether it is to wait for its turn, or goes with the one before. */
  readonly isNext: boolean
  readonly signal: AbortSignal
}

const send = async <I, O>(
  call: ServerWritableStream<I, O>,
  context: CallContext,
  make: (() => O) | undefined,
  { isNext, signal }: Sending,
): Promise<void> => {
  const sent = isNext ? await context.enter(0) : undefined
  try {
    if (make === undefined || call.cancelled || context.run(() => call.write(make()))) return
  } finally {
    sent?.() // nobody else waits while this caller takes its time
  }
  try {
    await once(call, "drain", { signal })
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
