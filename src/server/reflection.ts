import { createRequire } from "node:module"
import { type DescFile, type DescService, toBinary } from "@bufbuild/protobuf"
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt"
import type { Server, ServerDuplexStream, ServiceDefinition } from "@grpc/grpc-js"
import { printable } from "../errors.ts"

const VERSIONS = ["v1", "v1alpha"]
const METHOD = "ServerReflectionInfo"

/** One version of it, as the library has it. */
interface Version {
  readonly method: ServiceDefinition[string]
  readonly handle: (call: ServerDuplexStream<unknown, unknown>) => void
}

/**
 * Server reflection (v1 and v1alpha) for services, so that grpcurl and ghz need no schema: what adds it to a server, and gives its paths. The
 * library encodes what it reads anew and loses the rules of the fields: what it answers is for callers, never an input of
 * ours. It is loaded by the first call, some 0.1 s, which a start would otherwise take longer.
 */
export function reflectionOf(services: readonly DescService[]): (server: Server) => readonly string[] {
  let loaded: ReadonlyMap<string, Version> | undefined
  const at = (path: string): Version => {
    loaded ??= load(services)
    const version = loaded.get(path)
    if (version === undefined) throw new TypeError(`${path} is not of the library`)
    return version
  }
  const paths = VERSIONS.map((version) => `/grpc.reflection.${version}.ServerReflection/${METHOD}`)
  return (server) => {
    for (const path of paths)
      server.addService(
        {
          [METHOD]: {
            ...{ path, requestStream: true, responseStream: true },
            requestSerialize: (request) => at(path).method.requestSerialize(request),
            requestDeserialize: (bytes) => at(path).method.requestDeserialize(bytes),
            responseSerialize: (response) => at(path).method.responseSerialize(escaped(response)),
            responseDeserialize: (bytes) => at(path).method.responseDeserialize(bytes),
          },
        },
        { [METHOD]: (call: ServerDuplexStream<unknown, unknown>) => at(path).handle(call) },
      )
    return paths
  }
}

/** An answer whose error shows the caller's bytes, as the library has it, fit for a terminal. */
const escaped = (response: unknown): unknown => {
  if (!isRecord(response)) return response
  const { errorResponse: error } = response
  if (!isRecord(error)) return response
  return { ...response, errorResponse: { ...error, errorMessage: printable(String(error["errorMessage"])) } }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

/** What the library would serve, by path. It is asked at once, as a decoder has to answer at once. */
function load(services: readonly DescService[]): ReadonlyMap<string, Version> {
  const { ReflectionService }: typeof import("@grpc/reflection") = createRequire(import.meta.url)(
    "@grpc/reflection",
  )
  const files = new Map<string, DescFile>()
  const collect = (file: DescFile): void => {
    if (files.has(file.name)) return
    files.set(file.name, file)
    file.dependencies.forEach(collect)
  }
  for (const { file } of services) collect(file)
  const fileDescriptorProtos = [...files.values()].map(({ proto }) =>
    Buffer.from(toBinary(FileDescriptorProtoSchema, proto)),
  )
  // Of all formats this is the one whose type asks for no more than what is read.
  const all = { format: "Protocol Buffer 3 EnumDescriptorProto", type: {}, fileDescriptorProtos } as const
  const names = services.map(({ typeName }) => typeName)
  const versions = new Map<string, Version>()
  new ReflectionService({ all }, { services: names }).addToServer({
    addService: (definition, implementation) => {
      for (const [name, method] of Object.entries(definition)) {
        const handle = implementation[name]
        // It takes a call of any kind for its type, and is of a stream.
        if (handle !== undefined)
          versions.set(method.path, { method, handle: (call) => Reflect.apply(handle, undefined, [call]) })
      }
    },
  })
  return versions
}
