import type { MessageInitShape } from "@bufbuild/protobuf"
import {
  type AssignPolicyRequestSchema,
  type AssignPolicyResponse,
  DeviceService,
  type GetDeviceResponse,
  type GetPolicyResponse,
  PolicyService,
  type RegisterDeviceRequestSchema,
  type RegisterDeviceResponse,
  type SetPolicyResponse,
} from "../gen/assay/v1/admin_pb.ts"
import { type CallOptions, type ConnectionOptions, connect } from "./connection.ts"

/** A client of the administration socket. Every method throws the server's AssayError. */
export interface AdminClient {
  registerDevice(
    request: MessageInitShape<typeof RegisterDeviceRequestSchema>,
    options?: CallOptions,
  ): Promise<RegisterDeviceResponse>
  getDevice(id: string, options?: CallOptions): Promise<GetDeviceResponse>
  /** `document` is YAML or JSON. */
  setPolicy(document: string, options?: CallOptions): Promise<SetPolicyResponse>
  /** Without a device, for all that have no policy of their own. */
  assignPolicy(
    request: MessageInitShape<typeof AssignPolicyRequestSchema>,
    options?: CallOptions,
  ): Promise<AssignPolicyResponse>
  getPolicy(name: string, options?: CallOptions): Promise<GetPolicyResponse>
  close(): void
}

/**
 * A client for the administration socket at `address`, `unix:/absolute/path`.
 *
 * @throws {AssayError} INPUT.
 */
export function createAdminClient(address: string, options: ConnectionOptions = {}): AdminClient {
  const { unary, close } = connect(address, options)
  const { registerDevice, getDevice } = DeviceService.method
  const { setPolicy, assignPolicy, getPolicy } = PolicyService.method
  return {
    registerDevice: (request, call) => unary(registerDevice, request, call),
    getDevice: (id, call) => unary(getDevice, { id }, call),
    setPolicy: (document, call) => unary(setPolicy, { document }, call),
    assignPolicy: (request, call) => unary(assignPolicy, request, call),
    getPolicy: (name, call) => unary(getPolicy, { name }, call),
    close,
  }
}
