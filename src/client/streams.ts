/** Calls with streams of messages. Either end may stop at any time; nothing is kept that nobody takes. */
import type { EventEmitter } from "node:events"
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf"
import type { Client, Metadata } from "@grpc/grpc-js"
import {
  type BidiMethod,
  type ClientStreamMethod,
  fromBuffer,
  pathOf,
  type ServerStreamMethod,
  toBuffer,
} from "../rpc.ts"
import type { CallOptions } from "./connection.ts"
import { errorFromStatus } from "./failure.ts"

/** A bidirectional stream. Iterating it yields the answers and throws the call's AssayError, if it ends with one. */
export interface BidiCall<I extends DescMessage, O extends DescMessage>
  extends AsyncIterable<MessageShape<O>> {
  /** Resolves when the next message may be sent. What is sent after the end of the call is lost: the iteration says why. */
  send(message: MessageInitShape<I>): Promise<void>
  /** No more messages from here; answers go on. */
  end(): void
  cancel(): void
}

const encoder =
  <S extends DescMessage>(schema: S) =>
  (message: MessageShape<S>): Buffer =>
    toBuffer(toBinary(schema, message))

const decoder =
  <S extends DescMessage>(schema: S) =>
  (bytes: Buffer): MessageShape<S> =>
    fromBinary(schema, fromBuffer(bytes))

const deadlineOf = ({ deadlineMs }: CallOptions) =>
  deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs }

/** Cancels `call` when the caller's signal says so. Gives what ends that. */
const cancelBy = ({ signal }: CallOptions, call: { cancel(): void }): (() => void) => {
  const cancel = (): void => call.cancel()
  signal?.addEventListener("abort", cancel, { once: true })
  if (signal?.aborted) cancel()
  return () => signal?.removeEventListener("abort", cancel)
}

/** A stream of both. */
export function bidiCall<I extends DescMessage, O extends DescMessage>(
  client: Client,
  method: BidiMethod<I, O>,
  metadata: Metadata,
  call: CallOptions,
): BidiCall<I, O> {
  const { input, output } = method
  const stream = client.makeBidiStreamRequest(
    pathOf(method),
    encoder<I>(input),
    decoder<O>(output),
    metadata,
    deadlineOf(call),
  )
  // Until the first read, grpc-js takes in answers without bound; this asks for no more than fits its buffer.
  stream.read(0)
  const closing = closingOf(
    stream,
    (message: MessageShape<I>) => stream.writableEnded || stream.write(message),
  )
  const done = cancelBy(call, stream)
  stream.on("status", done)
  return {
    send: (message) => closing.sent(create(input, message)),
    end: () => stream.end(),
    cancel: () => stream.cancel(),
    [Symbol.asyncIterator]: () => answersOf<MessageShape<O>>(stream, closing),
  }
}

/** A stream of requests. @throws {AssayError} as `unary`; whatever `requests` throws, and then the call is cancelled. */
export async function sendStream<I extends DescMessage, O extends DescMessage>(
  client: Client,
  method: ClientStreamMethod<I, O>,
  requests: AsyncIterable<MessageInitShape<I>>,
  metadata: Metadata,
  call: CallOptions,
): Promise<MessageShape<O>> {
  const { input, output } = method
  const { promise, resolve, reject } = Promise.withResolvers<MessageShape<O>>()
  // Heard of at the end, and before that it is no fault of nobody's.
  promise.catch(() => {})
  const stream = client.makeClientStreamRequest(
    pathOf(method),
    encoder<I>(input),
    decoder<O>(output),
    metadata,
    deadlineOf(call),
    (error, answer) => {
      if (error === null && answer !== undefined) resolve(answer)
      else reject(errorFromStatus(error))
    },
  )
  const closing = closingOf(stream, (message: MessageShape<I>) => stream.write(message))
  const done = cancelBy(call, stream)
  try {
    for await (const request of requests) {
      await closing.sent(create(input, request))
      if (closing.ended()) break
    }
    if (!closing.ended()) stream.end()
    return await promise
  } catch (error) {
    stream.cancel()
    throw error
  } finally {
    done()
  }
}

/** A stream of answers. @throws {AssayError} as `unary`, while it is iterated. */
export async function* receiveStream<I extends DescMessage, O extends DescMessage>(
  client: Client,
  method: ServerStreamMethod<I, O>,
  request: MessageInitShape<I>,
  metadata: Metadata,
  call: CallOptions,
): AsyncIterable<MessageShape<O>> {
  const { input, output } = method
  const stream = client.makeServerStreamRequest(
    pathOf(method),
    encoder<I>(input),
    decoder<O>(output),
    create(input, request),
    metadata,
    deadlineOf(call),
  )
  stream.read(0) // as above
  const closing = closingOf(stream)
  const done = cancelBy(call, stream)
  try {
    yield* answersOf<MessageShape<O>>(stream, closing)
  } finally {
    done()
  }
}

/** How a call ends, and what can still be sent. */
interface Closing<M> {
  ended(): boolean
  failure(): unknown
  /** Resolves when the next message may be sent, also if none can any more. */
  sent(message: M): Promise<void>
}

const closingOf = <M>(stream: EventEmitter, write?: (message: M) => boolean): Closing<M> => {
  let ended = false
  let failure: unknown
  // Without a listener, an error that nobody awaits would end the process.
  stream.on("error", (error: unknown) => {
    failure = error
  })
  stream.on("status", () => {
    ended = true
  })
  return {
    ended: () => ended,
    failure: () => failure,
    sent: (message) =>
      new Promise((resolve) => {
        if (ended || write?.(message) !== false) return resolve()
        const go = (): void => {
          stream.off("drain", go)
          stream.off("status", go)
          resolve()
        }
        stream.on("drain", go)
        stream.on("status", go)
      }),
  }
}

async function* answersOf<T>(
  stream: AsyncIterable<T> & { cancel(): void },
  closing: Closing<never>,
): AsyncGenerator<T> {
  let failure: unknown
  try {
    for await (const answer of stream) yield answer
  } catch (error) {
    failure = error
  } finally {
    if (!closing.ended()) stream.cancel()
  }
  failure ??= closing.failure()
  if (failure !== undefined) throw errorFromStatus(failure)
}
