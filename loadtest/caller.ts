/**
 * Calls one method many times over one connection, with as little work a call as possible: grpc-js as a client costs as
 * much as the server that is measured, and would leave it waiting. The headers are those that grpc-js sends.
 */
import { createLink } from "./link.ts"

/** An answered call. */
export interface Answer {
  /** The gRPC status; nothing if the call ended without one. */
  readonly status: string | undefined
  /** The encoded message; empty if there was none. */
  readonly message: Uint8Array
}

/** A connection for load. */
export interface Caller {
  /**
   * Sends all requests in their order, `inFlight` of them at a time. Gives the answers in the order of the requests.
   *
   * @param method Another one than the caller's own.
   */
  callAll(requests: readonly Uint8Array[], inFlight: number, method?: string): Promise<readonly Answer[]>
  close(): Promise<void>
}

/** Flag and size in front of each message. */
export const PREFIX_BYTES = 5

/** What grpc-js sends with every call. */
export const HEADERS = {
  ":method": "POST",
  "content-type": "application/grpc",
  te: "trailers",
  "user-agent": "assay-bench",
  "grpc-accept-encoding": "identity,deflate,gzip",
  "accept-encoding": "identity",
} as const

/** Calls whoever is at `address`, `host:port`. */
export function createCaller(address: string, path: string, credential: string | undefined): Caller {
  const link = createLink(address)
  const headers = {
    ...HEADERS,
    "grpc-timeout": "10000m",
    ...(credential !== undefined && { authorization: `Bearer ${credential}` }),
  }
  const callOne = (request: Uint8Array, method: string): Promise<Answer> =>
    new Promise((resolve) => {
      const stream = link.session().request({ ...headers, ":path": method })
      const chunks: Buffer[] = []
      let status: string | undefined
      const note = (received: { readonly "grpc-status"?: string | readonly string[] | undefined }): void => {
        if (typeof received["grpc-status"] === "string") status = received["grpc-status"]
      }
      stream.on("response", note)
      stream.on("trailers", note)
      stream.on("data", (chunk: Buffer) => chunks.push(chunk))
      stream.on("error", () => {}) // close follows, and the call has no status then
      stream.on("close", () => resolve({ status, message: Buffer.concat(chunks).subarray(PREFIX_BYTES) }))
      stream.end(framed(request))
    })
  return {
    callAll: async (requests, inFlight, method = path) => {
      const answers: Answer[] = new Array(requests.length)
      let next = 0
      const worker = async (): Promise<void> => {
        for (let i = next++; i < requests.length; i = next++) {
          const failure = link.failure()
          if (failure !== undefined) throw failure
          answers[i] = await callOne(requests[i] ?? new Uint8Array(), method)
        }
      }
      await Promise.all(Array.from({ length: inFlight }, worker))
      return answers
    },
    close: link.close,
  }
}

/** A message as it travels. */
export const framed = (message: Uint8Array): Buffer => {
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + message.length)
  frame.writeUInt8(0, 0)
  frame.writeUInt32BE(message.length, 1)
  frame.set(message, PREFIX_BYTES)
  return frame
}
