/** What the commands about devices and enrollment tokens ask of a server. */
import type { MessageInitShape } from "@bufbuild/protobuf"
import type {
  CreateEnrollmentTokenRequestSchema,
  CreateEnrollmentTokenResponse,
  Device,
  DeviceExport,
  DeviceExportSchema,
  ImportDevicesResponse,
  ListDevicesRequestSchema,
  ListDevicesResponse,
  ListEnrollmentTokensRequestSchema,
  ListEnrollmentTokensResponse,
  PermitEnrollmentRequestSchema,
  RegisterDeviceRequestSchema,
  UpdateDeviceRequestSchema,
} from "../gen/assay/v1/device_pb.ts"

/** An answer that carries a device. */
interface WithDevice {
  readonly device?: Device | undefined
}

/** Which device, and its etag where the decision was made on it as it was. */
export interface ChangeRequest {
  readonly id: string
  readonly etag?: string
}

/** Every method throws the server's AssayError. */
export interface DeviceCalls {
  registerDevice(request: MessageInitShape<typeof RegisterDeviceRequestSchema>): Promise<WithDevice>
  getDevice(id: string): Promise<WithDevice>
  listDevices(request: MessageInitShape<typeof ListDevicesRequestSchema>): Promise<ListDevicesResponse>
  updateDevice(request: MessageInitShape<typeof UpdateDeviceRequestSchema>): Promise<WithDevice>
  approveDevice(request: ChangeRequest): Promise<WithDevice>
  suspendDevice(request: ChangeRequest): Promise<WithDevice>
  resumeDevice(request: ChangeRequest): Promise<WithDevice>
  revokeDevice(request: ChangeRequest): Promise<WithDevice>
  retireDevice(request: ChangeRequest): Promise<WithDevice>
  transferDevice(request: ChangeRequest): Promise<WithDevice>
  acceptFirmware(request: ChangeRequest): Promise<WithDevice>
  deleteDevice(request: ChangeRequest): Promise<object>
  permitEnrollment(request: MessageInitShape<typeof PermitEnrollmentRequestSchema>): Promise<WithDevice>
  importDevices(
    devices: AsyncIterable<MessageInitShape<typeof DeviceExportSchema>>,
  ): Promise<ImportDevicesResponse>
  exportDevices(filter: string): AsyncIterable<DeviceExport>
  createEnrollmentToken(
    request: MessageInitShape<typeof CreateEnrollmentTokenRequestSchema>,
  ): Promise<CreateEnrollmentTokenResponse>
  listEnrollmentTokens(
    request: MessageInitShape<typeof ListEnrollmentTokensRequestSchema>,
  ): Promise<ListEnrollmentTokensResponse>
  revokeEnrollmentToken(id: string): Promise<object>
}
