import { once } from "node:events"
import type { DescMessage, MessageShape } from "@bufbuild/protobuf"
import { type handleServerStreamingCall, type ServerWritableStream, status } from "@grpc/grpc-js"
import { AssayError } from "../errors.ts"
import type { Received } from "../rpc.ts"
import type { Caller } from "../service/ports.ts"

import { toStatus } from "./errors.ts"
import { takeContext } from "./intercept.ts"
import { check } from "./validate.ts"

/**
 * A handler with one request and a stream of answers: checks the request, calls, and sends what comes, no faster than it is
 * taken. It ends with the answers, or with the failure; when the caller leaves, nobody is asked for more; when the server
 * drains, with SHUTTING_DOWN.
 *
 * @param answer Is told by `signal` when nobody waits for it any more.
 */
export const serverStream =
  <I extends DescMessage, O>(
    schema: I,
    draining: AbortSignal,
    answer: (request: MessageShape<I>, caller: Caller, signal: AbortSignal) => AsyncIterable<O>,
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
      for await (const message of answer(checked.request, context.caller, signal)) {
        if (signal.aborted) break
        await send(call, message, signal)
      }
      if (draining.aborted) throw new AssayError("SHUTTING_DOWN", "this server is shutting down")
      if (!call.cancelled) call.end()
    } catch (error) {
      if (!call.cancelled) call.emit("error", context?.fail(error) ?? toStatus(error))
    }
  }

const send = async <I, O>(
  call: ServerWritableStream<I, O>,
  message: O,
  signal: AbortSignal,
): Promise<void> => {
  if (call.cancelled || call.write(message)) return
  try {
    await once(call, "drain", { signal })
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
