/** Typed calls to a server, and its errors as they were thrown there. */
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf"
import { Client, Metadata } from "@grpc/grpc-js"
import { AssayError } from "../errors.ts"
import {
  type BidiMethod,
  type ClientStreamMethod,
  fromBuffer,
  pathOf,
  type ServerStreamMethod,
  toBuffer,
  type UnaryMethod,
} from "../rpc.ts"
import { errorFromStatus } from "./failure.ts"
import { type BidiCall, bidiCall, receiveStream, sendStream } from "./streams.ts"
import { channelTo, type TlsOptions } from "./target.ts"

/** How to reach a server. */
export interface ConnectionOptions {
  /** A credential or an enrollment token, sent with each call. */
  readonly credential?: string
  /** TLS, with which servers on other machines are reached too. Without it only this machine is. */
  readonly tls?: TlsOptions
  /** How long a unary call may take, unless the call says otherwise. Default 10 seconds. */
  readonly deadlineMs?: number
}

/** How to make one call. */
export interface CallOptions {
  readonly deadlineMs?: number
  readonly signal?: AbortSignal
  readonly metadata?: Readonly<Record<string, string>>
}

const DEADLINE_MS = 10_000
/** What a Bearer credential may be (RFC 6750, 2.1). HTTP/2 drops anything else without a word. */
const CREDENTIAL = /^[A-Za-z0-9._~+/-]{1,512}=*$/

/** A connection. It is made with the first call, and made again when it breaks; calls are never repeated. */
export interface Connection {
  /** @throws {AssayError} the server's own, rebuilt; NO_ANSWER if there was none; INTERNAL. */
  unary<I extends DescMessage, O extends DescMessage>(
    method: UnaryMethod<I, O>,
    request: MessageInitShape<I>,
    options?: CallOptions,
  ): Promise<MessageShape<O>>
  /** Iterating it makes the call, yields the answers, and throws as `unary`; to leave the loop ends the call. */
  serverStream<I extends DescMessage, O extends DescMessage>(
    method: ServerStreamMethod<I, O>,
    request: MessageInitShape<I>,
    options?: CallOptions,
  ): AsyncIterable<MessageShape<O>>
  bidi<I extends DescMessage, O extends DescMessage>(
    method: BidiMethod<I, O>,
    options?: CallOptions,
  ): BidiCall<I, O>
  /** Sends requests as fast as the server takes them. Stops asking for more when the call ends early. @throws as `unary`. */
  clientStream<I extends DescMessage, O extends DescMessage>(
    method: ClientStreamMethod<I, O>,
    requests: AsyncIterable<MessageInitShape<I>>,
    options?: CallOptions,
  ): Promise<MessageShape<O>>
  close(): void
}

/**
 * Connects to a server, see `channelTo`.
 *
 * @throws {AssayError} INPUT.
 */
export function connect(address: string, options: ConnectionOptions = {}): Connection {
  if (options.credential !== undefined && !CREDENTIAL.test(options.credential))
    throw new AssayError("INPUT", "the credential is not one: is there white space around it?", {
      location: "credential",
    })
  const { target, credentials } = channelTo(address, options.tls)
  const client = new Client(target, credentials, {
    "grpc.enable_retries": 0, // a second Verify on the same challenge can only fail
    "grpc.enable_http_proxy": 0, // a credential goes to the server and nowhere else
    "grpc.service_config_disable_resolution": 1,
  })
  const metadataFor = (call: CallOptions): Metadata => {
    const metadata = new Metadata()
    if (options.credential !== undefined) metadata.set("authorization", `Bearer ${options.credential}`)
    for (const [key, value] of Object.entries(call.metadata ?? {})) metadata.set(key, value)
    return metadata
  }
  return {
    unary: (method, request, call = {}) =>
      new Promise((resolve, reject) => {
        const { input, output } = method
        const { signal, deadlineMs = options.deadlineMs ?? DEADLINE_MS } = call
        const cancel = (): void => running.cancel()
        const running = client.makeUnaryRequest(
          pathOf(method),
          (message: MessageShape<typeof input>) => toBuffer(toBinary(input, message)),
          (bytes) => fromBinary(output, fromBuffer(bytes)),
          create(input, request),
          metadataFor(call),
          { deadline: Date.now() + deadlineMs },
          (error, answer) => {
            signal?.removeEventListener("abort", cancel)
            if (error === null && answer !== undefined) resolve(answer)
            else reject(errorFromStatus(error))
          },
        )
        signal?.addEventListener("abort", cancel, { once: true })
        if (signal?.aborted) cancel()
      }),
    bidi: (method, call = {}) => bidiCall(client, method, metadataFor(call), call),
    clientStream: (method, requests, call = {}) =>
      sendStream(client, method, requests, metadataFor(call), call),
    serverStream: (method, request, call = {}) =>
      receiveStream(client, method, request, metadataFor(call), call),
    close: () => client.close(),
  }
}
