import { AttestationService } from "../gen/assay/v1/attestation_pb.ts"
import type { Handlers } from "../rpc.ts"
import type { Service } from "../service/service.ts"
import { challengeInputFromProto, challengeToProto, epochToProto, verifyInputFromProto } from "./convert.ts"
import { encodeResult } from "./encode-result.ts"
import { verifyStream } from "./stream.ts"
import { unary } from "./unary.ts"
import { keepsRules } from "./verify-rules.ts"

/** Convert, call, convert. */
export const attestationHandlers = (
  service: Service,
  stream: { readonly inFlightMax: number; readonly draining: AbortSignal },
): Handlers<typeof AttestationService> => ({
  createChallenge: unary(AttestationService.method.createChallenge, async (request, caller) =>
    challengeToProto(await service.createChallenge(challengeInputFromProto(request), caller)),
  ),
  verify: unary(
    AttestationService.method.verify,
    (request, caller) => service.verify(verifyInputFromProto(request), caller).then(encodeResult),
    keepsRules,
  ),
  getEpoch: unary(AttestationService.method.getEpoch, async (_request, caller) =>
    epochToProto(await service.epoch(caller)),
  ),
  verifyStream: verifyStream(service, stream),
})
