import type { MessageInitShape } from "@bufbuild/protobuf"
import { AssayError } from "../errors.ts"
import {
  type AcceptFirmwareResponse,
  type ApproveDeviceResponse,
  type CreateEnrollmentTokenRequestSchema,
  type CreateEnrollmentTokenResponse,
  type DeleteDeviceResponse,
  type DeviceExport,
  type DeviceExportSchema,
  DeviceService,
  EnrollmentTokenService,
  type ExportDevicesResponse,
  type GetDeviceResponse,
  type ImportDevicesResponse,
  type ListDevicesRequestSchema,
  type ListDevicesResponse,
  type ListEnrollmentTokensRequestSchema,
  type ListEnrollmentTokensResponse,
  type PermitEnrollmentRequestSchema,
  type PermitEnrollmentResponse,
  type RegisterDeviceRequestSchema,
  type RegisterDeviceResponse,
  type ResumeDeviceResponse,
  type RetireDeviceResponse,
  type RevokeDeviceResponse,
  type RevokeEnrollmentTokenResponse,
  type SuspendDeviceResponse,
  type TransferDeviceResponse,
  type UpdateDeviceRequestSchema,
  type UpdateDeviceResponse,
} from "../gen/assay/v1/device_pb.ts"
import type { CallOptions, Connection } from "./connection.ts"

/** Which device to change, and, where the decision was made on it as it was, that device's etag. */
export interface ChangeRequest {
  readonly id: string
  readonly etag?: string
}

/** Calls that devices and enrollment tokens are managed by. Every method throws the server's AssayError. */
export interface DeviceClient {
  registerDevice(
    request: MessageInitShape<typeof RegisterDeviceRequestSchema>,
    options?: CallOptions,
  ): Promise<RegisterDeviceResponse>
  getDevice(id: string, options?: CallOptions): Promise<GetDeviceResponse>
  /** A page may have fewer devices than asked for, or none, and yet name a next one. */
  listDevices(
    request: MessageInitShape<typeof ListDevicesRequestSchema>,
    options?: CallOptions,
  ): Promise<ListDevicesResponse>
  updateDevice(
    request: MessageInitShape<typeof UpdateDeviceRequestSchema>,
    options?: CallOptions,
  ): Promise<UpdateDeviceResponse>
  approveDevice(request: ChangeRequest, options?: CallOptions): Promise<ApproveDeviceResponse>
  suspendDevice(request: ChangeRequest, options?: CallOptions): Promise<SuspendDeviceResponse>
  resumeDevice(request: ChangeRequest, options?: CallOptions): Promise<ResumeDeviceResponse>
  revokeDevice(request: ChangeRequest, options?: CallOptions): Promise<RevokeDeviceResponse>
  retireDevice(request: ChangeRequest, options?: CallOptions): Promise<RetireDeviceResponse>
  deleteDevice(request: ChangeRequest, options?: CallOptions): Promise<DeleteDeviceResponse>
  transferDevice(request: ChangeRequest, options?: CallOptions): Promise<TransferDeviceResponse>
  acceptFirmware(request: ChangeRequest, options?: CallOptions): Promise<AcceptFirmwareResponse>
  permitEnrollment(
    request: MessageInitShape<typeof PermitEnrollmentRequestSchema>,
    options?: CallOptions,
  ): Promise<PermitEnrollmentResponse>
  /** Without a deadline unless `options` set one. Devices are asked for as fast as the server takes them. */
  importDevices(
    devices: AsyncIterable<MessageInitShape<typeof DeviceExportSchema>>,
    options?: CallOptions,
  ): Promise<ImportDevicesResponse>
  /** Without a deadline unless `options` set one. Whoever stops asking ends the call. */
  exportDevices(filter: string, options?: CallOptions): AsyncIterable<DeviceExport>
  createEnrollmentToken(
    request: MessageInitShape<typeof CreateEnrollmentTokenRequestSchema>,
    options?: CallOptions,
  ): Promise<CreateEnrollmentTokenResponse>
  listEnrollmentTokens(
    request: MessageInitShape<typeof ListEnrollmentTokensRequestSchema>,
    options?: CallOptions,
  ): Promise<ListEnrollmentTokensResponse>
  revokeEnrollmentToken(id: string, options?: CallOptions): Promise<RevokeEnrollmentTokenResponse>
}

/** The calls over a connection. */
export const deviceClient = ({ unary, clientStream, serverStream }: Connection): DeviceClient => {
  const device = DeviceService.method
  const token = EnrollmentTokenService.method
  return {
    registerDevice: (request, call) => unary(device.registerDevice, request, call),
    getDevice: (id, call) => unary(device.getDevice, { id }, call),
    listDevices: (request, call) => unary(device.listDevices, request, call),
    updateDevice: (request, call) => unary(device.updateDevice, request, call),
    approveDevice: (request, call) => unary(device.approveDevice, request, call),
    suspendDevice: (request, call) => unary(device.suspendDevice, request, call),
    resumeDevice: (request, call) => unary(device.resumeDevice, request, call),
    revokeDevice: (request, call) => unary(device.revokeDevice, request, call),
    retireDevice: (request, call) => unary(device.retireDevice, request, call),
    deleteDevice: (request, call) => unary(device.deleteDevice, request, call),
    transferDevice: (request, call) => unary(device.transferDevice, request, call),
    acceptFirmware: (request, call) => unary(device.acceptFirmware, request, call),
    permitEnrollment: (request, call) => unary(device.permitEnrollment, request, call),
    importDevices: (devices, call) => clientStream(device.importDevices, requestsOf(devices), call),
    exportDevices: (filter, call) => exported(serverStream(device.exportDevices, { filter }, call)),
    createEnrollmentToken: (request, call) => unary(token.createEnrollmentToken, request, call),
    listEnrollmentTokens: (request, call) => unary(token.listEnrollmentTokens, request, call),
    revokeEnrollmentToken: (id, call) => unary(token.revokeEnrollmentToken, { id }, call),
  }
}

async function* requestsOf(devices: AsyncIterable<MessageInitShape<typeof DeviceExportSchema>>) {
  for await (const device of devices) yield { device }
}

async function* exported(answers: AsyncIterable<ExportDevicesResponse>): AsyncIterable<DeviceExport> {
  for await (const { device } of answers) {
    if (device === undefined) throw new AssayError("INTERNAL", "the server exported nothing as a device")
    yield device
  }
}
