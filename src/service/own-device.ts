import { AssayError } from "../errors.ts"
import type { Caller, DeviceRecord } from "./ports.ts"

/**
 * What is known of a device, if the caller may ask for it. A device asks for itself alone, and who holds an enrollment
 * token for the devices that it let in. Whether any other device is there, they are not told.
 *
 * @throws {AssayError} PERMISSION; whatever `read` throws.
 */
export const readOwn = <T>(
  caller: Caller,
  read: () => Promise<T>,
  deviceOf: (found: T) => DeviceRecord,
): Promise<T> => (caller.own === undefined ? read() : readChecked(caller, read, deviceOf))

const readChecked = async <T>(
  caller: Caller,
  read: () => Promise<T>,
  deviceOf: (found: T) => DeviceRecord,
): Promise<T> => {
  const found = await read().catch((error: unknown) => {
    throw error instanceof AssayError && error.code === "DEVICE_NOT_FOUND" ? foreign() : error
  })
  if (!isOwn(caller, deviceOf(found))) throw foreign()
  return found
}

/** Whether the caller may ask for the device. */
export const isOwn = ({ own }: Pick<Caller, "own">, { id, token }: DeviceRecord): boolean => {
  if (own === undefined) return true
  switch (own.kind) {
    case "device":
      return own.id === id
    case "enrollment":
      return own.token === token
  }
}

const foreign = (): AssayError =>
  new AssayError("PERMISSION", "a device speaks for itself alone", {
    location: "device",
    expected: "the caller's own",
  })
