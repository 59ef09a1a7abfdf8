/** Answers of Verify as bytes, the same as the library writes. */
import { toBinary } from "@bufbuild/protobuf"
import type { Finding, TrustVector } from "../appraisal/finding.ts"
import {
  VerifyResponseSchema as RESPONSE,
  VerifyStreamResponseSchema as STREAM_RESPONSE,
} from "../gen/assay/v1/attestation_pb.ts"
import {
  EndorsementSchema,
  FindingSchema,
  AttestationResultSchema as RESULT,
  TrustVectorSchema as VECTOR,
} from "../gen/assay/v1/result_pb.ts"
import type { AttestationResult } from "../result/result.ts"
import { Encoded } from "../rpc.ts"
import { CHALLENGE_STATE, endorsementToProto, findingToProto, TIER } from "./convert.ts"
import { MessageWriter } from "./message-writer.ts"

const response = RESPONSE.field
const fields = RESULT.field
const vectorFields = VECTOR.field
const streamFields = STREAM_RESPONSE.field
/** Of google.protobuf.Timestamp and Duration alike. */
const SECONDS = 1
const NANOS = 2

/** One for all: an answer is written in one go. */
const writer = new MessageWriter()

/** A result with its token. */
export const encodeResult = (result: AttestationResult): Encoded => {
  writer.start()
  writeResponse(result)
  return new Encoded(writer.frame())
}

/** The same as an answer in a stream. */
export const encodeStreamResult = (id: string, result: AttestationResult): Encoded => {
  writer.start()
  writer.text(streamFields.id.number, id)
  const start = writer.begin(streamFields.response.number)
  writeResponse(result)
  writer.end(start)
  return new Encoded(writer.frame())
}

const writeResponse = (result: AttestationResult): void => {
  const { token } = result
  const start = writer.begin(response.result.number)
  writeResult(result)
  writer.end(start)
  writer.textOf(
    token.kind === "session" ? response.sessionToken.number : response.resultToken.number,
    token.compact,
  )
  writeInstant(response.expireTime.number, token.expiresAt)
  writeInstant(response.attestTime.number, result.attestAt)
  writer.uint(response.challengeState.number, CHALLENGE_STATE[result.challengeState])
  for (const certificate of result.certificateChain)
    writer.bytesOf(response.certificateChain.number, certificate)
}

const writeResult = (result: AttestationResult): void => {
  const { policy, nonce, evidenceAgeMs } = result
  writer.text(fields.id.number, result.id)
  writer.uint(fields.tier.number, TIER[result.tier])
  const start = writer.begin(fields.vector.number)
  writeVector(result.vector)
  writer.end(start)
  for (const finding of result.findings) writer.bytesOf(fields.findings.number, findingBytes(finding))
  writer.text(fields.device.number, result.device)
  writer.text(fields.policy.number, policy?.name ?? "")
  writer.uint(fields.policyRevision.number, policy?.revision ?? 0)
  writer.uint(fields.deviceRevision.number, result.deviceRevision)
  writeInstant(fields.evaluateTime.number, result.evaluatedAt)
  writer.bytes(fields.evidenceDigest.number, result.evidenceDigest)
  if (nonce !== undefined) writer.bytes(fields.nonce.number, nonce)
  if (evidenceAgeMs !== undefined) writeSpan(fields.evidenceAge.number, evidenceAgeMs)
  for (const endorsement of result.endorsements)
    writer.bytesOf(fields.endorsements.number, toBinary(EndorsementSchema, endorsementToProto(endorsement)))
}

const writeVector = (vector: TrustVector): void => {
  writer.sint(vectorFields.instanceIdentity.number, vector["instance-identity"] ?? 0)
  writer.sint(vectorFields.configuration.number, vector.configuration ?? 0)
  writer.sint(vectorFields.executables.number, vector.executables ?? 0)
  writer.sint(vectorFields.fileSystem.number, vector["file-system"] ?? 0)
  writer.sint(vectorFields.hardware.number, vector.hardware ?? 0)
  writer.sint(vectorFields.runtimeOpaque.number, vector["runtime-opaque"] ?? 0)
  writer.sint(vectorFields.storageOpaque.number, vector["storage-opaque"] ?? 0)
  writer.sint(vectorFields.sourcedData.number, vector["sourced-data"] ?? 0)
}

/** Instants and ages are never before 1970 and never negative. */
const writeInstant = (field: number, at: Date): void => writeSpan(field, at.getTime())

const writeSpan = (field: number, ms: number): void => {
  const start = writer.begin(field)
  writer.uint(SECONDS, Math.floor(ms / 1000))
  writer.uint(NANOS, (ms % 1000) * 1_000_000)
  writer.end(start)
}

/** Findings as they go over the wire. Most are the same objects again and again: what a rule says that has nothing to say. */
const encoded = new WeakMap<Finding, Uint8Array>()

const findingBytes = (finding: Finding): Uint8Array => {
  const known = encoded.get(finding)
  if (known !== undefined) return known
  const bytes = toBinary(FindingSchema, findingToProto(finding))
  encoded.set(finding, bytes)
  return bytes
}
