/** Answers of Verify as messages that the library makes: what the bytes that the server writes are held against. */
import { create } from "@bufbuild/protobuf"
import { durationFromMs, timestampFromDate } from "@bufbuild/protobuf/wkt"
import type { TrustVector } from "../../src/appraisal/finding.ts"
import { type VerifyResponse, VerifyResponseSchema } from "../../src/gen/assay/v1/attestation_pb.ts"
import {
  AttestationResultSchema,
  type TrustVector as ProtoVector,
  TrustVectorSchema,
} from "../../src/gen/assay/v1/result_pb.ts"
import type { AttestationResult } from "../../src/result/result.ts"
import { CHALLENGE_STATE, endorsementToProto, findingToProto, TIER } from "../../src/server/convert.ts"

/** A result with its token. */
export const resultToProto = (result: AttestationResult): VerifyResponse =>
  create(VerifyResponseSchema, {
    result: create(AttestationResultSchema, {
      id: result.id,
      tier: TIER[result.tier],
      vector: vectorToProto(result.vector),
      findings: result.findings.map(findingToProto),
      device: result.device,
      policy: result.policy?.name ?? "",
      policyRevision: BigInt(result.policy?.revision ?? 0),
      deviceRevision: BigInt(result.deviceRevision),
      evaluateTime: timestampFromDate(result.evaluatedAt),
      evidenceDigest: result.evidenceDigest,
      ...(result.nonce && { nonce: result.nonce }),
      ...(result.evidenceAgeMs !== undefined && { evidenceAge: durationFromMs(result.evidenceAgeMs) }),
      endorsements: result.endorsements.map(endorsementToProto),
    }),
    token: tokenToProto(result.token),
    expireTime: timestampFromDate(result.token.expiresAt),
    attestTime: timestampFromDate(result.attestAt),
    challengeState: CHALLENGE_STATE[result.challengeState],
    certificateChain: [...result.certificateChain],
  })

function tokenToProto({ kind, compact }: AttestationResult["token"]): VerifyResponse["token"] {
  switch (kind) {
    case "session":
      return { case: "sessionToken", value: compact }
    case "result":
      return { case: "resultToken", value: compact }
  }
}

const vectorToProto = (vector: TrustVector): ProtoVector =>
  create(TrustVectorSchema, {
    instanceIdentity: vector["instance-identity"] ?? 0,
    configuration: vector.configuration ?? 0,
    executables: vector.executables ?? 0,
    fileSystem: vector["file-system"] ?? 0,
    hardware: vector.hardware ?? 0,
    runtimeOpaque: vector["runtime-opaque"] ?? 0,
    storageOpaque: vector["storage-opaque"] ?? 0,
    sourcedData: vector["sourced-data"] ?? 0,
  })
