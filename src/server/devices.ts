import { create } from "@bufbuild/protobuf"
import * as pb from "../gen/assay/v1/device_pb.ts"
import type { Handlers } from "../rpc.ts"
import type { ChangeInput } from "../service/change-device.ts"
import type { DeviceVerb } from "../service/device-verbs.ts"
import type { ImportDeviceInput } from "../service/import-devices.ts"
import type { Caller } from "../service/ports.ts"
import type { Service } from "../service/service.ts"
import { clientStream } from "./client-stream.ts"
import {
  changeInputFromProto,
  deviceExportToProto,
  deviceToProto,
  enrollmentTokenInputFromProto,
  enrollmentTokenToProto,
  importDeviceInputFromProto,
  listDevicesInputFromProto,
  pageFromProto,
  permitEnrollmentInputFromProto,
  registerDeviceInputFromProto,
  updateDeviceInputFromProto,
} from "./convert-device.ts"
import { serverStream } from "./server-stream.ts"
import { unary } from "./unary.ts"

/** As many as a device of an import has, with 32 labels and 16 certificates, and some. */
export const DEVICE_FIELDS_MAX = 200
/** Devices of an export that share a turn: a millisecond or two. */
const EXPORTED_TOGETHER = 50

/** Convert, call, convert. */
export const deviceHandlers = (
  service: Service,
  { draining }: { readonly draining: AbortSignal },
): Handlers<typeof pb.DeviceService> => {
  const move = async (verb: DeviceVerb, request: ChangeInput, caller: Caller) => ({
    device: deviceToProto(await service.moveDevice(verb, changeInputFromProto(request), caller)),
  })
  return {
    registerDevice: unary(pb.DeviceService.method.registerDevice, async (request, caller) => {
      const device = await service.registerDevice(registerDeviceInputFromProto(request), caller)
      return create(pb.RegisterDeviceResponseSchema, { device: deviceToProto(device) })
    }),
    getDevice: unary(pb.DeviceService.method.getDevice, async ({ id }, caller) =>
      create(pb.GetDeviceResponseSchema, { device: deviceToProto(await service.device(id, caller)) }),
    ),
    listDevices: unary(pb.DeviceService.method.listDevices, async (request, caller) => {
      const { devices, nextPageToken } = await service.listDevices(listDevicesInputFromProto(request), caller)
      return () =>
        create(pb.ListDevicesResponseSchema, { devices: devices.map(deviceToProto), nextPageToken })
    }),
    updateDevice: unary(pb.DeviceService.method.updateDevice, async (request, caller) => {
      const device = await service.updateDevice(updateDeviceInputFromProto(request), caller)
      return create(pb.UpdateDeviceResponseSchema, { device: deviceToProto(device) })
    }),
    approveDevice: unary(pb.DeviceService.method.approveDevice, async (request, caller) =>
      create(pb.ApproveDeviceResponseSchema, await move("approve", request, caller)),
    ),
    suspendDevice: unary(pb.DeviceService.method.suspendDevice, async (request, caller) =>
      create(pb.SuspendDeviceResponseSchema, await move("suspend", request, caller)),
    ),
    resumeDevice: unary(pb.DeviceService.method.resumeDevice, async (request, caller) =>
      create(pb.ResumeDeviceResponseSchema, await move("resume", request, caller)),
    ),
    revokeDevice: unary(pb.DeviceService.method.revokeDevice, async (request, caller) =>
      create(pb.RevokeDeviceResponseSchema, await move("revoke", request, caller)),
    ),
    retireDevice: unary(pb.DeviceService.method.retireDevice, async (request, caller) =>
      create(pb.RetireDeviceResponseSchema, await move("retire", request, caller)),
    ),
    deleteDevice: unary(pb.DeviceService.method.deleteDevice, async (request, caller) => {
      await service.deleteDevice(changeInputFromProto(request), caller)
      return create(pb.DeleteDeviceResponseSchema)
    }),
    permitEnrollment: unary(pb.DeviceService.method.permitEnrollment, async (request, caller) => {
      const device = await service.permitEnrollment(permitEnrollmentInputFromProto(request), caller)
      return create(pb.PermitEnrollmentResponseSchema, { device: deviceToProto(device) })
    }),
    transferDevice: unary(pb.DeviceService.method.transferDevice, async (request, caller) =>
      create(pb.TransferDeviceResponseSchema, await move("transfer", request, caller)),
    ),
    acceptFirmware: unary(pb.DeviceService.method.acceptFirmware, async (request, caller) =>
      create(pb.AcceptFirmwareResponseSchema, await move("acceptFirmware", request, caller)),
    ),
    importDevices: clientStream(
      pb.ImportDevicesRequestSchema,
      inDevice,
      draining,
      async (requests, caller) => {
        const { added, unchanged } = await service.importDevices(importsFrom(requests), caller)
        return create(pb.ImportDevicesResponseSchema, { added: BigInt(added), unchanged: BigInt(unchanged) })
      },
    ),
    exportDevices: serverStream(
      pb.ExportDevicesRequestSchema,
      draining,
      async function* ({ filter }, caller) {
        for await (const devices of service.exportDevices(filter, caller)) {
          for (const device of devices)
            yield () => create(pb.ExportDevicesResponseSchema, { device: deviceExportToProto(device) })
          yield undefined
        }
      },
      EXPORTED_TOGETHER,
    ),
  }
}

/** The path of a field of an import, as the service names it too. */
const inDevice = (position: number, field: string): string =>
  `devices[${position}]${field.replace(/^device/, "")}`

async function* importsFrom(
  requests: AsyncIterable<pb.ImportDevicesRequest>,
): AsyncIterable<ImportDeviceInput> {
  let position = 0
  for await (const { device } of requests) yield importDeviceInputFromProto(device, inDevice(position++, ""))
}

/** Convert, call, convert. */
export const enrollmentTokenHandlers = (service: Service): Handlers<typeof pb.EnrollmentTokenService> => ({
  createEnrollmentToken: unary(
    pb.EnrollmentTokenService.method.createEnrollmentToken,
    async (request, caller) => {
      const { token, secret } = await service.createEnrollmentToken(
        enrollmentTokenInputFromProto(request),
        caller,
      )
      return create(pb.CreateEnrollmentTokenResponseSchema, { token: enrollmentTokenToProto(token), secret })
    },
  ),
  listEnrollmentTokens: unary(
    pb.EnrollmentTokenService.method.listEnrollmentTokens,
    async (request, caller) => {
      const { tokens, nextPageToken } = await service.listEnrollmentTokens(pageFromProto(request), caller)
      return () =>
        create(pb.ListEnrollmentTokensResponseSchema, {
          tokens: tokens.map(enrollmentTokenToProto),
          nextPageToken,
        })
    },
  ),
  revokeEnrollmentToken: unary(
    pb.EnrollmentTokenService.method.revokeEnrollmentToken,
    async ({ id }, caller) => {
      await service.revokeEnrollmentToken(id, caller)
      return create(pb.RevokeEnrollmentTokenResponseSchema)
    },
  ),
})
