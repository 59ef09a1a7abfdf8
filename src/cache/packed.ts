/** What is remembered of a device by the hundred thousand, in a third of the room. */
import { deserialize, serialize } from "node:v8"
import type { CompiledPolicy } from "../appraisal/compile.ts"
import { latin1 } from "../bytes.ts"
import type { Context, DeviceRecord, Snapshot } from "../service/ports.ts"

/** What a context says beside its device: most devices of a fleet have the same. */
interface Common {
  readonly snapshot: Omit<Snapshot, "device">
  readonly policy: CompiledPolicy | undefined
}

/** What is packed of a context: what else it has is made of that. */
type Packable = Omit<Context, "ak" | "owner">

/** A context of a device without certificates, but for its key. */
export interface Packed {
  /** One character a byte: as objects, its bytes and fields would take three times as much. */
  readonly device: string
  readonly common: Common
}

/** Every field of a device, in the order in which their values are packed. */
const FIELDS = Object.keys({
  tenant: true,
  id: true,
  state: true,
  policy: true,
  revision: true,
  createdAt: true,
  token: true,
  permit: true,
  counters: true,
  lastResult: true,
  akPublic: true,
  akName: true,
  qualifiedName: true,
  ek: true,
  binding: true,
  endorsement: true,
  group: true,
  labels: true,
  claimedName: true,
} satisfies Record<keyof DeviceRecord, true>)

/** Packs contexts; what many have in common is held once. */
export const createPacker = (): ((context: Packable) => Packed) => {
  let last: Common | undefined
  const commonOf = ({ snapshot: { policy: record, trustGeneration, anchors }, policy }: Packable) => {
    const isLast =
      last !== undefined &&
      last.policy === policy &&
      last.snapshot.policy === record &&
      last.snapshot.trustGeneration === trustGeneration &&
      last.snapshot.anchors === anchors
    if (last === undefined || !isLast)
      last = { snapshot: { policy: record, trustGeneration, anchors }, policy }
    return last
  }
  return (context) => {
    const fields = new Map<string, unknown>(Object.entries(context.snapshot.device))
    return {
      device: latin1(serialize(FIELDS.map((field) => fields.get(field)))),
      common: commonOf(context),
    }
  }
}

/** The context that was packed. */
export const unpack = ({ device: packed, common: { snapshot, policy } }: Packed): Packable => {
  // Not of the pool: its bytes are views of this.
  const bytes = Buffer.allocUnsafeSlow(packed.length)
  bytes.write(packed, "latin1")
  const values: readonly unknown[] = deserialize(bytes)
  const device: DeviceRecord = Object.fromEntries(FIELDS.map((field, i): unknown[] => [field, values[i]]))
  return { snapshot: { ...snapshot, device }, policy, akChain: [], ekChain: [] }
}
