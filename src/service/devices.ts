import { AssayError } from "../errors.ts"
import { type ChangeInput, createChange } from "./change-device.ts"
import { createDeleteDevice, createMoveDevice, type DeviceVerb } from "./device-verbs.ts"
import { createViewDevices, type DeviceView } from "./device-view.ts"
import { createExportDevices } from "./export-devices.ts"
import { createImportDevices, type ImportDeviceInput, type ImportedDevices } from "./import-devices.ts"
import { createListDevices, type ListDevicesInput, type ListedDevices } from "./list-devices.ts"
import { createPermitEnrollment, type PermitEnrollmentInput } from "./permit-enrollment.ts"
import type { Caller, DeviceRecord, Ports } from "./ports.ts"
import { createRegisterDevice } from "./register.ts"
import type { RegisterDeviceInput } from "./service.ts"
import { createUpdateDevice, type UpdateDeviceInput } from "./update-device.ts"

/**
 * The use cases of devices, as their operators manage them: of the caller's tenant, and of no other. A device of another
 * tenant is answered as one that is not there. Each throws REGISTRY, and each change JOURNAL: then it was not made.
 */
export interface DeviceUseCases {
  /** See `createRegisterDevice`. */
  registerDevice(input: RegisterDeviceInput, caller: Caller): Promise<DeviceView>
  /** @throws {AssayError} DEVICE_NOT_FOUND. */
  device(id: string, caller: Caller): Promise<DeviceView>
  /** @throws {AssayError} FILTER, PAGE_TOKEN, FIELD. */
  listDevices(input: ListDevicesInput, caller: Caller): Promise<ListedDevices>
  /** @throws {AssayError} FIELD; DEVICE_NOT_FOUND, POLICY_NOT_FOUND; ETAG. */
  updateDevice(input: UpdateDeviceInput, caller: Caller): Promise<DeviceView>
  /** @throws {AssayError} DEVICE_NOT_FOUND; ETAG; DEVICE_STATE. */
  moveDevice(verb: DeviceVerb, input: ChangeInput, caller: Caller): Promise<DeviceView>
  /** @throws {AssayError} DEVICE_NOT_FOUND; ETAG. */
  deleteDevice(input: ChangeInput, caller: Caller): Promise<void>
  /** @throws {AssayError} FIELD; DEVICE_NOT_FOUND; ETAG; DEVICE_STATE, EK_MISSING. */
  permitEnrollment(input: PermitEnrollmentInput, caller: Caller): Promise<DeviceView>
  /** See `createImportDevices`. */
  importDevices(devices: AsyncIterable<ImportDeviceInput>, caller: Caller): Promise<ImportedDevices>
  /** See `createExportDevices`. */
  exportDevices(filter: string, caller: Caller): AsyncIterable<readonly DeviceRecord[]>
}

/** The use cases over their ports. */
export const createDeviceUseCases = (ports: Ports): DeviceUseCases => {
  const view = createViewDevices(ports)
  const change = createChange(ports, view)
  const register = createRegisterDevice(ports)
  const seen = async (device: DeviceRecord, caller: Caller): Promise<DeviceView> => {
    const [one] = await view(caller, [device])
    if (one === undefined) throw new AssayError("INTERNAL", "a device without a view")
    return one
  }
  return {
    registerDevice: async (input, caller) => seen(await register(input, caller), caller),
    device: async (id, caller) => seen(await ports.registry.device(caller.tenant, id), caller),
    listDevices: createListDevices(ports, view),
    updateDevice: createUpdateDevice(ports, change),
    moveDevice: createMoveDevice(ports, change),
    deleteDevice: createDeleteDevice(ports),
    permitEnrollment: createPermitEnrollment(ports, change),
    importDevices: createImportDevices(ports),
    exportDevices: createExportDevices(ports, view),
  }
}
