/**
 * What HTTP/2 says of a call before gRPC looks at it. Node drops the second of two headers that occur once, and grpc-js looks
 * at no method and no scheme: so both are looked at here, in what was really sent.
 */
import { subscribe } from "node:diagnostics_channel"
import { constants, type Http2Session, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2"
import type { StatusObject } from "@grpc/grpc-js"
import { AssayError } from "../errors.ts"
import type { AtOnce, Connection } from "./connection.ts"
import { connectionOf } from "./connections.ts"
import { ENCODINGS, toStatus } from "./errors.ts"
import { ignore, letGo } from "./let-go.ts"
import { AtATime } from "./limiter.ts"
import { partyOf } from "./party.ts"
import { Refusals } from "./refusals.ts"

/** Headers that say who calls. Of each there is one or none. */
const ONCE: readonly string[] = ["authorization", "assay-tenant"]
/** Names and values of a call's headers, in characters. They are held until it is answered, whoever makes it: HTTP/2 would take 64 KiB. */
const HEADERS_SIZE_MAX = 16_384
/** Headers of a call, each a name and a value: what a client sends, and all that proxies add, are no more. */
const HEADERS_MANY = 48
/** gRPC over HTTP/2, Content-Type: of the two formats that it names, the one that is ours. */
const CONTENT_TYPE = /^application\/grpc(?:\+proto)?(?:;.*)?$/

/** gRPC over HTTP/2, Timeout. grpc-js finds one wherever it is in the text, and ignores what is around it. */
const TIMEOUT = /^\d{1,8}[HMSmun]$/

/** How a call has come: by which connection, and what is wrong with it, if anything is. */
export interface Arrival {
  readonly connection: Connection
  readonly flaw: AssayError | undefined
}

const arrivals = new WeakMap<ServerHttp2Stream, Arrival>()

/** How a call has come, once: nothing if by no connection of ours. For why only once, see `takeContext`. */
export const takeArrival = (stream: ServerHttp2Stream): Arrival | undefined => {
  const arrival = arrivals.get(stream)
  arrivals.delete(stream)
  return arrival
}

const watched = new WeakSet<Http2Session>()
let isWatching = false

/** Looks at every call of the connections that are ours, from now on and for as long as the process runs. */
export function watchArrivals(): void {
  if (isWatching) return
  isWatching = true
  // The one event that comes before a session hands on its first call.
  subscribe("http2.server.stream.created", (message) => {
    if (typeof message !== "object" || message === null || !("stream" in message)) return
    const { stream } = message
    if (!isServerStream(stream)) return
    const { session } = stream
    if (session === undefined || watched.has(session)) return
    const connection = connectionOf(session)
    if (connection === undefined) return
    watched.add(session)
    connection.session = session
    // Node's own listener, which hands the call to grpc-js: by that time most of what a call costs has been spent.
    const passes = session.listeners("stream")
    session.removeAllListeners("stream")
    session.on("stream", (own, headers, flags, rawHeaders) => {
      if (!isServerStream(own)) return
      own.on("error", ignore) // whatever becomes of it: "close" comes next
      connection.calls += 1
      // Nobody is charged for the time that reading them takes.
      own.once("trailers", () => connection.strike(now()))
      if (rawHeaders.length > 2 * HEADERS_MANY) connection.strike(now())
      const refusal = connection.refusal(headers.authorization)
      if (refusal !== undefined) {
        answerAtOnce(own, connection, REFUSALS[refusal])
        return
      }
      const flaw = findFlaw(headers, rawHeaders, connection.chain !== undefined)
      const arrival = { connection, flaw }
      if (connection.takes?.(own, headers, arrival) === true) return
      arrivals.set(own, arrival)
      for (const pass of passes) Reflect.apply(pass, session, [own, headers, flags, rawHeaders])
    })
  })
}

/** Whether something is a stream that a server was called by. */
export const isServerStream = (value: unknown): value is ServerHttp2Stream =>
  typeof value === "object" && value !== null && "session" in value && "pushAllowed" in value

/** An answer that is a failure, as a list, name and value in turns, and without a date: a fifth of what it costs otherwise. */
export const headersOf = ({ code, details, metadata }: StatusObject, http = 200): readonly string[] =>
  Object.entries({
    ":status": http,
    "content-type": "application/grpc+proto",
    "grpc-status": code,
    "grpc-message": encodeURI(details),
    ...metadata.toHttp2Headers(),
  }).flatMap(([name, value]) => [name, String(value)])

/** What is said at once to callers who have asked for more than their share, while there is no room or at any time. */
const REFUSALS: Readonly<Record<AtOnce, readonly string[]>> = {
  OVERLOADED: headersOf(toStatus(new AssayError("OVERLOADED", "more is asked than can be answered in time"))),
  RATE: headersOf(toStatus(new AssayError("RATE", "too many calls of this caller, or from this address"))),
}

/** Of all servers of this process: they share its loop. */
const refusals = new Refusals()

/** Of calls that were refused at once, of all who share their turns: an honest one ends its requests, which have come by then. */
const LINGERING_MAX = 16_384
const lingering = new AtATime(LINGERING_MAX, "calls that were refused and are open")

const now = (): number => performance.now()

/** Answers a call with nothing but headers, and uses nothing of it. */
export function answerAtOnce(
  stream: ServerHttp2Stream,
  connection: Connection,
  headers: readonly string[],
): void {
  if (stream.closed || stream.destroyed) return
  const { refused, caller } = connection
  const owner = caller === undefined ? connection.id : partyOf(caller)
  if (lingering.isFull(owner)) {
    // Whoever opens calls and does not end them, or opens more before those are answered.
    connection.end()
    return
  }
  // Not cut at once: a caller that is still sending would answer with a reset, and enough of those end a connection.
  const one = { stream, sinceMs: now(), place: 0 }
  refused.add(one)
  const ended = lingering.begin(owner)
  stream.on("close", () => {
    refused.delete(one)
    ended()
    letGo(stream, ["close", "data", "trailers"])
  })
  let count = 0
  let allBytes = 0
  stream.on("data", ({ length: bytes }: Buffer) => {
    count += 1
    allBytes += bytes
    connection.piece({ bytes, count, allBytes }, now)
  })
  refusals.answer(connection.unanswered, { stream, headers })
}

function findFlaw(
  headers: IncomingHttpHeaders,
  rawHeaders: readonly string[],
  isTls: boolean,
): AssayError | undefined {
  const size = rawHeaders.reduce((sum, text) => sum + text.length, 0)
  if (size > HEADERS_SIZE_MAX)
    return new AssayError("MESSAGE_SIZE", "the call has more metadata than any needs", {
      location: "metadata",
      expected: `at most ${HEADERS_SIZE_MAX} characters`,
      actual: `${size}`,
    })
  const method = headers[constants.HTTP2_HEADER_METHOD]
  if (method !== "POST") return flawed(":method", "POST", method)
  const scheme = headers[constants.HTTP2_HEADER_SCHEME]
  // Behind a proxy that ends TLS, a caller's https is plain here.
  if (scheme !== "https" && (isTls || scheme !== "http"))
    return flawed(":scheme", isTls ? "https" : "http", scheme)
  const type = headers["content-type"]
  if (type === undefined || !CONTENT_TYPE.test(type)) return flawed("content-type", "application/grpc", type)
  const encoding = headers["grpc-encoding"]
  if (encoding !== undefined && !ENCODINGS.includes(String(encoding)))
    return new AssayError("ENCODING", "messages that are compressed so cannot be read here", {
      location: "grpc-encoding",
      expected: ENCODINGS.join(", "),
      actual: String(encoding),
    })
  const timeout = headers["grpc-timeout"]
  if (timeout !== undefined && !(typeof timeout === "string" && TIMEOUT.test(timeout)))
    return flawed("grpc-timeout", "up to 8 digits and one of H, M, S, m, u, n", timeout)
  for (const name of ONCE) {
    let times = 0
    for (let i = 0; i < rawHeaders.length; i += 2) if (rawHeaders[i] === name) times++
    if (times > 1)
      return new AssayError("CALLER_UNKNOWN", `${name} is given ${times} times`, {
        location: name,
        expected: "one value, or none",
      })
  }
  return undefined
}

const flawed = (location: string, expected: string, actual: unknown): AssayError =>
  new AssayError("PROTO", `${location} is not that of a gRPC call`, {
    location,
    expected,
    actual: String(actual),
  })
