/**
 * Where protobuf-es and grpc-js meet, for server, clients and tests alike: addresses, service definitions and typed
 * handlers. No generated stubs: a `DescService` says everything that grpc-js needs to know.
 *
 * Until callers are authenticated by TLS, both ends speak plaintext, and so neither knows an address that is not on
 * this machine.
 */
import { isIPv6 } from "node:net"
import {
  type DescMessage,
  type DescMethod,
  type DescService,
  fromBinary,
  type Message,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf"
import type {
  handleBidiStreamingCall,
  handleClientStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  Server,
  ServiceDefinition,
  UntypedServiceImplementation,
} from "@grpc/grpc-js"
import { hostAndPort, hostText, loopbackHost } from "./addresses.ts"
import { AssayError } from "./errors.ts"

/** An address on this machine. `target` is how grpc-js spells it, so that no name is ever looked up. */
export type Address =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number; readonly target: string }
  | { readonly kind: "unix"; readonly path: string; readonly target: string }

/**
 * Reads `host:port`, where host is an IPv4 address of 127.0.0.0/8, `[::1]` or `localhost` (taken as 127.0.0.1), or
 * `unix:/absolute/path`. Everything else is refused, other spellings of the same addresses included.
 *
 * @throws {AssayError} INPUT.
 */
export function parseAddress(text: string): Address {
  const unix = /^unix:(\/[^/\0][^\0]*)$/.exec(text)?.[1]
  if (unix !== undefined) return { kind: "unix", path: unix, target: text }
  const { host, port } = hostAndPort(text) ?? { host: "", port: 0 }
  if (loopbackHost(host) === undefined)
    throw new AssayError("INPUT", `${text} is not an address on this machine`, {
      location: "address",
      expected: "127.x.x.x:port, [::1]:port, localhost:port or unix:/absolute/path",
      actual: text,
    })
  return { kind: "tcp", host, port, target: `${isIPv6(host) ? "ipv6" : "ipv4"}:${hostText(host)}:${port}` }
}

/** One wrong field of a request. `field` is its path from the root, in the names of the schema; empty for the whole. */
export interface Violation {
  readonly field: string
  readonly description: string
}

/** What was received in place of a message, and the message as far as it could be read. Handlers refuse it. */
export class Refused {
  readonly error: AssayError
  readonly violations: readonly Violation[]
  readonly message: Message | undefined

  constructor(error: AssayError, violations: readonly Violation[], message: Message | undefined) {
    this.error = error
    this.violations = violations
    this.message = message
  }
}

/** What a handler is given: grpc-js answers a decoder that throws without any details, so ours never throws. */
export type Received<I extends DescMessage> = MessageShape<I> | Refused

/** Before a message on the wire: a flag, and its size in four bytes (gRPC over HTTP/2, Length-Prefixed-Message). */
export const PREFIX_BYTES = 5

/** Writes the prefix of the message that is behind it in a frame. It is not compressed. */
export const writePrefix = (frame: Buffer): void => {
  frame.writeUInt8(0, 0)
  frame.writeUInt32BE(frame.length - PREFIX_BYTES, 1)
}

/** A message with its prefix. */
export function framed(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + message.length)
  frame.set(message, PREFIX_BYTES)
  writePrefix(frame)
  return frame
}

/** An answer that is bytes already. */
export class Encoded {
  /** With its prefix, as it goes over the wire. */
  readonly frame: Buffer

  constructor(frame: Buffer) {
    this.frame = frame
  }

  /** The message alone. */
  get bytes(): Buffer {
    return this.frame.subarray(PREFIX_BYTES)
  }
}

/** What a handler answers with. */
export type Sent<O extends DescMessage> = MessageShape<O> | Encoded

/** Reads a request. Never throws. */
export type Decode = <I extends DescMessage>(schema: I, bytes: Uint8Array) => Received<I>

/** Reads whatever protobuf can read, which is more than `server/wire.ts` does. */
export const decode: Decode = (schema, bytes) => {
  try {
    return fromBinary(schema, bytes)
  } catch {
    const error = new AssayError("PROTO", `these bytes are no ${schema.typeName}`)
    return new Refused(error, [], undefined)
  }
}

/** A method with one request and one answer. */
export type UnaryMethod<I extends DescMessage, O extends DescMessage> = DescMethod & {
  methodKind: "unary"
  input: I
  output: O
}
/** A method with a stream of requests and one answer. */
export type ClientStreamMethod<I extends DescMessage, O extends DescMessage> = DescMethod & {
  methodKind: "client_streaming"
  input: I
  output: O
}
/** A method with one request and a stream of answers. */
export type ServerStreamMethod<I extends DescMessage, O extends DescMessage> = DescMethod & {
  methodKind: "server_streaming"
  input: I
  output: O
}
/** A method with streams of both. */
export type BidiMethod<I extends DescMessage, O extends DescMessage> = DescMethod & {
  methodKind: "bidi_streaming"
  input: I
  output: O
}

/** What grpc-js calls for a method of each kind. */
interface HandlerOf<I extends DescMessage, O extends DescMessage> {
  readonly unary: handleUnaryCall<Received<I>, Sent<O>>
  readonly client_streaming: handleClientStreamingCall<Received<I>, MessageShape<O>>
  readonly server_streaming: handleServerStreamingCall<Received<I>, MessageShape<O>>
  readonly bidi_streaming: handleBidiStreamingCall<Received<I>, Sent<O>>
}

/** The handlers of a service, by the method's local name. */
export type Handlers<S extends { readonly method: Record<string, DescMethod> }> = {
  readonly [K in keyof S["method"]]: S["method"][K] extends {
    methodKind: infer M extends DescMethod["methodKind"]
    input: infer I extends DescMessage
    output: infer O extends DescMessage
  }
    ? HandlerOf<I, O>[M]
    : never
}

/** The same bytes, as grpc-js wants them. */
export const toBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** The same bytes, from `start` on if there are so many, as everybody else wants them: a Buffer's `slice` does not copy. */
export const fromBuffer = (bytes: Buffer, start = 0): Uint8Array => {
  const left = Math.max(0, bytes.byteLength - start)
  return new Uint8Array(bytes.buffer, bytes.byteOffset + bytes.byteLength - left, left)
}

/** `/package.Service/Method`, as HTTP/2 carries it. */
export const pathOf = (method: DescMethod): string => `/${method.parent.typeName}/${method.name}`

/** How grpc-js wants a service described. */
export function definitionOf(service: DescService, read: Decode = decode): ServiceDefinition {
  const definition: Record<string, ServiceDefinition[string]> = {}
  for (const method of service.methods) {
    const { input, output, methodKind } = method
    definition[method.localName] = {
      path: pathOf(method),
      requestStream: methodKind === "client_streaming" || methodKind === "bidi_streaming",
      responseStream: methodKind === "server_streaming" || methodKind === "bidi_streaming",
      requestSerialize: (message: Message) => toBuffer(toBinary(input, message)),
      requestDeserialize: (bytes: Buffer) => read(input, fromBuffer(bytes)),
      responseSerialize: (message: Message | Encoded) =>
        message instanceof Encoded ? message.bytes : toBuffer(toBinary(output, message)),
      responseDeserialize: (bytes: Buffer) => fromBinary(output, fromBuffer(bytes)),
    }
  }
  return definition
}

/** Adds a service to a server. */
export function addService<S extends DescService>(
  server: Server,
  service: S,
  handlers: Handlers<S>,
  read: Decode = decode,
): void {
  // The one place where the types of the two libraries cannot be made to meet.
  server.addService(definitionOf(service, read), handlers as unknown as UntypedServiceImplementation)
}
