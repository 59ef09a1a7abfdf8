import { create, isMessage, toBinary } from "@bufbuild/protobuf"
import type { handleBidiStreamingCall, StatusObject } from "@grpc/grpc-js"
import { AssayError } from "../errors.ts"
import {
  type VerifyRequest,
  VerifyStreamRequestSchema,
  VerifyStreamResponseSchema,
} from "../gen/assay/v1/attestation_pb.ts"
import { type Decode, Encoded, framed, type Received, Refused, type Violation } from "../rpc.ts"
import type { Service } from "../service/service.ts"
import { Texts } from "../texts.ts"
import type { CallContext } from "./call.ts"
import { verifyInputFromProto } from "./convert.ts"
import { encodeStreamResult } from "./encode-result.ts"
import { toRpcStatus, toStatus } from "./errors.ts"
import type { Taken } from "./guard.ts"
import { takeContext } from "./intercept.ts"
import { check } from "./validate.ts"
import { isId, streamKeepsRules } from "./verify-rules.ts"

/**
 * What is refused without a turn, for its caller asks too much, keeps its place for so long, which is when its caller is told to
 * come again: else a stream would be told so without end, many times in one go, and others would wait for that.
 */
const REST_MS = 1000

/** A request of the stream as it came. */
type Asked = Received<typeof VerifyStreamRequestSchema>

/** A stream both ways as its handler sees it, whatever it goes over: as much of Node's `Duplex` as is needed. */
export interface BidiCall {
  /** Whether nobody waits for answers any more. */
  readonly cancelled: boolean
  readonly writableEnded: boolean
  readonly writableNeedDrain: boolean
  pause(): unknown
  resume(): unknown
  write(answer: Encoded): unknown
  end(): unknown
  /** Ends it with a failure. */
  emit(event: "error", status: StatusObject): unknown
  on(event: "data", listener: (asked: Asked) => void): unknown
  on(event: "close" | "drain" | "end", listener: () => void): unknown
}

/** Leads a stream from when its caller is known. */
export type Talk = (call: BidiCall, context: CallContext) => void

/** A handler for grpc-js, and for who needs none. */
export type BidiHandler = handleBidiStreamingCall<Asked, Encoded> & {
  readonly talk: Talk
  readonly readBytes: (read: Decode, bytes: Uint8Array) => Asked
}

/** Whether `verifyStream` has made it. */
export const isBidiHandler = (handler: unknown): handler is BidiHandler =>
  typeof handler === "function" && "talk" in handler && "readBytes" in handler

/** What one message of a stream turns out to be. */
type Read =
  | { readonly kind: "request"; readonly id: string; readonly request: VerifyRequest }
  | { readonly kind: "refused"; readonly error: AssayError; readonly violations: readonly Violation[] }

/**
 * Verify, many times on one stream. Requests run beside one another, at most `inFlightMax` at a time: beyond that, and
 * while the caller does not read its answers, nothing more is read. A request that fails is answered with its error
 * and the stream goes on; only a message without a usable id ends it. Whatever a message turns out to be, it counts for its
 * caller's rate and waits for its turn before it is judged: to say what is wrong costs more than most answers. When the
 * server drains, what runs is answered and the stream then ends with SHUTTING_DOWN.
 */
export function verifyStream(
  service: Service,
  limits: { readonly inFlightMax: number; readonly draining: AbortSignal },
): BidiHandler {
  const talk = talking(service, limits)
  const handler: handleBidiStreamingCall<Asked, Encoded> = (call) => {
    const context = takeContext(call.metadata)
    if (context === undefined) call.emit("error", toStatus(undefined))
    else talk(call, context)
  }
  const readBytes = (read: Decode, bytes: Uint8Array): Asked => read(VerifyStreamRequestSchema, bytes)
  return Object.assign(handler, { talk, readBytes })
}

