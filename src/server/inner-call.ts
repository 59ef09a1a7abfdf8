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

/** What it blames on us, and is the caller's, in our words. */
const CALLERS_FAULTS: readonly (readonly [details: string, message: string, expected: string])[] = [
  [
    "Failed to decompress",
    "the message cannot be unpacked: compress it as grpc-encoding says, or send it as it is",
    "what grpc-encoding says",
  ],
  ["Error deserializing request", "the request is not a message that can be read", "the method's request"],
]

const callersFault = (details: string): AssayError | undefined => {
  for (const [known, message, expected] of CALLERS_FAULTS)
    if (details.startsWith(known)) return new AssayError("PROTO", message, { location: "message", expected })
  if (!details.startsWith("Invalid grpc-timeout")) return undefined
  return new AssayError("PROTO", "grpc-timeout is not that of a gRPC call", { location: "grpc-timeout" })
}

/** How many messages a call had where it has one: grpc-js calls every such method a streaming one. */
const messageCount = (details: string): AssayError | undefined => {
  if (details.startsWith("Received no request message"))
    return new AssayError(
      "PROTO",
      "the call has ended without a whole request: send all of it, then end the call",
      {
        location: "message",
        expected: "one message: a flag, its size in four bytes, and so many bytes",
        actual: "none, or part of one",
      },
    )
  if (details.startsWith("Received a second request message"))
    return new AssayError("PROTO", "a second message, in a call that has one", {
      location: "message",
      expected: "one",
    })
  return undefined
}

/** What grpc-js itself has to say, with the code that we have for it. */
export const explained = (answer: Ending): Ending => {
  if ((answer.metadata?.get("grpc-status-details-bin").length ?? 0) > 0) return answer
  const { code, details = "" } = answer
  const location = "message"
  switch (code) {
    case status.RESOURCE_EXHAUSTED:
      return toStatus(new AssayError("MESSAGE_SIZE", details, { location }))
    case status.UNIMPLEMENTED:
      return toStatus(messageCount(details) ?? new AssayError("PROTO", details, { location }))
    case status.INTERNAL:
      return toStatus(callersFault(details) ?? new AssayError("INTERNAL", details))
    case status.DEADLINE_EXCEEDED:
      return toStatus(new AssayError("DEADLINE", "the caller's deadline has passed", { location: "call" }))
    default:
      return answer
  }
}
