/** Messages of the measured calls: what their answers say, and empty ones of the same encoded size. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import { tpmEvidence } from "../src/device/attester.ts"
import {
  type VerifyRequest,
  VerifyRequestSchema,
  type VerifyResponse,
  VerifyResponseSchema,
} from "../src/gen/assay/v1/attestation_pb.ts"
import type { TpmEvidence } from "../src/gen/assay/v1/evidence_pb.ts"
import { Tier } from "../src/gen/assay/v1/result_pb.ts"
import type { Answer } from "./caller.ts"

/** The token of an answer that lets the device in, or says that all is well with it; its refusal if there is none. */
export function tokenOf({ status, message }: Answer): string {
  if (status !== "0") return `gRPC status ${status ?? "unknown"}`
  const { token, result } = fromBinary(VerifyResponseSchema, message)
  if (token.case === "sessionToken") return token.value
  const [worst] = result?.findings ?? []
  // What is no session is one all the same where the evidence answered no challenge.
  if (token.case === "resultToken" && result?.tier !== Tier.CONTRAINDICATED) return token.value
  return worst?.code ?? "no token"
}

/** The session token of an answer. @throws {Error} if it has none: a refusal, or no answer at all. */
export function sessionTokenOf({ status, message }: Answer): string {
  if (status !== "0") throw new Error(`a call ended with gRPC status ${status ?? "unknown"}`)
  const { token, result } = fromBinary(VerifyResponseSchema, message)
  if (token.case === "sessionToken") return token.value
  throw new Error(`a device was refused: ${result?.findings[0]?.code ?? "without a finding"}`)
}

/** The evidence in an encoded VerifyRequest. */
export const evidenceIn = (request: Uint8Array): TpmEvidence =>
  tpmEvidence(fromBinary(VerifyRequestSchema, request))

/** One field that is `length` bytes long. */
const requestOf = (length: number): VerifyRequest =>
  create(VerifyRequestSchema, { freshness: { case: "challenge", value: new Uint8Array(length) } })

/** One field that is `length` characters long. */
export const answerOf = (length: number): VerifyResponse =>
  create(VerifyResponseSchema, { token: { case: "sessionToken", value: "x".repeat(length) } })

/** An encoded VerifyRequest of `sizeBytes` with nothing in it that would have to be read. */
export const emptyRequest = (sizeBytes: number): Uint8Array => {
  const encode = (length: number) => toBinary(VerifyRequestSchema, requestOf(length))
  return encode(lengthFor(sizeBytes, (length) => encode(length).length))
}

/** How long the one field of `answerOf` is for an answer of `sizeBytes`. */
export const answerLength = (sizeBytes: number): number =>
  lengthFor(sizeBytes, (length) => toBinary(VerifyResponseSchema, answerOf(length)).length)

/** The greatest length that gives no more than `sizeBytes`: all of them, or one less where the length's own size grows. */
const lengthFor = (sizeBytes: number, sizeOf: (length: number) => number): number => {
  let length = sizeBytes
  while (length > 0 && sizeOf(length) > sizeBytes) length--
  return length
}
