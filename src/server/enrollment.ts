import { create } from "@bufbuild/protobuf"
import { timestampFromDate } from "@bufbuild/protobuf/wkt"
import * as pb from "../gen/assay/v1/enrollment_pb.ts"
import type { Handlers } from "../rpc.ts"
import type { BeginEnrollmentInput, BegunEnrollment } from "../service/begin-enrollment.ts"
import type { CompleteEnrollmentInput } from "../service/complete-enrollment.ts"
import type { DeviceRecord } from "../service/ports.ts"
import type { Service } from "../service/service.ts"
import { evidenceFromProto, presentBytes } from "./convert.ts"
import { unary } from "./unary.ts"

/** Convert, call, convert. */
export const enrollmentHandlers = (service: Service): Handlers<typeof pb.EnrollmentService> => ({
  beginEnrollment: unary(pb.EnrollmentService.method.beginEnrollment, async (request, caller) =>
    begunToProto(await service.beginEnrollment(beginInputFromProto(request), caller)),
  ),
  completeEnrollment: unary(pb.EnrollmentService.method.completeEnrollment, async (request, caller) =>
    completedToProto(await service.completeEnrollment(completeInputFromProto(request), caller)),
  ),
})

const beginInputFromProto = (request: pb.BeginEnrollmentRequest): BeginEnrollmentInput => ({
  keys: {
    akPublic: request.akPublic,
    qualifiedName: presentBytes(request.qualifiedName),
    ekPublic: presentBytes(request.ekPublic),
    ekCertificateChain: request.ekCertificateChain,
    akCertificateChain: request.akCertificateChain,
  },
  claimedName: request.claimedName,
})

const begunToProto = ({
  sealed,
  credential,
  transcript,
  expiresAt,
}: BegunEnrollment): pb.BeginEnrollmentResponse =>
  create(pb.BeginEnrollmentResponseSchema, {
    enrollment: sealed,
    ...credential,
    random: transcript.random,
    tenant: transcript.tenant,
    ekDigest: transcript.ekDigest,
    expireTime: timestampFromDate(expiresAt),
  })

/** @throws {AssayError} FIELD. */
const completeInputFromProto = (request: pb.CompleteEnrollmentRequest): CompleteEnrollmentInput => ({
  enrollment: request.enrollment,
  activation: activationFromProto(request.activation),
  evidence: evidenceFromProto(request.evidence),
})

function activationFromProto(
  activation: pb.CompleteEnrollmentRequest["activation"],
): CompleteEnrollmentInput["activation"] {
  switch (activation.case) {
    case "activationHmac":
      return { kind: "mac", value: activation.value }
    case "activationSecret":
      return { kind: "secret", value: activation.value }
    case undefined:
      return undefined
  }
}

const STATE: Readonly<Record<DeviceRecord["state"], pb.DeviceState>> = {
  pending: pb.DeviceState.PENDING,
  active: pb.DeviceState.ACTIVE,
  suspended: pb.DeviceState.SUSPENDED,
  revoked: pb.DeviceState.REVOKED,
  retired: pb.DeviceState.RETIRED,
}

const completedToProto = ({ id, state, revision }: DeviceRecord): pb.CompleteEnrollmentResponse =>
  create(pb.CompleteEnrollmentResponseSchema, { device: id, state: STATE[state], revision: BigInt(revision) })
