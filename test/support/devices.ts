/** Devices to manage: put into a store as they are, for what is tested never looks into their keys. */

import { utf8 } from "../../src/bytes.ts"
import type {
  Caller,
  DeviceDescription,
  DeviceState,
  ImportedDevice,
  KeyBinding,
} from "../../src/service/ports.ts"
import { digestOf, NO_ENDORSEMENT, newAct } from "./ports/samples.ts"
import { START, type TestService } from "./service.ts"

export const OPERATOR: Caller = { tenant: "default", id: "operator" }

/** An operator of another tenant. */
export const STRANGER: Caller = { tenant: "other", id: "operator" }

/** What to change of a device. */
export interface KeptOptions extends Partial<DeviceDescription> {
  readonly state?: DeviceState
  readonly binding?: KeyBinding
  readonly policy?: string
  readonly ek?: Uint8Array | undefined
  readonly createdAt?: Date
  readonly counters?: ImportedDevice["counters"]
  readonly endorsement?: ImportedDevice["endorsement"]
}

/** A device whose keys follow from its id. */
export const keptDevice = (id: string, options: KeptOptions = {}): ImportedDevice => ({
  id,
  akPublic: utf8(`public area of ${id}`),
  akName: digestOf(`name of ${id}`),
  qualifiedName: undefined,
  ek: digestOf(`ek of ${id}`),
  binding: "activation",
  endorsement: NO_ENDORSEMENT,
  group: "",
  labels: new Map(),
  claimedName: "",
  state: "active",
  policy: undefined,
  createdAt: START,
  counters: undefined,
  ...options,
})

/** Puts devices into a store, beside the service. */
export const keep = async (
  { ports }: Pick<TestService, "ports">,
  devices: readonly ImportedDevice[],
  tenant = "default",
): Promise<void> => {
  for (let from = 0; from < devices.length; from += 1000)
    await ports.devices.import(tenant, devices.slice(from, from + 1000), newAct("import-devices"))
}