const talking =
  (
    service: Service,
    { inFlightMax, draining }: { readonly inFlightMax: number; readonly draining: AbortSignal },
  ): Talk =>
  (call, context) => {
    /** Messages that are not answered yet. */
    let running = 0
    /** Those that were refused without a turn, a while ago at most. */
    let resting = 0
    /** What answers will name; the second message of the same id is answered too. */
    const ids = new Texts()
    /** Set when no more requests are read: how the stream ends once all answers are out. */
    let ending:
      | { readonly error: AssayError | undefined; readonly violations: readonly Violation[] | undefined }
      | undefined

    const proceed = (): void => {
      if (call.cancelled || call.writableEnded) return
      if (ending !== undefined) {
        if (running > 0) return
        if (ending.error === undefined) call.end()
        else call.emit("error", context.fail(ending.error, ending.violations))
      } else if (running + resting < inFlightMax && !call.writableNeedDrain) call.resume()
      else call.pause()
    }
    const endWith = (error?: AssayError, violations?: readonly Violation[]): void => {
      // That no more comes does not say how what has come ends.
      if (ending?.error === undefined) ending = { error, violations }
      call.pause()
      proceed()
    }
    const reply = (answer: Encoded): void => {
      if (!call.cancelled && !call.writableEnded) call.write(answer)
    }
    const refuse = (id: string | undefined, error: unknown, violations?: readonly Violation[]): void => {
      if (id === undefined) {
        endWith(ours(error), violations)
        return
      }
      context.note(error)
      const outcome = { case: "error", value: toRpcStatus(error, violations) } as const
      const answer = create(VerifyStreamResponseSchema, { id, outcome })
      reply(new Encoded(framed(toBinary(VerifyStreamResponseSchema, answer))))
    }
    /** Answers a message in its turn. Gives whether it has had one. */
    const answer = async (received: Asked, id: string | undefined, isOwn: boolean, bytes: number) => {
      let end: (() => void) | undefined
      try {
        context.request()
        end = await context.enter(bytes)
        if (end === undefined) return false
        const read = id === undefined || isOwn ? readOne(received, id) : duplicateOf(id)
        if (read.kind === "refused") refuse(id, read.error, read.violations)
        else {
          const result = await service.verify(verifyInputFromProto(read.request), context.caller)
          reply(encodeStreamResult(read.id, result))
        }
      } catch (error) {
        refuse(id, error)
      } finally {
        end?.()
      }
      return end !== undefined
    }
    /** Reads one message less for a while. */
    const rest = (): void => {
      resting += 1
      const over = (): void => {
        resting -= 1
        if (ending === undefined) proceed()
      }
      setTimeout(over, REST_MS).unref()
    }
    const run = async (received: Asked, { bytes, answered }: Taken): Promise<void> => {
      const id = idOf(received)
      const isOwn = id !== undefined && !ids.has(id)
      running += 1
      if (isOwn) ids.add(id)
      if (id === undefined) endWith()
      try {
        await context.prove()
        if (!(await answer(received, id, isOwn, bytes))) rest()
      } catch (error) {
        endWith(ours(error))
      }
      running -= 1
      if (isOwn) ids.delete(id)
      answered()
      proceed()
    }

    const stopReading = (): void => endWith(new AssayError("SHUTTING_DOWN", "this server is shutting down"))
    draining.addEventListener("abort", stopReading, { once: true })
    call.on("close", () => draining.removeEventListener("abort", stopReading))
    call.on("drain", proceed)
    call.on("end", () => endWith())
    call.on("data", (received: Asked) => {
      const taken = context.taken()
      if (ending !== undefined || call.cancelled) return taken.answered()
      void run(received, taken)
      proceed()
    })
  }

const ours = (error: unknown): AssayError =>
  error instanceof AssayError
    ? error
    : new AssayError("INTERNAL", "a request of a stream has failed", { cause: error })

const duplicateOf = (id: string): Read => ({
  kind: "refused",
  error: new AssayError("FIELD", "id: a request with this id is not answered yet", {
    location: "id",
    actual: id,
  }),
  violations: [],
})

/** Paths are those of the Verify request within, so that both ways of asking get the same answers. */
const within = (path: string): string => path.replace(/^request\./, "")

function readOne(received: Asked, id: string | undefined): Read {
  const checked = check(VerifyStreamRequestSchema, received, streamKeepsRules)
  if (checked.kind === "valid") {
    const { request } = checked.request
    if (id !== undefined && request !== undefined) return { kind: "request", id, request }
  }
  const error =
    checked.kind === "invalid" ? checked.error : new AssayError("FIELD", "request: value is required")
  const violations = checked.kind === "invalid" ? checked.violations : []
  return {
    kind: "refused",
    error: new AssayError(error.code, within(error.message), {
      location: within(error.location ?? ""),
      cause: error.cause,
    }),
    violations: violations.map(({ field, description }) => ({ field: within(field), description })),
  }
}

/** The id of a message, if the id itself is what it must be. It is looked at before the message is judged, and costs little. */
function idOf(received: Asked): string | undefined {
  const message = received instanceof Refused ? received.message : received
  if (received instanceof Refused && received.error.location === "id") return undefined
  return isMessage(message, VerifyStreamRequestSchema) && isId(message.id) ? message.id : undefined
}
