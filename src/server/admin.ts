import { create } from "@bufbuild/protobuf"
import {
  AssignPolicyResponseSchema,
  GetPolicyResponseSchema,
  PolicyService,
  SetPolicyResponseSchema,
} from "../gen/assay/v1/admin_pb.ts"
import type { Handlers } from "../rpc.ts"
import type { Service } from "../service/service.ts"
import { assignmentFromProto, policyToProto } from "./convert.ts"
import { unary } from "./unary.ts"

/** Convert, call, convert. */
export const policyHandlers = (service: Service): Handlers<typeof PolicyService> => ({
  setPolicy: unary(PolicyService.method.setPolicy, async ({ document }, caller) =>
    create(SetPolicyResponseSchema, { policy: policyToProto(await service.setPolicy(document, caller)) }),
  ),
  assignPolicy: unary(PolicyService.method.assignPolicy, async (request, caller) => {
    await service.assignPolicy(assignmentFromProto(request), caller)
    return create(AssignPolicyResponseSchema, {
      policy: request.policy,
      device: request.device,
      group: request.group,
    })
  }),
  getPolicy: unary(PolicyService.method.getPolicy, async ({ name }, caller) =>
    create(GetPolicyResponseSchema, { policy: policyToProto(await service.policy(name, caller)) }),
  ),
})
