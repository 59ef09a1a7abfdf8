/** Calls as no gRPC client makes them: HTTP/2 by hand. */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  createServer,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2"
import { connect as connectTls, type TLSSocket } from "node:tls"
import { fromBinary } from "@bufbuild/protobuf"
import { anyUnpack } from "@bufbuild/protobuf/wkt"
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.ts"
import { StatusSchema } from "../../src/gen/google/rpc/status_pb.ts"
import { type Holder, keyPem, pem, SERVER_AUTHORITY } from "../support/callers.ts"

const sessions = new Set<ClientHttp2Session>()

/** Ends all connections that a test has left: after one that failed, a server would wait for them for ever. */
export const endRawSessions = (): void => {
  for (const session of sessions) session.destroy()
  sessions.clear()
}

/** A connection with TLS, as the holder of a certificate or as nobody. */
export const rawSession = (address: string, holder?: Holder): Promise<ClientHttp2Session> => {
  const session = connect(`https://${address}`, {
    ca: pem(SERVER_AUTHORITY.der),
    ...(holder && { cert: pem(holder.der), key: keyPem(holder) }),
  })
  session.on("error", () => {})
  sessions.add(session)
  return new Promise((resolve, reject) => {
    session.once("connect", () => resolve(session))
    session.once("close", () => reject(new Error("closed")))
  })
}

/** How a call has ended: its gRPC status and our code. `reset` is of the stream, if it was cut. */
export interface RawOutcome {
  readonly status: string | undefined
  readonly code: string | undefined
  readonly http: number | undefined
  readonly reset: number | undefined
}

/** A call that is not ended by its caller. */
export interface RawCall {
  readonly stream: ClientHttp2Stream
  readonly outcome: Promise<RawOutcome>
}

/** A message with its five bytes before it. `size` is what it says that it has. */
export const framed = (bytes: Uint8Array, { size = bytes.length, flag = 0 } = {}): Buffer => {
  const header = Buffer.alloc(5)
  header.writeUInt8(flag, 0)
  header.writeUInt32BE(size, 1)
  return Buffer.concat([header, bytes])
}

/** No call of a test takes as long. */
const OUTCOME_MS = 15_000

/** Opens a call. Its outcome is there as soon as it has a status, or its stream is closed; or says that nothing came. */
export const rawOpen = (
  session: ClientHttp2Session,
  path: string,
  headers: OutgoingHttpHeaders = {},
): RawCall => {
  const stream = session.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  })
  stream.on("error", () => {})
  stream.resume()
  const outcome = new Promise<RawOutcome>((resolve) => {
    let http: number | undefined
    const see = (given: Readonly<Record<string, unknown>>): void => {
      if (given[":status"] !== undefined) http = Number(given[":status"])
      const status = given["grpc-status"]
      const details = given["grpc-status-details-bin"]
      if (status === undefined && http === 200) return
      const code = typeof details === "string" ? reasonOf(details) : undefined
      resolve({ status: status === undefined ? undefined : String(status), code, http, reset: undefined })
    }
    stream.on("response", see)
    stream.on("trailers", see)
    stream.on("close", () =>
      resolve({ status: undefined, code: undefined, http, reset: stream.rstCode ?? 0 }),
    )
    const nothing = { status: undefined, code: "nothing came", http: undefined, reset: undefined }
    setTimeout(resolve, OUTCOME_MS, nothing).unref()
  })
  return { stream, outcome }
}

const reasonOf = (details: string): string | undefined =>
  fromBinary(StatusSchema, Buffer.from(details, "base64"))
    .details.map((any) => anyUnpack(any, ErrorInfoSchema)?.reason)
    .find((reason) => reason !== undefined)

/** A whole call. */
export const rawWhole = (
  session: ClientHttp2Session,
  path: string,
  bytes: Uint8Array,
  headers?: OutgoingHttpHeaders,
): Promise<RawOutcome> => {
  const { stream, outcome } = rawOpen(session, path, headers)
  stream.end(bytes)
  return outcome
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Waits until something holds, for 5 seconds at most. */
export const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
  for (let i = 0; i < 250; i++) {
    if (await holds()) return
    await pause(20)
  }
  throw new Error("it never came to it")
}

/** A frame of HTTP/2 (RFC 9113, 4.1). */
export const frame = (
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array = new Uint8Array(),
): Buffer => {
  const header = Buffer.alloc(9)
  header.writeUIntBE(payload.length, 0, 3)
  header.writeUInt8(type, 3)
  header.writeUInt8(flags, 4)
  header.writeUInt32BE(stream, 5)
  return Buffer.concat([header, payload])
}
export const [DATA, HEADERS, RST_STREAM, SETTINGS] = [0, 1, 3, 4]
const END_STREAM = 1
const END_HEADERS = 4

/** A length, without Huffman's code (RFC 7541, 5.1 and 5.2). */
const sizeOf = (size: number): number[] => {
  if (size < 127) return [size]
  const bytes = [127]
  for (let rest = size - 127; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest]
    bytes.push(128 + (rest % 128))
  }
}

/** A text of a header (RFC 7541, 5.2). */
const text = (value: string): Buffer => Buffer.concat([Buffer.from(sizeOf(value.length)), Buffer.from(value)])

/** A header that no table remembers, as it is (RFC 7541, 6.2.2). */
export const literal = ([name, value]: readonly [string, string]): Buffer =>
  Buffer.concat([Buffer.of(0), text(name), text(value)])

/** The headers of a call, in a frame. `more` comes behind them, and may repeat what is there. */
export const headersFrame = (
  stream: number,
  path: string,
  more: readonly (readonly [string, string])[] = [],
): Buffer => {
  const own = [
    [":method", "POST"],
    [":scheme", "https"],
    [":path", path],
    [":authority", "localhost"],
    ["content-type", "application/grpc"],
    ["te", "trailers"],
  ] as const
  return frame(HEADERS, END_HEADERS, stream, Buffer.concat([...own, ...more].map(literal)))
}

/** The one message of a call, in a frame. */
export const lastData = (stream: number, message: Uint8Array): Buffer =>
  frame(DATA, END_STREAM, stream, message)

/** A connection on which frames are written by hand. */
export const rawSocket = async (address: string, holder?: Holder): Promise<TLSSocket> => {
  const [host = "", port] = address.split(":")
  const socket = connectTls({
    host,
    port: Number(port),
    ca: pem(SERVER_AUTHORITY.der),
    ALPNProtocols: ["h2"],
    ...(holder && { cert: pem(holder.der), key: keyPem(holder) }),
  })
  socket.on("error", () => {})
  await new Promise((resolve) => socket.once("secureConnect", resolve))
  socket.write(Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(SETTINGS, 0, 0)]))
  return socket
}

/** A call as it comes to a server that does nothing with it, seen from both ends. */
export const bareCall = async (
  act: (arrived: ServerHttp2Stream, call: ClientHttp2Stream) => Promise<void> | void,
): Promise<void> => {
  const server = createServer().listen(0, "127.0.0.1")
  await new Promise((resolve) => server.once("listening", resolve))
  const bound = server.address()
  if (typeof bound !== "object" || bound === null) throw new Error("not listening")
  const session = connect(`http://127.0.0.1:${bound.port}`)
  try {
    const arrived = new Promise<ServerHttp2Stream>((resolve) => server.once("stream", resolve))
    const call = session.request({ ":method": "POST" })
    call.on("error", () => {})
    await act(await arrived, call)
  } finally {
    session.destroy()
    server.close()
  }
}
