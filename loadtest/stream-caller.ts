/** As `createCaller`, with all requests on one stream of VerifyStream: whatever else a call costs is then paid once. */
import type { ClientHttp2Stream } from "node:http2"
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire"
import { type Answer, type Caller, framed, HEADERS, PREFIX_BYTES } from "./caller.ts"
import { createLink } from "./link.ts"

/** Field numbers of VerifyStreamRequest and VerifyStreamResponse. */
const ID = 1
const CONTENT = 2

/** Calls whoever is at `address`, `host:port`. Requests and answers are those of Verify; an answer that is none has no status. */
export function createStreamCaller(address: string, path: string, credential: string | undefined): Caller {
  const link = createLink(address)
  const headers = {
    ...HEADERS,
    ":path": path,
    ...(credential !== undefined && { authorization: `Bearer ${credential}` }),
  }
  return {
    callAll: (requests, inFlight) =>
      new Promise((resolve, reject) => {
        const answers: Answer[] = requests.map(() => ({ status: undefined, message: new Uint8Array() }))
        const stream = link.session().request(headers)
        let sent = 0
        let status: unknown
        const send = (): void => {
          const request = requests[sent]
          if (request === undefined) return
          stream.write(framed(requestOf(sent, request)))
          sent++
          if (sent === requests.length) stream.end()
        }
        receive(stream, (message) => {
          const { id, content } = answerIn(message)
          answers[id] = {
            status: content === undefined ? undefined : "0",
            message: content ?? new Uint8Array(),
          }
          send()
        })
        stream.on("trailers", (trailers) => {
          status = trailers["grpc-status"]
        })
        stream.on("error", () => {}) // close follows, and there is no status then
        stream.on("close", () => {
          if (status === "0") resolve(answers)
          else reject(link.failure() ?? new Error(`the stream ended with gRPC status ${String(status)}`))
        })
        for (let i = 0; i < inFlight; i++) send()
      }),
    close: link.close,
  }
}

const requestOf = (id: number, request: Uint8Array): Uint8Array =>
  new BinaryWriter()
    .tag(ID, WireType.LengthDelimited)
    .string(String(id))
    .tag(CONTENT, WireType.LengthDelimited)
    .bytes(request)
    .finish()

const answerIn = (message: Uint8Array): { readonly id: number; readonly content: Uint8Array | undefined } => {
  const reader = new BinaryReader(message)
  let id = -1
  let content: Uint8Array | undefined
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag()
    if (field === ID) id = Number(reader.string())
    else if (field === CONTENT) content = reader.bytes()
    else reader.skip(type)
  }
  return { id, content }
}

/** Puts messages together, however they were cut on their way. */
const receive = (stream: ClientHttp2Stream, take: (message: Uint8Array) => void): void => {
  let rest: Buffer = Buffer.alloc(0)
  stream.on("data", (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    while (rest.length >= PREFIX_BYTES) {
      const end = PREFIX_BYTES + rest.readUInt32BE(1)
      if (rest.length < end) return
      take(rest.subarray(PREFIX_BYTES, end))
      rest = rest.subarray(end)
    }
  })
}
