import { create } from "@bufbuild/protobuf"
import {
  AssignPolicyRequestSchema,
  AssignPolicyResponseSchema,
  GetPolicyRequestSchema,
  GetPolicyResponseSchema,
  type PolicyService,
  SetPolicyRequestSchema,
  SetPolicyResponseSchema,
} from "../gen/assay/v1/admin_pb.ts"
import {
  type DeviceService,
  GetDeviceRequestSchema,
  GetDeviceResponseSchema,
  RegisterDeviceRequestSchema,
  RegisterDeviceResponseSchema,
} from "../gen/assay/v1/device_pb.ts"
import type { Handlers } from "../rpc.ts"
import type { Service } from "../service/service.ts"
import { unary } from "./call.ts"
import { assignmentFromProto, deviceToProto, policyToProto, registerDeviceInputFromProto } from "./convert.ts"

/** Convert, call, convert. */
export const deviceHandlers = (service: Service): Handlers<typeof DeviceService> => ({
  registerDevice: unary(RegisterDeviceRequestSchema, async (request, caller) => {
    const device = await service.registerDevice(registerDeviceInputFromProto(request), caller)
    return create(RegisterDeviceResponseSchema, { device: deviceToProto(device) })
  }),
  getDevice: unary(GetDeviceRequestSchema, async ({ id }, caller) =>
    create(GetDeviceResponseSchema, { device: deviceToProto(await service.device(id, caller)) }),
  ),
})

/** Convert, call, convert. */
export const policyHandlers = (service: Service): Handlers<typeof PolicyService> => ({
  setPolicy: unary(SetPolicyRequestSchema, async ({ document }, caller) =>
    create(SetPolicyResponseSchema, { policy: policyToProto(await service.setPolicy(document, caller)) }),
  ),
  assignPolicy: unary(AssignPolicyRequestSchema, async (request, caller) => {
    await service.assignPolicy(assignmentFromProto(request), caller)
    return create(AssignPolicyResponseSchema, { policy: request.policy, device: request.device })
  }),
  getPolicy: unary(GetPolicyRequestSchema, async ({ name }, caller) =>
    create(GetPolicyResponseSchema, { policy: policyToProto(await service.policy(name, caller)) }),
  ),
})
