/** The process that the floor is measured in: an empty call, and the two signatures that no Verify can do without. */
import { generateKeyPairSync, type KeyObject, sign, verify } from "node:crypto"
import { create } from "@bufbuild/protobuf"
import { Server, ServerCredentials, status } from "@grpc/grpc-js"
import {
  AttestationService,
  type VerifyStreamRequestSchema,
  VerifyStreamResponseSchema,
} from "../src/gen/assay/v1/attestation_pb.ts"
import { addService, type Received, Refused } from "../src/rpc.ts"
import { createStopwatch, microsecondsEach, offer } from "./child.ts"
import { answerOf } from "./messages.ts"

const stopwatch = createStopwatch()
let prepared = answerOf(0)

const unused = (_call: unknown, callback: (error: { code: status }) => void): void =>
  callback({ code: status.UNIMPLEMENTED })

const server = new Server()
addService(server, AttestationService, {
  verify: (_call, callback) => callback(null, prepared),
  createChallenge: unused,
  getEpoch: unused,
  verifyStream: (call) => {
    call.on("data", (received: Received<typeof VerifyStreamRequestSchema>) => {
      if (received instanceof Refused) throw received.error
      const outcome = { case: "response", value: prepared } as const
      call.write(create(VerifyStreamResponseSchema, { id: received.id, outcome }))
    })
    call.on("end", () => call.end())
  },
})

const keys = {
  "rsa-2048": generateKeyPairSync("rsa", { modulusLength: 2048 }),
  p256: generateKeyPairSync("ec", { namedCurve: "P-256" }),
}

const costOf = (count: number, act: () => unknown): number => {
  for (let i = 0; i < count; i++) act() // warm
  stopwatch.begin()
  for (let i = 0; i < count; i++) act()
  return microsecondsEach(stopwatch.end(), count)
}

const signatureCost = (key: KeyObject, sizeBytes: number, count: number): number => {
  const input = new Uint8Array(sizeBytes)
  return costOf(count, () => sign("sha256", input, key))
}

const checkCost = (algorithm: keyof typeof keys, sizeBytes: number, count: number): number => {
  const { publicKey, privateKey } = keys[algorithm]
  const input = new Uint8Array(sizeBytes)
  const signature = sign("sha256", input, privateKey)
  return costOf(count, () => verify("sha256", input, publicKey, signature))
}

/** What the bench asks of this process. */
const functions = {
  /** Listens, and gives `host:port`. */
  start: () =>
    new Promise<string>((resolve, reject) => {
      server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
        if (error === null) resolve(`127.0.0.1:${port}`)
        else reject(error)
      })
    }),
  /** From now on every answer is one token of this length. */
  answerWith: (length: number): void => {
    prepared = answerOf(length)
  },
  ...stopwatch,
  /** CPU µs of one signature check by a key of this kind, and of one ES256 signature, over so many bytes. */
  signatures: (
    algorithm: keyof typeof keys,
    attestBytes: number,
    tokenBytes: number,
    count: number,
  ): { readonly check: number; readonly sign: number } => ({
    check: checkCost(algorithm, attestBytes, count),
    sign: signatureCost(keys.p256.privateKey, tokenBytes, count),
  }),
}
export type FloorFunctions = typeof functions

offer(functions, async () => server.forceShutdown())
