import { sameBytes } from "../bytes.ts"
import type { DeviceRecord, ImportedDevice } from "../service/ports.ts"
import { type DeviceKept, deviceColumns, deviceFrom } from "./device-row.ts"
import {
  deviceExists,
  deviceRemoved,
  insertLabels,
  insertRow,
  putCounters,
  selectDevice,
  selectRemoved,
} from "./device-statements.ts"
import { policyOf } from "./policies.ts"
import { askAll, type Work } from "./statement.ts"

/**
 * Adds devices as they are; what is there already with the same keys is left alone.
 *
 * @returns How many were added.
 * @throws {AssayError} DEVICE_EXISTS, with the position as location; POLICY_NOT_FOUND.
 */
export function* importDevices(tenant: string, devices: readonly ImportedDevice[]): Work<number> {
  const policies = new Set(devices.flatMap(({ policy }) => policy ?? []))
  for (const policy of policies) yield* policyOf(tenant, policy)
  const fresh = devices.map((device, position) => ({ position, ...freshOf(tenant, device) }))
  const inserted = yield* askAll(fresh.map(({ kept }) => insertRow(deviceColumns(kept))))
  const added = fresh.filter((_, i) => inserted[i]?.changes !== 0)
  const known = fresh.filter((_, i) => inserted[i]?.changes === 0)

  const found = yield* askAll(known.map(({ kept: { id } }) => selectDevice({ tenant, id })))
  for (const [i, { kept, position }] of known.entries()) {
    const row = found[i]?.rows[0]
    if (row === undefined || !hasKeys(deviceFrom(row), kept)) throw deviceExists(locationOf(position))
  }
  // Asked behind the insertions, which wait for whoever is just removing a device.
  const removed = yield* askAll(added.map(({ kept: { id } }) => selectRemoved({ tenant, id })))
  const gone = added.find((_, i) => removed[i]?.rows.length !== 0)
  if (gone !== undefined) throw deviceRemoved(locationOf(gone.position))

  yield* askAll(added.flatMap(({ kept }) => insertLabels(kept)))
  yield* askAll(
    added.flatMap(({ kept, counters }) =>
      counters === undefined ? [] : [putCounters(tenant, kept.id, counters)],
    ),
  )
  return added.length
}

const freshOf = (tenant: string, { counters, ...described }: ImportedDevice) => {
  const kept: DeviceKept = { ...described, tenant, revision: 1, token: undefined, permit: undefined }
  return { kept, counters }
}

const hasKeys = (device: DeviceRecord, { akPublic, akName, ek }: DeviceKept): boolean =>
  sameBytes(device.akPublic, akPublic) &&
  sameBytes(device.akName, akName) &&
  (ek === undefined ? device.ek === undefined : device.ek !== undefined && sameBytes(device.ek, ek))

const locationOf = (position: number): string => `devices[${position}]`
