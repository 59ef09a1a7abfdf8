import { AssayError } from "../errors.ts"
import { type DeviceView, etagOf, type ViewDevices } from "./device-view.ts"
import type { Act, Caller, DeviceChange, DeviceRecord, Ports } from "./ports.ts"

/** Which device to change, as it was seen. */
export interface ChangeInput {
  readonly id: string
  /** Of the device that the decision was made on; empty for whatever is current. */
  readonly etag: string
}

/** How often a change is decided anew that others overtook. */
const TRIES = 5

/**
 * Reads a device, decides by what it is, and writes what was decided unless the device has changed meanwhile. A change that
 * says which device it was decided on, by its etag, is made on that one or not at all; any other is decided anew.
 *
 * @throws {AssayError} DEVICE_NOT_FOUND; ETAG; as `write`.
 */
export async function decided<T>(
  { registry }: Pick<Ports, "registry">,
  { id, etag }: ChangeInput,
  { tenant }: Caller,
  write: (device: DeviceRecord) => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    const device = await registry.device(tenant, id)
    if (etag !== "" && etag !== etagOf(device)) throw changedMeanwhile(id)
    try {
      return await write(device)
    } catch (error) {
      const overtaken = error instanceof AssayError && error.code === "ETAG"
      if (!overtaken || tries === TRIES) throw error
    }
  }
}

/** Makes one change, decided by what the device is. Gives the device as it is then. */
export const createChange =
  (ports: Ports, view: ViewDevices) =>
  (
    input: ChangeInput,
    caller: Caller,
    act: Act,
    decide: (device: DeviceRecord) => DeviceChange,
  ): Promise<DeviceView> =>
    decided(ports, input, caller, async (device) => {
      const { id, revision } = device
      const changed = await ports.devices.change(caller.tenant, id, revision, decide(device), act)
      const [seen] = await view(caller, [changed])
      if (seen === undefined) throw new AssayError("INTERNAL", "a device without a view")
      return seen
    })

/** As `createChange` gives it. */
export type Change = ReturnType<typeof createChange>

const changedMeanwhile = (id: string): AssayError =>
  new AssayError("ETAG", `${id} has changed since it was looked at: look again`, {
    location: "etag",
    expected: "the etag of the device as it is now",
  })
