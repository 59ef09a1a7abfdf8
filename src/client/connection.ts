/** Typed calls to a server, and its errors as they were thrown there. */
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf"
import { anyUnpack } from "@bufbuild/protobuf/wkt"
import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js"
import { AssayError, CODES, type Code } from "../errors.ts"
import { type ErrorInfo, ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.ts"
import { StatusSchema } from "../gen/google/rpc/status_pb.ts"
import {
  type BidiMethod,
  fromBuffer,
  parseAddress,
  pathOf,
  type ServerStreamMethod,
  toBuffer,
  type UnaryMethod,
} from "../rpc.ts"

/** How to reach a server. */
export interface ConnectionOptions {
  /** A local credential, sent with each call. */
  readonly credential?: string
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

/** A bidirectional stream. Iterating it yields the answers and throws the call's AssayError, if it ends with one. */
export interface BidiCall<I extends DescMessage, O extends DescMessage>
  extends AsyncIterable<MessageShape<O>> {
  /** Resolves when the next message may be sent. What is sent after the end of the call is lost: the iteration says why. */
  send(message: MessageInitShape<I>): Promise<void>
  /** No more messages from here; answers go on. */
  end(): void
  cancel(): void
}

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
  close(): void
}

/**
 * Connects to a server on this machine, see `parseAddress`.
 *
 * @throws {AssayError} INPUT.
 */
export function connect(address: string, options: ConnectionOptions = {}): Connection {
  if (options.credential !== undefined && !CREDENTIAL.test(options.credential))
    throw new AssayError("INPUT", "the credential is not one: is there white space around it?", {
      location: "credential",
    })
  const client = new Client(parseAddress(address).target, credentials.createInsecure(), {
    "grpc.enable_retries": 0, // a second Verify on the same challenge can only fail
    "grpc.enable_http_proxy": 0, // a credential goes to this machine and nowhere else
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
    serverStream: async function* (method, request, call = {}) {
      const { input, output } = method
      const { signal, deadlineMs } = call
      const stream = client.makeServerStreamRequest(
        pathOf(method),
        (message: MessageShape<typeof input>) => toBuffer(toBinary(input, message)),
        (bytes) => fromBinary(output, fromBuffer(bytes)),
        create(input, request),
        metadataFor(call),
        deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs },
      )
      const cancel = (): void => stream.cancel()
      // To leave the loop cancels the call, and nobody listens to the error that this ends with.
      stream.on("error", () => {})
      signal?.addEventListener("abort", cancel, { once: true })
      if (signal?.aborted) cancel()
      try {
        for await (const answer of stream) yield answer
      } catch (error) {
        throw errorFromStatus(error)
      } finally {
        signal?.removeEventListener("abort", cancel)
        cancel()
      }
    },
    bidi: (method, call = {}) => {
      const { input, output } = method
      const { signal, deadlineMs } = call
      const stream = client.makeBidiStreamRequest(
        pathOf(method),
        (message: MessageShape<typeof input>) => toBuffer(toBinary(input, message)),
        (bytes) => fromBinary(output, fromBuffer(bytes)),
        metadataFor(call),
        deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs },
      )
      let ended = false
      let failure: unknown
      const cancel = (): void => stream.cancel()
      // Until the first read, grpc-js takes in answers without bound; this asks for no more than fits its buffer.
      stream.read(0)
      // Without a listener, an error that nobody awaits would end the process.
      stream.on("error", (error) => {
        failure = error
      })
      stream.on("status", () => {
        ended = true
        signal?.removeEventListener("abort", cancel)
      })
      signal?.addEventListener("abort", cancel, { once: true })
      if (signal?.aborted) cancel()
      return {
        send: (message) =>
          new Promise((resolve) => {
            if (ended || stream.writableEnded || stream.write(create(input, message))) return resolve()
            const go = (): void => {
              stream.off("drain", go)
              stream.off("status", go)
              resolve()
            }
            stream.on("drain", go)
            stream.on("status", go)
          }),
        end: () => stream.end(),
        cancel,
        async *[Symbol.asyncIterator]() {
          try {
            for await (const answer of stream) yield answer
          } catch (error) {
            failure = error
          } finally {
            if (!ended) cancel()
          }
          if (failure !== undefined) throw errorFromStatus(failure)
        },
      }
    },
    close: () => client.close(),
  }
}

const isServiceError = (error: unknown): error is ServiceError =>
  error instanceof Error && "code" in error && "metadata" in error && error.metadata instanceof Metadata

const isCode = (text: string): text is Code => Object.hasOwn(CODES, text)

/** Statuses that gRPC gives by itself when no answer came, or none in time. */
const NO_ANSWER: readonly status[] = [status.UNAVAILABLE, status.DEADLINE_EXCEEDED, status.CANCELLED]

/** The AssayError that the server answered with, rebuilt from its details; otherwise NO_ANSWER or INTERNAL with the cause. */
export function errorFromStatus(error: unknown): AssayError {
  if (!isServiceError(error)) return new AssayError("INTERNAL", "the call failed", { cause: error })
  const [bytes] = error.metadata.get("grpc-status-details-bin")
  const details = bytes instanceof Buffer ? detailsOf(bytes) : undefined
  if (details === undefined || !isCode(details.reason)) {
    const code = NO_ANSWER.includes(error.code) ? "NO_ANSWER" : "INTERNAL"
    return new AssayError(code, `${status[error.code]}: ${error.details}`, { cause: error })
  }
  const { location, expected, actual, challenge } = details.metadata
  const rebuilt = new AssayError(details.reason, error.details, {
    ...(location === undefined ? {} : { location }),
    ...(expected === undefined ? {} : { expected }),
    ...(actual === undefined ? {} : { actual }),
    cause: error,
  })
  if (challenge === "spent" || challenge === "unspent") rebuilt.challenge = challenge
  return rebuilt
}

function detailsOf(bytes: Uint8Array): ErrorInfo | undefined {
  try {
    for (const any of fromBinary(StatusSchema, bytes).details) {
      const info = anyUnpack(any, ErrorInfoSchema)
      if (info?.domain === "assay") return info
    }
  } catch {
    // Details that cannot be read are no details: the status stands for itself.
  }
  return undefined
}
