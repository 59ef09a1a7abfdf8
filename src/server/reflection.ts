import { type DescFile, type DescService, toBinary } from "@bufbuild/protobuf"
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt"
import type { Server } from "@grpc/grpc-js"
import { ReflectionService } from "@grpc/reflection"

/**
 * Adds server reflection (v1 and v1alpha) for services, so that grpcurl and ghz need no schema. The library encodes
 * what it reads anew and loses the rules of the fields: what it answers is for callers, never an input of ours.
 */
export function addReflection(server: Server, services: readonly DescService[]): void {
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
  new ReflectionService({ all }, { services: names }).addToServer(server)
}
