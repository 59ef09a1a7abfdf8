import { fromBinary } from "@bufbuild/protobuf"
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt"
import { Client, credentials, type ServiceError, status } from "@grpc/grpc-js"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { inFolder, running } from "./fake.ts"
import { fieldsOf, string } from "./wire-fields.ts"

const REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
const same = (buffer: Buffer): Buffer => buffer

const reflection = suite("reflection")
const reflect = (address: string, request: Buffer): Promise<Buffer | ServiceError> =>
  new Promise((resolve) => {
    const client = new Client(address, credentials.createInsecure())
    const stream = client.makeBidiStreamRequest(REFLECTION, same, same)
    let answer: Buffer | ServiceError = Buffer.alloc(0)
    stream.on("data", (bytes: Buffer) => {
      answer = bytes
    })
    stream.on("error", (error: ServiceError) => {
      answer = error
    })
    stream.on("status", () => {
      client.close()
      resolve(answer)
    })
    stream.write(request)
    stream.end()
  })
const listOf = async (address: string): Promise<string[]> => {
  const answer = await reflect(address, string(7, "*"))
  if (!(answer instanceof Buffer)) throw answer
  const [list = new Uint8Array()] = fieldsOf(answer, 6)
  return fieldsOf(list, 1).flatMap((service) =>
    fieldsOf(service, 1).map((name) => Buffer.from(name).toString()),
  )
}
reflection("lists the services of each listener", () =>
  inFolder(async (folder) => {
    const server = await running({}, { admin: `unix:${folder}/admin.sock` })
    const [tcp = "", admin = ""] = server.addresses
    for (const address of [tcp, admin])
      assert.equal((await listOf(address)).sort(), [
        "assay.v1.AttestationService",
        "assay.v1.DeviceService",
        "assay.v1.EnrollmentService",
        "assay.v1.EnrollmentTokenService",
        "assay.v1.JournalService",
        "assay.v1.PolicyService",
        "assay.v1.TrustService",
      ])
    await server.stop()
  }),
)
reflection("gives the schema of a service", async () => {
  const server = await running()
  const answer = await reflect(server.address, string(4, "assay.v1.AttestationService"))
  if (!(answer instanceof Buffer)) throw answer
  const files = fieldsOf(answer, 4).flatMap((files) => fieldsOf(files, 1))
  const methods = files
    .map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes))
    .flatMap((file) => file.service.flatMap(({ method }) => method.map(({ name }) => name)))
  assert.equal(methods, ["CreateChallenge", "Verify", "VerifyStream", "GetEpoch"])
  await server.stop()
})
reflection("refuses G-12 a symbol that there is not in visible characters", async () => {
  const server = await running()
  const answers = []
  for (const field of [3, 4]) answers.push(await reflect(server.address, string(field, "a\nb\u001b[31m")))
  await server.stop()
  for (const answer of answers) {
    if (!(answer instanceof Buffer)) throw answer
    const [text = new Uint8Array()] = fieldsOf(answer, 7).flatMap((error) => fieldsOf(error, 2))
    assert.match(Buffer.from(text).toString(), /not found: a\\u\{a\}b\\u\{1b\}\[31m$/)
  }
})
reflection("can be switched off", async () => {
  const server = await running({}, { reflection: false })
  const answer = await reflect(server.address, string(7, "*"))
  assert.is("code" in answer ? answer.code : undefined, status.UNIMPLEMENTED)
  await server.stop()
})
reflection("survives requests that make no sense", async () => {
  const server = await running()
  for (const request of [Buffer.alloc(0), string(4, "no.such.Service"), Buffer.from([0xff]), string(99, "x")])
    await reflect(server.address, request)
  await server.client.getEpoch()
  await server.stop()
})
reflection.run()
