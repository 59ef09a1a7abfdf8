/** What grpc-js keeps to itself of a call, and what it says by itself. */
import type { ServerHttp2Stream } from "node:http2"
import { type ServerInterceptingCallInterface, status } from "@grpc/grpc-js"
import { AssayError } from "../errors.ts"
import { isServerStream } from "./arrival.ts"
import { toStatus } from "./errors.ts"

/**
 * The stream that a call came by. grpc-js knows it and has no public name for it; without it a call could not be guarded, and
 * so is none.
 *
 * @throws {TypeError} if another version of grpc-js calls it otherwise.
 */
export function streamOf(call: ServerInterceptingCallInterface): ServerHttp2Stream {
  const stream: unknown = "stream" in call ? call.stream : undefined
  if (isServerStream(stream)) return stream
  throw new TypeError("grpc-js no longer says which stream a call came by")
}

type Ending = Parameters<ServerInterceptingCallInterface["sendStatus"]>[0]

const CALLERS_FAULT = /^(?:Failed to decompress|Invalid grpc-timeout)/

/** What grpc-js itself has to say, with the code that we have for it. */
export const explained = (answer: Ending): Ending => {
  if ((answer.metadata?.get("grpc-status-details-bin").length ?? 0) > 0) return answer
  const { code, details = "" } = answer
  const location = "message"
  switch (code) {
    case status.RESOURCE_EXHAUSTED:
      return toStatus(new AssayError("MESSAGE_SIZE", details, { location }))
    case status.UNIMPLEMENTED:
      return toStatus(new AssayError("PROTO", details, { location }))
    case status.INTERNAL: // a message that cannot be unpacked, a timeout that is none; else it is our fault
      return toStatus(
        new AssayError(CALLERS_FAULT.test(details) ? "PROTO" : "INTERNAL", details, { location }),
      )
    case status.DEADLINE_EXCEEDED:
      return toStatus(new AssayError("DEADLINE", "the caller's deadline has passed", { location: "call" }))
    default:
      return answer
  }
}
