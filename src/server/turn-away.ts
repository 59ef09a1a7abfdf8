/**
 * Calls that nothing is done for: to a method that nobody serves, and such as no gRPC client makes. grpc-js answers some of them by
 * itself, at the full price of a call, where nobody would count them.
 */
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2"
import { type StatusObject, status } from "@grpc/grpc-js"
import { AssayError } from "../errors.ts"
import { type Arrival, answerAtOnce, headersOf } from "./arrival.ts"
import { newCallId } from "./call-id.ts"
import type { Edge } from "./edge.ts"
import { codeOf, toStatus } from "./errors.ts"

/** What a method is called in logs and measures that there is not: its name is the caller's. */
const UNKNOWN_METHOD = "unknown method"
const UNSERVED = new AssayError("PROTO", "nobody serves this method", { location: ":path" })
const UNSERVED_STATUS: StatusObject = { ...toStatus(UNSERVED), code: status.UNIMPLEMENTED }
/** gRPC over HTTP/2, Requests: what is no gRPC is told so in HTTP's own words. */
const GRPC = "application/grpc"
const UNSUPPORTED_MEDIA_TYPE = 415

/**
 * Answers a call at once, and counts it: whoever goes on so is ended.
 *
 * @param method `package.Service/Method`; nothing if nobody serves it.
 */
export function turnAway(
  { limits, logCall, observe, refused }: Edge,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  { connection, flaw }: Arrival,
  method: string | undefined,
): void {
  const startMs = performance.now()
  const request = newCallId()
  const error = refusalBy(() => limits?.limiter.source(connection.network)) ?? flaw ?? UNSERVED
  const answer = error === UNSERVED ? UNSERVED_STATUS : toStatus(error)
  const reason = codeOf(error)
  const code = status[answer.code]
  const line = {
    method: method ?? UNKNOWN_METHOD,
    code,
    reason,
    ms: 0,
    caller: undefined,
    tenant: undefined,
    request,
  }
  refused(reason)
  observe(line.method, code, (performance.now() - startMs) / 1000)
  logCall(line, "info")
  if (connection.strike(startMs)) return
  const http = headers["content-type"]?.startsWith(GRPC) === true ? 200 : UNSUPPORTED_MEDIA_TYPE
  answerAtOnce(stream, connection, [...headersOf(answer, http), "x-request-id", request])
}

/** What is thrown, if anything is. */
const refusalBy = (counts: () => void): unknown => {
  try {
    counts()
    return undefined
  } catch (error) {
    return error
  }
}
