import { once } from "node:events"
import { setTimeout } from "node:timers/promises"
import type { DescMessage, MessageShape } from "@bufbuild/protobuf"
import { type handleServerStreamingCall, type ServerWritableStream, status } from "@grpc/grpc-js"
import { AssayError } from "../errors.ts"
import type { Received } from "../rpc.ts"
import type { Caller } from "../service/ports.ts"
import type { CallContext } from "./call.ts"
import { codeOf, toStatus } from "./errors.ts"
import { takeContext } from "./intercept.ts"
import { check } from "./validate.ts"

/**
 * A handler with one request and a stream of answers: checks the request, calls, and sends what comes, no faster than it is
 * taken, each asked for when it is the caller's turn. Where there is no room it is refused before it has begun, and waits after
 * that. It ends with the answers, or with the failure; when the caller leaves, nobody is asked for more; when the server drains,
 * with SHUTTING_DOWN.
 *
 * @param answer Is told by `signal` when nobody waits for it any more. Gives what makes each answer, for what that takes is the
 *   caller's; nothing where there is only a turn to wait for: before what comes next there is one.
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
      const turns = { together, signal }
      for await (const make of inTurns(answer(checked.request, context.caller, signal), context, turns))
        await send(call, context, make, signal)
      if (draining.aborted) throw new AssayError("SHUTTING_DOWN", "this server is shutting down")
      if (!call.cancelled) call.end()
    } catch (error) {
      if (!call.cancelled) call.emit("error", context?.fail(error) ?? toStatus(error))
    }
  }

/** What comes, each asked for in a turn; that is not held while there is nothing to give, or while the caller takes its time. */
async function* inTurns<T>(
  items: AsyncIterable<T>,
  context: CallContext,
  { together, signal }: { readonly together: number; readonly signal: AbortSignal },
): AsyncGenerator<T> {
  const iterator = items[Symbol.asyncIterator]()
  try {
    if (!(await takeTurn(context, signal))) return
    for (let left = together; ; left -= 1) {
      if (left === 0) {
        if (!(await takeNextTurn(context, signal))) return
        left = together
      }
      const { done, value } = await iterator.next()
      if (done === true) return
      yield value
      if (value === undefined) left = 1
    }
  } finally {
    await iterator.return?.()
  }
}

/** Waits for the stream's turn. Gives whether that came before the stream was over. @throws {AssayError} OVERLOADED. */
const takeTurn = (context: CallContext, signal: AbortSignal): Promise<boolean> =>
  new Promise((resolve, reject) => {
    const over = (): void => resolve(false)
    if (signal.aborted) return over()
    signal.addEventListener("abort", over, { once: true })
    const told = (begun: (() => void) | undefined): void => {
      begun?.()
      resolve(begun !== undefined)
    }
    context
      .enter(0)
      .then(told, reject)
      .finally(() => signal.removeEventListener("abort", over))
  })

/** Before a stream that has begun asks again where there was no room for it: as long as callers are told to wait. */
const AGAIN_MS = 1000

/** As `takeTurn`. What has begun is not refused: it asks for one at a time, and nobody could go on where it was ended. */
const takeNextTurn = async (context: CallContext, signal: AbortSignal): Promise<boolean> => {
  for (;;)
    try {
      return await takeTurn(context, signal)
    } catch (error) {
      if (codeOf(error) !== "OVERLOADED") throw error
      await setTimeout(AGAIN_MS, undefined, { signal }).catch(() => {})
    }
}

const send = async <I, O>(
  call: ServerWritableStream<I, O>,
  context: CallContext,
  make: (() => O) | undefined,
  signal: AbortSignal,
): Promise<void> => {
  if (make === undefined || call.cancelled || context.run(() => call.write(make()))) return
  try {
    await once(call, "drain", { signal })
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
