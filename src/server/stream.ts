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
import type { CallContext } from "./call.ts"
import { verifyInputFromProto } from "./convert.ts"
import { encodeStreamResult } from "./encode-result.ts"
import { toRpcStatus, toStatus } from "./errors.ts"
import type { Taken } from "./guard.ts"
import { takeContext } from "./intercept.ts"
import { check } from "./validate.ts"
import { streamKeepsRules } from "./verify-rules.ts"

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
  | {
      readonly kind: "refused"
      /** Nothing if the answer would have no address. */
      readonly id: string | undefined
      readonly error: AssayError
      readonly violations: readonly Violation[]
    }

/**
 * Verify, many times on one stream. Requests run beside one another, at most `inFlightMax` at a time: beyond that, and
 * while the caller does not read its answers, nothing more is read. A request that fails is answered with its error
 * and the stream goes on; only a message without a usable id ends it. When the server drains, what runs is answered
 * and the stream then ends with SHUTTING_DOWN.
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
    const inFlight = new Set<string>()
    /** Set when no more requests are read: how the stream ends once all answers are out. */
    let ending:
      | { readonly error: AssayError | undefined; readonly violations?: readonly Violation[] }
      | undefined

    const proceed = (): void => {
      if (call.cancelled || call.writableEnded) return
      if (ending !== undefined) {
        if (inFlight.size > 0) return
        if (ending.error === undefined) call.end()
        else call.emit("error", context.fail(ending.error, ending.violations))
      } else if (inFlight.size < inFlightMax && !call.writableNeedDrain) call.resume()
      else call.pause()
    }
    const endWith = (error?: AssayError, violations?: readonly Violation[]): void => {
      ending ??= { error, ...(violations && { violations }) }
      call.pause()
      proceed()
    }
    const reply = (answer: Encoded): void => {
      if (!call.cancelled && !call.writableEnded) call.write(answer)
    }
    const refuse = (id: string, error: unknown, violations?: readonly Violation[]): void => {
      context.note(error)
      const outcome = { case: "error", value: toRpcStatus(error, violations) } as const
      const answer = create(VerifyStreamResponseSchema, { id, outcome })
      reply(new Encoded(framed(toBinary(VerifyStreamResponseSchema, answer))))
    }
    const run = async (id: string, request: VerifyRequest, { bytes, answered }: Taken): Promise<void> => {
      inFlight.add(id)
      try {
        await context.prove()
      } catch (error) {
        inFlight.delete(id)
        answered()
        const isOurs = error instanceof AssayError
        return endWith(
          isOurs ? error : new AssayError("INTERNAL", "who calls cannot be said", { cause: error }),
        )
      }
      try {
        context.request()
        const end = await context.enter(bytes)
        try {
          if (end !== undefined)
            reply(encodeStreamResult(id, await service.verify(verifyInputFromProto(request), context.caller)))
        } finally {
          end?.()
        }
      } catch (error) {
        refuse(id, error)
      }
      inFlight.delete(id)
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
      const read = readOne(received)
      if (read.kind === "request" && !inFlight.has(read.id)) {
        void run(read.id, read.request, taken)
        return proceed()
      }
      taken.answered()
      if (read.kind === "refused" && read.id === undefined) return endWith(read.error, read.violations)
      if (read.kind === "refused") refuse(read.id ?? "", read.error, read.violations)
      else refuse(read.id, duplicateOf(read.id))
      proceed()
    })
  }

const duplicateOf = (id: string): AssayError =>
  new AssayError("FIELD", "id: a request with this id is not answered yet", { location: "id", actual: id })

/** Paths are those of the Verify request within, so that both ways of asking get the same answers. */
const within = (path: string): string => path.replace(/^request\./, "")

function readOne(received: Asked): Read {
  const checked = check(VerifyStreamRequestSchema, received, streamKeepsRules)
  if (checked.kind === "valid") {
    const { id, request } = checked.request
    if (request !== undefined) return { kind: "request", id, request }
  }
  const error =
    checked.kind === "invalid" ? checked.error : new AssayError("FIELD", "request: value is required")
  const violations = checked.kind === "invalid" ? checked.violations : []
  return {
    kind: "refused",
    id: usableId(received, error),
    error: new AssayError(error.code, within(error.message), {
      location: within(error.location ?? ""),
      cause: error.cause,
    }),
    violations: violations.map(({ field, description }) => ({ field: within(field), description })),
  }
}

/** The id of a refused message, if the id itself is what it must be. */
function usableId(received: Asked, error: AssayError): string | undefined {
  const message = received instanceof Refused ? received.message : received
  if (!isMessage(message, VerifyStreamRequestSchema) || error.location === "id") return undefined
  const checked = check(VerifyStreamRequestSchema, message)
  const isWrong = checked.kind === "invalid" && checked.violations.some(({ field }) => field === "id")
  return isWrong ? undefined : message.id
}
